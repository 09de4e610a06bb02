using System.CommandLine;
using System.Text.Json;

using Whistle.Web;

namespace Whistle.Commands;

static class AlertsCommand
{
    static readonly Option<bool> All = new("--all") { Description = "Also lists what ended in the last 24 hours, and how." };

    public static Command Build() => ServerConnection.With(
        new Command("alerts", "Lists firing, unknown and pending alerts, the worst first.") { All, JsonOutput.Option }, async (arguments, server, cancellation) =>
        {
            var all = arguments.GetValue(All);
            var answer = await server.GetAsync($"api/whistle/v1/signals{(all ? "?ended=24h" : "")}", cancellation);
            var isWell = await server.IsWellAsync(cancellation);
            JsonOutput.Write(arguments, answer, a => Print(a, all, isWell, server.Now));
        });

    static void Print(JsonElement answer, bool all, bool isWell, DateTimeOffset now)
    {
        var active = AlertRows.Active(answer.GetProperty("signals"), now);
        if (active.Count == 0)
            Console.WriteLine(isWell ? "Nothing is firing, unknown or pending." : "No alert is listed, but the server is not well: this is not an all-clear.");
        else
            ConsoleTable.Write(AlertRows.ActiveHeader, active, AlertRows.Details, StateColours.Of);
        if (!all)
            return;
        Console.WriteLine();
        var ended = AlertRows.Ended(answer.GetProperty("ended"), now);
        if (ended.Count == 0)
            Console.WriteLine("Nothing ended in the last 24 hours.");
        else
            ConsoleTable.Write(AlertRows.EndedHeader, ended, AlertRows.Details, StateColours.Of);
    }
}

/// <summary>Signals of the API as rows of a table.</summary>
static class AlertRows
{
    public static readonly string[] ActiveHeader = ["STATE", "SEVERITY", "NAME", "WHERE", "SINCE", "VALUE", "SUMMARY"];
    public static readonly string[] EndedHeader = ["ENDED AS", "SEVERITY", "NAME", "WHERE", "ENDED", "AFTER", "SUMMARY"];

    /// <summary>What goes into lines of its own on a narrow terminal.</summary>
    public static readonly string[] Details = ["WHERE", "SUMMARY"];

    public static IReadOnlyList<string[]> Active(JsonElement signals, DateTimeOffset now) =>
    [
        .. signals.EnumerateArray()
            .OrderBy(s => SignalOrder.Rank(s.Text("state"), Label(s, "severity"))).ThenBy(Since)
            .Select(s => new[] { State(s), Label(s, "severity"), Label(s, "alertname"), Where(s), Quantity.Ago(Since(s), now), Value(s), Summary(s) }),
    ];

    public static IReadOnlyList<string[]> Ended(JsonElement signals, DateTimeOffset now) =>
    [
        .. signals.EnumerateArray().Select(s => new[]
        {
            s.Text("end"), Label(s, "severity"), Label(s, "alertname"), Where(s), Quantity.Ago(Time(s, "endedAt"), now),
            Quantity.Span(Time(s, "endedAt") - Since(s)), Summary(s),
        }),
    ];

    static string State(JsonElement signal) => (signal.Text("stateBefore") is { Length: > 0 } before ? $"{signal.Text("state")} (was {before})" : signal.Text("state"))
        + (signal.TryGetProperty("inhibitedBy", out _) ? ", hidden" : "");

    static string Where(JsonElement signal) => JsonFields.Place(signal.GetProperty("labels"), signal.GetProperty("labels"));

    static string Value(JsonElement signal) =>
        double.TryParse(signal.Text("value"), out var value) ? Quantity.Value(value) : signal.Text("value");

    static DateTimeOffset Since(JsonElement signal) =>
        Time(signal, signal.TryGetProperty("unknownSince", out _) ? "unknownSince" : signal.TryGetProperty("firingSince", out _) ? "firingSince" : "activeAt");

    static DateTimeOffset Time(JsonElement signal, string property) => signal.GetProperty(property).GetDateTimeOffset();

    static string Summary(JsonElement signal)
    {
        var summary = signal.GetProperty("annotations").Text("summary");
        return signal.TryGetProperty("inhibitedBy", out var by) ? $"{summary}; explained by {by.Text("name")} of {Where(by)}" : summary;
    }

    static string Label(JsonElement signal, string name) => signal.GetProperty("labels").Text(name);
}
