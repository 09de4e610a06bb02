using System.CommandLine;
using System.Text.Json;

namespace Whistle.Commands;

/// <summary>Who can log in, and what they may do.</summary>
static class PeopleCommand
{
    const string Root = "api/whistle/v1/people";
    const string Invitations = "api/whistle/v1/invitations";

    static readonly Argument<string> Name = new("name") { Description = "What they are called." };

    static readonly Argument<string?> NewName =
        new("name") { Description = "What they will be called. Without it, they choose.", Arity = ArgumentArity.ZeroOrOne };

    static readonly Argument<string> Id = new("id") { Description = "As the list has it." };

    static readonly Option<string> For =
        new("--for") { Description = "How long the link works, like 7d; at most 30d.", DefaultValueFactory = _ => "7d" };

    static readonly string[] Header = ["NAME", "GRANTS", "SECOND FACTOR", "SEEN", "STATE", "SINCE"];
    static readonly string[] InvitationHeader = ["ID", "NAME", "GRANTS", "MADE BY", "ENDS"];

    public static Command Build() => new("people", "Lists and invites people, and says what they may do.")
    {
        ServerConnection.WithList(new Command("list", "Lists the people who can log in."), Root, Table),
        ServerConnection.With(
            GrantOptions.With(
                new Command("invite", "Prints a link by which somebody chooses how to log in, once; an earlier one for that name ends.")
                { NewName, For }),
            InviteAsync),
        ServerConnection.WithList(
            new Command("invitations", "Lists the invitations that nobody has used yet."), Invitations, InvitationTable),
        Verb(
            "uninvite", "Takes an invitation back.", Id, HttpMethod.Delete, id => $"{Invitations}/{id}",
            id => $"Invitation {id} opens nothing any more."),
        ServerConnection.With(
            GrantOptions.With(new Command("grant", "Gives somebody a role.") { Name }), async (arguments, server, cancellation) =>
            {
                var name = arguments.GetValue(Name)!;
                await server.PostAsync($"{Root}/{ServerConnection.Part(name)}/grants", GrantOptions.Body(arguments), cancellation);
                Console.WriteLine($"{name} is {GrantOptions.Words(arguments)}.");
            }),
        ServerConnection.With(
            GrantOptions.With(new Command("revoke", "Takes a role from somebody, in effect within seconds.") { Name }),
            async (arguments, server, cancellation) =>
            {
                var name = arguments.GetValue(Name)!;
                await server.DeleteAsync($"{Root}/{ServerConnection.Part(name)}/grants?{GrantOptions.Query(arguments)}", cancellation);
                Console.WriteLine($"{name} is no longer {GrantOptions.Words(arguments)}.");
            }),
        Verb(
            "disable", "Keeps somebody out: sessions end, and tokens open nothing.", Name, HttpMethod.Post,
            name => $"{Root}/{name}/disable",
            name => $"{name} is disabled. Pages that are open close within seconds."),
        Verb(
            "enable", "Lets somebody in again who was disabled or locked out.", Name, HttpMethod.Post, name => $"{Root}/{name}/enable",
            name => $"{name} can log in again."),
        ServerConnection.With(
            new Command("reset", "Takes away how somebody logs in, and prints a link by which they choose again.") { Name },
            async (arguments, server, cancellation) =>
            {
                PrivateOutput.Close();
                var answer = await server.PostAsync($"{Root}/{ServerConnection.Part(arguments.GetValue(Name)!)}/reset", null, cancellation);
                await Console.Error.WriteLineAsync(
                    "Password, second factor and passkeys are gone, and the sessions have ended. API tokens go on: see "
                    + "`whistle tokens list`. Give this link to them alone.");
                Console.WriteLine(answer.Text("url"));
            }),
    };

    static Command Verb(
        string name, string description, Argument<string> of, HttpMethod method, Func<string, string> path, Func<string, string> done) =>
        ServerConnection.With(new Command(name, description) { of }, async (arguments, server, cancellation) =>
        {
            var value = arguments.GetValue(of)!;
            var address = path(ServerConnection.Part(value));
            await (method == HttpMethod.Delete ? server.DeleteAsync(address, cancellation) : server.PostAsync(address, null, cancellation));
            Console.WriteLine(done(value));
        });

    static async Task InviteAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        PrivateOutput.Close();
        var answer = await server.PostAsync(
            Invitations,
            new { grants = new[] { GrantOptions.Body(arguments) }, name = arguments.GetValue(NewName), @for = arguments.GetValue(For) },
            cancellation);
        await Console.Error.WriteLineAsync("Give this link to them alone: whoever opens it first becomes that person.");
        Console.WriteLine(answer.Text("url"));
    }

    static Listing Table(JsonElement people, View view) => new(Header, [.. people.EnumerateArray().Select(p => new[]
    {
        p.Text("name"), GrantOptions.Words(p), p.GetProperty("hasTwoFactor").GetBoolean() ? "yes" : "no", p.Time("seenAt", view),
        State(p, view), p.Time("createdAt", view),
    })])
    {
        Wide = ["SINCE"],
        Empty = "Nobody but the server's own machine has access. Invite somebody with `whistle people invite --role admin --all-tenants`.",
    };

    static string State(JsonElement person, View view) =>
        person.Time("disabledAt") is not null ? "disabled"
        : person.Time("lockedUntil") is { } until && until > view.Now ? $"locked until {view.Clock(until)}"
        : person.Time("resetUntil") is { } reset ? $"reset link until {view.Clock(reset)}"
        : person.Text("issuer") is { Length: > 0 } issuer ? $"logs in at {issuer}" : "";

    static Listing InvitationTable(JsonElement invitations, View view) =>
        new(InvitationHeader, [.. invitations.EnumerateArray().Select(i => new[]
        {
            i.Text("id"), i.Text("name"), i.GetProperty("isReset").GetBoolean() ? "(a reset)" : GrantOptions.Words(i), i.Text("madeBy"),
            i.Time("endsAt", view),
        })])
        { Empty = "No invitation is open." };
}
