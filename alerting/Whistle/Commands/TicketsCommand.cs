using System.CommandLine;
using System.Globalization;
using System.Text.Json;

using Whistle.Web;

namespace Whistle.Commands;

/// <summary>What Whistle handed to people.</summary>
static class TicketsCommand
{
    const string Root = "api/whistle/v1/tickets";

    static readonly Argument<long?> Id = new("id") { Description = "Shows this one, with its timeline.", Arity = ArgumentArity.ZeroOrOne };
    static readonly Argument<long> Ticket = new("id") { Description = "The ticket's number." };
    static readonly Argument<string> Comment = new("text") { Description = "What there is to say." };
    static readonly Argument<string> State = new("state") { Description = "open, waiting-on-customer, in-progress, resolved or closed." };
    static readonly Option<string?> Remark = new("--remark") { Description = "What to say about it." };

    static readonly string[] Header = ["ID", "STATE", "SEVERITY", "CLUSTER", "OPENED", "TITLE"];
    static readonly string[] Severities = ["critical", "warning", "info"];

    public static Command Build()
    {
        var tickets = ServerConnection.With(new Command("tickets", "Lists the tickets, the worst first, or shows one.") { Id, JsonOutput.Option }, async (arguments, server, cancellation) =>
        {
            if (arguments.GetValue(Id) is { } id)
                JsonOutput.Write(arguments, await server.GetAsync($"{Root}/{id}", cancellation), ticket => PrintOne(ticket, server.Now));
            else
                JsonOutput.Write(arguments, await server.GetAsync(Root, cancellation), tickets => PrintAll(tickets, server.Now));
        });
        tickets.Subcommands.Add(ServerConnection.With(new Command("comment", "Adds a comment.") { Ticket, Comment }, async (arguments, server, cancellation) =>
        {
            await server.PostAsync($"{Root}/{arguments.GetValue(Ticket)}/comments", new { text = arguments.GetValue(Comment) }, cancellation);
            Console.WriteLine($"Ticket {arguments.GetValue(Ticket)} has the comment.");
        }));
        tickets.Subcommands.Add(ServerConnection.With(new Command("move", "Moves a ticket to another state.") { Ticket, State, Remark }, async (arguments, server, cancellation) =>
        {
            var moved = await server.PostAsync($"{Root}/{arguments.GetValue(Ticket)}/state", new { state = arguments.GetValue(State), remark = arguments.GetValue(Remark) }, cancellation);
            Console.WriteLine($"Ticket {moved.Text("id")} is {moved.Text("state")} now.");
        }));
        return tickets;
    }

    static void PrintAll(JsonElement answer, DateTimeOffset now)
    {
        var tickets = answer.Items("tickets").ToList();
        if (tickets.Count == 0)
            Console.WriteLine("There is no ticket.");
        else
            ConsoleTable.Write(Header, Rows(tickets, now), ["TITLE"], StateColours.Of);
    }

    static IEnumerable<string[]> Rows(IEnumerable<JsonElement> tickets, DateTimeOffset now) => tickets
        .OrderBy(t => t.Text("state") is "resolved" or "closed").ThenBy(t => IncidentRows.Rank(Severities, t.Text("severity"))).ThenByDescending(t => t.Time("updatedAt"))
        .Select(t => new[] { t.Text("id"), t.Text("state"), t.Text("severity"), t.Text("cluster"), t.Ago("openedAt", now), t.Text("title") });

    static void PrintOne(JsonElement answer, DateTimeOffset now)
    {
        var ticket = answer.GetProperty("ticket");
        ConsoleTable.WriteParagraph("", $"Ticket {ticket.Text("id")}: {ticket.Text("title")}");
        ConsoleTable.WriteFields(
            ("state", ticket.Text("state")),
            ("severity", ticket.Text("severity")),
            ("cluster", ticket.Text("tenant") is "default" ? ticket.Text("cluster") : $"{ticket.Text("tenant")}/{ticket.Text("cluster")}"),
            ("incident", ticket.Text("incident")),
            ("opened", ticket.Ago("openedAt", now)),
            ("updated", ticket.Ago("updatedAt", now)));
        ConsoleTable.WriteSection("Largest directories", ["SIZE", "PATH"], ticket.Items("largestDirectories").Select(d => new[] { Size(d), d.Text("path") }), []);
        TimelineText.Write(answer);
    }

    static string Size(JsonElement directory) => double.TryParse(directory.Text("bytes"), CultureInfo.InvariantCulture, out var bytes) ? Quantity.Bytes(bytes) : "";
}
