using System.Text.RegularExpressions;

using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors.Expressions;

/// <summary>One selector of an expression; <paramref name="Metric"/> is null where the name is not fixed.</summary>
public sealed record RuleInput(IReadOnlyList<LabelMatcher> Matchers, string? Metric, TimeSpan ReadsBack);

/// <summary>A parsed expression with what it reads.</summary>
sealed partial class RuleExpression
{
    readonly Expr _root;

    RuleExpression(string text, Expr root)
    {
        _root = root;
        Text = text;
        Inputs = [.. Selection.Of(root).Select(s => new RuleInput(s.Matchers, NameOf(s.Matchers), TimeSpan.FromMilliseconds(s.Back)))];
        TestsAbsence = AbsenceCall().IsMatch(text);
    }

    public string Text { get; }

    public IReadOnlyList<RuleInput> Inputs { get; }

    /// <summary>The expression yields something just because its input has ended.</summary>
    public bool TestsAbsence { get; }

    /// <exception cref="PromQLException">The expression does not parse.</exception>
    public static RuleExpression Parse(string text) => new(text, Parser.Parse(text));

    /// <summary>The expression as one that is evaluated again and again, beside the others of its group.</summary>
    public StandingQuery Stand(StandingGroup group) => group.Add(_root);

    /// <summary>The elements at an instant. A scalar is one element without labels, as in Prometheus.</summary>
    public async ValueTask<IReadOnlyList<Element>> EvaluateAsync(PromQLEngine engine, DateTimeOffset at, CancellationToken cancellation) =>
        await engine.InstantAsync(_root, at.ToUnixTimeMilliseconds(), cancellation) switch
        {
            VectorValue vector => [.. vector.Samples.Select(s => new Element(s.Labels, s.Value))],
            ScalarValue scalar => [new Element(Labels.Empty, scalar.Value)],
            _ => throw new InvalidOperationException("a rule's expression must give a vector or a scalar"),
        };

    static string? NameOf(IReadOnlyList<LabelMatcher> matchers) =>
        matchers.FirstOrDefault(m => m is { Name: Labels.MetricName, Operator: MatchOperator.Equal })?.Value;

    [GeneratedRegex(@"\babsent(_over_time)?\s*\(")]
    private static partial Regex AbsenceCall();
}
