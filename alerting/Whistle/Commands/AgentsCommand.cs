using System.CommandLine;
using System.Globalization;

using Whistle.Configuration;
using Whistle.Inventory;
using Whistle.State;

namespace Whistle.Commands;

/// <summary>Enrolment works on the state itself, server running or not; with <c>--server</c>, over a running server's API.</summary>
static class AgentsCommand
{
    const string Root = "api/whistle/v1/agents";

    static readonly Option<Uri?> Server = Address.Optional("--server", "The address of a running server; WHISTLE_SERVER, where that is set. Without both, this works on the state in the data folder.", "WHISTLE_SERVER");
    static readonly Option<string> Data = DataFolder.Option("The server's data folder, which contains its token.");
    static readonly Option<string> Tenant = new("--tenant") { Description = "Whose cluster it is.", DefaultValueFactory = _ => "default" };
    static readonly Option<string> Cluster = new("--cluster") { Description = "The cluster.", Required = true };
    static readonly Option<string?> Node = new("--node") { Description = "The node. Without it, the token is for a collector that sends for the whole cluster, such as a Prometheus." };

    public static Command Build() => new("agents", "Lists, enrols and revokes senders of telemetry.")
    {
        Verb("list", "Lists the nodes that should report.", [ServeCommand.Config, Server, Data], ListAsync, ListAsync),
        Verb("add", "Enrols a sender and prints its token, this once.", [ServeCommand.Config, Server, Data, Tenant, Cluster, Node], AddAsync, AddAsync),
        Verb("revoke", "Revokes a sender's tokens.", [ServeCommand.Config, Server, Data, Tenant, Cluster, Node], RevokeAsync, RevokeAsync),
    };

    static Command Verb(string name, string description, IEnumerable<Option> options, Func<ParseResult, Credentials, CancellationToken, Task> onState, Func<ParseResult, ServerConnection, CancellationToken, Task> onServer)
    {
        var command = new Command(name, description);
        foreach (var option in options)
            command.Options.Add(option);
        command.SetAction(async (arguments, cancellation) =>
        {
            var configuration = ServeConfiguration.Load(arguments.GetValue(ServeCommand.Config), ServeCommand.Environment(), Given(arguments));
            foreach (var error in configuration.Errors)
                await Console.Error.WriteLineAsync(error);
            if (configuration.Errors.Count > 0)
                return 2;
            try
            {
                var folder = configuration.Options.DataFolder;
                if (arguments.GetValue(Server) is { } address)
                {
                    // It may have been set for something else.
                    if (arguments.GetResult(Server) is { Implicit: true })
                        await Console.Error.WriteLineAsync($"Asking the server at {address}, which WHISTLE_SERVER names.");
                    using var server = new ServerConnection(address, folder);
                    await onServer(arguments, server, cancellation);
                    return 0;
                }

                if (ServerFolder.Prepare(folder) is { } closed)
                    await Console.Error.WriteLineAsync(closed);
                using var state = configuration.Options.OpenState(verify: false);
                await state.RequireCurrentAsync(StateStages.All, cancellation);
                await onState(arguments, new Credentials(state, TimeProvider.System), cancellation);
                return 0;
            }
            catch (Exception e) when (e is ArgumentException or StartException or CommandException or StateException or DamagedRowException)
            {
                await Console.Error.WriteLineAsync(e.Message);
                return 1;
            }
        });
        return command;
    }

    static SettingsLayer Given(ParseResult arguments)
    {
        var layer = new SettingsLayer();
        if (arguments.GetResult(Data) is { Implicit: false })
            layer[nameof(WhistleOptions.DataFolder)] = new(arguments.GetValue(Data), Data.Name, Environment.CurrentDirectory);
        return layer;
    }

    static void Print(IReadOnlyCollection<string[]> agents)
    {
        if (agents.Count == 0)
            Console.WriteLine("No agent is enrolled. Enrol one with `whistle agents add --cluster C --node N`.");
        else
            ConsoleTable.Write(["TENANT", "CLUSTER", "NODE", "ENROLLED"], agents);
    }

    static void PrintRevoked(string count) => Console.WriteLine($"{count} token(s) revoked. The server follows within seconds.");

    static async Task ListAsync(ParseResult arguments, Credentials credentials, CancellationToken cancellation) =>
        Print([.. (await credentials.AgentsAsync(cancellation)).Select(a => new[] { a.Tenant, a.Cluster, a.Node, a.EnrolledAt.ToString("u") })]);

    static async Task ListAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation) => Print(
        [.. (await server.GetAsync(Root, cancellation)).EnumerateArray().Select(a => new[] { a.Text("tenant"), a.Text("cluster"), a.Text("node"), a.Time("enrolledAt")?.ToString("u") ?? "" })]);

    static async Task AddAsync(ParseResult arguments, Credentials credentials, CancellationToken cancellation)
    {
        PrivateOutput.Close();
        Console.WriteLine(await credentials.EnrollAsync(arguments.GetValue(Tenant)!, arguments.GetValue(Cluster)!, arguments.GetValue(Node), cancellation));
    }

    static async Task AddAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        PrivateOutput.Close();
        var body = new { tenant = arguments.GetValue(Tenant), cluster = arguments.GetValue(Cluster), node = arguments.GetValue(Node) };
        Console.WriteLine((await server.PostAsync(Root, body, cancellation)).Text("token"));
    }

    static async Task RevokeAsync(ParseResult arguments, Credentials credentials, CancellationToken cancellation)
    {
        var (count, mistake) = await Enrolment.RevokeAsync(credentials, arguments.GetValue(Tenant)!, arguments.GetValue(Cluster)!, arguments.GetValue(Node), cancellation);
        PrintRevoked(mistake is null ? count.ToString(CultureInfo.InvariantCulture) : throw new CommandException(mistake));
    }

    static async Task RevokeAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var node = arguments.GetValue(Node) is { } name ? $"&node={Uri.EscapeDataString(name)}" : "";
        var path = $"{Root}?tenant={Uri.EscapeDataString(arguments.GetValue(Tenant)!)}&cluster={Uri.EscapeDataString(arguments.GetValue(Cluster)!)}{node}";
        PrintRevoked((await server.DeleteAsync(path, cancellation)).Text("revoked"));
    }
}
