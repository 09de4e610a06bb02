using Whistle.Remediation.Runbooks;

using Xunit;

namespace Whistle.Tests.Remediation;

/// <summary>Whatever somebody puts into the folder of runbooks is refused with a reason, at once, and what was in force stays.</summary>
public sealed class BadRunbookTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-bad-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("parameters: { a: 1 }", "disk.clean-paths has no parameter a; it takes mountPoint, roots, patterns, minimumAge")]
    [InlineData("parameters: { mountPoint: 1 }", "mountPoint of disk.clean-paths must be a text (quote what looks like a number)")]
    [InlineData("parameters: { roots: /var }", "roots of disk.clean-paths must be a list of texts")]
    [InlineData("parameters: { roots: [[/var]] }", "roots of disk.clean-paths must be a list of texts")]
    [InlineData("parameters: [a]", "parameters must be a mapping")]
    [InlineData("parameters: { mountPoint: '${env.HOME}' }", "nothing else can be reached from a runbook")]
    [InlineData("parameters: { mountPoint: '${file:/etc/passwd}' }", "nothing else can be reached from a runbook")]
    [InlineData("parameters: { mountPoint: '${../x}' }", "nothing else can be reached from a runbook")]
    [InlineData("parameters: { mountPoint: '${${node}}' }", "nothing else can be reached from a runbook")]
    [InlineData("parameters: { mountPoint: '${node' }", "nothing else can be reached from a runbook")]
    [InlineData("parameters: { roots: ['${env.HOME}'] }", "nothing else can be reached from a runbook")]
    [InlineData("parameters: { mountPoint: '${output.x}' }", "a step's report can only be named in its own rollback")]
    [InlineData("rollback: { action: node.fly }", "unknown action \"node.fly\"; known are certificates.check")]
    [InlineData("rollback: { action: packages.unpin }", "packages.unpin needs the parameter packages, a list of texts")]
    [InlineData("parameters: { minimumAge: soon }", "minimumAge of disk.clean-paths must be an age: a whole number with its unit, like")]
    [InlineData(
        "rollback: { action: node.reboot, expr: 'up{node=\"${output.x}\"}' }", "a step's report can only be named in its own rollback")]
    [InlineData("rollback: { action: node.reboot, expr: 'up > ${node}' }", "expr: ")]
    [InlineData("wait: up", "a step is one of action, wait, task, approval; this one is action and wait")]
    public void A_step_that_is_wrong_says_how_it_is_right(string part, string reason) => Refused(Book(part), reason);

    [Theory]
    [InlineData("- { name: a, action: unit.restart }", "unit.restart needs the parameter unit, a text")]
    [InlineData("- { name: a, action: disk.largest-directories, parameters: { depth: 33 } }", "must be a whole number, 1 to 32")]
    [InlineData("- { name: a, action: disk.largest-directories, parameters: { count: 1.5 } }", "must be a whole number, 1 to 100")]
    [InlineData("- { name: a, action: disk.vacuum-journal, parameters: { maximumBytes: -1 } }", "must be a whole number, at least 0")]
    [InlineData("- { name: a, action: sysctl.raise, parameters: { name: a.b, factor: 1 } }", "must be a number, above 1 and at most 10")]
    [InlineData("- { name: a, action: packages.unpin, parameters: { packages: [] } }", "must be a list of texts, at least 1 of them")]
    [InlineData("- { name: a, action: rm.rf }", "unknown action \"rm.rf\"")]
    [InlineData("- { name: a, wait: 'up == ${node}' }", "wait: ")]
    [InlineData("- { name: a, wait: 'up{${node}}' }", "wait: ")]
    [InlineData("- { name: a, wait: 'up{node=\"${env.HOME}\"}' }", "nothing else can be reached from a runbook")]
    [InlineData("- { name: a, task: x, rollback: { action: node.reboot } }", "rollback: only an action has it, not a task")]
    [InlineData("- { name: a, approval: anybody }", "is not one of support, customer")]
    [InlineData("- { name: a, approval: support, onFailure: continue }", "an approval that nobody gives cannot let the run continue")]
    [InlineData(
        "- { name: a, action: kubernetes.drain, parameters: { deleteEmptyDir: 'true' } }",
        "deleteEmptyDir of kubernetes.drain must be true or false")]
    [InlineData(
        "- { name: a, action: packages.check, parameters: { packages: { a: 1 } } }",
        "packages of packages.check must be a mapping of texts")]
    [InlineData("- &loop { name: a, action: disk.clean-paths, parameters: { roots: *loop } }", "*loop refers to no anchor before it")]
    [InlineData("- { name: a, action: disk.clean-paths, parameters: { roots: &loop [*loop] } }", "*loop refers to no anchor before it")]
    public void A_list_of_steps_that_is_wrong_says_how_it_is_right(string step, string reason) =>
        Refused(Book("").Replace("- { name: a, action: disk.clean-paths,  }", step, StringComparison.Ordinal), reason);

    [Theory]
    [InlineData("ladder: [a]", "ladder: [a]", "ladder: a would be tried again and again; a ladder goes up")]
    [InlineData("ladder: [b]", "ladder: [a]", "ladder: a → b → a is a loop; take one of them out")]
    [InlineData("ladder: [c]", "", "ladder: there is no runbook \"c\"; known are a, b")]
    [InlineData("ladder: [escalate, b]", "", "ladder: escalate is the last rung; nothing follows it")]
    [InlineData("ladder: [b, b]", "", "ladder: b would be tried again and again")]
    public void A_ladder_goes_up_and_ends(string first, string second, string reason)
    {
        var errors = Load(
            ("a.yaml", Book("") + first), ("b.yaml", Book("").Replace("name: a\n", "name: b\n", StringComparison.Ordinal) + second));
        Assert.Contains(errors, e => e.Contains(reason, StringComparison.Ordinal));
    }

    [Fact]
    public void A_bomb_is_refused_within_its_bounds()
    {
        // Ten aliases ten times over, nine levels high: a billion values.
        var laughs = string.Concat(
            Enumerable.Range(1, 9).Select(i => $"l{i}: &l{i} [{string.Join(", ", Enumerable.Repeat($"*l{i - 1}", 10))}]\n"));
        Bounded(() => Refused($"l0: &l0 lol\n{laughs}", "it has more than 200000 values, those that aliases repeat included"));
        Bounded(() => Refused($"name: {new string('[', 100_000)}", "it is nested more than 64 deep"));
        Bounded(() => Refused(string.Concat(Enumerable.Repeat("{a: ", 100_000)), "it is nested more than 64 deep"));
        Bounded(() => Refused(Book("") + "# " + new string('x', 10 << 20), "the file is larger than 4 MiB; split it"));
        Bounded(() => Refused(
            Book("") + string.Concat(Enumerable.Range(0, 100_000).Select(i => $"k{i}: v\n")), "it has more than 200000 values"));
    }

    [Fact]
    public void With_a_bad_file_the_old_set_stays_in_force_whole()
    {
        using var bench = new RemediationBench();
        var before = bench.Host.Runbooks;
        var good = File.ReadAllText(bench.RunbookFile);
        File.WriteAllText(bench.RunbookFile, good.Replace("disk.vacuum-journal", "disk.format", StringComparison.Ordinal));

        Assert.NotEmpty(bench.Host.Reload().Errors);
        Assert.Same(before, bench.Host.Runbooks);
        File.Delete(bench.RunbookFile);
        Assert.NotEmpty(bench.Host.Reload().Errors);
        Assert.Same(before, bench.Host.Runbooks);
        File.WriteAllText(bench.RunbookFile, good.Replace("Free space", "Free it", StringComparison.Ordinal));
        Assert.Empty(bench.Host.Reload().Errors);
        Assert.Equal("Free it", Assert.Single(bench.Host.Runbooks.Runbooks).Summary);
    }

    static string Book(string part) => $$"""
        name: a
        summary: a
        answers: [{ signal: A }]
        steps:
          - { name: a, action: disk.clean-paths, {{part}} }
        verify: {}

        """;

    void Refused(string text, string reason) => Assert.Contains(Load(("a.yaml", text)), e => e.Contains(reason, StringComparison.Ordinal));

    List<string> Load(params (string Name, string Text)[] files)
    {
        foreach (var (name, text) in files)
            File.WriteAllText(Path.Combine(_folder, name), text);
        var load = RunbookSet.Load([_folder]);
        Assert.Null(load.Runbooks);
        return [.. load.Errors.Select(e => e.ToString())];
    }

    // Work is counted in bytes, which no other load of the machine changes.
    static void Bounded(Action action)
    {
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        action();
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - allocated, 0, 400L << 20);
    }
}
