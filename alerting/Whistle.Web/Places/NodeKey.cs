using Whistle.Telemetry;

namespace Whistle.Web.Places;

/// <summary>Where telemetry is from. The node is the scrape target where a collector sends for a whole cluster.</summary>
public readonly record struct NodeKey(string Tenant, string Cluster, string Node)
{
    public static NodeKey Of(Labels labels) =>
        new(labels["tenant"], labels["cluster"], labels["node"] is { Length: > 0 } node ? node : labels["instance"]);
}

public readonly record struct FilesystemKey(NodeKey Node, string Device, string Type, string Mountpoint)
{
    public static FilesystemKey Of(Labels labels) => new(NodeKey.Of(labels), labels["device"], labels["fstype"], labels["mountpoint"]);
}
