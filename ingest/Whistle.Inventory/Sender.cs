using System.Security.Cryptography;

using Whistle.Telemetry;

namespace Whistle.Inventory;

/// <summary>
/// Who sends, as its credential says: a node's agent, or a whole cluster's collector (an existing Prometheus), which has no node.
/// </summary>
public sealed record Sender(ClusterId ClusterId, string? Node)
{
    public const string TenantLabel = "tenant";
    public const string ClusterLabel = "cluster";
    public const string NodeLabel = "node";

    /// <summary>The server itself, for what it records about a fleet. It may write any label.</summary>
    public static readonly Sender Server = new(new ClusterId("", ""), null);

    public Sender(NodeId node)
        : this(node.ClusterId, node.Node)
    {
    }

    public string Tenant => ClusterId.Tenant;

    public string Cluster => ClusterId.Cluster;

    /// <summary>Null for a collector.</summary>
    public NodeId? NodeId => Node is null ? null : ClusterId.Node(Node);

    /// <summary>Random, so that nobody can choose labels whose hashes collide with another sender's.</summary>
    public long KeySeed { get; } = BitConverter.ToInt64(RandomNumberGenerator.GetBytes(8));

    /// <summary>What proves that a cluster's collector reports.</summary>
    public RecordedSeries Report { get; } = new(Labels.OfMetric(
        ReservedMetrics.CollectorReport, (TenantLabel, ClusterId.Tenant), (ClusterLabel, ClusterId.Cluster)));

    /// <summary>
    /// Puts the sender's identity over whatever the series claims, sorted. A clashing label is kept as <c>exported_…</c>, and so is a
    /// metric that only the server records.
    /// </summary>
    public List<Label> Stamp(Labels claimed)
    {
        var stamped = new List<Label>(claimed.Count + 3);
        foreach (var label in claimed)
            stamped.Add(label);
        if (!ReferenceEquals(this, Server))
        {
            Set(stamped, TenantLabel, Tenant);
            Set(stamped, ClusterLabel, Cluster);
            if (Node is not null)
                Set(stamped, NodeLabel, Node);
            if (Find(stamped, Labels.MetricName) is >= 0 and var name)
                stamped[name] = new(Labels.MetricName, ReservedMetrics.NameFrom(stamped[name].Value));
        }

        return stamped;
    }

    static void Set(List<Label> labels, string name, string value)
    {
        var at = Find(labels, name);
        if (at < 0)
        {
            labels.Insert(~at, new Label(name, value));
            return;
        }

        var claimed = labels[at].Value;
        labels[at] = new Label(name, value);
        if (claimed == value)
            return;
        var exported = $"exported_{name}";
        while ((at = Find(labels, exported)) >= 0)
            exported = $"exported_{exported}";
        labels.Insert(~at, new Label(exported, claimed));
    }

    // As BinarySearch: the complement of where it belongs, where it is not.
    static int Find(List<Label> labels, string name)
    {
        for (var i = 0; i < labels.Count; i++)
        {
            var order = string.CompareOrdinal(labels[i].Name, name);
            if (order == 0)
                return i;
            if (order > 0)
                return ~i;
        }

        return ~labels.Count;
    }
}
