using System.CommandLine;
using System.Text.Json;

using Whistle.Printing;
using Whistle.Web.Text;

namespace Whistle.Commands;

/// <summary>What is broken, and who has acknowledged it.</summary>
static class IncidentsCommand
{
    const string Root = "api/whistle/v1/incidents";

    static readonly Argument<string?> Id =
        new("id") { Description = "Shows this one, with its signals, its repairs and its timeline.", Arity = ArgumentArity.ZeroOrOne };
    static readonly Option<bool> All = new("--all") { Description = "Also lists what closed in the last 24 hours." };

    static readonly Argument<string> Open = new("id") { Description = "The incident." };
    static readonly Option<string> For = new("--for") { Description = "How long, such as 2h.", DefaultValueFactory = _ => "1h" };

    static readonly string[] SignalHeader = ["STATE", "SEVERITY", "NAME", "WHERE", "SINCE"];

    public static Command Build() => ServerConnection.With(
        new Command("incidents", "Lists what is broken now, the worst first, or shows one incident.") { Id, All, Acknowledge(), Release() }
            .Lists(),
        async (arguments, server, cancellation) =>
        {
            if (arguments.GetValue(Id) is { } id)
                JsonOutput.Write(arguments, await server.GetAsync(PathOf(id), cancellation), i =>
                    PrintOne(i, View.Of(arguments, server.Now)));
            else
                await ListAsync(arguments, server, cancellation);
        });

    static async Task ListAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var answer = await server.GetAsync($"{Root}?since={(arguments.GetValue(All) ? "24h" : "0s")}", cancellation);
        var isWell = await server.IsWellAsync(cancellation);
        ListOutput.Write(arguments, answer, server.Now, view => IncidentRows.Of(answer, view) with
        {
            Empty = isWell ? "No incident is open. --all also lists those of the last 24 hours."
                : "No incident is listed, but the server is not well: this is not an all-clear.",
        });
    }

    static Command Acknowledge() => ServerConnection.With(
        new Command("acknowledge", "Acknowledges an incident: nobody is paged for it until then.") { Open, For },
        async (arguments, server, cancellation) =>
        {
            var taken = await server.PostAsync(
                $"{PathOf(arguments.GetValue(Open)!)}/acknowledgement", new { @for = arguments.GetValue(For) }, cancellation);
            var until = taken.Clock("until", new View(server.Now));
            Console.WriteLine($"Acknowledged by {taken.Text("author")} until {until}. "
                + $"Release it earlier with `whistle incidents release {taken.Text("incidentId")}`.");
        });

    static Command Release() => ServerConnection.With(
        new Command("release", "Releases an acknowledged incident: pages and repairs resume.") { Open },
        async (arguments, server, cancellation) =>
        {
            await server.DeleteAsync($"{PathOf(arguments.GetValue(Open)!)}/acknowledgement", cancellation);
            Console.WriteLine($"Incident {arguments.GetValue(Open)} is released.");
        });

    static string PathOf(string id) => $"{Root}/{ServerConnection.Part(id)}";

    static void PrintOne(JsonElement incident, View view)
    {
        ConsoleTable.WriteHeading(incident.Text("title"));
        ConsoleTable.WriteFields(
            ("state", incident.Text("state")),
            ("severity", incident.Text("severity")),
            ("id", incident.Text("id")),
            ("where", JsonFields.Place(incident, incident.GetProperty("subject"))),
            ("opened", incident.Time("openedAt", view)),
            ("clear", incident.Time("clearSince") is { } clear ? $"for {Quantity.Span(view.Now - clear)}" : ""),
            ("closed", incident.Time("closedAt", view)),
            ("inhibits", string.Join(", ", incident.Items("inhibits").Select(name => Printable.Of(name.ToString())))),
            ("reopened", incident.Text("reopened") is "0" ? "" : $"{incident.Text("reopened")} times"));
        ConsoleTable.WriteSection("Signals", SignalHeader, incident.Items("signals").Select(s => SignalRow(s, view)), ["WHERE"]);
        ConsoleTable.WriteSection(
            "Runs", RunRows.HeaderOfIncident, incident.Items("runs").Select(r => RunRows.OfIncident(r, view)), RunRows.Details);
        TimelineText.Write(incident);
    }

    static string[] SignalRow(JsonElement signal, View view)
    {
        var cleared = signal.Time("clearedAt") is not null;
        var labels = signal.GetProperty("labels");
        return
        [
            (cleared ? "cleared" : signal.Text("unknown") is "True" ? "unknown" : "firing")
                + (signal.Text("inhibitedBy").Length > 0 ? ", inhibited" : ""),
            signal.Text("severity"), signal.Text("name"), JsonFields.Place(labels, labels),
                signal.Time(cleared ? "clearedAt" : "since", view),
        ];
    }
}

/// <summary>Incidents of the API as rows of a table, the worst first.</summary>
static class IncidentRows
{
    static readonly string[] Header = ["STATE", "SEVERITY", "WHERE", "OPENED", "CLOSED", "SIGNALS", "ID", "TITLE"];
    static readonly string[] States = ["open", "mitigating", "recovering", "closed"];
    static readonly string[] Severities = ["critical", "warning", "info"];

    public static Listing Of(JsonElement incidents, View view) => new(Header, [.. Sorted(incidents).Select(i => new[]
    {
        i.Text("state"), i.Text("severity"), JsonFields.Place(i, i.GetProperty("subject")), i.Time("openedAt", view),
            i.Time("closedAt", view),
        string.Join(' ', i.Items("signals").Select(s => s.Text("name")).Distinct()), i.Text("id"), i.Text("title"),
    })])
    {
        Details = ["WHERE", "TITLE"],
        Wide = ["CLOSED", "SIGNALS"],
    };

    static IEnumerable<JsonElement> Sorted(JsonElement incidents) => incidents.EnumerateArray()
        .OrderBy(i => i.Text("state") is "closed")
        .ThenBy(i => Rank(Severities, i.Text("severity")))
        .ThenBy(i => Rank(States, i.Text("state")))
        .ThenBy(i => i.Time("openedAt"));

    // What is not known here is not the worst.
    public static int Rank(string[] order, string name) => Array.IndexOf(order, name) is >= 0 and var rank ? rank : order.Length;
}
