using Whistle.Telemetry;

namespace Whistle.Inventory;

/// <summary>A node of a cluster by its names, of which the same holds as of those of <see cref="Inventory.ClusterId"/>.</summary>
public readonly record struct NodeId(string Tenant, string Cluster, string Node)
{
    public ClusterId ClusterId => new(Tenant, Cluster);

    /// <summary>The node whose identity the gateway put into the labels; empty names where it put none.</summary>
    public static NodeId Of(Labels labels) => ClusterId.Of(labels).Node(labels[Sender.NodeLabel]);

    /// <summary>Such as <c>default/prod/n1</c>.</summary>
    public override string ToString() => $"{Tenant}/{Cluster}/{Node}";
}
