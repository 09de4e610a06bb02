using System.CommandLine;
using System.Text.Json;

using Whistle.Web;

namespace Whistle.Commands;

/// <summary>What is broken, what Whistle does about it, and what it handed to people.</summary>
static class RepairCommands
{
    static readonly Argument<string?> Id = new("id") { Description = "One of them, whole.", Arity = ArgumentArity.ZeroOrOne };
    static readonly Argument<string> Run = new("id") { Description = "The run." };

    public static IEnumerable<Command> Build() =>
    [
        ServerConnection.With(new Command("incidents", "Lists the incidents of the last day, or shows one with its timeline.") { Id }, async (arguments, server, cancellation) =>
        {
            if (arguments.GetValue(Id) is { } id)
                PrintIncident(await server.GetAsync($"api/whistle/v1/incidents/{Uri.EscapeDataString(id)}", cancellation));
            else
                PrintIncidents(await server.GetAsync("api/whistle/v1/incidents", cancellation), TimeProvider.System.GetUtcNow());
        }),
        new Command("runs", "Lists and explains repairs.")
        {
            ServerConnection.With(new Command("list", "Lists the runs of the last day."), async (_, server, cancellation) =>
                PrintRuns(await server.GetAsync("api/whistle/v1/runs", cancellation), TimeProvider.System.GetUtcNow())),
            ServerConnection.With(new Command("explain", "Says why nothing happens now, and when that is looked at again.") { Run }, async (arguments, server, cancellation) =>
                Console.WriteLine(Text(await server.GetAsync($"api/whistle/v1/runs/{Uri.EscapeDataString(arguments.GetValue(Run)!)}/explain", cancellation), "explanation"))),
        },
        ServerConnection.With(new Command("tickets", "Lists the tickets."), async (_, server, cancellation) =>
            PrintTickets((await server.GetAsync("api/whistle/v1/tickets", cancellation)).GetProperty("tickets"), TimeProvider.System.GetUtcNow())),
    ];

    static void PrintIncidents(JsonElement incidents, DateTimeOffset now)
    {
        if (incidents.GetArrayLength() == 0)
            Console.WriteLine("There was no incident in the last 24 hours.");
        else
            ConsoleTable.Write(["ID", "STATE", "SEVERITY", "CLUSTER", "OPENED", "TITLE"], [.. incidents.EnumerateArray().Select(i => new[]
            {
                Text(i, "id"), Text(i, "state"), Text(i, "severity"), Text(i, "cluster"), Ago(i, "openedAt", now), Text(i, "title"),
            })]);
    }

    static void PrintIncident(JsonElement incident)
    {
        Console.WriteLine($"{Text(incident, "title")}: {Text(incident, "state")}, {Text(incident, "severity")}");
        foreach (var entry in incident.GetProperty("timeline").EnumerateArray())
        {
            var times = entry.GetProperty("count").GetInt32() is > 1 and var count ? $" ({count} times)" : "";
            Console.WriteLine($"  {entry.GetProperty("at").GetDateTimeOffset():u}  {Text(entry, "kind"),-10}  {Text(entry, "text")}{times}");
        }

        foreach (var run in incident.GetProperty("runs").EnumerateArray())
            Console.WriteLine($"  Run {Text(run, "id")} of {Text(run, "runbook")}: {Text(run, "explanation")}");
    }

    static void PrintRuns(JsonElement runs, DateTimeOffset now)
    {
        if (runs.GetArrayLength() == 0)
            Console.WriteLine("There was no run in the last 24 hours.");
        else
            ConsoleTable.Write(["ID", "RUNBOOK", "NODE", "STATE", "SINCE", "WHY"], [.. runs.EnumerateArray().Select(r => new[]
            {
                Text(r, "id"), Text(r, "runbook"), Text(r, "node"), Text(r, "state"), Ago(r, "since", now), Text(r, "explanation"),
            })]);
    }

    static void PrintTickets(JsonElement tickets, DateTimeOffset now)
    {
        if (tickets.GetArrayLength() == 0)
            Console.WriteLine("There is no ticket.");
        else
            ConsoleTable.Write(["ID", "STATE", "OPENED", "TITLE"], [.. tickets.EnumerateArray().Select(t => new[]
            {
                Text(t, "id"), Text(t, "state"), Ago(t, "openedAt", now), Text(t, "title"),
            })]);
    }

    static string Ago(JsonElement element, string name, DateTimeOffset now) =>
        element.TryGetProperty(name, out var at) && at.TryGetDateTimeOffset(out var time) ? Quantity.Ago(time, now) : "";

    static string Text(JsonElement element, string name) => element.TryGetProperty(name, out var value) ? ConsoleTable.Printable(value.ToString()) : "";
}
