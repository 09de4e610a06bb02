using Whistle.Detectors.Expressions;
using Whistle.Detectors.Rules;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors.Evaluation;

enum Inputs
{
    Live,

    /// <summary>Series of the signal are known, and every one has ended.</summary>
    Ended,

    /// <summary>No series carries the signal's labels, so nothing can be said: labels that the expression made up, for one.</summary>
    NotFound,
}

/// <summary>Looks up whether the series that a signal is about are still in its source's reports.</summary>
sealed class InputLiveness(ISeriesSource source, RuleSet rules, DateTimeOffset now)
{
    // As far back as the head keeps what rules read.
    static readonly TimeSpan Evidence = TimeSpan.FromHours(6);

    readonly long _now = now.ToUnixTimeMilliseconds();
    readonly Dictionary<(RuleInput, NodeId, TimeSpan), IReadOnlyList<SeriesSamples>> _selected = [];

    /// <param name="standing">What the rule's group has at hand; null where there is no head.</param>
    public async ValueTask<Inputs> CheckAsync(
        RuleExpression expression, Labels element, TimeSpan window, StandingGroup? standing, CancellationToken cancellation)
    {
        if (expression.TestsAbsence || expression.Inputs.Count == 0)
            return Inputs.Live;
        // The usual case, answered from the newest samples alone.
        var identity = Identity(element);
        foreach (var input in expression.Inputs)
        {
            var back = WindowOf(input, window);
            if (standing is not null ? standing.IsAnyLive(input.Matchers, identity, _now - (long)back.TotalMilliseconds - 1, _now)
                : (await SelectAsync(input, element, back, cancellation)).Any(
                    s => Shared(s.Labels, identity) == identity.Count && IsLive(s, TimeSpan.MaxValue)))
                return Inputs.Live;
        }

        return await WeighAsync(expression, element, window, cancellation);
    }

    // The series that share the most labels are what the signal is about; a sum over the node that they are compared with is not.
    async ValueTask<Inputs> WeighAsync(RuleExpression expression, Labels element, TimeSpan window, CancellationToken cancellation)
    {
        var identity = Identity(element);
        var best = 0;
        var live = false;
        foreach (var input in expression.Inputs)
        {
            foreach (var series in await SelectAsync(input, element, Evidence, cancellation))
            {
                var shared = Shared(series.Labels, identity) + 1;
                live = (live && shared <= best) || (shared >= best && IsLive(series, WindowOf(input, window)));
                best = Math.Max(best, shared);
            }
        }

        return live ? Inputs.Live : best > 0 ? Inputs.Ended : Inputs.NotFound;
    }

    static Labels Identity(Labels element) => element.Drop([Labels.MetricName]);

    static int Shared(Labels labels, Labels identity) => identity.Count(l => labels[l.Name] == l.Value);

    TimeSpan WindowOf(RuleInput input, TimeSpan window)
    {
        if (input.Metric is null || rules.Recording(input.Metric) is not { } recording)
            return window;
        var recorded = SourceHealth.Window(recording.Interval);
        return recorded > window ? recorded : window;
    }

    async ValueTask<IEnumerable<SeriesSamples>> SelectAsync(RuleInput input, Labels element, TimeSpan back, CancellationToken cancellation)
    {
        // The signals of a rule ask about the same series, one after the other.
        var key = (input, NodeId.Of(element), back);
        if (!_selected.TryGetValue(key, out var selected))
        {
            LabelMatcher[] matchers =
            [
                .. input.Matchers,
                .. element.Where(l => l.Name is "tenant" or "cluster" or "node").Select(
                    l => new LabelMatcher(l.Name, MatchOperator.Equal, l.Value)),
            ];
            _selected.Add(key, selected = await source.SelectAsync(matchers, _now - (long)back.TotalMilliseconds, _now, cancellation));
        }

        return selected.Where(s => IsOf(s.Labels, element));
    }

    // A label that the series does not carry came from another operand of the expression.
    static bool IsOf(Labels labels, Labels element) =>
        element.All(l => l.Name == Labels.MetricName || !labels.Has(l.Name) || labels[l.Name] == l.Value);

    bool IsLive(SeriesSamples samples, TimeSpan window) =>
        samples.Values.Length > 0 && !StaleMarker.Is(samples.Values[^1]) && _now - samples.Times[^1] <= window.TotalMilliseconds;
}
