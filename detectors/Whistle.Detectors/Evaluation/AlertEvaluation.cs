using Microsoft.Extensions.Logging;

using Whistle.Detectors.Expressions;
using Whistle.Detectors.Rules;
using Whistle.Detectors.Signals;
using Whistle.Detectors.Templates;
using Whistle.Telemetry;

namespace Whistle.Detectors.Evaluation;

/// <summary>The labels that a rule gives to an element of its result.</summary>
static class ResultLabels
{
    public static Labels Of(Rule rule, Element element) => Of(rule, element, new(element.Labels, element.Value));

    /// <param name="data">The element's, with the answers to what the templates query.</param>
    public static Labels Of(Rule rule, Element element, TemplateData data)
    {
        var given = rule.Labels.Select(l => new Label(l.Name, l.Template.Render(data))).ToList();
        return Labels.From(element.Labels.Where(l => l.Name != Labels.MetricName && !given.Any(g => g.Name == l.Name)).Concat(given));
    }
}

/// <summary>Confronts an alert's signals with what its expression yields now.</summary>
sealed class AlertEvaluation(
    GroupState group, RuleState state, AlertRule rule, DateTimeOffset at, SourceHealth health, InputLiveness liveness,
    TemplateQueries queries, ILogger logger)
{
    readonly SignalTimings _timings = new(rule.For, rule.KeepFiringFor, group.Group.Interval);

    public async ValueTask MoveAsync(IReadOnlyList<Element> elements, CancellationToken cancellation)
    {
        await queries.PrepareAsync(rule, elements, cancellation);
        var present = ByLabels(elements);
        foreach (var labels in present.Keys.Union(state.Signals.Keys).ToList())
        {
            var element = present.TryGetValue(labels, out var yielded) ? yielded : (Element?)null;
            await MoveAsync(labels, element, state.Signals.GetValueOrDefault(labels), cancellation);
        }
    }

    Dictionary<Labels, Element> ByLabels(IReadOnlyList<Element> elements)
    {
        var present = new Dictionary<Labels, Element>();
        foreach (var element in elements)
        {
            var labels = ResultLabels.Of(rule, element, queries.Data(element)).With("alertname", rule.Name);
            if (!present.TryAdd(labels, element))
                throw new InvalidOperationException($"two elements become the same alert {labels}; keep a label that distinguishes them");
        }

        return present;
    }

    async ValueTask MoveAsync(Labels labels, Element? element, Signal? signal, CancellationToken cancellation)
    {
        var identity = element?.Labels ?? signal!.Element;
        var seen = await ObserveAsync(identity, element is not null, cancellation);
        var condition = Transition.Next(signal?.Condition, seen, _timings, at);
        if (condition is null)
            return;
        var next =
            (signal ?? new Signal { Rule = state.Key, Name = rule.Name, Labels = labels, Element = identity, Condition = condition }) with
            {
                Condition = condition,
            };
        if (element is { } yielded && seen is { SourceHealthy: true, InputsEnded: false })
            next = next with { Value = yielded.Value, Annotations = Annotations(yielded), Element = identity };
        Keep(signal, next);
    }

    async ValueTask<Observation> ObserveAsync(Labels identity, bool present, CancellationToken cancellation)
    {
        var source = await health.CheckAsync(state.Sources, identity, cancellation);
        if (!source.Healthy && !source.IsPushed)
            return new(present, false, false);
        if (!source.Answers)
            return new(present, present, false);
        var inputs = await liveness.CheckAsync(rule.Expression, identity, source.Window, group.Standing, cancellation);
        // What is pushed is silent where its samples are: that is no end.
        if (source.IsPushed)
            return new(present, inputs is Inputs.Live, false);
        return new(present, true, inputs is Inputs.Ended || (inputs is Inputs.NotFound && !present));
    }

    IReadOnlyList<Label> Annotations(Element element)
    {
        var data = queries.Data(element);
        return [.. rule.Annotations.Select(a => new Label(a.Name, a.Template.Render(data)))];
    }

    // Once a minute is often enough for a number that somebody reads.
    bool MustTellValue(Signal before, Signal next) => group.TellsValues && !before.Value.Equals(next.Value)
        && before.Condition.LastEvaluation.ToUnixTimeSeconds() / 60 != at.ToUnixTimeSeconds() / 60;

    void Keep(Signal? before, Signal next)
    {
        if (next.State is SignalState.Resolved)
            state.Signals.Remove(next.Labels);
        else
            state.Signals[next.Labels] = next;
        if (before is null || before.Condition != next.Condition with { LastEvaluation = before.Condition.LastEvaluation }
            || MustTellValue(before, next))
            group.UnsavedSignals.Add(next);
        if (before?.State == next.State)
            return;
        group.UnsavedEvents.Add(new(next, before?.State, at));
        var reason = next.Condition.Reason?.ToString() ?? "";
        logger.SignalChanged(next.Name, next.Labels.ToString(), before?.State.ToString() ?? "none", next.State.ToString(), reason);
    }
}
