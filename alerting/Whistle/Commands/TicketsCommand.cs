using System.CommandLine;
using System.Text.Json;

namespace Whistle.Commands;

/// <summary>What Whistle handed to people.</summary>
static class TicketsCommand
{
    const string Root = "api/whistle/v1/tickets";

    static readonly Argument<long?> Id = new("id") { Description = "Shows this one, with its timeline.", Arity = ArgumentArity.ZeroOrOne };
    static readonly Argument<long> Ticket = new("id") { Description = "The ticket's number." };
    static readonly Argument<string> Comment = new("text") { Description = "What there is to say." };
    static readonly Argument<string> State =
        new Argument<string>("state") { Description = "open, waiting-on-customer, in-progress, resolved or closed." }
        .Suggests("open", "waiting-on-customer", "in-progress", "resolved", "closed");
    static readonly Option<string?> Remark = new("--remark") { Description = "What to say about it." };

    static readonly string[] Header = ["ID", "STATE", "SEVERITY", "CLUSTER", "OPENED", "UPDATED", "INCIDENT", "TITLE"];
    static readonly string[] Severities = ["critical", "warning", "info"];

    public static Command Build()
    {
        var tickets = ServerConnection.With(
            new Command("tickets", "Lists the tickets, the worst first, or shows one.") { Id }.Lists(),
            async (arguments, server, cancellation) =>
        {
            var id = arguments.GetValue(Id);
            var answer = await server.GetAsync(id is null ? Root : $"{Root}/{id}", cancellation);
            if (id is null)
            {
                var isWell = await server.IsWellAsync(cancellation);
                ListOutput.Write(arguments, answer, server.Now, view => Table(answer, view) with
                {
                    Empty = isWell ? "There is no ticket." : "No ticket is listed, but the server is not well: there may be some.",
                });
            }
            else
                JsonOutput.Write(arguments, answer, ticket => PrintOne(ticket, View.Of(arguments, server.Now)));
        });
        tickets.Subcommands.Add(
            ServerConnection.With(new Command("comment", "Adds a comment.") { Ticket, Comment }, async (arguments, server, cancellation) =>
            {
                await server.PostAsync(
                    $"{Root}/{arguments.GetValue(Ticket)}/comments", new { text = arguments.GetValue(Comment) }, cancellation);
                Console.WriteLine($"Ticket {arguments.GetValue(Ticket)} has the comment.");
            }));
        tickets.Subcommands.Add(ServerConnection.With(
            new Command("move", "Moves a ticket to another state.") { Ticket, State, Remark }, async (arguments, server, cancellation) =>
            {
                var moved = await server.PostAsync(
                    $"{Root}/{arguments.GetValue(Ticket)}/state",
                    new { state = arguments.GetValue(State), remark = arguments.GetValue(Remark) }, cancellation);
                Console.WriteLine($"Ticket {moved.Text("id")} is {moved.Text("state")} now.");
            }));
        return tickets;
    }

    static Listing Table(JsonElement answer, View view) => new(Header, [.. Sorted(answer.Items("tickets")).Select(t => new[]
    {
        t.Text("id"), t.Text("state"), t.Text("severity"), Place(t), t.Time("openedAt", view), t.Time("updatedAt", view),
            t.Text("incident"), t.Text("title"),
    })])
    {
        Details = ["TITLE"],
        Wide = ["UPDATED", "INCIDENT"],
    };

    static IEnumerable<JsonElement> Sorted(IEnumerable<JsonElement> tickets) => tickets
        .OrderBy(t => t.Text("state") is "resolved" or "closed")
        .ThenBy(t => IncidentRows.Rank(Severities, t.Text("severity")))
        .ThenByDescending(t => t.Time("updatedAt"));

    static string Place(JsonElement ticket) =>
        ticket.Text("tenant") is "default" ? ticket.Text("cluster") : $"{ticket.Text("tenant")}/{ticket.Text("cluster")}";

    static void PrintOne(JsonElement answer, View view)
    {
        var ticket = answer.GetProperty("ticket");
        ConsoleTable.WriteHeading($"Ticket {ticket.Text("id")}: {ticket.Text("title")}");
        ConsoleTable.WriteFields(
            ("state", ticket.Text("state")),
            ("severity", ticket.Text("severity")),
            ("cluster", Place(ticket)),
            ("incident", ticket.Text("incident")),
            ("opened", ticket.Time("openedAt", view)),
            ("updated", ticket.Time("updatedAt", view)));
        var directories = ticket.Items("largestDirectories").Select(d => new[] { view.Bytes(d.Text("bytes")), d.Text("path") });
        ConsoleTable.WriteSection("Largest directories", ["SIZE", "PATH"], directories, []);
        TimelineText.Write(answer);
    }
}
