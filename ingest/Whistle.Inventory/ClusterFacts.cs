namespace Whistle.Inventory;

/// <summary>What is known of a cluster beside its signals. Read from telemetry, so it is as old as that.</summary>
public sealed record ClusterFacts
{
    /// <summary>The time of the newest report of the cluster.</summary>
    public required DateTimeOffset LatestData { get; init; }

    public required IReadOnlyList<NodeFacts> Nodes { get; init; }

    /// <summary>Members of etcd, learners too; those that the others know and nobody hears of are listed as not healthy.</summary>
    public required IReadOnlyList<MemberFacts> Members { get; init; }

    public IReadOnlyList<DisruptionBudgetFacts> Budgets { get; init; } = [];

    public NodeFacts? Find(string node) => Nodes.FirstOrDefault(n => n.Name == node);
}

/// <param name="Zone">Empty where none is known.</param>
/// <param name="Ready">It serves: what it reports says so. Not knowing counts as no.</param>
public sealed record NodeFacts(string Name, string Zone, bool ControlPlane, bool Ready)
{
    /// <summary>The run that cordoned it, as its cordon says; null where nobody did, somebody else, or nothing is known.</summary>
    public string? CordonedBy { get; init; }
}

public sealed record MemberFacts(string Name, string Node, bool Healthy, bool Learner);

/// <param name="Allowed">How many of its pods may be evicted now.</param>
/// <param name="Nodes">Where its pods run.</param>
public sealed record DisruptionBudgetFacts(string Namespace, string Name, int Allowed, IReadOnlySet<string> Nodes);
