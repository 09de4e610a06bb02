using System.Security.Cryptography;

using Whistle.Telemetry;

namespace Whistle.Ingest;

/// <summary>
/// Who sends, as its credential says: a node's agent, or a whole cluster's collector (an existing Prometheus), which has no node.
/// </summary>
public sealed record Sender(string Tenant, string Cluster, string? Node)
{
    public const string TenantLabel = "tenant";
    public const string ClusterLabel = "cluster";
    public const string NodeLabel = "node";

    /// <summary>The server itself, for what it records about a fleet. It may write any label.</summary>
    internal static readonly Sender Server = new("", "", null);

    /// <summary>Random, so that nobody can choose labels whose hashes collide with another sender's.</summary>
    internal long KeySeed { get; } = BitConverter.ToInt64(RandomNumberGenerator.GetBytes(8));

    /// <summary>
    /// Puts the sender's identity over whatever the series claims. A clashing label is kept as <c>exported_…</c>.
    /// </summary>
    internal List<Label> Stamp(Labels claimed)
    {
        var stamped = claimed.ToDictionary(l => l.Name, l => l.Value);
        if (ReferenceEquals(this, Server))
            return Sorted(stamped);
        Set(stamped, TenantLabel, Tenant);
        Set(stamped, ClusterLabel, Cluster);
        if (Node is not null)
            Set(stamped, NodeLabel, Node);
        return Sorted(stamped);
    }

    static void Set(Dictionary<string, string> labels, string name, string value)
    {
        if (labels.Remove(name, out var claimed) && claimed != value)
        {
            var exported = $"exported_{name}";
            while (labels.ContainsKey(exported))
                exported = $"exported_{exported}";
            labels[exported] = claimed;
        }

        labels[name] = value;
    }

    static List<Label> Sorted(Dictionary<string, string> labels) =>
        [.. labels.Select(l => new Label(l.Key, l.Value)).OrderBy(l => l.Name, StringComparer.Ordinal)];
}
