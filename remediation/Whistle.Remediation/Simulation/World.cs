using Whistle.Detectors.Signals;
using Whistle.Inventory;
using Whistle.Telemetry;

namespace Whistle.Remediation.Simulation;

/// <summary>A way in which a node is broken, how the detector tells it, and what may cure it.</summary>
/// <param name="Cures">Actions (with the unit, where they have one), and how likely each is to help.</param>
sealed record NodeFault(string Name, string Signal, string Severity, params IReadOnlyList<(string Action, double Helps)> Cures)
{
    public bool IsDisk { get; init; }

    public static readonly NodeFault Sick = new("sick", "SimNodeSick", "critical", ("node.reboot", 0.7));

    public static readonly NodeFault Etcd =
        new("etcd", "SimEtcdMemberDown", "critical", ("unit.restart etcd.service", 0.5), ("etcd.replace-member", 0.9));

    public static readonly IReadOnlyList<NodeFault> All =
    [
        new(
            "disk", "NodeFilesystemSpaceFillingUp", "warning", ("disk.clean-paths", 0.6), ("disk.vacuum-journal", 0.2),
            ("images.prune", 0.3))
        { IsDisk = true },
        new("inodes", "NodeFilesystemFilesFillingUp", "warning", ("disk.clean-paths", 0.7)) { IsDisk = true },
        new("kubelet", "NodeKubeletUnhealthy", "critical", ("unit.restart kubelet.service", 0.85)),
        new("runtime", "NodeContainerRuntimeUnhealthy", "critical", ("unit.restart containerd.service", 0.8)),
        new("clock", "NodeClockNotSynchronising", "warning", ("unit.restart chrony.service", 0.8)),
        new("certificate", "KubeletClientCertificateExpiration", "warning", ("certificates.renew", 0.9)),
        new("conntrack", "NodeHighNumberConntrackEntriesUsed", "warning", ("sysctl.raise", 0.8)),
        new("journal", "NodeJournalTooLarge", "warning", ("disk.vacuum-journal", 0.9)) { IsDisk = true },
        new("drift", "NodePackageDrift", "warning", ("packages.pin", 0.9)),
        Sick,
        Etcd,
    ];

    public static NodeFault Find(string name) => All.First(a => a.Name == name);
}

/// <summary>One thing that is wrong with a node.</summary>
sealed class Problem(SimNode node, NodeFault fault, DateTimeOffset since)
{
    public SimNode Node => node;

    public NodeFault NodeFault => fault;

    public DateTimeOffset Since => since;

    /// <summary>No action helps; it goes by itself, or a person mends it.</summary>
    public bool Hopeless { get; init; }

    /// <summary>It comes and goes.</summary>
    public TimeSpan Flaps { get; init; }

    public Labels Labels { get; } = Labels.From(Of(node, fault));

    /// <summary>What it does at this moment, where it flaps.</summary>
    public bool IsOn(DateTimeOffset now) => Flaps == TimeSpan.Zero || (long)((now - since) / Flaps) % 2 == 0;

    /// <summary>When it began to hold as it does now.</summary>
    public DateTimeOffset OnSince(DateTimeOffset now) => Flaps == TimeSpan.Zero ? since : since + (Flaps * (long)((now - since) / Flaps));

    static IEnumerable<Label> Of(SimNode node, NodeFault fault)
    {
        yield return new("tenant", node.Cluster.Tenant);
        yield return new("cluster", node.Cluster.Name);
        yield return new("node", node.Name);
        yield return new("alertname", fault.Signal);
        yield return new("severity", fault.Severity);
        if (fault.IsDisk)
            yield return new("mountpoint", "/var");
        if (fault == NodeFault.Etcd)
            yield return new("member", $"m-{node.Name}");
    }
}

sealed class SimNode(SimCluster cluster, string name, string zone, bool controlPlane)
{
    public SimCluster Cluster => cluster;

    public string Name => name;

    public NodeId Id => cluster.Id.Node(name);

    public string Zone => zone;

    public bool ControlPlane => controlPlane;

    public List<Problem> Problems { get; } = [];

    /// <summary>It restarts until then.</summary>
    public DateTimeOffset DownUntil { get; set; }

    public DateTimeOffset DownFrom { get; set; }

    /// <summary>Whoever cordoned it; null where nobody did.</summary>
    public string? CordonedBy { get; set; }

    public SimAgent Agent { get; set; } = null!;

    /// <summary>Its etcd member is being replaced until then and does not vote.</summary>
    public DateTimeOffset ReplacedUntil { get; set; }

    public bool IsDown(DateTimeOffset now) => now < DownUntil;

    public bool VoterHealthy(DateTimeOffset now) =>
        !IsDown(now) && now >= ReplacedUntil && !Problems.Exists(p => p.NodeFault == NodeFault.Etcd || p.NodeFault == NodeFault.Sick);

    public bool Ready(DateTimeOffset now) => !IsDown(now) && !Problems.Exists(p => p.NodeFault.Name is "kubelet" or "sick");
}

sealed class SimCluster(ClusterId id)
{
    public ClusterId Id => id;

    public string Tenant => id.Tenant;

    public string Name => id.Cluster;

    public List<SimNode> Nodes { get; } = [];

    /// <summary>Nothing of it is heard until then.</summary>
    public DateTimeOffset SilentUntil { get; set; }

    public DateTimeOffset SilentFrom { get; set; }

    /// <summary>Pods that may not be evicted, until then.</summary>
    public DateTimeOffset BudgetSpentUntil { get; set; }

    public SimNode Find(string node) => Nodes.First(n => n.Name == node);

    public IEnumerable<SimNode> Voters => Nodes.Where(n => n.ControlPlane);

    /// <summary>The facts as they are.</summary>
    public ClusterFacts Facts(DateTimeOffset now, DateTimeOffset latest) => new()
    {
        LatestData = latest,
        Nodes = [.. Nodes.Select(n => new NodeFacts(n.Name, n.Zone, n.ControlPlane, n.Ready(now)) { CordonedBy = n.CordonedBy })],
        // While a member is replaced, it is gone first and a learner then.
        Members = [.. Voters.Where(n => now >= n.ReplacedUntil || n.ReplacedUntil - now < TimeSpan.FromMinutes(1))
            .Select(n => new MemberFacts($"m-{n.Name}", n.Name, n.VoterHealthy(now) || now < n.ReplacedUntil, now < n.ReplacedUntil))],
        Budgets = [new(
            "shop", "db", now < BudgetSpentUntil ? 0 : 1,
            Nodes.Where(n => !n.ControlPlane).Take(Nodes.Count / 2).Select(n => n.Name).ToHashSet())],
    };
}

/// <summary>The fleet as it really is, and as the detector sees it.</summary>
sealed class World
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);

    readonly Dictionary<ClusterId, SimCluster> _clusters = [];

    public World(SimulationOptions options)
    {
        for (var c = 0; c < options.Clusters; c++)
        {
            var cluster = new SimCluster(new(c == 0 ? "acme" : $"tenant-{(c + 1) / 2}", $"c{c}"));
            var voters = c % 4 == 3 ? 5 : c % 5 == 4 ? 1 : 3;
            for (var n = 0; n < options.NodesPerCluster; n++)
                cluster.Nodes.Add(new(cluster, $"n{n:00}", $"z{n % 3}", n < voters));
            _clusters.Add(cluster.Id, cluster);
        }
    }

    public IEnumerable<SimCluster> Clusters => _clusters.Values;

    public IEnumerable<SimNode> Nodes => _clusters.Values.SelectMany(c => c.Nodes);

    /// <summary>The detector stands still since then.</summary>
    public DateTimeOffset? StalledSince { get; set; }

    /// <summary>No telemetry of any cluster comes in since then.</summary>
    public DateTimeOffset? LateSince { get; set; }

    public SimCluster Find(ClusterId cluster) => _clusters[cluster];

    /// <summary>
    /// What the detector states: what began at least an interval before, with nothing concluded where the node is not heard of.
    /// </summary>
    public List<Signal> Signals(DateTimeOffset now)
    {
        var at = StalledSince is { } stalled && stalled < now ? stalled : now;
        var signals = new List<Signal>();
        foreach (var cluster in _clusters.Values)
        {
            foreach (var node in cluster.Nodes)
            {
                foreach (var problem in node.Problems)
                {
                    if (State(problem, at, out var since) is { } condition)
                    {
                        signals.Add(new()
                        {
                            Rule = "simulated",
                            Name = problem.NodeFault.Signal,
                            Labels = problem.Labels,
                            Element = problem.Labels,
                            Condition = condition with { FiringSince = since },
                        });
                    }
                }
            }
        }

        return signals;
    }

    /// <summary>How the detector states a problem as of then; null where it does not.</summary>
    public static Condition? State(Problem problem, DateTimeOffset at, out DateTimeOffset since)
    {
        since = problem.OnSince(at - Interval) + Interval;
        if (at < problem.Since + Interval)
            return null;
        var unheard = Unheard(problem.Node, at);
        // What is not heard of stays as it was when it was last.
        if (unheard is { } last)
            return last < problem.Since + Interval ? null : new(SignalState.Unknown, last, at, SignalState.Firing) { UnknownSince = last };
        return problem.IsOn(at - Interval) ? new(SignalState.Firing, since, at) : null;
    }

    /// <summary>Since when nothing is heard of a node, where that is longer than two intervals ago.</summary>
    public static DateTimeOffset? Unheard(SimNode node, DateTimeOffset at)
    {
        var since = node.Agent.SilentSince(at) is { } silent ? silent : (DateTimeOffset?)null;
        if (at < node.Cluster.SilentUntil && (since is null || node.Cluster.SilentFrom < since))
            since = node.Cluster.SilentFrom;
        return at - since > 2 * Interval ? since : null;
    }
}
