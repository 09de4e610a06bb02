using System.Text.Json;

using Whistle.Printing;

namespace Whistle.Commands;

/// <summary>Members of the server's answers as texts for a terminal: control characters are shown, what is missing is empty.</summary>
static class JsonFields
{
    // What says where something is has a place of its own; the alert's name and severity have columns.
    static readonly string[] NotIdentifying = ["alertname", "severity", "tenant", "cluster", "node", "mountpoint"];

    public static string Text(this JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) ? Printable.Of(value.ToString()) : "";

    public static DateTimeOffset? Time(this JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.String
            && value.TryGetDateTimeOffset(out var time) ? time : null;

    public static IEnumerable<JsonElement> Items(this JsonElement element, string name) =>
        element.TryGetProperty(name, out var list) && list.ValueKind is JsonValueKind.Array ? list.EnumerateArray() : [];

    /// <summary>Such as <c>mountpoint=/data node=n1</c>.</summary>
    public static string Pairs(JsonElement labels) =>
        string.Join(' ', labels.EnumerateObject().Select(l => $"{Printable.Of(l.Name)}={Printable.Of(l.Value.ToString())}"));

    /// <summary>Such as <c>prod/n1 /data</c>: the tenant where there are several, the mount point rather than its device.</summary>
    /// <param name="names">Where tenant and cluster stand.</param>
    /// <param name="labels">An object of labels.</param>
    public static string Place(JsonElement names, JsonElement labels)
    {
        var place = new[] { names.Text("tenant") is "default" ? "" : names.Text("tenant"), names.Text("cluster"), labels.Text("node") };
        var mount = labels.Text("mountpoint");
        var others = mount.Length > 0
            ? [mount]
            : labels.EnumerateObject().Where(l => !NotIdentifying.Contains(l.Name))
                .Select(l => $"{l.Name}={Printable.Of(l.Value.ToString())}");
        return string.Join(' ', new[] { string.Join('/', place.Where(p => p.Length > 0)) }.Concat(others).Where(p => p.Length > 0));
    }
}
