using Whistle.Detectors.Expressions;
using Whistle.Detectors.Templates;

namespace Whistle.Detectors.Rules;

/// <summary>A label or annotation whose value is rendered at each evaluation.</summary>
sealed record TemplatedText(string Name, string Text, Template Template);

/// <summary>One rule of a group. <see cref="Labels"/> are the rule's own over those of its group.</summary>
abstract record Rule
{
    public required string Name { get; init; }

    public required RuleExpression Expression { get; init; }

    public required IReadOnlyList<TemplatedText> Labels { get; init; }

    /// <summary>A template of it queries.</summary>
    public virtual bool Queries => Labels.Any(l => l.Template.Queries);

    /// <summary>0, or for a recording with the name and labels of an earlier one in its group a number that tells it apart.</summary>
    public int Repetition { get; init; }

    /// <summary>
    /// Identifies the rule across reloads and restarts: name and labels, as in Prometheus, so a corrected expression keeps its state.
    /// </summary>
    public string Identity =>
        $"{GetType().Name}/{Name}{{{string.Join(',', Labels.Select(l => $"{l.Name}={l.Text}"))}}}"
        + $"{(Repetition > 0 ? $"#{Repetition}" : "")}";
}

sealed record AlertRule : Rule
{
    public TimeSpan For { get; init; }

    public TimeSpan KeepFiringFor { get; init; }

    public required IReadOnlyList<TemplatedText> Annotations { get; init; }

    public override bool Queries => base.Queries || Annotations.Any(a => a.Template.Queries);
}

sealed record RecordingRule : Rule;

/// <summary>Rules that are evaluated one after the other at one interval.</summary>
sealed record RuleGroup
{
    public required string File { get; init; }

    public required string Name { get; init; }

    public required TimeSpan Interval { get; init; }

    public TimeSpan QueryOffset { get; init; }

    /// <summary>The most elements that a rule of the group may yield; 0 is without limit.</summary>
    public int Limit { get; init; }

    public required IReadOnlyList<Rule> Rules { get; init; }

    /// <summary>The file's name without its folder: state must survive that an installation moves.</summary>
    public string Key => field ??= $"{Path.GetFileName(File)};{Name}";
}
