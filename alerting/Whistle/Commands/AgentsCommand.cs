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
/// that agents
/// can be enrolled before the first start.
/// </summary>
static class AgentsCommand
{
    const string Root = "api/whistle/v1/agents";

    static readonly Option<Uri?> Server = Address.Optional(
        "--server", "The server's address; WHISTLE_SERVER where that is set, else where the server on the data folder listens.",
            "WHISTLE_SERVER");

    static readonly Option<bool> Offline = new("--offline") { Description = "Works on the state in the data folder and asks no server." };
    static readonly Option<string> Tenant = new("--tenant")
    {
        Description = "Whose cluster it is. A tenant and a cluster that nobody knows are added.",
        DefaultValueFactory = _ => Enrolment.DefaultTenant,
    };

    static readonly Option<string?> OfTenant =
        new("--tenant") { Description = "Whose cluster it is; where it is not given, the only tenant that has it." };

    static readonly Option<bool> Replace = new("--replace")
    { Description = "A sender that has a token gets another, and what it has now ends. Without it, a node that is enrolled is refused." };

    static readonly Option<string> Cluster = new("--cluster") { Description = "The cluster.", Required = true };

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
            Verb(new Command("list", "Lists the nodes that should report.").Lists(), ListAsync, ListAsync),
            Verb(new Command("add", "Enrols a sender and prints its token, this once.") { Tenant, Cluster, Node, Replace },
                AddAsync, AddAsync),
            Verb(new Command("revoke", "Revokes a sender's tokens.") { OfTenant, Cluster, Node }, RevokeAsync, RevokeAsync),
        };
        foreach (var verb in JoinTokenCommands.Build().Append(Rotate()))
            command.Subcommands.Add(verb);
        return command;
    }

    static Command Verb(
        Command command, Func<ParseResult, Credentials, CancellationToken, Task> onState,
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
        ParseResult arguments, WhistleOptions options, Func<ParseResult, Credentials, CancellationToken, Task> onState,
        Func<ParseResult, ServerConnection, CancellationToken, Task> onServer, CancellationToken cancellation)
    {
        var (address, found, held) = Where(arguments, options);
        using var whileItWorks = held;
        if (address is null)
        {
            await OnStateAsync(arguments, options, onState, cancellation);
            return;
        }

        // It may have been set for something else.
        if (arguments.GetResult(Server) is { Implicit: true } && arguments.GetValue(Server) is not null)
            await Console.Error.WriteLineAsync($"Asking the server at {address}, which WHISTLE_SERVER names.");
        try
        {
            using var server = new ServerConnection(address, arguments, options.DataFolder, found);
            await onServer(arguments, server, cancellation);
        }
        catch (UnreachableException) when (!IsNamed(arguments))
        {
            // It was started with an address that no setting has. It reads enrolments from the state within seconds.
            await Console.Error.WriteLineAsync(
                $"The server on {options.DataFolder} does not listen at {address}, so this works on its state. "
                + "Name its address with --server.");
            await OnStateAsync(arguments, options, onState, cancellation);
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
            Console.WriteLine($"{answer.Text("asked")} credential(s) are renewed with the next reports. `whistle nodes list` shows it.");
        });

    /// <summary>
    /// The server to ask; null where the state is to be worked on, with the lock that keeps a server from starting in between.
    /// </summary>
    static (Uri? Address, Listening? Found, IDisposable? Held) Where(ParseResult arguments, WhistleOptions options)
    {
        if (arguments.GetValue(Offline))
            return default;
        if (arguments.GetValue(Server) is { } named)
            return (named, null, null);
        if (ServerConnection.Find(options.DataFolder) is { } found)
            return (found.Local, found, null);
        if (arguments.GetValue(ServerConnection.TokenFile) is not null)
            return (options.Local, null, null);
        // Not even a lock is made where there is nothing.
        if (!HasState(options) || !Directory.Exists(options.DataFolder))
            return default;
        try
        {
            return (null, null, ServerLock.Take(options.DataFolder, "whistle agents"));
        }
        catch (FolderInUseException e)
        {
            // A command that has the lock for a moment does not touch enrolments.
            return (e.IsServer ? options.Local : null, null, null);
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
        ParseResult arguments, WhistleOptions options, Func<ParseResult, Credentials, CancellationToken, Task> onState,
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
        var credentials = new Credentials(state, TimeProvider.System, options: options.Enrolment);
        if (arguments.CommandResult.Command.Name == "list")
            await onState(arguments, credentials, cancellation);
        else
            await RecordAsync(
                await SenderOfAsync(arguments, credentials, cancellation), arguments, new(state, TimeProvider.System),
                () => onState(arguments, credentials, cancellation));
    }

    static async Task<EnrolledSender> SenderOfAsync(ParseResult arguments, Credentials credentials, CancellationToken cancellation)
    {
        var (cluster, node) = (arguments.GetValue(Cluster)!, arguments.GetValue(Node));
        if (arguments.CommandResult.Command.Name == "add")
            return new(new(arguments.GetValue(Tenant)!, cluster), node);
        var (tenant, several) = await Enrolment.TenantAsync(
            credentials, Rights.Everything, arguments.GetValue(OfTenant), s => s.ClusterId.Cluster == cluster && s.Node == node,
            cancellation);
        return several is null ? new(new(tenant, cluster), node) : throw new CommandException(several);
    }

    // As the server would have written it.
    static Task<bool> RecordAsync(EnrolledSender sender, ParseResult arguments, AuditLog audit, Func<Task> work) => audit.RecordAsync(
        new AuditAct(
            new("operator", PeopleDirectory.Local, ""), arguments.CommandResult.Command.Name == "add" ? "enrol-agent" : "revoke-agent")
        {
            Scope = () => AccessScope.Of(sender.ClusterId),
            Subject = $"{sender}",
            Details = """{"by":"the command line, on the state"}""",
        },
        async () =>
        {
            await work();
            return true;
        });

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

    static void PrintRevoked(string count) => Console.WriteLine($"{count} token(s) revoked. The server follows within seconds.");

    static async Task ListAsync(ParseResult arguments, Credentials credentials, CancellationToken cancellation)
    {
        var answer = JsonSerializer.SerializeToElement(await Enrolment.AgentsAsync(credentials, cancellation), JsonSerializerOptions.Web);
        ListOutput.Write(arguments, answer, TimeProvider.System.GetUtcNow(), view => Table(answer, view));
    }

    static async Task ListAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var answer = await server.GetAsync(Root, cancellation);
        ListOutput.Write(arguments, answer, server.Now, view => Table(answer, view));
    }

    static async Task AddAsync(ParseResult arguments, Credentials credentials, CancellationToken cancellation)
    {
        PrivateOutput.Close();
        var sender = await SenderOfAsync(arguments, credentials, cancellation);
        var isNew = await Enrolment.IsNewAsync(credentials, sender.ClusterId, cancellation);
        var (token, refusal) = await credentials.EnrollAsync(sender.ClusterId, sender.Node, arguments.GetValue(Replace), cancellation);
        Print(refusal is null ? token! : throw new CommandException(refusal), isNew, sender.ClusterId);
    }

    static async Task AddAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        PrivateOutput.Close();
        var cluster = new ClusterId(arguments.GetValue(Tenant)!, arguments.GetValue(Cluster)!);
        var body = new
        {
            tenant = cluster.Tenant,
            cluster = cluster.Cluster,
            node = arguments.GetValue(Node),
            replace = arguments.GetValue(Replace),
        };
        var answer = await server.PostAsync(Root, body, cancellation);
        Print(answer.Text("token"), answer.Text("isNewCluster") is "True", cluster);
    }

    static void Print(string token, bool isNew, ClusterId cluster)
    {
        if (isNew)
            Console.Error.WriteLine(NewCluster(cluster));
        Console.WriteLine(token);
    }

    /// <summary>A typing error makes a cluster that nobody means.</summary>
    internal static string NewCluster(ClusterId cluster) =>
        $"The cluster {cluster} was not known, and is added. If that is a typing error: whistle clusters archive {cluster.Cluster} "
        + $"--tenant {cluster.Tenant}";

    static async Task RevokeAsync(ParseResult arguments, Credentials credentials, CancellationToken cancellation)
    {
        var sender = await SenderOfAsync(arguments, credentials, cancellation);
        var (count, mistake) = await Enrolment.RevokeAsync(credentials, sender, Rights.Everything, cancellation);
        PrintRevoked(mistake is null ? count.ToString(CultureInfo.InvariantCulture) : throw new CommandException(mistake));
    }

    static async Task RevokeAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var query = EntryOptions.Query(
            ("tenant", arguments.GetValue(OfTenant)), ("cluster", arguments.GetValue(Cluster)), ("node", arguments.GetValue(Node)));
        PrintRevoked((await server.DeleteAsync($"{Root}{query}", cancellation)).Text("revoked"));
    }
}
