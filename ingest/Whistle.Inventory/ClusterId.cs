using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Inventory;

/// <summary>
/// A cluster by its names. <see cref="Credentials.EnrollAsync(ClusterId, string, CancellationToken)"/> checks them, and nothing else does:
/// names from rows, labels and addresses are taken as they are, so that a name that nobody could enrol can still be looked up, shown and
/// revoked.
/// The default value names no cluster: it equals no cluster with a name, and no row matches it.
/// </summary>
public readonly record struct ClusterId(string Tenant, string Cluster)
{
    /// <summary>By tenant and then by cluster, letter by letter.</summary>
    public static readonly IComparer<ClusterId> Ordinal = Comparer<ClusterId>.Create((a, b) =>
        string.CompareOrdinal(a.Tenant, b.Tenant) is not 0 and var order ? order : string.CompareOrdinal(a.Cluster, b.Cluster));

    /// <summary>What only one writer at a time may have: the cluster's incidents, runs, commands and what hangs on them.</summary>
    public StateScope Scope => StateScope.Of($"cluster\n{Tenant}\n{Cluster}");

    /// <summary>The cluster whose identity the gateway put into the labels; empty names where it put none.</summary>
    public static ClusterId Of(Labels labels) => new(labels[Sender.TenantLabel], labels[Sender.ClusterLabel]);

    public NodeId Node(string node) => new(Tenant, Cluster, node);

    /// <summary>Such as <c>default/prod</c>.</summary>
    public override string ToString() => $"{Tenant}/{Cluster}";
}
