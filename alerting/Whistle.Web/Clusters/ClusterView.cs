using Whistle.Inventory;
using Whistle.Remediation.Runbooks;
using Whistle.Web.Incidents;
using Whistle.Web.Live;
using Whistle.Web.Nodes;
using Whistle.Web.Signals;

namespace Whistle.Web.Clusters;

/// <summary>How far one runbook may go in a cluster, and what made it so.</summary>
sealed record RunbookInCluster(Runbook Runbook, RunbookMode Mode, string From);

/// <summary>A cluster with what is wrong in it and how far Whistle may go there.</summary>
sealed record ClusterView
{
    public required ClusterId Key { get; init; }

    public required IReadOnlyList<RunbookInCluster> Runbooks { get; init; }

    /// <summary>The worst first.</summary>
    public required IReadOnlyList<NodeView> Nodes { get; init; }

    /// <summary>Who must look first before; closed ones of the last day at the end.</summary>
    public required IReadOnlyList<IncidentRow> Incidents { get; init; }

    public IEnumerable<IncidentRow> Open => Incidents.Where(i => i.Standing is not Standing.Closed);

    public int Reporting => Nodes.Count(n => n.State is NodeState.Reporting);

    /// <summary>How far the most trusted runbook may go; null where there is no runbook.</summary>
    public RunbookMode? Mode => Runbooks.Count > 0 ? Runbooks.Max(r => r.Mode) : null;

    public bool IsMixed => Runbooks.Select(r => r.Mode).Distinct().Count() > 1;

    /// <summary>Lower is worse.</summary>
    public int Rank => Open.Select(i => i.IsUrgent ? 0 : 1 + SignalOrder.Rank("firing", i.Incident.Severity)).Append(int.MaxValue).Min();

    public static IReadOnlyList<ClusterView> All(FleetSnapshot snapshot, IReadOnlyList<IncidentRow> incidents)
    {
        var nodes = snapshot.Nodes.ToLookup(n => n.Key.ClusterId);
        var rows = incidents.ToLookup(i => i.Incident.ClusterId);
        return
        [
            .. nodes.Select(n => n.Key).Union(rows.Select(r => r.Key)).Select(k => Of(snapshot, k, nodes[k], rows[k]))
                .OrderBy(c => c.Rank).ThenBy(c => c.Key.Cluster, StringComparer.Ordinal).ThenBy(c => c.Key.Tenant, StringComparer.Ordinal),
        ];
    }

    static ClusterView Of(FleetSnapshot snapshot, ClusterId key, IEnumerable<NodeView> nodes, IEnumerable<IncidentRow> incidents) => new()
    {
        Key = key,
        // What has something to do here comes first.
        Runbooks =
        [
            .. snapshot.Runbooks.OrderByDescending(r => snapshot.Live.Any(l => l.ClusterId == key && l.Runbook == r.Name))
                .Select(r => (Runbook: r, Mode: ModeWords.Of(snapshot, r, key)))
                .Select(r => new RunbookInCluster(r.Runbook, r.Mode.Mode, r.Mode.From)),
        ],
        Nodes = [.. nodes],
        Incidents = [.. incidents],
    };

    /// <summary>What a mode lets happen, in one sentence.</summary>
    public static string Words(RunbookMode? mode) => mode switch
    {
        null => "There are no runbooks, so nothing is repaired.",
        RunbookMode.Off => "Does not plan or act.",
        RunbookMode.Observe => "Shows plans, does nothing.",
        RunbookMode.Approve => "Runs a plan once a person approves it.",
        RunbookMode.Automatic => "Runs plans by itself, behind all gates.",
        _ => throw new InvalidOperationException($"Unknown mode {mode}."),
    };
}
