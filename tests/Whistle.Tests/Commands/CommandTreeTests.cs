using System.CommandLine;
using System.Text.RegularExpressions;

using Whistle.Commands;

using Xunit;

namespace Whistle.Tests.Commands;

/// <summary>What holds for every verb.</summary>
public sealed partial class CommandTreeTests
{
    static readonly RootCommand Root = CommandLine.Build();

    static readonly string[] Lists =
    [
        "query", "alerts", "incidents", "runs list", "rules list", "runbooks list", "runbooks replay", "tickets", "agents list",
        "tenants list", "clusters list", "nodes list",
        "agents join-tokens", "people list", "people invitations", "tokens list", "sessions list",
        "jobs list", "health", "pause list", "mode list", "windows list", "freezes list", "audit list",
    ];

    // All others ask a server.
    static readonly string[] WithoutServer =
    [
        "serve", "demo", "rules check", "rules test", "runbooks check", "runbooks explain", "runbooks test", "runbooks schema",
            "backup verify", "backup restore",
        "simulate", "data check", "data repair", "state copy", "completion",
    ];

    static IEnumerable<(string Path, Command Command)> Verbs =>
        CommandLine.Tree(Root).Where(c => c.Command != Root && c.Command.Action is not null);

    public static TheoryData<string> Paths => [.. CommandLine.Tree(Root).Select(c => c.Path)];

    [Fact]
    public void Every_list_is_for_people_and_for_programs() => Assert.Equal(
        Lists.Order(), Verbs.Where(v => Has(v.Command, "--output", "--json", "--raw", "--instants")).Select(v => v.Path).Order());

    [Fact]
    public void No_verb_that_lists_is_forgotten() =>
        Assert.Subset(Lists.ToHashSet(), Verbs.Where(v => v.Command.Description!.StartsWith("Lists ", StringComparison.Ordinal))
            .Select(v => v.Path).ToHashSet());

    [Fact]
    public void Every_verb_that_asks_a_server_can_be_told_which() => Assert.Equal(
        WithoutServer.Order(), Verbs.Where(v => !Has(v.Command, "--server", "--token-file", "--data")).Select(v => v.Path).Order());

    [Theory]
    [MemberData(nameof(Paths))]
    public void Every_help_has_examples_that_are_understood(string path)
    {
        var output = new StringWriter();
        Assert.Equal(0, Root.Parse([.. Words(path), "--help"]).Invoke(new() { Output = output }));

        var examples = output.ToString().Split("Examples:\n")[1].Split('\n').TakeWhile(l => l.Length > 0).Select(l => l.Trim()).ToList();
        Assert.NotEmpty(examples);
        foreach (var example in examples)
        {
            var arguments = Arguments(example);
            var parsed = Root.Parse(arguments);
            Assert.Empty(parsed.Errors);
            Assert.StartsWith(path, CommandLine.PathOf(parsed.CommandResult.Command), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void No_example_is_of_a_verb_that_is_gone() =>
        Assert.Subset(CommandLine.Tree(Root).Select(c => c.Path).ToHashSet(), Examples.ByPath.Keys.ToHashSet());

    [Theory]
    [InlineData("", 0, "Examples:\n  whistle demo\n", "")]
    [InlineData("alrts", 2, "", "Unrecognized command or argument 'alrts'.\nDid you mean alerts?\nRun `whistle --help`.\n")]
    [InlineData("runs", 2, "", "`whistle runs` needs one of: list, show, explain, approve, done, cancel.\nRun `whistle runs --help`.\n")]
    [InlineData("alerts --outptu csv", 2, "", "Did you mean --output?\nRun `whistle alerts --help`.\n")]
    [InlineData("alerts --json --output csv", 2, "", "--json and --output contradict each other. Give one of them.\n")]
    [InlineData("pause add --for 2h", 2, "", "Option '--reason' is required.\nRun `whistle pause add --help`.\n")]
    [InlineData("alerts --server nonsense", 2, "", "\"nonsense\" is not an address.")]
    [InlineData(
        "tenants limit acme --series many", 2, "",
        "--series: \"many\" is not a whole number.\nRun `whistle tenants limit --help`.\n")]
    [InlineData("audit list --before x", 2, "", "--before: \"x\" is not a whole number.\n")]
    [InlineData("simulate --years soon", 2, "", "--years: \"soon\" is not a ")]
    [InlineData("agents join-token --cluster c --uses 1.5", 2, "", "--uses: \"1.5\" is not a whole number.\n")]
    [InlineData(
        "people invite --role king --all-tenants", 2, "", "Argument 'king' not recognized. Must be one of: 'viewer', ")]
    [InlineData("query --range soon up --data /nowhere", 1, "", "")]
    public async Task A_wrong_call_is_told_on_stderr_and_ends_with_2(string line, int code, string says, string complains)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var exit = await CommandLine.InvokeAsync(
            Root.Parse(Words(line)), new() { Output = output, Error = error }, TestContext.Current.CancellationToken);

        Assert.Equal(code, exit);
        Assert.Contains(says, output.ToString(), StringComparison.Ordinal);
        Assert.Equal(says.Length == 0, output.ToString().Length == 0);
        Assert.Contains(complains, error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_document_has_every_verb_and_every_exit_code()
    {
        var document = File.ReadAllText(Path.Combine(Repository.Root, "docs", "command-line.md"));

        Assert.All(Verbs, v => Assert.Contains($"`{v.Path}`", document, StringComparison.Ordinal));
        Assert.All(
            new[] { ExitCode.Fine, ExitCode.Failed, ExitCode.Usage, ExitCode.Unreachable, ExitCode.Degraded, ExitCode.Broken },
            code => Assert.Contains($"\n| {code} |", document, StringComparison.Ordinal));
    }

    static bool Has(Command command, params string[] options) => options.All(o => command.Options.Any(c => c.Name == o));

    static string[] Words(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    [GeneratedRegex(@"('[^']*'|[^ '])+")]
    private static partial Regex Word();

    // As a shell would: quotes off, redirections and substitutions left out.
    static string[] Arguments(string example)
    {
        var line = example.StartsWith("source <(", StringComparison.Ordinal) ? example["source <(".Length..^1] : example.Split(" > ")[0];
        Assert.StartsWith("whistle", line, StringComparison.Ordinal);
        return [.. Word().Matches(line).Skip(1).Select(m => m.Value.Replace("'", "", StringComparison.Ordinal))];
    }
}
