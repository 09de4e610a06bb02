using Whistle.Detectors.Rules;
using Whistle.Telemetry;

namespace Whistle.Detectors.Signals;

/// <summary>
/// Which signals are hidden by others of the same cause. As in Alertmanager one that is hidden still hides others, and of those that are both
/// source and target of a rule none hides another. Unlike there, what hides a signal is the end of the chain, which is never hidden itself.
/// </summary>
static class Inhibition
{
    /// <summary>The same signals; the list itself where none is hidden.</summary>
    public static IReadOnlyList<Signal> Apply(IReadOnlyList<InhibitRule> rules, IReadOnlyList<Signal> signals)
    {
        if (rules.Count == 0)
            return signals;
        var byName = signals.Where(s => s.HasFired).GroupBy(s => s.Name).ToList();
        var hidden = new Dictionary<Signal, Signal>(ReferenceEqualityComparer.Instance);
        foreach (var rule in rules)
            Hide(rule, byName, hidden);
        if (hidden.Count == 0)
            return signals;
        OpenCircles(hidden);
        return [.. signals.Select(s => hidden.ContainsKey(s) ? s with { InhibitedBy = Inhibitor.Of(Cause(s, hidden)) } : s)];
    }

    // Sources are found by the labels that must be equal, so that the work grows with the signals and not with their pairs.
    static void Hide(InhibitRule rule, List<IGrouping<string, Signal>> byName, Dictionary<Signal, Signal> hidden)
    {
        var sources = new Dictionary<Labels, Sources>();
        foreach (var source in Taken(rule.Source, byName))
        {
            var key = rule.KeyOf(source.Labels);
            sources[key] = sources.GetValueOrDefault(key).With(source, rule.Target.Takes(source.Labels));
        }

        if (sources.Count == 0)
            return;
        foreach (var target in Taken(rule.Target, byName))
        {
            if (sources.TryGetValue(rule.KeyOf(target.Labels), out var found) && found.For(rule.Source.Takes(target.Labels)) is { } source)
                hidden.TryAdd(target, source);
        }
    }

    static IEnumerable<Signal> Taken(InhibitSide side, List<IGrouping<string, Signal>> byName) =>
        byName.Where(g => side.MayTake(g.Key)).SelectMany(g => g).Where(s => side.Takes(s.Labels));

    // Signals that hide each other in a circle would all be lost: the one that fires the longest is told.
    static void OpenCircles(Dictionary<Signal, Signal> hidden)
    {
        var seen = new HashSet<Signal>(ReferenceEqualityComparer.Instance);
        foreach (var start in hidden.Keys.ToList())
        {
            var path = new List<Signal>();
            var at = start;
            for (; hidden.TryGetValue(at, out var by) && seen.Add(at); at = by)
                path.Add(at);
            if (path.FindIndex(s => ReferenceEquals(s, at)) is >= 0 and var first)
                hidden.Remove(path.Skip(first).Aggregate(Older));
        }
    }

    static Signal Cause(Signal signal, Dictionary<Signal, Signal> hidden)
    {
        while (hidden.TryGetValue(signal, out var by))
            signal = by;
        return signal;
    }

    // The same at every look, so that nothing changes its cause while nothing happens.
    static Signal Older(Signal a, Signal b) =>
        (a.Condition.FiringSince, a.Fingerprint).CompareTo((b.Condition.FiringSince, b.Fingerprint)) <= 0 ? a : b;

    /// <param name="Any">The one that fires the longest.</param>
    /// <param name="OneSided">As that, of those that the rule could not hide.</param>
    readonly record struct Sources(Signal? Any, Signal? OneSided)
    {
        public Sources With(Signal source, bool isTarget) => new(Oldest(Any, source), isTarget ? OneSided : Oldest(OneSided, source));

        public Signal? For(bool isSource) => isSource ? OneSided : Any;

        static Signal Oldest(Signal? before, Signal source) => before is null ? source : Older(before, source);
    }
}
