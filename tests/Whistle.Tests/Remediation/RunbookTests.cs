using System.Text.RegularExpressions;

using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Remediation;

public sealed partial class RunbookTests : IDisposable
{
    const string Document = "docs/runbooks-format.md";

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-runbooks-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_shipped_runbook_loads_and_renders()
    {
        var load = RunbookSet.Load([Path.Combine(AppContext.BaseDirectory, "runbooks")]);

        Assert.Empty(load.Errors);
        var runbook = load.Runbooks!.Runbooks.Single(r => r.Name == "node-disk-filling");
        Assert.Equal(RunbookMode.Observe, runbook.Mode);
        var plan = Rendering.Plan(runbook, Labels.Of(("node", "n"), ("mountpoint", "/data \"x\"")));
        Assert.Equal(
            ["disk.largest-directories", "disk.clean-paths", "disk.vacuum-journal", "images.prune", "logs.rotate", "disk.prune-backups"],
            plan.Steps.Select(s => s.Step.Action));
        Assert.Equal("""{"mountPoint":"/data \"x\"","count":20}""", plan.Steps[0].Parameters);
    }

    [Fact]
    public void Every_error_is_reported_with_its_line_and_column()
    {
        var errors = Load(
            """
            name: Disk Filling
            summary: x
            colour: red
            answers:
              - signal: A
                labels: { mountpoint: "(" }
              - labels: {}
            mode: sometimes
            gates: { sustained: 2 minutes, attempts: 0, maxConcurrent: { rack: 1 } }
            steps:
              - name: a
                action: disk.format
                parameters: { path: "${mount point}" }
              - name: a
                action: disk.clean-paths
                timeout: 2h
                onFailure: maybe
            verify: { within: 10m, expr: "up ==" }
            page: { attach: [b] }
            ladder: [reboot]
            """);

        Assert.Collection(
            errors,
            e => Assert.StartsWith("book.yaml:3:1: unknown key \"colour\" in a runbook", e),
            e => Assert.StartsWith("book.yaml:1:7: \"Disk Filling\" is not a name", e),
            e => Assert.StartsWith("book.yaml:6:27: ", e),
            e => Assert.StartsWith("book.yaml:7:5: an answered signal needs signal", e),
            e => Assert.StartsWith("book.yaml:12:13: unknown action \"disk.format\"; known are certificates.check", e),
            e => Assert.StartsWith("book.yaml:13:25: \"${mount point}\": write a label of the signal as ${label}", e),
            e => Assert.StartsWith("book.yaml:16:14: timeout: a step takes from 1s to 1h", e),
            e => Assert.StartsWith("book.yaml:17:16: onFailure: \"maybe\" is not one of stop, continue", e),
            e => Assert.StartsWith("book.yaml:14:5: the step name \"a\" is used twice", e),
            e => Assert.StartsWith("book.yaml:18:30: expr: ", e),

            e => Assert.StartsWith("book.yaml:8:7: mode: \"sometimes\" is not a mode; it is off, observe, approve or automatic", e),
            e => Assert.StartsWith("book.yaml:9:21: sustained: \"2 minutes\" is not a duration", e),
            e => Assert.StartsWith("book.yaml:9:42: attempts: \"0\" is not a whole number from 1 to 10", e),
            e => Assert.StartsWith("book.yaml:9:62: unknown key \"rack\" in maxConcurrent", e),
            e => Assert.StartsWith("book.yaml:19:18: page: there is no step \"b\"", e));
    }

    [Theory]
    [InlineData("name: [", "not valid YAML")]
    [InlineData("", "one document")]
    [InlineData("- x", "must be a mapping")]
    public void A_file_that_is_something_else_says_so(string text, string reason) =>
        Assert.Contains(Load(text), e => e.Contains(reason, StringComparison.Ordinal));

    [Fact]
    public void A_label_that_only_the_proof_needs_is_missed_before_anything_is_done()
    {
        const string text = """
            name: a
            summary: a
            answers: [{ signal: A }]
            steps: [{ name: a, action: disk.largest-directories }]
            verify: { expr: 'up{node="${node}"}' }
            """;
        var runbook = RunbookSet.Parse(text)!;

        Rendering.Plan(runbook, Labels.Of(("node", "n")));
        Assert.Contains(
            "no label node", Assert.Throws<RenderException>(() => Rendering.Plan(runbook, Labels.Of(("instance", "i")))).Message,
            StringComparison.Ordinal);
        Assert.Contains(
            "write a label of the signal as ${label}",
            Assert.Single(Load(text.Replace("${node}", "${the node}", StringComparison.Ordinal))), StringComparison.Ordinal);
    }

    [Fact]
    public void The_example_of_the_documentation_is_a_good_runbook_and_renders()
    {
        var file = Path.Combine(_folder, "example.yaml");
        File.WriteAllText(file, Assert.Single(Repository.Examples(Document, "yaml")));
        var load = RunbookSet.Load([file]);

        Assert.Empty(load.Errors);
        var runbook = Assert.Single(load.Runbooks!.Runbooks);
        var labels = Labels.Of(("cluster", "c"), ("node", "n"), ("mountpoint", "/var"));
        Assert.True(runbook.IsAnswerTo("NodeFilesystemSpaceFillingUp", labels));
        Assert.False(runbook.IsAnswerTo("NodeFilesystemAlmostOutOfSpace", labels));
        Assert.Equal("""{"mountPoint":"/var","maximumAge":"7d"}""", Rendering.Plan(runbook, labels).Steps[1].Parameters);
        PromQL.Parser.Parse(Rendering.Expression(runbook.Verify.Expression!, Rendering.Values(runbook, labels)));
    }

    [Fact]
    public void The_documentation_has_every_gate_in_order_and_every_key_that_is_taken()
    {
        Assert.Equal(GatePipeline.Gates.Select(g => g.Name.Word()), Repository.FirstCells(Document, "## Gates"));
        Assert.Equal(Enum.GetNames<RunbookMode>().Select(m => m.ToLowerInvariant()), Repository.FirstCells(Document, "## Modes"));
    }

    [Fact]
    public void The_documentation_has_every_key_that_is_taken_and_no_other()
    {
        // Where a key is wrong, those that are right are named.
        var known = Load(
            "{ x: 1, answers: [{ x: 1 }], gates: { x: 1 }, steps: [{ x: 1 }], verify: { x: 1 }, page: { x: 1 }, ticket: { x: 1 } }")
            .Select(e => UnknownKey().Match(e)).Where(m => m.Success)
            .ToDictionary(m => m.Groups[1].Value, m => m.Groups[2].Value.Split(", "));
        IEnumerable<string> Keys(string what, string prefix) => known[what].Select(k => prefix + k);

        Assert.Equal(
            Keys("a runbook", "").Except(["page", "ticket"]).Concat(Keys("an answered signal", "answers[]."))
                .Concat(Keys("gates", "gates.")).Concat(Keys("a step", "steps[].")).Concat(Keys("verify", "verify."))
                .Concat(Keys("page", "page.")).Concat(Keys("ticket", "ticket.")).Order(),
            Repository.FirstCells(Document, "## Keys").Order());
    }

    List<string> Load(string text)
    {
        var file = Path.Combine(_folder, "book.yaml");
        File.WriteAllText(file, text);
        return [.. RunbookSet.Load([file]).Errors.Select(e => e.ToString()[(_folder.Length + 1)..])];
    }

    [GeneratedRegex("unknown key \"x\" in (.*); known are (.*)")]
    private static partial Regex UnknownKey();
}
