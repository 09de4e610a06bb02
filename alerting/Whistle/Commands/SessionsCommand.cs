using System.CommandLine;
using System.Text.Json;

namespace Whistle.Commands;

/// <summary>Who is logged in to the dashboard.</summary>
static class SessionsCommand
{
    const string Root = "api/whistle/v1/sessions";

    static readonly Argument<string> Id = new("id") { Description = "As the list has it." };
    static readonly string[] Header = ["ID", "WHO", "FROM", "SEEN", "BEGAN", "ENDS", "BROWSER"];

    public static Command Build() => new("sessions", "Lists and ends sessions of the dashboard.")
    {
        ServerConnection.WithList(
            new Command("list", "Lists your sessions, and those of people whose accounts you manage."), Root, Table),
        ServerConnection.With(
            new Command("revoke", "Ends a session, and its open pages within seconds.") { Id }, async (arguments, server, cancellation) =>
            {
                var id = arguments.GetValue(Id)!;
                await server.DeleteAsync($"{Root}/{ServerConnection.Part(id)}", cancellation);
                Console.WriteLine($"Session {id} has ended.");
            }),
    };

    static Listing Table(JsonElement sessions, View view) => new(Header, [.. sessions.EnumerateArray().Select(s => new[]
    {
        s.Text("id"), s.Text("owner"), s.Text("address"), s.Time("seenAt", view), s.Time("beganAt", view), s.Time("endsAt", view),
        s.Text("agent"),
    })])
    {
        Wide = ["ENDS", "BROWSER"],
        Empty = "Nobody is logged in.",
    };
}
