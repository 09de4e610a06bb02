using System.CommandLine;

using Whistle.Configuration;
using Whistle.Ingest;

namespace Whistle.Commands;

/// <summary>Enrolment works on the state itself, so it is for whoever may read it, server running or not.</summary>
static class AgentsCommand
{
    static readonly Option<string> Data = DataFolder.Option("The server's data folder.");
    static readonly Option<string> Tenant = new("--tenant") { Description = "Whose cluster it is.", DefaultValueFactory = _ => "default" };
    static readonly Option<string> Cluster = new("--cluster") { Description = "The cluster.", Required = true };
    static readonly Option<string?> Node = new("--node") { Description = "The node. Without it, the token is for a collector that sends for the whole cluster, such as a Prometheus." };

    public static Command Build() => new("agents", "Lists, enrols and revokes senders of telemetry.")
    {
        Verb("list", "Lists the nodes that should report.", [ServeCommand.Config, Data], List),
        Verb("add", "Enrols a sender and prints its token, this once.", [ServeCommand.Config, Data, Tenant, Cluster, Node], Add),
        Verb("revoke", "Takes a sender's tokens back.", [ServeCommand.Config, Data, Tenant, Cluster, Node], Revoke),
    };

    static Command Verb(string name, string description, IEnumerable<Option> options, Action<ParseResult, Credentials> work)
    {
        var command = new Command(name, description);
        foreach (var option in options)
            command.Options.Add(option);
        command.SetAction(arguments =>
        {
            var configuration = ServeConfiguration.Load(arguments.GetValue(ServeCommand.Config), ServeCommand.Environment(), Given(arguments));
            foreach (var error in configuration.Errors)
                Console.Error.WriteLine(error);
            if (configuration.Errors.Count > 0)
                return 2;
            try
            {
                if (ServerFolder.Prepare(configuration.Options.DataFolder) is { } closed)
                    Console.Error.WriteLine(closed);
                using var state = configuration.Options.OpenState(verify: false);
                state.RequireCurrent(StateStages.All);
                work(arguments, new Credentials(state, TimeProvider.System));
                return 0;
            }
            catch (Exception e) when (e is ArgumentException or StartException or CommandException or StateException)
            {
                Console.Error.WriteLine(e.Message);
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

    static void List(ParseResult arguments, Credentials credentials)
    {
        var agents = credentials.Agents();
        if (agents.Count == 0)
            Console.WriteLine("No agent is enrolled. Enrol one with `whistle agents add --cluster C --node N`.");
        else
            ConsoleTable.Write(["TENANT", "CLUSTER", "NODE", "ENROLLED"], agents.Select(a => new[] { a.Tenant, a.Cluster, a.Node, a.EnrolledAt.ToString("u") }));
    }

    static void Add(ParseResult arguments, Credentials credentials)
    {
        PrivateOutput.Close();
        Console.WriteLine(credentials.Enroll(arguments.GetValue(Tenant)!, arguments.GetValue(Cluster)!, arguments.GetValue(Node)));
    }

    static void Revoke(ParseResult arguments, Credentials credentials)
    {
        var (tenant, cluster, node) = (arguments.GetValue(Tenant)!, arguments.GetValue(Cluster)!, arguments.GetValue(Node));
        var known = credentials.Senders();
        var count = credentials.Revoke(tenant, cluster, node);
        // Whoever takes a token back must hear of it where a typing error took back nothing.
        if (count == 0)
            throw new ArgumentException($"No token of {Place(tenant, cluster, node)} is in force, so none was revoked. {(known.Count == 0 ? "Nobody is enrolled." : $"Enrolled are, among others, {string.Join(", ", known.Select(s => Place(s.Tenant, s.Cluster, s.Node)).OrderByDescending(p => Common(p, Place(tenant, cluster, node))).Take(3))}.")}");
        Console.WriteLine($"{count} token(s) revoked; a running server follows within seconds.");
    }

    static string Place(string tenant, string cluster, string? node) => node is null ? $"{tenant}/{cluster}" : $"{tenant}/{cluster}/{node}";

    // The longest beginning that both have.
    static int Common(string a, string b) => a.Zip(b).TakeWhile(p => p.First == p.Second).Count();
}
