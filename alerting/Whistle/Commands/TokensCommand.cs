using System.CommandLine;
using System.Text.Json;

namespace Whistle.Commands;

/// <summary>Tokens for programs.</summary>
static class TokensCommand
{
    const string Root = "api/whistle/v1/tokens";

    static readonly Option<string> Name = new("--name") { Description = "What it is for.", Required = true };

    static readonly Option<string> For =
        new("--for") { Description = "How long it works, like 90d; at most 366d.", DefaultValueFactory = _ => "90d" };

    static readonly Argument<string> Id = new("id") { Description = "As the list has it." };
    static readonly string[] Header = ["ID", "NAME", "OWNER", "GRANTS", "USED", "ENDS", "MADE"];

    public static Command Build() => new("tokens", "Lists, makes and revokes tokens for programs.")
    {
        ServerConnection.WithList(
            new Command("list", "Lists your tokens, and those of people whose accounts you manage."), Root, Table),
        ServerConnection.With(
            GrantOptions.With(new Command("add", "Makes a token that acts in your name, and prints it, this once.") { Name, For }),
            AddAsync),
        ServerConnection.With(
            new Command("revoke", "Takes a token back, in effect within seconds.") { Id }, async (arguments, server, cancellation) =>
            {
                var id = arguments.GetValue(Id)!;
                await server.DeleteAsync($"{Root}/{ServerConnection.Part(id)}", cancellation);
                Console.WriteLine($"Token {id} opens nothing any more.");
            }),
    };

    static async Task AddAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        PrivateOutput.Close();
        var answer = await server.PostAsync(
            Root,
            new { name = arguments.GetValue(Name), grants = new[] { GrantOptions.Body(arguments) }, @for = arguments.GetValue(For) },
            cancellation);
        Console.WriteLine(answer.Text("token"));
    }

    static Listing Table(JsonElement tokens, View view) => new(Header, [.. tokens.EnumerateArray().Select(t => new[]
    {
        t.Text("id"), t.Text("name"), t.Text("owner"), GrantOptions.Words(t), t.Time("usedAt", view), t.Time("endsAt", view),
        t.Time("madeAt", view),
    })])
    {
        Wide = ["MADE"],
        Empty = "There is no token. Make one with `whistle tokens add --name N --role viewer --tenant T`.",
    };
}
