using System.CommandLine;
using System.Globalization;
using System.Text.Json;

using Whistle.Access;
using Whistle.Alerting.Configuration;
using Whistle.Configuration;
using Whistle.Data;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.People;
using Whistle.State;

namespace Whistle.Commands;

/// <summary>
/// Enrolment asks the server, as every verb does. Where none runs on the data folder and none is named, it works on the state there, so
/// that agents can be enrolled before the first start.
/// </summary>
static class AgentsCommand
{
    const string Root = "api/whistle/v1/agents";

    static readonly Option<Uri?> Server = Address.Optional(
        "--server", "The server's address; WHISTLE_SERVER where that is set, else where the server on the data folder listens.",
            "WHISTLE_SERVER");

    static readonly Option<bool> Offline = new("--offline") { Description = "Works on the state in the data folder and asks no server." };
    internal static readonly Option<string?> Tenant = new("--tenant")
    {
        Description = "Whose cluster it is; where it is not given, the only tenant that has it, or the tenant default. "
            + "A tenant and a cluster that nobody knows are added.",
    };

    static readonly Option<string?> OfTenant =
        new("--tenant") { Description = "Whose cluster it is; where it is not given, the only tenant that has it." };

    static readonly Option<bool> Replace = new("--replace")
    { Description = "A sender that has a token gets another, and what it has now ends. Without it, a node that is enrolled is refused." };

    internal static readonly Option<string> Cluster = new("--cluster") { Description = "The cluster.", Required = true };

    static readonly Option<string?> OneNode = new("--node") { Description = "This node alone; all of the cluster if not given." };

    static readonly Option<string?> Node = new("--node")
    {
        Description = "The node. Without it, the token is for a collector that sends for the whole cluster, such as a Prometheus.",
    };

    static readonly string[] Header = ["TENANT", "CLUSTER", "NODE", "ENROLLED"];

    public static Command Build()
    {
        var command = new Command("agents", "Lists, enrols and revokes senders of telemetry.")
        {
            Verb(new Command("list", "Lists the nodes that should report.").Lists(), ListOnStateAsync, ListAsync),
            Verb(new Command("add", "Enrols a sender and prints its token, this once.") { Tenant, Cluster, Node, Replace },
                (arguments, state, cancellation) => OnSenderAsync(arguments, "enrol-agent", state, AddAsync, cancellation), AddAsync),
            Verb(new Command("revoke", "Revokes a sender's tokens.") { OfTenant, Cluster, Node },
                (arguments, state, cancellation) => OnSenderAsync(arguments, "revoke-agent", state, RevokeAsync, cancellation),
                RevokeAsync),
        };
        foreach (var verb in JoinTokenCommands.Build().Append(Rotate()))
            command.Subcommands.Add(verb);
        return command;
    }

    static Command Verb(
        Command command, Func<ParseResult, Opened, CancellationToken, Task> onState,
        Func<ParseResult, ServerConnection, CancellationToken, Task> onServer)
    {
        foreach (var option in new Option[] { ServeCommand.Config, Server, ServerConnection.TokenFile, ServerConnection.Data,
            ServerConnection.Authority, ServerConnection.Fingerprint, Offline })
            command.Options.Add(option);
        command.SetAction(async (arguments, cancellation) =>
        {
            var configuration = ServeConfiguration.Load(
                arguments.GetValue(ServeCommand.Config), ServeCommand.Environment(), Given(arguments));
            foreach (var error in configuration.Errors)
                await Console.Error.WriteLineAsync(error);
            if (configuration.Errors.Count > 0)
                return ExitCode.Usage;
            try
            {
                await RunAsync(arguments, configuration.Options, onState, onServer, cancellation);
                return ExitCode.Fine;
            }
            catch (CommandException e)
            {
                await Console.Error.WriteLineAsync(e.Message);
                return e.ExitCode;
            }
            catch (Exception e) when (e is ArgumentException or StartException or StateException or DamagedRowException)
            {
                await Console.Error.WriteLineAsync(e.Message);
                return ExitCode.Failed;
            }
        });
        return command;
    }

    static async Task RunAsync(
        ParseResult arguments, WhistleOptions options, Func<ParseResult, Opened, CancellationToken, Task> onState,
        Func<ParseResult, ServerConnection, CancellationToken, Task> onServer, CancellationToken cancellation)
    {
        var found = arguments.GetValue(Offline) || arguments.GetValue(Server) is not null
            ? null : ServerConnection.Find(options.DataFolder);
        // Where nothing answers, what wrote the file has ended without deleting it: it is as if there were none.
        if (found is not null && await IsAnsweredAsync(found))
            return;
        var (address, held) = Where(arguments, options);
        using var whileItWorks = held;
        if (address is null)
        {
            await OnStateAsync(arguments, options, onState, cancellation);
            return;
        }

        // It may have been set for something else.
        if (arguments.GetResult(Server) is { Implicit: true } && arguments.GetValue(Server) is not null)
            await Console.Error.WriteLineAsync($"Asking the server at {address}, which WHISTLE_SERVER names.");
        using var server = new ServerConnection(address, arguments, options.DataFolder);
        await onServer(arguments, server, cancellation);

        async Task<bool> IsAnsweredAsync(Listening at)
        {
            try
            {
                using var server = new ServerConnection(at.Local, arguments, options.DataFolder, at);
                await onServer(arguments, server, cancellation);
                return true;
            }
            catch (UnreachableException) when (!IsNamed(arguments))
            {
                return false;
            }
        }
    }

    static bool IsNamed(ParseResult arguments) =>
        arguments.GetValue(Server) is not null || arguments.GetValue(ServerConnection.TokenFile) is not null;

    static Command Rotate() => ServerConnection.With(
        new Command("rotate", "Asks agents to renew their credentials at their next request.") { OfTenant, Cluster, OneNode },
        async (arguments, server, cancellation) =>
        {
            var answer = await server.PostAsync(
                "api/whistle/v1/agents/rotation",
                new
                {
                    tenant = arguments.GetValue(OfTenant),
                    cluster = arguments.GetValue(Cluster),
                    node = arguments.GetValue(OneNode),
                },
                cancellation);
            Console.WriteLine($"{answer.Text("asked")} credential(s) of {SenderIn(answer)} are renewed with the next reports. "
                + "`whistle nodes list` shows it.");
        });

    /// <summary>
    /// The server to ask that no file names; null where the state is to be worked on, with the lock that keeps a server from starting in
    /// between.
    /// </summary>
    static (Uri? Address, IDisposable? Held) Where(ParseResult arguments, WhistleOptions options)
    {
        if (arguments.GetValue(Offline))
            return default;
        if (arguments.GetValue(Server) is { } named)
            return (named, null);
        if (arguments.GetValue(ServerConnection.TokenFile) is not null)
            return (options.Local, null);
        // Not even a lock is made where there is nothing.
        if (!HasState(options) || !Directory.Exists(options.DataFolder))
            return default;
        try
        {
            return (null, ServerLock.Take(options.DataFolder, "whistle agents"));
        }
        catch (FolderInUseException e)
        {
            // It reads enrolments from the state within seconds. A command that has the lock for a moment does not touch them.
            if (e.IsServer)
                Console.Error.WriteLine($"The server on {options.DataFolder} does not say where it listens, so this works on its state. "
                    + "Name its address with --server.");
            return default;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Told by what follows, in terms of what was to be done.
            return default;
        }
    }

    static bool HasState(WhistleOptions options) =>
        options.UsesPostgreSql || ServerFolder.IsServers(options.DataFolder);

    static async Task OnStateAsync(
        ParseResult arguments, WhistleOptions options, Func<ParseResult, Opened, CancellationToken, Task> onState,
        CancellationToken cancellation)
    {
        // Before the first start somebody may mean to make one; a typing error in --data must not.
        if (!HasState(options) && !(arguments.GetValue(Offline) && arguments.CommandResult.Command.Name == "add"))
        {
            throw new CommandException(
                $"There is no state in {options.DataFolder}. Start the server first (`whistle serve`), or name its data folder with "
                + "--data. To enrol before the first start, use `whistle agents add --offline`.");
        }

        if (ServerFolder.Prepare(options.DataFolder) is { } closed)
            Console.Error.WriteLine(closed);
        using var state = options.OpenState(verify: false);
        await state.RequireCurrentAsync(StateStages.All, cancellation);
        await onState(
            arguments, new(new Credentials(state, TimeProvider.System, options: options.Enrolment), new(state, TimeProvider.System)),
            cancellation);
    }

    // The audit has it as the server would have written it.
    static async Task OnSenderAsync(
        ParseResult arguments, string action, Opened state, Func<ParseResult, Credentials, NamedSender, CancellationToken, Task> work,
        CancellationToken cancellation)
    {
        var (cluster, node) = (arguments.GetValue(Cluster)!, arguments.GetValue(Node));
        var named = action == "enrol-agent"
            ? await Enrolment.NewSenderAsync(
                state.Credentials, Rights.Everything.Sees, new(arguments.GetValue(Tenant), cluster, node), cancellation)
            : await Enrolment.SenderAsync(
                state.Credentials, Rights.Everything.Sees, new(arguments.GetValue(OfTenant), cluster, node), cancellation);
        var act = new AuditAct(new("operator", PeopleDirectory.Local, ""), action)
        {
            Scope = () => named.Sender is { } sender ? AccessScope.Of(sender.ClusterId) : AccessScope.All,
            Subject = $"{named}",
            Details = """{"by":"the command line, on the state"}""",
        };
        await state.Audit.RecordAsync(act, async () =>
        {
            await work(arguments, state.Credentials, named, cancellation);
            return true;
        });
    }

    static SettingsLayer Given(ParseResult arguments)
    {
        var layer = new SettingsLayer();
        if (arguments.GetResult(ServerConnection.Data) is { Implicit: false })
        {
            var folder = arguments.GetValue(ServerConnection.Data);
            layer[nameof(WhistleOptions.DataFolder)] = new(folder, ServerConnection.Data.Name, Environment.CurrentDirectory);
        }

        return layer;
    }

    static Listing Table(JsonElement agents, View view) => new(Header, [.. agents.EnumerateArray().Select(a => new[]
    {
        a.Text("tenant"), a.Text("cluster"), a.Text("node"), a.Time("enrolledAt", view),
    })])
    {
        Empty = "No agent is enrolled. Enrol one with `whistle agents add --cluster C --node N`.",
    };

    static void PrintRevoked(string count, string sender) =>
        Console.WriteLine($"{count} token(s) of {sender} revoked. The server follows within seconds.");

    // Whose it was may not have been said.
    static string SenderIn(JsonElement answer) => string.Join(
        '/', new[] { answer.Text("tenant"), answer.Text("cluster"), answer.Text("node") }.Where(name => name.Length > 0));

    static async Task ListOnStateAsync(ParseResult arguments, Opened state, CancellationToken cancellation)
    {
        var agents = await Enrolment.AgentsAsync(state.Credentials, cancellation);
        var answer = JsonSerializer.SerializeToElement(agents, JsonSerializerOptions.Web);
        ListOutput.Write(arguments, answer, TimeProvider.System.GetUtcNow(), view => Table(answer, view));
    }

    static async Task ListAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var answer = await server.GetAsync(Root, cancellation);
        ListOutput.Write(arguments, answer, server.Now, view => Table(answer, view));
    }

    static async Task AddAsync(ParseResult arguments, Credentials credentials, NamedSender named, CancellationToken cancellation)
    {
        PrivateOutput.Close();
        var cluster = named.Sender?.ClusterId ?? throw new CommandException(named.Several!);
        var (isNewTenant, isNewCluster) = await Enrolment.NewAsync(credentials, cluster, cancellation);
        var (token, refusal) = await credentials.EnrollAsync(cluster, named.Node, arguments.GetValue(Replace), cancellation);
        Print(refusal is null ? token! : throw new CommandException(refusal), NewPlace(cluster, isNewTenant, isNewCluster));
    }

    static async Task AddAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        PrivateOutput.Close();
        var body = new
        {
            tenant = arguments.GetValue(Tenant),
            cluster = arguments.GetValue(Cluster),
            node = arguments.GetValue(Node),
            replace = arguments.GetValue(Replace),
        };
        var answer = await server.PostAsync(Root, body, cancellation);
        Print(answer.Text("token"), NewPlace(arguments, answer));
    }

    static void Print(string token, string? newPlace)
    {
        if (newPlace is not null)
            Console.Error.WriteLine(newPlace);
        Console.WriteLine(token);
    }

    /// <summary>What to say of a tenant or a cluster that was added: a typing error makes one that nobody means.</summary>
    internal static string? NewPlace(ParseResult arguments, JsonElement answer) => NewPlace(
        new(arguments.GetValue(Tenant) ?? Enrolment.DefaultTenant, arguments.GetValue(Cluster)!),
        answer.Text("isNewTenant") is "True", answer.Text("isNewCluster") is "True");

    // Where no tenant was named, what is new is the usual one's.
    static string? NewPlace(ClusterId cluster, bool isNewTenant, bool isNewCluster) =>
        isNewTenant && cluster.Tenant != Enrolment.DefaultTenant
            ? $"The tenant {cluster.Tenant} and its cluster {cluster.Cluster} were not known, and are added. If that is a typing error: "
                + $"whistle tenants archive {cluster.Tenant}"
        : isNewCluster
            ? $"The cluster {cluster} was not known, and is added. If that is a typing error: whistle clusters archive {cluster.Cluster} "
                + $"--tenant {cluster.Tenant}"
        : null;

    static async Task RevokeAsync(ParseResult arguments, Credentials credentials, NamedSender named, CancellationToken cancellation)
    {
        var (count, mistake) = await Enrolment.RevokeAsync(credentials, named, Rights.Everything, cancellation);
        PrintRevoked(mistake is null ? count.ToString(CultureInfo.InvariantCulture) : throw new CommandException(mistake), $"{named}");
    }

    static async Task RevokeAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var query = EntryOptions.Query(
            ("tenant", arguments.GetValue(OfTenant)), ("cluster", arguments.GetValue(Cluster)), ("node", arguments.GetValue(Node)));
        var answer = await server.DeleteAsync($"{Root}{query}", cancellation);
        PrintRevoked(answer.Text("revoked"), SenderIn(answer));
    }

    /// <summary>The state in the data folder.</summary>
    sealed record Opened(Credentials Credentials, AuditLog Audit);
}
