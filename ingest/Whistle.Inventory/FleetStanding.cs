using System.Collections.Frozen;

namespace Whistle.Inventory;

/// <summary>What the register says to whoever sends, as of one moment. Immutable.</summary>
public sealed class FleetStanding(
    IEnumerable<KnownTenant> tenants, IEnumerable<KnownCluster> clusters, IEnumerable<ArchivedNode> nodes)
{
    public static readonly FleetStanding Empty = new([], [], []);

    readonly FrozenDictionary<string, KnownTenant> _tenants = tenants.ToFrozenDictionary(t => t.Id);
    readonly FrozenSet<ClusterId> _clusters = clusters.Where(c => c.History.IsArchived).Select(c => c.Id).ToFrozenSet();
    readonly FrozenSet<NodeId> _nodes = nodes.Select(n => n.Id).ToFrozenSet();

    public TenantLimits LimitsOf(string tenant) => _tenants.TryGetValue(tenant, out var known) ? known.Limits : TenantLimits.None;

    /// <summary>Tenants that have a retention of their own.</summary>
    public IReadOnlyDictionary<string, TimeSpan> Retentions { get; } = tenants.Where(t => t.Limits.Retention is not null)
        .ToFrozenDictionary(t => t.Id, t => t.Limits.Retention!.Value);

    /// <summary>Whether its tenant or the cluster itself was archived.</summary>
    public bool IsArchived(ClusterId cluster) => IsTenantArchived(cluster.Tenant) || _clusters.Contains(cluster);

    /// <summary>Whether the node was archived, or all that it is part of.</summary>
    public bool IsArchived(NodeId node) => _nodes.Contains(node) || IsArchived(node.ClusterId);

    /// <summary>Why nobody sends as this cluster, and what to do; null where somebody may.</summary>
    public string? RefusalOf(ClusterId cluster) =>
        IsTenantArchived(cluster.Tenant)
            ? $"The tenant {cluster.Tenant} is archived, so nothing of it is taken. Stop the sender, or unarchive the tenant with "
                + $"`whistle tenants unarchive {cluster.Tenant}`."
        : _clusters.Contains(cluster)
            ? $"The cluster {cluster} is archived, so nothing of it is taken. Stop the sender, or unarchive the cluster with "
                + $"`whistle clusters unarchive {cluster.Cluster} --tenant {cluster.Tenant}`."
        : null;

    /// <summary>Why this sender's reports are not taken; null where they are.</summary>
    public string? RefusalOf(Sender sender) => RefusalOf(sender.ClusterId) ?? (sender.NodeId is { } node && _nodes.Contains(node)
        ? $"The node {node} is archived, so its reports are not taken. Stop its agent, enrol the node again, or unarchive it with "
            + $"`whistle nodes unarchive {node.Node} --cluster {node.Cluster} --tenant {node.Tenant}`."
        : null);

    bool IsTenantArchived(string tenant) => _tenants.TryGetValue(tenant, out var known) && known.History.IsArchived;
}
