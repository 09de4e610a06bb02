using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

namespace Whistle.Remediation.Gates;

/// <summary>All active signals, found by what an incident holds of them.</summary>
sealed class SignalIndex(IReadOnlyList<Signal> signals)
{
    readonly Dictionary<ulong, Signal> _byFingerprint = Index(signals);
    readonly Dictionary<ClusterId, HashSet<string>> _inhibitedNodes = signals.Where(s => s.InhibitedBy is not null && s.Labels.Has("node"))
        .GroupBy(s => ClusterId.Of(s.Labels)).ToDictionary(g => g.Key, g => g.Select(s => s.Labels["node"]).ToHashSet());

    /// <summary>The signals of the incident with one of the names that hold, or are unknown.</summary>
    public IReadOnlyList<Signal> Of(Incident incident, IReadOnlyList<string> names)
    {
        List<Signal>? found = null;
        foreach (var held in incident.Signals)
        {
            if (!held.IsClear && names.Contains(held.Name) && _byFingerprint.TryGetValue(held.Fingerprint, out var signal)
                && !signal.IsKept)
                (found ??= []).Add(signal);
        }

        return found ?? [];
    }

    /// <summary>Clusters that have such nodes as <see cref="Troubled"/> tells.</summary>
    public IEnumerable<ClusterId> TroubledClusters(FleetState fleet) => fleet.TroubledClusters.Union(_inhibitedNodes.Keys);

    /// <summary>Nodes of the cluster that are in trouble, whether they have an incident or are inhibited: both weigh the same.</summary>
    public IReadOnlySet<string> Troubled(FleetState fleet, ClusterId cluster)
    {
        var troubled = fleet.Troubled(cluster);
        return _inhibitedNodes.TryGetValue(cluster, out var inhibited) ? troubled.Union(inhibited).ToHashSet() : troubled;
    }

    public Signal? Find(ulong fingerprint) => _byFingerprint.GetValueOrDefault(fingerprint);

    static Dictionary<ulong, Signal> Index(IReadOnlyList<Signal> signals)
    {
        var index = new Dictionary<ulong, Signal>(signals.Count);
        foreach (var signal in signals)
        {
            // Two rules may state the same; the one that fires says more.
            if (!index.TryGetValue(signal.Fingerprint, out var other) || signal.State < other.State || other.State is SignalState.Pending)
                index[signal.Fingerprint] = signal;
        }

        return index;
    }
}

/// <summary>Puts together what the gates of one run are asked about.</summary>
static class GateReader
{
    /// <summary>Null where there is no such live run, no incident of it, or where this release cannot make its plan.</summary>
    public static (GateSnapshot Snapshot, Plan Plan, Incident Incident)? Read(
        FleetState fleet, Run run, Runbook runbook, SignalIndex signals, ClusterFacts? cluster, DateTimeOffset now)
    {
        if (!fleet.Incidents.TryGetValue(run.IncidentId, out var incident))
            return null;
        var (mode, from) = ControlStore.ModeOf(fleet.Modes, runbook, run.ClusterId);
        var plan = Rendering.Plan(runbook, run.Labels);
        var snapshot = new GateSnapshot
        {
            Now = now,
            Kill = fleet.Kill,
            Mode = mode,
            ModeFrom = from,
            Approval = fleet.Approvals.GetValueOrDefault((run.Id, "")),
            Cancellation = fleet.Cancellations.GetValueOrDefault(run.Id),
            Acknowledgement = fleet.Acknowledgements.GetValueOrDefault(run.IncidentId),
            Pauses = fleet.Pauses,
            Runbook = runbook,
            Run = run,
            Traits = plan.From(run.Step),
            Signals = signals.Of(incident, run.Answers),
            AtWork = [.. fleet.AtWork.Where(r => r.RunId != run.Id)],
            Earlier = [.. fleet.Earlier(run), .. fleet.Restored.Earlier(run)],
            Restore = fleet.Restored.BlockOn(run.ClusterId),
            BudgetFault = fleet.BudgetFault,
            Cluster = cluster,
            Troubled = signals.Troubled(fleet, run.ClusterId),
            StormAt = fleet.Storms.TryGetValue(run.ClusterId, out var storm) ? storm : null,
            Window = WindowView.OfKnown(fleet.Windows, run.ClusterId, now),
            Freeze = fleet.Freezes.FirstOrDefault(f => f.Covers(run.ClusterId, now)),
            Onsets = incident.Onsets,
        };
        return (snapshot, plan, incident);
    }
}
