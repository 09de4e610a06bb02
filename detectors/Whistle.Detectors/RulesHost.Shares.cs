using Whistle.Detectors.Evaluation;
using Whistle.Detectors.Signals;
using Whistle.Inventory;
using Whistle.State;

namespace Whistle.Detectors;

/// <summary>What changes where other processes evaluate other clusters.</summary>
public sealed partial class RulesHost
{
    static readonly TimeSpan BeatEvery = TimeSpan.FromSeconds(5);

    IReadOnlySet<int> _claimed = new HashSet<int>();
    DateTimeOffset _beat;
    IReadOnlyList<EnrolledAgent>? _agents;
    IReadOnlyList<EnrolledCollector>? _enrolledCollectors;

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

            _presence.Forget(_store.Shares.Has);
            _collectors.Forget(_store.Shares.Has);
            await WithdrawAsync(stored.Where(_store.Shares.Has), [.. Groups], cancellation);
        }
        finally
        {
            _passes.Release();
        }
    }

    void Forget(GroupState group)
    {
        group.UnsavedSignals.RemoveAll(s => !_store.Shares.Has(s));
        group.UnsavedEvents.RemoveAll(e => !_store.Shares.Has(e.Signal));
        foreach (var rule in group.Rules)
        {
            foreach (var signal in rule.Signals.Values.Where(s => !_store.Shares.Has(s)).ToList())
                rule.Signals.Remove(signal.Labels);
            rule.Recorded.Forget(_store.Shares.Has);
        }
    }

    void Continue(GroupState group, IReadOnlyList<Signal> stored, HashSet<int> known)
    {
        var ofRule = stored.Where(s => _store.Shares.Has(s) && !known.Contains(_environment.Own.PartitionOf(ClusterId.Of(s.Element))))
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
        try
        {
            var lost = await _store.Shares.BeatAsync(_environment.Database, now, cancellation);
            // Of a process that was held up while it took the share, and has lost it since: the log says that it is ours.
            await _store.Shares.ClaimAsync(_environment.Database, lost, now, cancellation);
            foreach (var group in lost.Count > 0 ? Groups : [])
                group.UnsavedSignals.AddRange(group.Rules.SelectMany(r => r.Signals.Values));
        }
        catch (StateException)
        {
            // The database has said it, once.
        }
    }

    // While the state does not answer, rules go on with who was enrolled before.
    async ValueTask<IReadOnlyList<EnrolledAgent>> AgentsAsync(CancellationToken cancellation)
    {
        if (_store.Shares.IsAlone)
            return await _environment.Inventory(cancellation);
        try
        {
            _agents = await _environment.Inventory(cancellation);
        }
        catch (StateException) when (_agents is not null)
        {
        }

        return [.. _agents!.Where(a => _environment.Own.Has(a.NodeId.ClusterId))];
    }

    async ValueTask<IReadOnlyList<EnrolledCollector>> CollectorsAsync(CancellationToken cancellation)
    {
        if (_store.Shares.IsAlone)
            return await _environment.Collectors(cancellation);
        try
        {
            _enrolledCollectors = await _environment.Collectors(cancellation);
        }
        catch (StateException) when (_enrolledCollectors is not null)
        {
        }

        return [.. _enrolledCollectors!.Where(c => _environment.Own.Has(c.ClusterId))];
    }
}
