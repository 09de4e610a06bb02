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
        var sources = new Dictionary<Signal, List<List<Signal>>>(ReferenceEqualityComparer.Instance);
        foreach (var rule in rules)
            Find(rule, byName, sources);
        if (sources.Count == 0)
            return signals;
        var hidden = new Dictionary<Signal, Signal>(sources.Select(s => KeyValuePair.Create(s.Key, s.Value[0][0])), ReferenceEqualityComparer.Instance);
        OpenCircles(hidden, sources);
        return [.. signals.Select(s => hidden.ContainsKey(s) ? s with { InhibitedBy = Inhibitor.Of(Cause(s, hidden)) } : s)];
    }

    // Sources are found by the labels that must be equal, so that the work grows with the signals and not with their pairs.
    static void Find(InhibitRule rule, List<IGrouping<string, Signal>> byName, Dictionary<Signal, List<List<Signal>>> sources)
    {
        var byKey = new Dictionary<Labels, Sources>();
        foreach (var source in Taken(rule.Source, byName))
        {
            var key = rule.KeyOf(source.Labels);
            if (!byKey.TryGetValue(key, out var found))
                byKey.Add(key, found = new([], []));
            found.Add(source, rule.Target.Takes(source.Labels));
        }

        if (byKey.Count == 0)
            return;
        foreach (var target in Taken(rule.Target, byName))
        {
            if (!byKey.TryGetValue(rule.KeyOf(target.Labels), out var found) || found.For(rule.Source.Takes(target.Labels)) is not { Count: > 0 } usable)
                continue;
            if (!sources.TryGetValue(target, out var lists))
                sources.Add(target, lists = []);
            lists.Add(usable);
        }
    }

    static IEnumerable<Signal> Taken(InhibitSide side, List<IGrouping<string, Signal>> byName) =>
        byName.Where(g => side.MayTake(g.Key)).SelectMany(g => g).Where(s => side.Takes(s.Labels));

    // Signals that hide each other in a circle would all be lost: where nothing else hides one of them, the one that fires the longest is told.
    static void OpenCircles(Dictionary<Signal, Signal> hidden, Dictionary<Signal, List<List<Signal>>> sources)
    {
        var seen = new HashSet<Signal>(ReferenceEqualityComparer.Instance);
        foreach (var start in hidden.Keys.ToList())
        {
            var path = new List<Signal>();
            var at = start;
            for (; hidden.TryGetValue(at, out var by) && seen.Add(at); at = by)
                path.Add(at);
            if (path.FindIndex(s => ReferenceEquals(s, at)) is >= 0 and var first && !TryLeadOut(path[first..], hidden, sources))
                hidden.Remove(path.Skip(first).Aggregate(Older));
        }
    }

    // Looks through all that hides the circle, near to far, for what does not end in it, and makes that and what lies between the causes.
    static bool TryLeadOut(List<Signal> circle, Dictionary<Signal, Signal> hidden, Dictionary<Signal, List<List<Signal>>> sources)
    {
        var inside = new HashSet<Signal>(circle, ReferenceEqualityComparer.Instance);
        var targets = new Dictionary<Signal, Signal>(ReferenceEqualityComparer.Instance);
        var seen = new HashSet<List<Signal>>();
        var left = new Queue<Signal>(circle);
        while (left.TryDequeue(out var target))
        {
            foreach (var source in sources[target].Where(seen.Add).SelectMany(s => s.OrderBy(Age)).Where(s => !inside.Contains(s) && targets.TryAdd(s, target)))
            {
                left.Enqueue(source);
                if (EndsIn(inside, source, hidden))
                    continue;
                var at = source;
                for (; targets.TryGetValue(at, out var next); at = next)
                    hidden[next] = at;
                return true;
            }
        }

        return false;
    }

    static bool EndsIn(HashSet<Signal> circle, Signal signal, Dictionary<Signal, Signal> hidden)
    {
        // It may end in another circle that is not opened yet.
        var passed = new HashSet<Signal>(ReferenceEqualityComparer.Instance);
        while (!circle.Contains(signal))
        {
            if (!passed.Add(signal) || !hidden.TryGetValue(signal, out var by))
                return false;
            signal = by;
        }

        return true;
    }

    static Signal Cause(Signal signal, Dictionary<Signal, Signal> hidden)
    {
        while (hidden.TryGetValue(signal, out var by))
            signal = by;
        return signal;
    }

    // The same at every look, so that nothing changes its cause while nothing happens.
    static Signal Older(Signal a, Signal b) => Age(a).CompareTo(Age(b)) <= 0 ? a : b;

    static (DateTimeOffset? FiringSince, ulong Fingerprint) Age(Signal signal) => (signal.Condition.FiringSince, signal.Fingerprint);

    /// <param name="Any">The one that fires the longest first.</param>
    /// <param name="OneSided">As that, those that the rule could not hide.</param>
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
