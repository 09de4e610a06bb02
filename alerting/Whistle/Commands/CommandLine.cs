using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;

using Whistle.Printing;

namespace Whistle.Commands;

/// <summary>The verbs. Without one, they are listed.</summary>
static class CommandLine
{
    const string NoCommand = "Required command was not provided.";

    public static RootCommand Build()
    {
        var root = new RootCommand("Whistle watches fleets of Kubernetes clusters and predicts what will break.")
        {
            ServeCommand.Build(),
            DemoCommand.Build(),
            QueryCommand.Build(),
            AlertsCommand.Build(),
            IncidentsCommand.Build(),
            RunsCommand.Build(),
            RulesCommand.Build(),
            RunbooksCommand.Build(),
            TicketsCommand.Build(),
            TenantsCommand.Build(),
            ClustersCommand.Build(),
            NodesCommand.Build(),
            AgentsCommand.Build(),
            PeopleCommand.Build(),
            TokensCommand.Build(),
            SessionsCommand.Build(),
            AuditCommand.Build(),
            BackupCommand.Build(),
            JobsCommand.Build(),
            HealthCommand.Build(),
            LoginCommand.Build(),
            LogoutCommand.Build(),
            SimulateCommand.Build(),
            DataCommand.Build(),
            StateCommand.Build(),
            CompletionCommand.Build(),
        };
        foreach (var command in ControlCommands.Build().Concat(WindowsCommands.Build()))
            root.Subcommands.Add(command);
        var help = root.Options.OfType<HelpOption>().Single();
        var written = (HelpAction)help.Action!;
        help.Action = new HelpWithExamples(written, isAskedFor: true);
        root.Action = new HelpWithExamples(written, isAskedFor: false);
        return root;
    }

    /// <summary>Every command of the tree with its path, such as <c>runs list</c>; that of the root is empty.</summary>
    public static IEnumerable<(string Path, Command Command)> Tree(Command root) => Below("", root);

    static IEnumerable<(string Path, Command Command)> Below(string path, Command command) =>
        command.Subcommands.SelectMany(c => Below($"{path} {c.Name}".TrimStart(), c)).Prepend((path, command));

    public static string PathOf(Command command) => command.Parents.OfType<Command>().FirstOrDefault() is not { } parent ? ""
        : $"{PathOf(parent)} {command.Name}".TrimStart();

    public static Task<int> InvokeAsync(ParseResult parsed, InvocationConfiguration configuration, CancellationToken cancellation = default)
    {
        if (parsed.Action is ParseErrorAction)
            return Task.FromResult(Refuse(parsed, configuration.Error));
        return parsed.InvokeAsync(configuration, cancellation);
    }

    // On stderr, and without the whole help: the mistake is what must be seen, and a pipe must not take help for an answer.
    static int Refuse(ParseResult parsed, TextWriter error)
    {
        var command = parsed.CommandResult.Command;
        var path = $"whistle {PathOf(command)}".TrimEnd();
        if (command is { Action: null, Subcommands.Count: > 0 } && parsed.UnmatchedTokens.Count == 0)
            error.WriteLine($"`{path}` needs one of: {string.Join(", ", command.Subcommands.Select(c => c.Name))}.");
        else
            WriteErrors(parsed, command, error);
        error.WriteLine($"Run `{path} --help`.");
        return ExitCode.Usage;
    }

    static void WriteErrors(ParseResult parsed, Command command, TextWriter error)
    {
        // That a verb is missing follows from one that is not known.
        var isKnown = parsed.UnmatchedTokens.Count == 0;
        foreach (var message in parsed.Errors.Select(Words).Distinct().Where(m => isKnown || m != NoCommand))
            error.WriteLine(Printable.Of(message));
        foreach (var nearest in parsed.UnmatchedTokens.Select(t => Nearest(t, command)).OfType<string>())
            error.WriteLine($"Did you mean {nearest}?");
    }

    // In one line, and in the words of whoever types.
    internal static string Words(ParseError error)
    {
        if (error.Message.Contains("as expected type", StringComparison.Ordinal)
            && error.SymbolResult is { Tokens: [var wrong, ..] } result)
        {
            var (name, type) = result switch
            {
                OptionResult { Option: var option } => (option.Name, option.ValueType),
                ArgumentResult { Argument: var argument } => (argument.Name, argument.ValueType),
                _ => ("", typeof(object)),
            };
            return $"{name}: \"{wrong.Value}\" is not {Words(Nullable.GetUnderlyingType(type) ?? type)}.";
        }

        var lines = error.Message.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return lines.Length < 2 ? error.Message : $"{lines[0]} {string.Join(", ", lines[1..])}.";
    }

    static string Words(Type type) =>
        type == typeof(bool) ? "true or false" : type == typeof(int) || type == typeof(long) ? "a whole number" : "a number";

    static string? Nearest(string word, Command command)
    {
        var names = word.StartsWith('-') ? command.Options.Where(o => !o.Hidden).Select(o => o.Name)
            : command.Subcommands.Select(c => c.Name);
        return names.Select(n => (Name: n, Distance: Inventory.Nearest.Edits(word, n)))
            .Where(n => n.Distance <= Math.Max(1, n.Name.Length / 3))
            .OrderBy(n => n.Distance).Select(n => n.Name).FirstOrDefault();
    }

    /// <summary>Help with what one would type.</summary>
    /// <param name="isAskedFor">Then nothing else that was typed matters.</param>
    sealed class HelpWithExamples(HelpAction help, bool isAskedFor) : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => isAskedFor;

        public override int Invoke(ParseResult parseResult)
        {
            var result = help.Invoke(parseResult);
            var output = parseResult.InvocationConfiguration.Output;
            var command = parseResult.CommandResult.Command;
            output.WriteLine("Examples:");
            foreach (var line in Examples.Of(command))
                output.WriteLine($"  {line}");
            output.WriteLine();
            if (command is RootCommand)
            {
                output.WriteLine("Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 no server answers; "
                    + "4 of `health`: degraded; 70 of `serve`: start it again.\n");
            }

            return result;
        }
    }
}
