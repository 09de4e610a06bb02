using System.Text.Json;

using Whistle.Web;

namespace Whistle.Commands;

/// <summary>Members of the server's answers as texts for a terminal: control characters are shown, what is missing is empty.</summary>
static class JsonFields
{
    // What says where something is has a place of its own; the alert's name and severity have columns.
    static readonly string[] NotIdentifying = ["alertname", "severity", "tenant", "cluster", "node", "mountpoint"];

    public static string Text(this JsonElement element, string name) => element.TryGetProperty(name, out var value) ? ConsoleTable.Printable(value.ToString()) : "";

    public static DateTimeOffset? Time(this JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.String && value.TryGetDateTimeOffset(out var time) ? time : null;

    public static string Ago(this JsonElement element, string name, DateTimeOffset now) => element.Time(name) is { } time ? Quantity.Ago(time, now) : "";

    /// <summary>Such as <c>14:05 UTC</c>, with the date where it is another day than now.</summary>
    public static string Clock(this JsonElement element, string name, DateTimeOffset now) => element.Time(name) is { } time ? $"{Quantity.ShortInstant(time, now)} UTC" : "";

    /// <summary>A sentence with its times as people write them.</summary>
    public static string Prose(this JsonElement element, string name, DateTimeOffset now) => Quantity.Prose(element.Text(name), now, " UTC");

    public static IEnumerable<JsonElement> Items(this JsonElement element, string name) =>
        element.TryGetProperty(name, out var list) && list.ValueKind is JsonValueKind.Array ? list.EnumerateArray() : [];

    /// <summary>Such as <c>prod/n1 /data</c>: the tenant where there are several, the mount point rather than its device.</summary>
    /// <param name="names">Where tenant and cluster stand.</param>
    /// <param name="labels">An object of labels.</param>
    public static string Place(JsonElement names, JsonElement labels)
    {
        var place = new[] { names.Text("tenant") is "default" ? "" : names.Text("tenant"), names.Text("cluster"), labels.Text("node") };
        var mount = labels.Text("mountpoint");
        var others = mount.Length > 0
            ? [mount]
            : labels.EnumerateObject().Where(l => !NotIdentifying.Contains(l.Name)).Select(l => $"{l.Name}={ConsoleTable.Printable(l.Value.ToString())}");
        return string.Join(' ', new[] { string.Join('/', place.Where(p => p.Length > 0)) }.Concat(others).Where(p => p.Length > 0));
    }
}
