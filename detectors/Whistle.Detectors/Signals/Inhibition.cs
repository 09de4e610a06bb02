using Whistle.Detectors.Rules;
using Whistle.Telemetry;

namespace Whistle.Detectors.Signals;

/// <summary>
/// Which signals are inhibited by others. As in Alertmanager an inhibited signal still inhibits others, and of those that are both source
/// and target of a rule none inhibits another. Unlike there, the inhibitor of a signal is the end of the chain, which nothing inhibits.
/// </summary>
static class Inhibition
{
    /// <summary>The same signals; the list itself if none is inhibited.</summary>
    public static IReadOnlyList<Signal> Apply(IReadOnlyList<InhibitRule> rules, IReadOnlyList<Signal> signals)
    {
        if (rules.Count == 0)
            return signals;
        var byName = signals.Where(s => s.HasFired).GroupBy(s => s.Name).ToList();
        var sources = new Dictionary<Signal, List<List<Signal>>>(ReferenceEqualityComparer.Instance);
        foreach (var rule in rules)
            Find(rule, byName, sources);
        if (sources.Count == 0)
            return signals;
        var inhibited = new Dictionary<Signal, Signal>(
            sources.Select(s => KeyValuePair.Create(s.Key, s.Value[0][0])), ReferenceEqualityComparer.Instance);
        OpenCircles(inhibited, sources);
        return [.. signals.Select(s => inhibited.ContainsKey(s) ? s with { InhibitedBy = Inhibitor.Of(Cause(s, inhibited)) } : s)];
    }

    // Sources are found by the labels that must be equal, so that the work grows with the signals and not with their pairs.
    static void Find(InhibitRule rule, List<IGrouping<string, Signal>> byName, Dictionary<Signal, List<List<Signal>>> sources)
    {
        var byKey = new Dictionary<Labels, Sources>();
        foreach (var source in Matching(rule.Source, byName))
        {
            var key = rule.KeyOf(source.Labels);
            if (!byKey.TryGetValue(key, out var found))
                byKey.Add(key, found = new([], []));
            found.Add(source, rule.Target.Matches(source.Labels));
        }

        if (byKey.Count == 0)
            return;
        foreach (var target in Matching(rule.Target, byName))
        {
            if (!byKey.TryGetValue(rule.KeyOf(target.Labels), out var found)
                || found.For(rule.Source.Matches(target.Labels)) is not { Count: > 0 } usable)
                continue;
            if (!sources.TryGetValue(target, out var lists))
                sources.Add(target, lists = []);
            lists.Add(usable);
        }
    }

    static IEnumerable<Signal> Matching(InhibitSide side, List<IGrouping<string, Signal>> byName) =>
        byName.Where(g => side.MayMatch(g.Key)).SelectMany(g => g).Where(s => side.Matches(s.Labels));

    // Signals that inhibit each other in a circle would all be lost: if nothing else inhibits one of them, the one that has been firing
    // longest is reported.
    static void OpenCircles(Dictionary<Signal, Signal> inhibited, Dictionary<Signal, List<List<Signal>>> sources)
    {
        var seen = new HashSet<Signal>(ReferenceEqualityComparer.Instance);
        foreach (var start in inhibited.Keys.ToList())
        {
            var path = new List<Signal>();
            var at = start;
            for (; inhibited.TryGetValue(at, out var by) && seen.Add(at); at = by)
                path.Add(at);
            if (path.FindIndex(s => ReferenceEquals(s, at)) is >= 0 and var first && !TryLeadOut(path[first..], inhibited, sources))
                inhibited.Remove(path.Skip(first).Aggregate(Older));
        }
    }

    // Searches everything that inhibits the circle, near to far, for a signal that does not lead back into it. That signal and those on the
    // way to it become the causes.
    static bool TryLeadOut(List<Signal> circle, Dictionary<Signal, Signal> inhibited, Dictionary<Signal, List<List<Signal>>> sources)
    {
        var inside = new HashSet<Signal>(circle, ReferenceEqualityComparer.Instance);
        var targets = new Dictionary<Signal, Signal>(ReferenceEqualityComparer.Instance);
        var seen = new HashSet<List<Signal>>();
        var left = new Queue<Signal>(circle);
        while (left.TryDequeue(out var target))
        {
            foreach (var source in sources[target].Where(seen.Add).SelectMany(s => s.OrderBy(Age))
                .Where(s => !inside.Contains(s) && targets.TryAdd(s, target)))
            {
                left.Enqueue(source);
                if (EndsIn(inside, source, inhibited))
                    continue;
                var at = source;
                for (; targets.TryGetValue(at, out var next); at = next)
                    inhibited[next] = at;
                return true;
            }
        }

        return false;
    }

    static bool EndsIn(HashSet<Signal> circle, Signal signal, Dictionary<Signal, Signal> inhibited)
    {
        // It may end in another circle that has not been opened yet.
        var passed = new HashSet<Signal>(ReferenceEqualityComparer.Instance);
        while (!circle.Contains(signal))
        {
            if (!passed.Add(signal) || !inhibited.TryGetValue(signal, out var by))
                return false;
            signal = by;
        }

        return true;
    }

    static Signal Cause(Signal signal, Dictionary<Signal, Signal> inhibited)
    {
        while (inhibited.TryGetValue(signal, out var by))
            signal = by;
        return signal;
    }

    // Deterministic, so that a cause does not change while nothing happens.
    static Signal Older(Signal a, Signal b) => Age(a).CompareTo(Age(b)) <= 0 ? a : b;

    static (DateTimeOffset? FiringSince, ulong Fingerprint) Age(Signal signal) => (signal.Condition.FiringSince, signal.Fingerprint);

    /// <param name="Any">The one that has been firing longest comes first.</param>
    /// <param name="OneSided">Likewise, those that the rule could not inhibit.</param>
    sealed record Sources(List<Signal> Any, List<Signal> OneSided)
    {
        public void Add(Signal source, bool isTarget)
        {
            Add(Any, source);
            if (!isTarget)
                Add(OneSided, source);
        }

        public List<Signal> For(bool isSource) => isSource ? OneSided : Any;

        static void Add(List<Signal> sources, Signal source)
        {
            sources.Add(source);
            if (ReferenceEquals(Older(sources[0], source), source))
                (sources[0], sources[^1]) = (source, sources[0]);
        }
    }
}
