using System.CommandLine;
using System.Text.Json;

namespace Whistle.Commands;

/// <summary>When nodes may be taken down, and when nothing may be disturbed.</summary>
static class WindowsCommands
{
    const string Root = "api/whistle/v1";

    static readonly Option<string?> Tenant = new("--tenant") { Description = "Only this tenant's." };
    static readonly Option<string?> Cluster = new("--cluster") { Description = "Only in this cluster." };
    static readonly Option<string> Recurrence =
        new("--recurrence") { Description = "As iCalendar has it, such as FREQ=WEEKLY;BYDAY=SA,SU.", Required = true };
    static readonly Option<string> Start =
        new("--start") { Description = "The first one, in the time zone's own time, such as 2026-01-03T22:00.", Required = true };
    static readonly Option<string> For = new("--for") { Description = "How long, such as 4h.", Required = true };
    static readonly Option<string> TimeZone =
        new("--time-zone") { Description = "An IANA name, such as Europe/Berlin.", DefaultValueFactory = _ => "UTC" };
    static readonly Option<string> Reason = new("--reason") { Description = "Why; it is recorded.", Required = true };
    static readonly Option<DateTimeOffset?> From =
        new("--from") { Description = "When it begins, such as 2026-12-23T18:00Z; now unless given." };
    static readonly Argument<long> Id = new("id") { Description = "Its number." };

    static readonly string[] WindowHeader = ["ID", "OF", "RECURRENCE", "FOR", "ZONE", "OPEN", "BY"];
    static readonly string[] FreezeHeader = ["ID", "FREEZES", "BEGINS", "ENDS", "BY", "REASON"];

    public static IEnumerable<Command> Build() => [Windows(), Freezes()];

    static Command Windows() => new("windows", "Sets when nodes may be taken down.")
    {
        ServerConnection.WithList(
            new Command("list", "Lists the maintenance windows, with whether they are open and when they open next."), $"{Root}/windows",
                WindowsTable),
        ServerConnection.With(new Command("add", "Adds a maintenance window; without a name, of all clusters.")
        {
            Recurrence, Start, For, TimeZone, Cluster, Tenant, ControlCommands.Force,
        }, async (arguments, server, cancellation) =>
        {
            var window = await server.PostAsync($"{Root}/windows", new
            {
                recurrence = arguments.GetValue(Recurrence),
                start = arguments.GetValue(Start),
                @for = arguments.GetValue(For),
                timeZone = arguments.GetValue(TimeZone),
                cluster = arguments.GetValue(Cluster),
                tenant = arguments.GetValue(Tenant),
                force = arguments.GetValue(ControlCommands.Force),
            }, cancellation);
            Console.WriteLine($"Maintenance window {window.Text("id")} of {Scope(window)} {Opening(window, new View(server.Now))}. "
                + $"Remove it with `whistle windows remove {window.Text("id")}`.");
        }),
        ServerConnection.With(new Command("remove", "Removes a maintenance window.") { Id }, async (arguments, server, cancellation) =>
        {
            await server.DeleteAsync($"{Root}/windows/{arguments.GetValue(Id)}", cancellation);
            Console.WriteLine($"Maintenance window {arguments.GetValue(Id)} is removed.");
        }),
    };

    static Command Freezes() => new("freezes", "Freezes everything that disturbs nodes, maintenance window or not.")
    {
        ServerConnection.WithList(new Command("list", "Lists the change freezes in force or to come."), $"{Root}/freezes", FreezesTable),
        ServerConnection.With(new Command("add", "Freezes changes for a time; without a name, everywhere.")
        {
            Reason, For, From, Cluster, Tenant, ControlCommands.Force,
        }, async (arguments, server, cancellation) =>
        {
            var freeze = await server.PostAsync($"{Root}/freezes", new
            {
                reason = arguments.GetValue(Reason),
                @for = arguments.GetValue(For),
                from = arguments.GetValue(From),
                cluster = arguments.GetValue(Cluster),
                tenant = arguments.GetValue(Tenant),
                force = arguments.GetValue(ControlCommands.Force),
            }, cancellation);
            var view = new View(server.Now);
            Console.WriteLine($"Change freeze {freeze.Text("id")} applies to {Scope(freeze)} "
                + $"from {freeze.Clock("from", view)} until {freeze.Clock("until", view)}. "
                + $"End it earlier with `whistle freezes end {freeze.Text("id")}`.");
        }),
        ServerConnection.With(new Command("end", "Ends a change freeze early.") { Id }, async (arguments, server, cancellation) =>
        {
            await server.DeleteAsync($"{Root}/freezes/{arguments.GetValue(Id)}", cancellation);
            Console.WriteLine($"Change freeze {arguments.GetValue(Id)} has ended.");
        }),
    };

    static Listing WindowsTable(JsonElement windows, View view) => new(WindowHeader, [.. windows.EnumerateArray().Select(w => new[]
    {
        w.Text("id"), Scope(w), w.Text("recurrence"), w.Text("length"), w.Text("timeZone"), Opening(w, view), w.Text("author"),
    })])
    {
        Details = ["RECURRENCE", "OPEN"],
        Empty = "There is no maintenance window, so no node is taken down. Add one with `whistle windows add`.",
    };

    static Listing FreezesTable(JsonElement freezes, View view) => new(FreezeHeader, [.. freezes.EnumerateArray().Select(f => new[]
    {
        f.Text("id"), Scope(f), f.Time("from", view), f.Time("until", view), f.Text("author"), f.Text("reason"),
    })])
    {
        Details = ["REASON"],
        Empty = "No change freeze is in force or to come.",
    };

    static string Scope(JsonElement entry) =>
        $"{(entry.Text("cluster") is { Length: > 0 } cluster ? $"cluster {cluster}" : "all clusters")}"
        + $"{(entry.Text("tenant") is { Length: > 0 } tenant ? $" of tenant {tenant}" : "")}";

    static string Opening(JsonElement window, View view) => window.Text("problem").Length > 0 ? "cannot be evaluated and counts as closed"
        : window.Time("openUntil") is { } until ? $"is open until {view.Clock(until)}"
        : window.Time("nextAt") is { } next ? $"opens at {view.Clock(next)}" : "never opens again";
}
