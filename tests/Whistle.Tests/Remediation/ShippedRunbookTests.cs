using System.Text.Json;
using System.Text.RegularExpressions;

using Whistle.Actions.Contract;
using Whistle.Actions.Protocol;
using Whistle.Inventory;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.Telemetry;
using Whistle.Tests.Actions;

using Xunit;

namespace Whistle.Tests.Remediation;

/// <summary>
/// Every runbook that is shipped, from each signal that it answers, with the labels that this has, to its end. A new one is in here as
/// soon as its file is there.
/// </summary>
public sealed partial class ShippedRunbookTests
{
    static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "runbooks");

    static readonly RunbookSet Shipped = RunbookSet.Load([Folder]).Runbooks!;

    public static TheoryData<string, string> Answering() =>
        [.. Shipped.Runbooks.SelectMany(r => r.Answers.Select(a => (r.Name, a.Signal)).Distinct())];

    [Theory]
    [MemberData(nameof(Answering))]
    public async Task It_helps_and_the_run_ends_when_that_is_proven(string name, string signal)
    {
        using var bench = await BenchAsync(name, signal, RunbookMode.Automatic, helps: true);
        var run = await bench.RunUntilAsync(Ended);

        Assert.Equal((name, RunState.Succeeded), (run.Runbook, run.State));
        Assert.Equal(Planned(name).Take(bench.Agent.Leased.Count), bench.Agent.Leased);
        Assert.Contains(run.Reports, r => r.Changed);
    }

    [Theory]
    [MemberData(nameof(Answering))]
    public async Task It_does_not_help_is_taken_back_and_people_are_called(string name, string signal)
    {
        using var bench = await BenchAsync(name, signal, RunbookMode.Automatic, helps: false);
        await bench.RunUntilAsync(r => r.State is RunState.Escalated);

        Assert.All(await bench.Runs.SinceAsync(RemediationBench.Start, TestContext.Current.CancellationToken), run =>
        {
            var runbook = Shipped.Find(run.Runbook)!;
            var changed = run.Reports.Where(r => r is { Changed: true, Undo: false }).Select(r => r.Step);
            Assert.Equal(
                runbook.Steps.Where(s => s.Undo is not null && changed.Contains(s.Name)).Select(s => s.Name).Order(),
                run.Reports.Where(r => r is { Undo: true, Outcome: CommandOutcome.Succeeded }).Select(r => r.Step).Order());
        });
    }

    [Theory]
    [MemberData(nameof(Answering))]
    public async Task It_only_observes_and_sends_nothing(string name, string signal)
    {
        using var bench = await BenchAsync(name, signal, RunbookMode.Observe, helps: true);
        await bench.StepsAsync(30);

        Assert.Equal(name, bench.Latest?.Runbook);
        Assert.Empty(bench.Agent.Leased);
    }

    /// <summary>People read at 3 a.m. what Whistle does about an alert, and above all that it does nothing.</summary>
    [Fact]
    public void The_page_of_each_alert_names_the_runbooks_that_answer_it_and_no_other()
    {
        var names = Shipped.Runbooks.Select(r => r.Name).ToList();
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs/runbooks"), "*.md"))
        {
            var signal = Path.GetFileNameWithoutExtension(file);
            var parts = File.ReadAllText(file).Split("\n## What Whistle does by itself\n");
            Assert.True(parts.Length == 2, $"{file} has not one section \"What Whistle does by itself\".");
            var answering = Shipped.Runbooks.Where(r => r.Answers.Any(a => a.Signal == signal)).Select(r => r.Name).Order().ToList();
            Assert.Equal(answering, names.Where(n => parts[1].Contains($"`{n}`", StringComparison.Ordinal)).Order());
            Assert.Equal((signal, answering.Count == 0), (signal, parts[1].TrimStart().StartsWith("Nothing", StringComparison.Ordinal)));
        }
    }

    /// <summary>Else it would never be proposed, or would be with a step that lacks what it needs.</summary>
    [Theory]
    [MemberData(nameof(Answering))]
    public void The_alert_has_every_label_that_the_runbook_names(string name, string signal)
    {
        var (runbook, shown) = (Shipped.Find(name)!, Shown(signal));
        var named = PlainName().Matches(runbook.Text).Select(m => m.Groups[1].Value).Except(runbook.Parameters.Keys);

        Assert.All(named, label => Assert.True(shown.Has(label), $"{signal} has no label {label}, which {name} names. It has {shown}."));
        Assert.True(runbook.IsAnswerTo(signal, shown), $"{name} does not answer {signal} with the labels {shown}.");
    }

    static bool Ended(Run run) =>
        run.State is RunState.Succeeded or RunState.Failed or RunState.RolledBack or RunState.Escalated or RunState.Cancelled;

    static IEnumerable<string> Planned(string name) =>
        Shipped.Find(name)!.Steps.Where(s => s.Kind is StepKind.Action).Select(s => s.Action);

    static async Task<RemediationBench> BenchAsync(string name, string signal, RunbookMode mode, bool helps)
    {
        var bench = new RemediationBench(mode, Folder) { Tick = TimeSpan.FromSeconds(30) };
        bench.Facts = () => new()
        {
            LatestData = bench.Now,
            Nodes =
            [
                new("n", "z1", ControlPlane: false, Ready: true),
                .. Enumerable.Range(1, 3).Select(i => new NodeFacts($"k{i}", $"z{i}", ControlPlane: true, Ready: true)),
            ],
            Members = [.. Enumerable.Range(1, 3).Select(i => new MemberFacts($"m{i}", $"k{i}", Healthy: true, Learner: false))],
        };
        // The one of its file is stricter than one for all runbooks.
        foreach (var runbook in Shipped.Runbooks)
            await bench.Control.SetAsync(
                new ModeEntry(runbook.Name, "t", "c", mode, "test", RemediationBench.Start), TestContext.Current.CancellationToken);
        bench.Agent.Helps = helps;
        bench.Agent.Report = Report;
        bench.Fire(signal, Shown(signal));
        return bench;
    }

    // What the alert carries, as the tests of the shipped rules show it; promtool passes them too.
    static Labels Shown(string signal)
    {
        var shown = Directory.EnumerateFiles(Path.Combine(Repository.Root, "tests/Whistle.Tests/rules"), "*_test.yaml")
            .Select(f => Regex.Match(File.ReadAllText(f), $@"alertname: {signal}\n\s+exp_alerts:\n\s+- exp_labels: \{{(.*)\}}"))
            .FirstOrDefault(m => m.Success)?.Groups[1].Value;
        Assert.True(shown is not null, $"No test in tests/Whistle.Tests/rules shows {signal} firing, so its labels are not known.");
        var labels = ShownLabel().Matches(shown).Select(m => (m.Groups[1].Value, m.Groups[2].Value.Trim('"', '\'')))
            .Select(l => l.Item1 switch { "tenant" => (l.Item1, "t"), "cluster" => (l.Item1, "c"), "node" => (l.Item1, "n"), _ => l });
        return Labels.Of([.. labels.Append(("alertname", signal))]);
    }

    // One that is no field of a step's report.
    [GeneratedRegex(@"\$\{(\w+)\}")]
    private static partial Regex PlainName();

    [GeneratedRegex("""(\w+): ("[^"]*"|'[^']*'|[^,]+)""")]
    private static partial Regex ShownLabel();

    // As the documentation shows it, so that what takes a step back finds the fields that it names.
    static JsonElement? Report(string action) => ActionTables.Example(NodeActions.All.Single(a => a.Descriptor.Name == action).Descriptor);
}
