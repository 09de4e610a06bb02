using System.CommandLine;
using System.Text.Json;

using Whistle.Web;

namespace Whistle.Commands;

static class AlertsCommand
{
    static readonly Option<bool> All = new("--all") { Description = "Lists also what ended in the last 24 hours, and how." };
    static readonly Option<bool> Json = new("--json") { Description = "Prints the server's answer as JSON." };

    public static Command Build() => ServerConnection.With(
        new Command("alerts", "Lists what is wrong now, what is unknown, and what is about to be wrong; the worst first.") { All, Json }, async (arguments, server, cancellation) =>
        {
            var all = arguments.GetValue(All);
            var answer = await server.GetAsync($"api/whistle/v1/signals{(all ? "?ended=24h" : "")}", cancellation);
            if (arguments.GetValue(Json))
                Console.WriteLine(answer);
            else
                Print(answer, all, TimeProvider.System.GetUtcNow());
        });

    static void Print(JsonElement answer, bool all, DateTimeOffset now)
    {
        var active = AlertRows.Active(answer.GetProperty("signals"), now);
        if (active.Count == 0)
            Console.WriteLine("Nothing is firing, unknown or pending.");
        else
            ConsoleTable.Write(AlertRows.ActiveHeader, active, AlertRows.Details, AlertRows.Colour);
        if (!all)
            return;
        Console.WriteLine();
        var ended = AlertRows.Ended(answer.GetProperty("ended"), now);
        if (ended.Count == 0)
            Console.WriteLine("Nothing ended in the last 24 hours.");
        else
            ConsoleTable.Write(AlertRows.EndedHeader, ended, AlertRows.Details, AlertRows.Colour);
    }
}

/// <summary>Signals of the API as rows of a table.</summary>
static class AlertRows
{
    public static readonly string[] ActiveHeader = ["STATE", "SEVERITY", "NAME", "WHERE", "SINCE", "VALUE", "SUMMARY"];
    public static readonly string[] EndedHeader = ["ENDED AS", "SEVERITY", "NAME", "WHERE", "ENDED", "AFTER", "SUMMARY"];

    /// <summary>What goes into lines of its own on a narrow terminal.</summary>
    public static readonly string[] Details = ["WHERE", "SUMMARY"];

    static readonly string[] NotIdentifying = ["alertname", "severity", "tenant", "cluster", "node", "mountpoint"];

    public static IReadOnlyList<string[]> Active(JsonElement signals, DateTimeOffset now) =>
    [
        .. signals.EnumerateArray()
            .OrderBy(s => SignalOrder.Rank(Text(s, "state"), Label(s, "severity"))).ThenBy(Since)
            .Select(s => new[] { State(s), Label(s, "severity"), Label(s, "alertname"), Where(s), Quantity.Ago(Since(s), now), Value(s), Summary(s) }),
    ];

    public static IReadOnlyList<string[]> Ended(JsonElement signals, DateTimeOffset now) =>
    [
        .. signals.EnumerateArray().Select(s => new[]
        {
            Text(s, "end"), Label(s, "severity"), Label(s, "alertname"), Where(s), Quantity.Ago(Time(s, "endedAt"), now),
            Quantity.Span(Time(s, "endedAt") - Since(s)), Summary(s),
        }),
    ];

    public static string? Colour(string header, string cell) => (header, cell) switch
    {
        ("STATE", "firing") or ("SEVERITY", "critical") => "1;31",
        ("SEVERITY", "warning") => "33",
        ("STATE", var state) when state.StartsWith("unknown", StringComparison.Ordinal) => "35",
        ("STATE", "pending") => "36",
        ("ENDED AS", "cleared") => "32",
        _ => null,
    };

    static string State(JsonElement signal) =>
        Text(signal, "stateBefore") is { Length: > 0 } before ? $"{Text(signal, "state")} (was {before})" : Text(signal, "state");

    // As long as is needed to find the place: the tenant where there are several, the mount point rather than its device.
    static string Where(JsonElement signal)
    {
        var place = new[] { Label(signal, "tenant") is "default" ? "" : Label(signal, "tenant"), Label(signal, "cluster"), Label(signal, "node") };
        var mount = Label(signal, "mountpoint");
        var others = mount.Length > 0
            ? [mount]
            : signal.GetProperty("labels").EnumerateObject().Where(l => !NotIdentifying.Contains(l.Name)).Select(l => $"{l.Name}={l.Value.GetString()}");
        return string.Join(' ', new[] { string.Join('/', place.Where(p => p.Length > 0)) }.Concat(others).Where(p => p.Length > 0));
    }

    static string Value(JsonElement signal) =>
        double.TryParse(Text(signal, "value"), out var value) ? Quantity.Value(value) : Text(signal, "value");

    static DateTimeOffset Since(JsonElement signal) =>
        Time(signal, signal.TryGetProperty("unknownSince", out _) ? "unknownSince" : signal.TryGetProperty("firingSince", out _) ? "firingSince" : "activeAt");

    static DateTimeOffset Time(JsonElement signal, string property) => signal.GetProperty(property).GetDateTimeOffset();

    static string Summary(JsonElement signal) =>
        signal.GetProperty("annotations").TryGetProperty("summary", out var summary) ? summary.GetString()! : "";

    static string Label(JsonElement signal, string name) =>
        signal.GetProperty("labels").TryGetProperty(name, out var value) ? value.GetString()! : "";

    static string Text(JsonElement signal, string property) => signal.TryGetProperty(property, out var value) ? value.GetString()! : "";
}
