using System.CommandLine;
using System.Text.Json;

using Whistle.Web.Signals;

namespace Whistle.Commands;

static class AlertsCommand
{
    static readonly Option<bool> All = new("--all") { Description = "Also lists what ended in the last 24 hours, and how." };

    public static Command Build() => ServerConnection.With(
        new Command("alerts", "Lists firing, unknown and pending alerts, the worst first.") { All }.Lists(),
        async (arguments, server, cancellation) =>
        {
            var all = arguments.GetValue(All);
            var answer = await server.GetAsync($"api/whistle/v1/signals{(all ? "?ended=24h" : "")}", cancellation);
            var isWell = await server.IsWellAsync(cancellation);
            ListOutput.Write(arguments, answer, server.Now, (all, ListOutput.IsCsv(arguments)) switch
            {
                (false, _) => [view => AlertRows.Active(answer, view, isWell)],
                (true, true) => [view => AlertRows.Together(answer, view)],
                (true, false) => [view => AlertRows.Active(answer, view, isWell), view => AlertRows.Ended(answer, view)],
            });
        });
}

/// <summary>Signals of the API as rows of a table.</summary>
static class AlertRows
{
    static readonly string[] ActiveHeader = ["STATE", "SEVERITY", "NAME", "WHERE", "SINCE", "VALUE", "LABELS", "SUMMARY"];
    static readonly string[] EndedHeader = ["ENDED AS", "SEVERITY", "NAME", "WHERE", "ENDED", "AFTER", "LABELS", "SUMMARY"];
    static readonly string[] TogetherHeader = ["STATE", "SEVERITY", "NAME", "WHERE", "SINCE", "ENDED", "VALUE", "LABELS", "SUMMARY"];

    public static Listing Active(JsonElement answer, View view, bool isWell) => Make(ActiveHeader, Sorted(answer).Select(s => new[]
    {
        State(s), Label(s, "severity"), Label(s, "alertname"), Where(s), view.Time(Since(s)), view.Value(s.Text("value")), Labels(s),
            Summary(s),
    })) with
    {
        Empty = isWell ? "Nothing is firing, unknown or pending."
            : "No alert is listed, but the server is not well: this is not an all-clear.",
    };

    public static Listing Ended(JsonElement answer, View view) => Make(EndedHeader, answer.Items("ended").Select(s => new[]
    {
        s.Text("end"), Label(s, "severity"), Label(s, "alertname"), Where(s), s.Time("endedAt", view), view.Span(Lasted(s)), Labels(s),
            Summary(s),
    })) with
    {
        Empty = "Nothing ended in the last 24 hours.",
    };

    /// <summary>One table for a program: what ended has its end as its state.</summary>
    public static Listing Together(JsonElement answer, View view) =>
        Make(TogetherHeader, Sorted(answer).Concat(answer.Items("ended")).Select(s => new[]
    {
        s.Text("end") is { Length: > 0 } end ? end : State(s), Label(s, "severity"), Label(s, "alertname"), Where(s), view.Time(Since(s)),
        s.Time("endedAt", view), view.Value(s.Text("value")), Labels(s), Summary(s),
    }));

    static Listing Make(string[] header, IEnumerable<string[]> rows) =>
        new(header, [.. rows]) { Details = ["WHERE", "SUMMARY"], Wide = ["LABELS"], Spare = ["VALUE", "AFTER"] };

    static IEnumerable<JsonElement> Sorted(JsonElement answer) => answer.Items("signals")
        .OrderBy(s => SignalOrder.Rank(s.Text("state"), Label(s, "severity"))).ThenBy(Since);

    static string State(JsonElement signal) =>
        (signal.Text("stateBefore") is { Length: > 0 } before ? $"{signal.Text("state")} (was {before})" : signal.Text("state"))
        + (signal.TryGetProperty("inhibitedBy", out _) ? ", inhibited" : "");

    static string Where(JsonElement signal) => JsonFields.Place(signal.GetProperty("labels"), signal.GetProperty("labels"));

    static TimeSpan Lasted(JsonElement signal) => (signal.Time("endedAt") ?? Since(signal)) - Since(signal);

    static DateTimeOffset Since(JsonElement signal) =>
        signal.Time("unknownSince") ?? signal.Time("firingSince") ?? signal.GetProperty("activeAt").GetDateTimeOffset();

    static string Summary(JsonElement signal)
    {
        var summary = signal.GetProperty("annotations").Text("summary");
        return signal.TryGetProperty("inhibitedBy", out var by) ? $"{summary}; inhibited by {by.Text("name")} of {Where(by)}" : summary;
    }

    static string Label(JsonElement signal, string name) => signal.GetProperty("labels").Text(name);

    static string Labels(JsonElement signal) => JsonFields.Pairs(signal.GetProperty("labels"));
}
