using System.CommandLine;
using System.Text.Json;

namespace Whistle.Commands;

/// <summary>Tokens that nodes enrol themselves with.</summary>
static class JoinTokenCommands
{
    const string Root = "api/whistle/v1/join-tokens";

    static readonly Option<int> Uses =
        new("--uses") { Description = "How many nodes may enrol with it.", DefaultValueFactory = _ => 1 };

    static readonly Option<string> For =
        new("--for") { Description = "How long it counts, like 24h; at most 90d.", DefaultValueFactory = _ => "24h" };

    static readonly Option<bool> Replace =
        new("--replace") { Description = "Nodes that are enrolled may enrol again under their names; their earlier credentials end." };

    static readonly Argument<string> Id = new("id") { Description = "As the list has it." };
    static readonly string[] Header = ["ID", "TENANT", "CLUSTER", "USED", "OF", "ENDS", "REPLACES"];

    public static IEnumerable<Command> Build() =>
    [
        ServerConnection.With(
            new Command("join-token", "Makes a token that nodes of a cluster enrol themselves with, and prints it, this once.")
            { AgentsCommand.Tenant, AgentsCommand.Cluster, Uses, For, Replace },
            MakeAsync),
        ServerConnection.WithList(new Command("join-tokens", "Lists the tokens that nodes could enrol themselves with now."), Root, Table),
        ServerConnection.With(
            new Command("revoke-join-token", "Takes a join token back. Nodes that enrolled with it stay enrolled.") { Id },
            async (arguments, server, cancellation) =>
            {
                var id = arguments.GetValue(Id)!;
                await server.DeleteAsync($"{Root}/{ServerConnection.Part(id)}", cancellation);
                Console.WriteLine($"Nobody enrols with the join token {id} any more.");
            }),
    ];

    static async Task MakeAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        PrivateOutput.Close();
        var answer = await server.PostAsync(
            Root,
            new
            {
                tenant = arguments.GetValue(AgentsCommand.Tenant),
                cluster = arguments.GetValue(AgentsCommand.Cluster),
                uses = arguments.GetValue(Uses),
                @for = arguments.GetValue(For),
                replace = arguments.GetValue(Replace),
            },
            cancellation);
        var token = answer.Text("token");
        var fingerprint = answer.Text("authorityFingerprint") is { Length: > 0 } digits ? $" --ca-fingerprint {digits}" : "";
        // The token alone is the answer; a script takes it from there.
        var onlyHere = answer.Text("onlyHere") is "True";
        await Console.Error.WriteLineAsync(
            $"Put the token into a file join.token on {(onlyHere ? "this machine" : "each node")}, mode 0600, and run there as root:\n"
            + $"whistle-agent enroll --server {answer.Text("server")}{fingerprint} --join-token-file join.token\n"
            + (onlyHere
                ? "The server itself listens on the loopback alone. For other machines, give the address of the proxy before it, or start "
                    + "it with --listen https://0.0.0.0:9443 beside --listen http://127.0.0.1:9480."
                : "If nodes do not know that name, put one that they know into the setting Names."));
        if (AgentsCommand.NewPlace(arguments, answer) is { } newPlace)
            await Console.Error.WriteLineAsync(newPlace);
        Console.WriteLine(token);
    }

    static Listing Table(JsonElement tokens, View view) => new(Header, [.. tokens.EnumerateArray().Select(t => new[]
    {
        t.Text("id"), t.Text("tenant"), t.Text("cluster"), t.Text("used"), t.Text("uses"), t.Time("endsAt", view),
        t.GetProperty("replaces").GetBoolean() ? "yes" : "no",
    })])
    {
        Empty = "There is no join token. Make one with `whistle agents join-token --cluster C --uses N`.",
    };
}
