using System.Text.Json;

using Whistle.Actions.Contract;
using Whistle.Actions.Protocol;
using Whistle.Inventory;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.Tests.Actions;

using Xunit;

namespace Whistle.Tests.Remediation;

/// <summary>Every runbook that is shipped, from its signal to its end. A new one is in here as soon as its file is there.</summary>
public sealed class ShippedRunbookTests
{
    static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "runbooks");

    static readonly RunbookSet Shipped = RunbookSet.Load([Folder]).Runbooks!;

    public static TheoryData<string> Answering() => [.. Shipped.Runbooks.Where(r => r.Answers.Count > 0).Select(r => r.Name)];

    [Theory]
    [MemberData(nameof(Answering))]
    public async Task It_helps_and_the_run_ends_when_that_is_proven(string name)
    {
        using var bench = await BenchAsync(name, RunbookMode.Automatic, helps: true);
        var run = await bench.RunUntilAsync(Ended);

        Assert.Equal((name, RunState.Succeeded), (run.Runbook, run.State));
        Assert.Equal(Planned(name).Take(bench.Agent.Leased.Count), bench.Agent.Leased);
        Assert.Contains(run.Reports, r => r.Changed);
    }

    [Theory]
    [MemberData(nameof(Answering))]
    public async Task It_does_not_help_is_taken_back_and_people_are_called(string name)
    {
        using var bench = await BenchAsync(name, RunbookMode.Automatic, helps: false);
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
    public async Task It_only_observes_and_sends_nothing(string name)
    {
        using var bench = await BenchAsync(name, RunbookMode.Observe, helps: true);
        await bench.StepsAsync(30);

        Assert.Equal(name, bench.Latest!.Runbook);
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

    static bool Ended(Run run) =>
        run.State is RunState.Succeeded or RunState.Failed or RunState.RolledBack or RunState.Escalated or RunState.Cancelled;

    static IEnumerable<string> Planned(string name) =>
        Shipped.Find(name)!.Steps.Where(s => s.Kind is StepKind.Action).Select(s => s.Action);

    static async Task<RemediationBench> BenchAsync(string name, RunbookMode mode, bool helps)
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
        bench.Fire(Shipped.Find(name)!.Answers[0].Signal);
        return bench;
    }

    // As the documentation shows it, so that what takes a step back finds the fields that it names.
    static JsonElement? Report(string action) => ActionTables.Example(NodeActions.All.Single(a => a.Descriptor.Name == action).Descriptor);
}
