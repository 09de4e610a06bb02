using System.Text.Json;

using Whistle.Actions.Contract;
using Whistle.Actions.Protocol;
using Whistle.Agent.Reporting;
using Whistle.Demo;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Demo;

public sealed class DemoScriptTests
{
    static readonly DateTimeOffset Live = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void The_same_seed_makes_the_same_fleet_and_another_seed_another()
    {
        Assert.Equal(Report(seed: 7), Report(seed: 7));
        Assert.NotEqual(Report(seed: 7), Report(seed: 8));
    }

    [Theory]
    [InlineData(DemoOptions.FewestNodes)]
    [InlineData(36)]
    [InlineData(1000)]
    public void Every_size_has_so_many_nodes_in_three_clusters_and_all_that_the_script_needs(int count)
    {
        var script = new DemoScript(new DemoOptions { Nodes = count }, Live);

        Assert.Equal(count, script.Nodes.Select(n => (n.Cluster, n.Name)).Distinct().Count());
        Assert.Equal(3, script.Nodes.Select(n => n.Cluster).Distinct().Count());
        foreach (var scripted in script.Events)
            Assert.Contains(
                scripted.Mountpoint,
                script.Nodes.Single(n => n.Cluster == scripted.Cluster && n.Name == scripted.Node).Disks.Select(d => d.Mountpoint));
    }

    [Fact]
    public void Counters_never_step_back()
    {
        var spec = new DemoScript(new DemoOptions(), Live).Nodes[0];
        var model = new NodeModel(spec);
        var last = new Dictionary<Labels, double>();
        for (var at = Live - DemoScript.History; at < Live; at += TimeSpan.FromMinutes(1))
        {
            foreach (var (labels, value) in Report(model, spec, at).Where(s => s.Labels.Name.EndsWith("_total", StringComparison.Ordinal)))
            {
                Assert.True(value >= last.GetValueOrDefault(labels), $"{labels} at {at:u}");
                last[labels] = value;
            }
        }

        Assert.NotEmpty(last);
    }

    [Fact]
    public void The_saw_tooth_comes_to_the_same_numbers_again()
    {
        var tooth = new DiskCurve.SawTooth(0.4, 0.9, TimeSpan.FromHours(2), Live);
        for (var minute = 0; minute < 120; minute++)
            Assert.Equal(tooth.UsedAt(Live.AddMinutes(minute)), tooth.UsedAt(Live.AddMinutes(minute - 600)));
        Assert.Equal(0.4, tooth.UsedAt(Live));
        Assert.InRange(tooth.UsedAt(Live.AddMinutes(-1)), 0.89, 0.9);
    }

    [Fact]
    public void A_filling_disk_only_fills_and_is_at_its_warning_when_the_script_says()
    {
        var filling = new DiskCurve.Filling(Live, 0.06);
        Assert.Equal(DiskCurve.Filling.WarnedLevel, filling.UsedAt(Live));
        for (var minute = -400; minute < 100; minute++)
            Assert.True(filling.UsedAt(Live.AddMinutes(minute)) < filling.UsedAt(Live.AddMinutes(minute + 1)));
    }

    [Fact]
    public async Task A_dry_run_promises_what_the_cleaning_does_and_changes_nothing()
    {
        var (node, disk) = Cleanable();
        var before = disk.UsedAt(Live);
        var dry = await CleanAsync(node, dryRun: true, granted: false);
        Assert.Equal(before, disk.UsedAt(Live));
        Assert.Contains("Would delete", dry.Summary, StringComparison.Ordinal);

        var done = await CleanAsync(node, dryRun: false, granted: true);
        Assert.Equal(CommandOutcome.Succeeded, done.Outcome);
        Assert.Equal(dry.Output!.Value.GetProperty("bytes").GetInt64(), before - disk.UsedAt(Live));
    }

    [Fact]
    public async Task Without_a_permit_nothing_is_cleaned()
    {
        var (node, disk) = Cleanable();
        var before = disk.UsedAt(Live);
        var report = await CleanAsync(node, dryRun: false, granted: false);

        Assert.Equal((CommandOutcome.Refused, before), (report.Outcome, disk.UsedAt(Live)));
        Assert.Contains("no permit today", report.Summary, StringComparison.Ordinal);
    }

    [Fact]
    public void No_action_of_the_demo_is_one_that_touches_a_real_file()
    {
        var (node, _) = Cleanable();
        var simulated = SimulatedActions.For(node);

        Assert.Subset(NodeActions.All.Select(a => a.Descriptor.Name).ToHashSet(), simulated.Select(a => a.Descriptor.Name).ToHashSet());
        Assert.All(simulated, a => Assert.Equal(typeof(SimulatedActions), a.GetType().DeclaringType));
    }

    static (NodeSpec Node, DiskModel Disk) Cleanable()
    {
        var script = new DemoScript(new DemoOptions(), Live);
        var scripted = script.Events[0];
        var node = script.Nodes.Single(n => n.Cluster == scripted.Cluster && n.Name == scripted.Node);
        return (node, node.Disks.Single(d => d.Mountpoint == scripted.Mountpoint));
    }

    static Task<ActionReport> CleanAsync(NodeSpec node, bool dryRun, bool granted)
    {
        var clock = new DemoClock(Live);
        var guard = new MutationGuard(
            clock, _ => ValueTask.FromResult(new BeginAnswer(granted, 10, granted ? null : "no permit today")),
            _ => ValueTask.FromResult<string?>(null));
        var action = SimulatedActions.For(node).Single(a => a.Descriptor.Name == "disk.clean-paths");
        var parameters = JsonSerializer.SerializeToElement(new { mountPoint = "/srv/ci-cache" });
        return action.RunAsync(
            parameters, new ActionContext { DryRun = dryRun, Guard = guard, Time = clock }, TestContext.Current.CancellationToken);
    }

    static List<string> Report(int seed)
    {
        var script = new DemoScript(new DemoOptions { Seed = seed }, Live);
        return [.. script.Nodes.SelectMany(n => Report(new NodeModel(n), n, Live).Select(s => $"{n.Cluster} {s.Labels} {s.Value}"))];
    }

    static List<(Labels Labels, double Value)> Report(NodeModel model, NodeSpec spec, DateTimeOffset at)
    {
        model.Now = at;
        var found = new List<(Labels, double)>();
        foreach (var collector in model.Collectors)
        {
            var series = new SeriesSet(new Label("instance", spec.Name));
            var report = new List<TimeSeries>();
            series.Begin();
            collector.Collect(series);
            series.Commit(at.ToUnixTimeMilliseconds(), report);
            found.AddRange(report.Select(s => (s.Labels, s.Samples[0].Value)));
        }

        return found;
    }
}
