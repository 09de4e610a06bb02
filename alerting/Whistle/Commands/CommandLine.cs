using System.CommandLine;

namespace Whistle.Commands;

/// <summary>The verbs. Without one, the server starts.</summary>
static class CommandLine
{
    public static RootCommand Build()
    {
        var serve = ServeCommand.Build();
        var root = new RootCommand("Whistle watches fleets of Kubernetes clusters and predicts what will break. Without a command it runs the server, as `whistle serve` does.")
        {
            serve,
            DemoCommand.Build(),
            QueryCommand.Build(),
            AlertsCommand.Build(),
            IncidentsCommand.Build(),
            RunsCommand.Build(),
            RulesCommand.Build(),
            RunbooksCommand.Build(),
            TicketsCommand.Build(),
            AgentsCommand.Build(),
            HealthCommand.Build(),
            LoginCommand.Build(),
            LogoutCommand.Build(),
            SimulateCommand.Build(),
            DataCommand.Build(),
        };
        foreach (var command in ControlCommands.Build().Concat(WindowsCommands.Build()))
            root.Subcommands.Add(command);
        foreach (var option in serve.Options)
            root.Options.Add(option);
        root.Action = serve.Action;
        return root;
    }
}
