using Whistle.Actions.Protocol;
using Whistle.Incidents;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

using Xunit;

namespace Whistle.Tests.Remediation;

public sealed class RunTests
{
    [Fact]
    public async Task A_disk_that_can_be_cleaned_is_proven_clean_and_the_incident_closes_by_itself()
    {
        using var bench = new RemediationBench();
        bench.Fire();
        var run = await bench.RunUntilAsync(r => r.EndedAt is not null);
        await bench.StepsAsync(6);

        Assert.Equal(RunState.Succeeded, run.State);
        Assert.Equal(["measure", "clean"], run.Reports.Select(r => r.Step));
        var incident = Assert.Single(await bench.Incidents.SinceAsync(RemediationBench.Start, TestContext.Current.CancellationToken));
        Assert.Equal(IncidentState.Closed, incident.State);
        var kinds = (await bench.Incidents.TimelineAsync(incident.Id, TestContext.Current.CancellationToken))
            .Select(e => e.Kind.Word()).ToList();
        Assert.Equal("opened", kinds[0]);
        Assert.Equal("closed", kinds[^1]);
        Assert.Equal(3, kinds.Count(k => k == "plan"));
        Assert.Empty(await bench.Runs.EscalationsAsync(RemediationBench.Start, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_run_whose_signals_are_inhibited_does_not_begin_until_they_stand_for_themselves()
    {
        using var bench = new RemediationBench();
        bench.Fire();
        await bench.PassAsync();
        bench.Inhibit(true);
        await bench.StepsAsync(5);
        Assert.Equal((RunState.Waiting, 0), (bench.Latest!.State, bench.Latest.Issued));
        Assert.Contains(
            await bench.Incidents.TimelineAsync(bench.Latest.IncidentId, TestContext.Current.CancellationToken),
            e => e is { Kind: TimelineKind.Gate } && e.Text.EndsWith(
                "inhibited: Its signals are inhibited by NodeSilent (node n). It starts if they still fire once that has cleared.",
                StringComparison.Ordinal));

        bench.Inhibit(false);
        await bench.RunUntilAsync(r => r.State is RunState.Running);
    }

    [Fact]
    public async Task A_run_that_is_under_way_goes_on_when_its_signals_become_inhibited()
    {
        using var bench = new RemediationBench();
        bench.Fire();
        await bench.RunUntilAsync(r => r.Reports.Count == 1);
        bench.Inhibit(true);

        Assert.Equal(["measure", "clean"], (await bench.RunUntilAsync(r => r.State is RunState.Verifying)).Reports.Select(r => r.Step));
    }

    [Fact]
    public async Task A_node_whose_trouble_is_inhibited_still_counts_as_troubled()
    {
        using var bench = new RemediationBench();
        bench.Fire();
        bench.Inhibit(true);
        await using var connection = await bench.Runs.Database.OpenAsync(TestContext.Current.CancellationToken);
        var fleet = await FleetState.ReadAsync(connection, bench.Now, cancellation: TestContext.Current.CancellationToken);
        var signals = new SignalIndex([bench.Signal!]);

        Assert.Equal([new("t", "c")], signals.TroubledClusters(fleet));
        Assert.Equal(["n"], signals.Troubled(fleet, new("t", "c")));
        Assert.Empty(signals.Troubled(fleet, new("t", "d")));
    }

    [Fact]
    public async Task A_run_that_waits_shows_its_plan_every_gates_answer_and_why()
    {
        using var bench = new RemediationBench(RunbookMode.Observe);
        bench.Fire();
        var run = await bench.RunUntilAsync(r => r.State is RunState.Waiting && r.Reason.Contains("observe", StringComparison.Ordinal));

        var gates = await bench.Host.AskGatesAsync(run.Id, TestContext.Current.CancellationToken);
        Assert.Equal(15, gates.Count);
        Assert.Equal(run.Reason, gates.First(g => g.Reason is not null).Reason);
        Assert.True(gates.Single(g => g.Name == "mode").NextAt > bench.Now);
        Assert.Equal(
            await bench.Host.ExplainAsync(run.Id, TestContext.Current.CancellationToken),
            (await bench.Host.ExplainLiveAsync(TestContext.Current.CancellationToken))[run.Id]);
        Assert.Equal(
            ["measure", "clean", "vacuum"], (await bench.Runs.PlanOfAsync(run, TestContext.Current.CancellationToken)).Select(s => s.Name));
        Assert.Equal(
            """{"mountPoint":"/data"}""", (await bench.Runs.PlanOfAsync(run, TestContext.Current.CancellationToken))[0].Parameters);
        Assert.Equal(
            [true, false, false], (await bench.Runs.PlanOfAsync(run, TestContext.Current.CancellationToken)).Select(s => s.OnlyReads));
        bench.Clear();
        await bench.StepsAsync(1);
        Assert.Empty(await bench.Host.AskGatesAsync(run.Id, TestContext.Current.CancellationToken));
        Assert.Empty(await bench.Host.ExplainLiveAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_disk_that_stays_full_is_tried_twice_with_a_cool_down_and_handed_over_with_the_evidence()
    {
        using var bench = new RemediationBench();
        bench.Agent.Helps = false;
        bench.Fire();
        await bench.StepsAsync(120);

        var runs = await bench.Runs.SinceAsync(RemediationBench.Start, TestContext.Current.CancellationToken);
        Assert.Equal([RunState.Failed, RunState.Escalated], runs.Select(r => r.State));
        Assert.Equal(4, bench.Agent.Done.Count);
        Assert.Contains(
            await bench.Runs.TimelineAsync(runs[1].Id, TestContext.Current.CancellationToken),
            e => e.Text.Contains("Cooling down", StringComparison.Ordinal));
        Assert.True(runs[1].Reports[0].At - runs[0].EndedAt >= TimeSpan.FromMinutes(15));
        var escalation = Assert.Single(await bench.Runs.EscalationsAsync(RemediationBench.Start, TestContext.Current.CancellationToken));
        Assert.Equal(2, escalation.Attempts);
        Assert.Equal("/data/spool", Assert.Single(escalation.Evidence).Output!.Value.GetProperty("largest").GetString());
        Assert.Equal(IncidentState.Open, Assert.Single(await bench.Incidents.ActiveAsync(TestContext.Current.CancellationToken)).State);

        bench.Clear();
        await bench.StepsAsync(6);
        Assert.Empty(await bench.Incidents.ActiveAsync(TestContext.Current.CancellationToken));
        bench.Fire();
        await bench.StepsAsync(60);
        Assert.Equal(2, (await bench.Runs.SinceAsync(RemediationBench.Start, TestContext.Current.CancellationToken)).Count);
    }

    [Fact]
    public async Task In_mode_observe_the_whole_plan_is_on_the_timeline_and_nothing_is_sent()
    {
        using var bench = new RemediationBench(RunbookMode.Observe);
        bench.Fire();
        await bench.StepsAsync(20);

        var run = Assert.Single(await bench.Runs.SinceAsync(RemediationBench.Start, TestContext.Current.CancellationToken));
        Assert.Equal((RunState.Waiting, 0), (run.State, run.Issued));
        var timeline = await bench.Runs.TimelineAsync(run.Id, TestContext.Current.CancellationToken);
        Assert.Equal(["proposed", "plan", "plan", "plan", "gates", "gate"], timeline.Select(e => e.Kind.Word()));
        Assert.Equal(1, timeline[^1].Count);
        Assert.Contains("""disk.clean-paths {"mountPoint":"/data"}""", timeline[2].Text);
        Assert.Contains("The mode is observe", await bench.Host.ExplainAsync(run.Id, TestContext.Current.CancellationToken));

        await bench.Control.SetAsync(
            new ModeEntry("", "t", "c", RunbookMode.Automatic, "test", bench.Now), TestContext.Current.CancellationToken);
        Assert.Equal(RunState.Succeeded, (await bench.RunUntilAsync(r => r.EndedAt is not null)).State);
    }

    [Fact]
    public async Task An_approval_lets_one_plan_go_and_no_other()
    {
        using var bench = new RemediationBench(RunbookMode.Approve);
        bench.Fire();
        var run = await bench.RunUntilAsync(r => r.State is RunState.AwaitingApproval);
        await bench.Runs.ApproveAsync(
            new(run.Id, "another", "ann", bench.Now, bench.Now.AddHours(1)), TestContext.Current.CancellationToken);
        await bench.StepsAsync(5);
        Assert.Empty(bench.Agent.Done);
        await bench.Runs.ApproveAsync(
            new(run.Id, run.PlanHash, "ann", bench.Now, bench.Now.AddHours(1)), TestContext.Current.CancellationToken);

        Assert.Equal(RunState.Succeeded, (await bench.RunUntilAsync(r => r.EndedAt is not null)).State);
    }

    [Theory]
    [InlineData(RunState.Waiting, 0)]
    [InlineData(RunState.Running, 0)]
    [InlineData(RunState.Verifying, 2)]
    public async Task A_run_that_is_called_off_ends_at_its_boundary_and_does_not_begin_again(RunState at, int done)
    {
        using var bench = new RemediationBench();
        bench.Agent.Helps = false;
        bench.Agent.Absent = at is RunState.Running;
        bench.Fire();
        var run = await bench.RunUntilAsync(r => r.State == at);
        Assert.True(await bench.Runs.CancelAsync(new(run.Id, "ann", "not today", bench.Now), TestContext.Current.CancellationToken));
        await bench.StepsAsync(1);
        bench.Agent.Absent = false;
        await bench.StepsAsync(30);

        run = Assert.Single(await bench.Runs.SinceAsync(RemediationBench.Start, TestContext.Current.CancellationToken));
        Assert.Equal((RunState.Cancelled, "ann", "Cancelled by ann: not today"), (run.State, run.CancelledBy, run.Reason));
        Assert.Equal(done, bench.Agent.Done.Count);
        Assert.False(await bench.Runs.CancelAsync(new(run.Id, "ann", "again", bench.Now), TestContext.Current.CancellationToken));
        Assert.Equal(IncidentState.Open, Assert.Single(await bench.Incidents.ActiveAsync(TestContext.Current.CancellationToken)).State);
    }

    [Fact]
    public async Task A_run_that_is_called_off_between_lease_and_begin_gets_no_permit_and_one_that_has_begun_is_waited_for()
    {
        using var bench = new RemediationBench();
        bench.Agent.BeforeBegin =
            async b => await b.Runs.CancelAsync(new(b.Latest!.Id, "ann", "stop", b.Now), TestContext.Current.CancellationToken);
        bench.Fire();
        Assert.Equal("ann", (await bench.RunUntilAsync(r => r.EndedAt is not null)).CancelledBy);
        Assert.Empty(bench.Agent.Done);

        using var late = new RemediationBench();
        late.Fire();
        await late.RunUntilAsync(r => r.State is RunState.Running);
        late.Agent.Absent = true;
        var run = await late.RunUntilAsync(r => r.Step == 1);
        var command = Assert.Single(
            await late.Host.Agents.LeaseAsync(RemediationBench.Node, late.Now, TestContext.Current.CancellationToken));
        Assert.True(
            (await late.Host.BeginAsync(RemediationBench.Node, command.Id, command.Token, TestContext.Current.CancellationToken))!.Granted);
        Assert.True(await late.Runs.CancelAsync(new(run.Id, "ann", "stop", late.Now), TestContext.Current.CancellationToken));
        await late.PassAsync();
        Assert.Null(late.Latest!.EndedAt);
        Assert.True(await late.Host.Agents.FinishAsync(
            RemediationBench.Node, command.Id, new(command.Token, CommandOutcome.Succeeded, "freed", null),
            TestContext.Current.CancellationToken));
        await late.PassAsync();
        Assert.Equal((RunState.Cancelled, 2), (late.Latest!.State, late.Latest.Reports.Count));
    }

    [Theory]
    [InlineData("kill", "The kill switch is on")]
    [InlineData("pause", "Paused by ann until")]
    [InlineData("observe", "The mode is observe")]
    [InlineData("unknown", "Filling is unknown")]
    public async Task What_holds_it_back_between_lease_and_begin_is_the_agents_answer_and_nothing_is_touched(string what, string reason)
    {
        using var bench = new RemediationBench();
        bench.Agent.BeforeBegin = async b =>
        {
            if (b.Latest!.Step != 1)
                return;
            switch (what)
            {
                case "kill":
                    await b.Control.SetAsync(new KillSwitch(true, "stop", "ann", b.Now), TestContext.Current.CancellationToken);
                    break;
                case "pause":
                    await b.Control.AddAsync(
                        new Pause(0, "", "", "n", "", "work", "ann", b.Now, b.Now.AddHours(1)), TestContext.Current.CancellationToken);
                    break;
                case "observe":
                    await b.Control.SetAsync(
                        new ModeEntry("", "t", "c", RunbookMode.Observe, "ann", b.Now), TestContext.Current.CancellationToken);
                    break;
                default: b.Lose(true); break;
            }
        };
        bench.Fire();
        await bench.RunUntilAsync(r => r is { State: RunState.Waiting, Step: 1 });
        await bench.StepsAsync(10);

        Assert.Empty(bench.Agent.Done);
        Assert.StartsWith(reason, bench.Agent.Refusals[0]);
        Assert.StartsWith(reason, bench.Latest!.Reason);
        Assert.Contains(
            await bench.Runs.TimelineAsync(bench.Latest.Id, TestContext.Current.CancellationToken),
            e => e.Kind is TimelineKind.Gate && e.Text.Contains(reason, StringComparison.Ordinal));

        bench.Agent.BeforeBegin = _ => Task.CompletedTask;
        await bench.Control.SetAsync(new KillSwitch(false, "go on", "ann", bench.Now), TestContext.Current.CancellationToken);
        await bench.Control.SetAsync(
            new ModeEntry("", "t", "c", RunbookMode.Automatic, "ann", bench.Now), TestContext.Current.CancellationToken);
        bench.Lose(false);
        Assert.Equal(RunState.Succeeded, (await bench.RunUntilAsync(r => r.EndedAt is not null)).State);
        Assert.Single(bench.Agent.Done);
    }

    [Theory]
    [InlineData(CommandOutcome.Indeterminate, false)]
    [InlineData(CommandOutcome.Succeeded, true)]
    public async Task A_command_whose_result_is_unknown_is_not_sent_again_and_the_signals_tell(CommandOutcome outcome, bool mute)
    {
        using var bench = new RemediationBench();
        bench.Agent.Outcome = outcome;
        bench.Fire();
        await bench.RunUntilAsync(r => r.Step == 1);
        bench.Agent.Mute = mute;
        var run = await bench.RunUntilAsync(r => r.EndedAt is not null);

        Assert.Equal(RunState.Succeeded, run.State);
        Assert.Single(bench.Agent.Done);
    }

    [Fact]
    public async Task A_report_that_comes_twice_counts_once()
    {
        using var bench = new RemediationBench();
        bench.Agent.Duplicates = true;
        bench.Fire();
        var run = await bench.RunUntilAsync(r => r.EndedAt is not null);

        Assert.Equal([CommandOutcome.Succeeded, CommandOutcome.Succeeded], run.Reports.Select(r => r.Outcome));
    }

    [Fact]
    public async Task A_node_that_refuses_everything_is_no_repair_and_ends_with_a_person()
    {
        using var bench = new RemediationBench();
        bench.Agent.Outcome = CommandOutcome.Refused;
        bench.Agent.Helps = false;
        bench.Fire();
        await bench.StepsAsync(60);

        Assert.Equal(
            [RunState.Failed, RunState.Escalated],
            (await bench.Runs.SinceAsync(RemediationBench.Start, TestContext.Current.CancellationToken)).Select(r => r.State));
        Assert.StartsWith("Nothing was changed", bench.Latest!.Reason);
    }

    [Fact]
    public async Task An_agent_that_takes_nothing_up_ends_with_a_person_too()
    {
        using var bench = new RemediationBench();
        bench.Agent.Absent = true;
        bench.Fire();
        await bench.StepsAsync(60);

        Assert.Equal(RunState.Escalated, bench.Latest!.State);
        Assert.Contains("picked up no command", bench.Latest.Reason);
    }

    [Fact]
    public async Task Unknown_while_verifying_is_not_repaired()
    {
        using var bench = new RemediationBench();
        bench.Agent.Helps = false;
        bench.Fire();
        await bench.RunUntilAsync(r => r.State is RunState.Verifying);
        bench.Lose(true);

        Assert.Equal(RunState.Failed, (await bench.RunUntilAsync(r => r.EndedAt is not null)).State);
    }

    [Fact]
    public async Task A_lease_that_its_agent_did_not_hear_of_is_given_again_and_the_old_one_gets_no_permit()
    {
        using var bench = new RemediationBench();
        bench.Agent.Absent = true;
        bench.Fire();
        await bench.RunUntilAsync(r => r.State is RunState.Running);
        var first = Assert.Single(
            await bench.Host.Agents.LeaseAsync(RemediationBench.Node, bench.Now, TestContext.Current.CancellationToken));
        Assert.Empty(await bench.Host.Agents.LeaseAsync(
            RemediationBench.Node with { Node = "other" }, bench.Now.AddHours(1), TestContext.Current.CancellationToken));
        Assert.Null(await bench.Host.BeginAsync(
            RemediationBench.Node with { Node = "other" }, first.Id, first.Token, TestContext.Current.CancellationToken));
        var second = Assert.Single(
            await bench.Host.Agents.LeaseAsync(RemediationBench.Node, bench.Now, TestContext.Current.CancellationToken));

        Assert.Equal((first.Id, first.Token + 1), (second.Id, second.Token));
        Assert.False(
            (await bench.Host.BeginAsync(RemediationBench.Node, first.Id, first.Token, TestContext.Current.CancellationToken))!.Granted);
        Assert.True(
            (await bench.Host.BeginAsync(RemediationBench.Node, second.Id, second.Token, TestContext.Current.CancellationToken))!.Granted);
        bench.Clock.Advance(TimeSpan.FromSeconds(11));
        bench.Lose(false);
        Assert.True(
            (await bench.Host.BeginAsync(RemediationBench.Node, second.Id, second.Token, TestContext.Current.CancellationToken))!.Granted);
        bench.Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.False(
            (await bench.Host.BeginAsync(RemediationBench.Node, second.Id, second.Token, TestContext.Current.CancellationToken))!.Granted);
    }

    [Fact]
    public async Task What_an_agent_began_and_knows_no_more_of_when_it_asks_again_is_indeterminate_at_once()
    {
        using var bench = new RemediationBench();
        bench.Agent.Absent = true;
        bench.Fire();
        await bench.RunUntilAsync(r => r.State is RunState.Running);
        var leased = Assert.Single(
            await bench.Host.Agents.LeaseAsync(RemediationBench.Node, bench.Now, TestContext.Current.CancellationToken));
        Assert.True(
            (await bench.Host.BeginAsync(RemediationBench.Node, leased.Id, leased.Token, TestContext.Current.CancellationToken))!.Granted);
        Assert.Empty(await bench.Host.Agents.LeaseAsync(
            RemediationBench.Node with { Node = "other" }, bench.Now, TestContext.Current.CancellationToken));
        Assert.Equal(CommandState.Begun, (await bench.Host.Commands.FindAsync(leased.Id, TestContext.Current.CancellationToken))!.State);

        Assert.Empty(await bench.Host.Agents.LeaseAsync(RemediationBench.Node, bench.Now, TestContext.Current.CancellationToken));
        Assert.Equal((CommandState.Done, CommandOutcome.Indeterminate), (
            (await bench.Host.Commands.FindAsync(leased.Id, TestContext.Current.CancellationToken))!.State,
            (await bench.Host.Commands.FindAsync(leased.Id, TestContext.Current.CancellationToken))!.Outcome));
        Assert.False(
            (await bench.Host.BeginAsync(RemediationBench.Node, leased.Id, leased.Token, TestContext.Current.CancellationToken))!.Granted);
        await bench.StepsAsync(1);
        Assert.Equal(RunState.Verifying, (await bench.RunUntilAsync(r => r.State is not RunState.Running)).State);
    }

    [Fact]
    public async Task A_run_keeps_the_runbook_that_it_began_with_and_a_bad_one_leaves_the_old_in_force()
    {
        using var bench = new RemediationBench();
        bench.Agent.Absent = true;
        bench.Fire();
        var run = await bench.RunUntilAsync(r => r.State is RunState.Running);
        File.WriteAllText(
            bench.RunbookFile, File.ReadAllText(bench.RunbookFile).Replace("attempts: 2", "attempts: 1", StringComparison.Ordinal));
        Assert.Empty(bench.Host.Reload().Errors);
        var hash = bench.Host.Runbooks.Runbooks[0].Hash;
        File.WriteAllText(bench.RunbookFile, "name: x");
        Assert.NotEmpty(bench.Host.Reload().Errors);
        await bench.StepsAsync(6);

        Assert.Equal(hash, bench.Host.Runbooks.Runbooks[0].Hash);
        Assert.NotEqual(hash, run.RunbookHash);
        Assert.Equal(RunState.Failed, (await bench.Runs.FindAsync(run.Id, TestContext.Current.CancellationToken))!.State);
    }

    /// <summary>Every durable change of a whole life is followed by a new process once: same end, and nothing is done twice.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_crash_after_any_durable_change_alters_nothing_in_the_end(bool helps)
    {
        using var calm = new RemediationBench();
        var expected = await LiveAsync(calm, helps);
        Assert.InRange(calm.Points, 12, 100);
        for (var crash = 0; crash < calm.Points; crash++)
        {
            using var bench = new RemediationBench { CrashAfter = crash };
            var end = await LiveAsync(bench, helps);
            Assert.True(expected == end, $"after a crash at {crash}: {expected} was expected, it was {end}");
        }
    }

    [Fact]
    public async Task A_stale_owner_changes_nothing()
    {
        using var bench = new RemediationBench();
        bench.Fire();
        var run = await bench.RunUntilAsync(r => r.State is RunState.Running);
        await bench.Runs.OwnAsync("b", bench.Now, TestContext.Current.CancellationToken);
        Assert.Null(await TokenAsync(bench));
        var later = bench.Now.AddMinutes(1);
        await bench.Runs.OwnAsync("b", later, TestContext.Current.CancellationToken);
        var token = (await TokenAsync(bench))!.Value;
        var decision = new RunDecision(run with { State = RunState.Cancelled }, []);

        Assert.False(await bench.Runs.ApplyAsync(decision, "a", token - 1, later, TestContext.Current.CancellationToken));
        Assert.True(await bench.Runs.ApplyAsync(decision, "b", token, later, TestContext.Current.CancellationToken));
    }

    static async Task<long?> TokenAsync(RemediationBench bench)
    {
        await using var connection = await bench.Runs.Database.OpenAsync(TestContext.Current.CancellationToken);
        return Assert.Single(await RunStore.LiveAsync(connection, "b", null, [], TestContext.Current.CancellationToken)).Token;
    }

    static async Task<string> LiveAsync(RemediationBench bench, bool helps)
    {
        bench.Agent.Helps = helps;
        bench.Tick = TimeSpan.FromSeconds(50);
        bench.Fire();
        for (var i = 0; i < 90 && bench.Latest is not { State: RunState.Succeeded or RunState.Escalated }; i++)
            await bench.StepAsync();
        Assert.Equal(bench.Agent.Done.Count, bench.Agent.Done.Distinct().Count());
        var runs = await bench.Runs.SinceAsync(RemediationBench.Start, TestContext.Current.CancellationToken);
        return $"{string.Join(' ', runs.Select(r => r.State))}, {bench.Agent.Done.Count} done";
    }
}
