using Whistle.Detectors.Evaluation;
using Whistle.Detectors.Signals;
using Whistle.Inventory;

namespace Whistle.Detectors;

/// <summary>What changes where other processes evaluate other clusters.</summary>
public sealed partial class RulesHost
{
    static readonly TimeSpan BeatEvery = TimeSpan.FromSeconds(5);

    IReadOnlySet<int> _claimed = new HashSet<int>();
    DateTimeOffset _beat;

    /// <summary>
    /// Between two passes: forgets the clusters of partitions that are given away, and goes on with the signals of those that come where
    /// the process before left them.
    /// </summary>
    async Task RebalanceAsync(IReadOnlySet<int> partitions, Action publish, CancellationToken cancellation)
    {
        await _passes.WaitAsync(cancellation);
        try
        {
            List<int> gained = [.. partitions.Except(_claimed)];
            await _store.Shares.ClaimAsync(_environment.Database, gained, _time.GetUtcNow(), cancellation);
            var stored = gained.Count > 0 ? await _store.LoadSeenAsync(cancellation) : [];
            publish();
            var known = _claimed.Intersect(partitions).ToHashSet();
            _claimed = partitions;
            foreach (var group in Groups)
            {
                Forget(group);
                Continue(group, stored, known);
            }

            await WithdrawAsync(stored.Where(s => _store.Shares.Has(s.Labels)), [.. Groups], cancellation);
        }
        finally
        {
            _passes.Release();
        }
    }

    void Forget(GroupState group)
    {
        group.UnsavedSignals.RemoveAll(s => !_store.Shares.Has(s.Labels));
        group.UnsavedEvents.RemoveAll(e => !_store.Shares.Has(e.Signal.Labels));
        foreach (var rule in group.Rules)
        {
            foreach (var labels in rule.Signals.Keys.Where(l => !_store.Shares.Has(l)).ToList())
                rule.Signals.Remove(labels);
            rule.Recorded.Forget(_store.Shares.Has);
        }
    }

    void Continue(GroupState group, IReadOnlyList<Signal> stored, HashSet<int> known)
    {
        var ofRule = stored.Where(s => _store.Shares.Has(s.Labels) && !known.Contains(_environment.Own.PartitionOf(ClusterId.Of(s.Labels))))
            .ToLookup(s => s.Rule);
        foreach (var rule in group.Rules)
        {
            foreach (var signal in ofRule[rule.Key])
                rule.Signals[signal.Labels] = signal;
            rule.Report = rule.Report with { Signals = [.. rule.Signals.Values] };
        }
    }

    async ValueTask BeatAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        if (_store.Shares.IsAlone || (now - _beat).Duration() < BeatEvery)
            return;
        _beat = now;
        await _store.Shares.BeatAsync(_environment.Database, now, cancellation);
    }

    async ValueTask<IReadOnlyList<EnrolledAgent>> AgentsAsync(CancellationToken cancellation)
    {
        var all = await _environment.Inventory(cancellation);
        return _store.Shares.IsAlone ? all : [.. all.Where(a => _environment.Own.Has(a.NodeId.ClusterId))];
    }

    async ValueTask<IReadOnlyList<EnrolledCollector>> CollectorsAsync(CancellationToken cancellation)
    {
        var all = await _environment.Collectors(cancellation);
        return _store.Shares.IsAlone ? all : [.. all.Where(c => _environment.Own.Has(c.ClusterId))];
    }
}
