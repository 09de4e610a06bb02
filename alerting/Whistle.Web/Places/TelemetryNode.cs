using Whistle.Inventory;
using Whistle.Telemetry;

namespace Whistle.Web.Places;

/// <summary>Where telemetry is from. The node is the scrape target where a collector sends for a whole cluster.</summary>
static class TelemetryNode
{
    public static NodeId Of(Labels labels) =>
        ClusterId.Of(labels).Node(labels["node"] is { Length: > 0 } node ? node : labels["instance"]);
}

public readonly record struct FilesystemKey(NodeId Node, string Device, string Type, string Mountpoint)
{
    public static FilesystemKey Of(Labels labels) =>
        new(TelemetryNode.Of(labels), labels["device"], labels["fstype"], labels["mountpoint"]);
}
