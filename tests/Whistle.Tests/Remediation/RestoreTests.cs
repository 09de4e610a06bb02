using Whistle.Actions.Protocol;
using Whistle.Agent.Running;
using Whistle.Agent.Settings;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runs;

using Xunit;

namespace Whistle.Tests.Remediation;

/// <summary>An older state comes back while the node has gone on: the real agent's journal, the real engine, one clock.</summary>
public sealed class RestoreTests : IDisposable
{
    static readonly TimeSpan CoolDown = TimeSpan.FromMinutes(15);

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-restore-").FullName;

    string Copy => Path.Combine(_folder, "state.copy");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_repair_that_was_begun_after_the_backup_is_indeterminate_and_proven_by_the_signals_and_not_done_again()
    {
        using var bench = new RemediationBench();
        using var agent = new JournalAgent(bench);
        var backupAt = await UntilCleanIsOfferedAsync(bench, agent);
        await StepsUntilAsync(bench, agent, () => agent.Changes.Count == 1);
        var begun = bench.Latest!.CommandId;

        await bench.RestoreAsync(Copy, backupAt);
        Assert.Equal(RunState.Running, bench.Latest!.State);
        var restoredAt = bench.Now;
        await StepsUntilAsync(bench, agent, () => bench.Latest!.State is RunState.Verifying);
        Assert.InRange(bench.Now - restoredAt, TimeSpan.Zero, TimeSpan.FromMinutes(1));
        Assert.Equal(
            ("clean", CommandOutcome.Indeterminate, true),
            bench.Latest.Reports[^1] is var last ? (last.Step, last.Outcome, last.Changed) : default);
        Assert.Equal(
            CommandOutcome.Indeterminate, (await bench.Host.Commands.FindAsync(begun, TestContext.Current.CancellationToken))!.Outcome);
        Assert.Contains(
            await bench.Runs.TimelineAsync(bench.Latest.Id, TestContext.Current.CancellationToken),
            e => e.Kind is TimelineKind.Restored && e.Text.Contains("disk.clean-paths", StringComparison.Ordinal));

        await ReleaseAsync(bench);
        await StepsUntilAsync(bench, agent, () => bench.Latest!.EndedAt is not null);
        await StepsAsync(bench, agent, 60);
        Assert.Equal(RunState.Succeeded, bench.Latest!.State);
        Assert.Single(agent.Changes);
        Assert.Equal(
            IncidentState.Closed,
            Assert.Single(await bench.Incidents.SinceAsync(RemediationBench.Start, TestContext.Current.CancellationToken)).State);
    }

    [Fact]
    public async Task After_a_restore_the_kill_switch_is_on_until_a_person_has_looked_and_who_had_stopped_all_before_stays_named()
    {
        using var bench = new RemediationBench();
        using var agent = new JournalAgent(bench);
        bench.CopyState(Copy);
        await bench.RestoreAsync(Copy, bench.Now);
        Assert.Equal(("whistle", true), (
            (await bench.Control.KillSwitchAsync(TestContext.Current.CancellationToken)).Author,
            (await bench.Control.KillSwitchAsync(TestContext.Current.CancellationToken)).On));
        bench.Fire();
        await StepsAsync(bench, agent, 60);
        Assert.Empty(agent.Changes);

        await bench.Control.SetAsync(new KillSwitch(true, "the fair", "ann", bench.Now), TestContext.Current.CancellationToken);
        File.Delete(Copy);
        bench.CopyState(Copy);
        await bench.RestoreAsync(Copy, bench.Now);
        Assert.Equal("ann", (await bench.Control.KillSwitchAsync(TestContext.Current.CancellationToken)).Author);
    }

    [Fact]
    public async Task Nothing_is_leased_or_permitted_before_the_agent_has_told_what_it_did()
    {
        using var bench = new RemediationBench();
        using var agent = new JournalAgent(bench);
        var backupAt = await UntilCleanIsOfferedAsync(bench, agent);
        var (id, token) = (
            bench.Latest!.CommandId,
            (await bench.Host.Commands.FindAsync(bench.Latest.CommandId, TestContext.Current.CancellationToken))!.Token);
        await bench.RestoreAsync(Copy, backupAt);
        await ReleaseAsync(bench);
        Assert.Empty(await bench.Host.Agents.LeaseAsync(RemediationBench.Node, bench.Now, TestContext.Current.CancellationToken));
        for (var guess = token; guess < token + 5; guess++)
            Assert.False((await bench.Host.BeginAsync(RemediationBench.Node, id, guess, TestContext.Current.CancellationToken))!.Granted);

        // An agent of an earlier release cannot tell, so it waits; one that is upgraded tells at once.
        agent.IsOld = true;
        await StepsAsync(bench, agent, 30);
        Assert.Contains("has not reported yet what it did since", bench.Latest.Reason, StringComparison.Ordinal);
        Assert.Empty(agent.Changes);
        agent.IsOld = false;
        await StepsUntilAsync(bench, agent, () => agent.Changes.Count == 1);
    }

    [Fact]
    public async Task What_was_not_begun_since_the_backup_is_done_once()
    {
        using var bench = new RemediationBench();
        using var agent = new JournalAgent(bench);
        var backupAt = await UntilCleanIsOfferedAsync(bench, agent);
        await bench.RestoreAsync(Copy, backupAt);
        await ReleaseAsync(bench);
        await StepsUntilAsync(bench, agent, () => bench.Latest!.EndedAt is not null);
        Assert.Equal(RunState.Succeeded, bench.Latest!.State);
        Assert.Single(agent.Changes);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_run_that_the_state_has_lost_counts_as_an_attempt_and_another_waits_for_its_cool_down(bool knowsIncident)
    {
        using var bench = new RemediationBench();
        using var agent = new JournalAgent(bench) { Helps = false };
        if (!knowsIncident)
            bench.CopyState(Copy);
        var backupAt = bench.Now;
        bench.Fire();
        if (knowsIncident)
        {
            await bench.ReconcileAsync();
            bench.CopyState(Copy);
        }

        await StepsUntilAsync(bench, agent, () => agent.Changes.Count == 2);
        var lost = bench.Latest!;

        await bench.RestoreAsync(Copy, backupAt);
        await ReleaseAsync(bench);
        var restoredAt = bench.Now;
        await StepsUntilAsync(bench, agent, () => agent.Changes.Count > 2);
        Assert.InRange(agent.Changes[2].At - restoredAt, CoolDown, CoolDown + TimeSpan.FromMinutes(2));
        Assert.NotEqual(lost.Id, bench.Latest!.Id);
        Assert.EndsWith(
            $"-{(await bench.Runs.LineageAsync(TestContext.Current.CancellationToken)).Generation}", bench.Latest.Id,
            StringComparison.Ordinal);
        Assert.EndsWith(
            $"-{(await bench.Runs.LineageAsync(TestContext.Current.CancellationToken)).Generation}", bench.Latest.CommandId,
            StringComparison.Ordinal);
        await StepsUntilAsync(bench, agent, () => bench.Latest!.State is RunState.Escalated, steps: 600);
        if (knowsIncident)
        {
            // The attempt that was lost and this one are the two that may be.
            Assert.Equal(4, agent.Changes.Count);
            Assert.Contains(
                await bench.Incidents.TimelineAsync(bench.Latest.IncidentId, TestContext.Current.CancellationToken),
                e => e.Kind is TimelineKind.Restored && e.Text.Contains(lost.Id, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task An_agent_that_remembers_less_than_was_lost_makes_new_runs_on_its_node_cool_down_first()
    {
        using var bench = new RemediationBench();
        using var agent = new JournalAgent(bench);
        bench.CopyState(Copy);
        var backupAt = bench.Now;
        await StepsAsync(bench, agent, 6);
        agent.Forget();
        await bench.RestoreAsync(Copy, backupAt);
        await ReleaseAsync(bench);
        var restoredAt = bench.Now;
        bench.Fire();
        await StepsUntilAsync(bench, agent, () => agent.Changes.Count > 0);
        Assert.InRange(agent.Changes[0].At - restoredAt, CoolDown, CoolDown + TimeSpan.FromMinutes(2));
    }

    [Fact]
    public async Task The_journal_of_an_earlier_release_is_understood()
    {
        using var bench = new RemediationBench();
        using var agent = new JournalAgent(bench);
        var backupAt = await UntilCleanIsOfferedAsync(bench, agent);
        await StepsUntilAsync(bench, agent, () => agent.Changes.Count == 1);
        agent.AgeJournal();
        await bench.RestoreAsync(Copy, backupAt);
        await ReleaseAsync(bench);
        await StepsUntilAsync(bench, agent, () => bench.Latest!.EndedAt is not null);
        Assert.Null(agent.Told[0].Commands[^1].Began);
        Assert.Equal((RunState.Succeeded, CommandOutcome.Indeterminate), (bench.Latest!.State, bench.Latest.Reports[^1].Outcome));
        Assert.Single(agent.Changes);
    }

    [Fact]
    public async Task An_agent_that_died_in_the_midst_of_what_it_began_since_tells_that_too()
    {
        using var bench = new RemediationBench();
        using var agent = new JournalAgent(bench) { Dies = RunnerStep.AfterAction };
        var backupAt = await UntilCleanIsOfferedAsync(bench, agent, before: () => agent.Dies = RunnerStep.AfterAction);
        await StepsUntilAsync(bench, agent, () => agent.Changes.Count == 1);
        await bench.RestoreAsync(Copy, backupAt);
        await ReleaseAsync(bench);
        await StepsUntilAsync(bench, agent, () => bench.Latest!.EndedAt is not null);
        Assert.Equal(RunState.Succeeded, bench.Latest!.State);
        Assert.Single(agent.Changes);
    }

    [Fact]
    public async Task What_an_agent_tells_under_another_generation_or_twice_changes_nothing()
    {
        using var bench = new RemediationBench();
        using var agent = new JournalAgent(bench);
        var backupAt = await UntilCleanIsOfferedAsync(bench, agent);
        await StepsUntilAsync(bench, agent, () => agent.Changes.Count == 1);
        await bench.RestoreAsync(Copy, backupAt);
        await StepsUntilAsync(bench, agent, () => agent.Told.Count == 1);
        var reports = bench.Latest!.Reports.Count;
        Assert.False(await bench.Host.Agents.TakeJournalAsync(
            RemediationBench.Node, agent.Told[0] with { Generation = "" }, bench.Now, TestContext.Current.CancellationToken));
        Assert.False(await bench.Host.Agents.TakeJournalAsync(
            RemediationBench.Node, agent.Told[0] with { Generation = "another" }, bench.Now, TestContext.Current.CancellationToken));
        Assert.True(await bench.Host.Agents.TakeJournalAsync(
            RemediationBench.Node, agent.Told[0], bench.Now, TestContext.Current.CancellationToken));
        Assert.Equal(reports, bench.Latest.Reports.Count);
        // Another node's commands are not this one's to tell of.
        var stranger = new Sender(new NodeId("t", "c", "m"));
        var told = agent.Told[0] with { Commands = [.. agent.Told[0].Commands.Select(c => c with { Outcome = CommandOutcome.Failed })] };
        Assert.True(await bench.Host.Agents.TakeJournalAsync(stranger, told, bench.Now, TestContext.Current.CancellationToken));
        Assert.Equal(reports, bench.Latest.Reports.Count);
    }

    [Fact]
    public async Task Only_agents_of_an_incidents_own_cluster_add_to_its_timeline()
    {
        using var bench = new RemediationBench();
        bench.Fire();
        await bench.ReconcileAsync();
        bench.CopyState(Copy);
        await bench.RestoreAsync(Copy, bench.Now);
        var incident = Assert.Single(await bench.Incidents.ActiveAsync(TestContext.Current.CancellationToken)).Id;
        async Task<int> Lines() => (await bench.Incidents.TimelineAsync(incident, TestContext.Current.CancellationToken)).Count(
            e => e.Kind is TimelineKind.Restored);

        foreach (var stranger in new[] { new Sender(new NodeId("u", "c", "n")), new Sender(new NodeId("t", "d", "n")) })
            Assert.True(await bench.Host.Agents.TakeJournalAsync(
                stranger, await ReportAsync(bench, Entry($"{incident}-7.1") with { Began = true }), bench.Now,
                TestContext.Current.CancellationToken));
        Assert.Equal(0, await Lines());
        Assert.True(await bench.Host.Agents.TakeJournalAsync(
            RemediationBench.Node, await ReportAsync(bench, Entry($"{incident}-7.1") with { Began = true }), bench.Now,
            TestContext.Current.CancellationToken));
        Assert.Equal(1, await Lines());
    }

    [Fact]
    public async Task An_agent_that_tells_of_more_than_a_journal_holds_is_refused()
    {
        using var bench = new RemediationBench();
        bench.CopyState(Copy);
        await bench.RestoreAsync(Copy, bench.Now);
        async Task<bool> Tell(params JournalEntry[] entries) => await bench.Host.Agents.TakeJournalAsync(
            RemediationBench.Node, await ReportAsync(bench, entries) with { More = true }, bench.Now,
            TestContext.Current.CancellationToken);
        async Task<List<long>> Sql(string sql)
        {
            await using var connection = await bench.Runs.Database.OpenAsync(TestContext.Current.CancellationToken);
            return await connection.QueryAsync(sql, r => r.GetInt64(0), TestContext.Current.CancellationToken);
        }

        Assert.False(await Tell(Entry(new string('i', 10_000))));
        Assert.False(await Tell(Entry("i") with { Action = new string('a', 10_000) }));
        Assert.False(await Tell(Entry("i") with { Step = new string('s', 10_000) }));
        Assert.True(await Tell(Entry("i") with { Summary = new string('s', 10_000) }));
        Assert.Equal([300], await Sql("SELECT max(length(summary)) FROM restored_commands"));

        foreach (var part in Enumerable.Range(1, CommandJournal.Most - 1).Select(i => Entry($"i-{i}.1")).Chunk(1000))
            Assert.True(await Tell(part));
        Assert.False(await Tell(Entry("one more")));
        Assert.Equal([CommandJournal.Most], await Sql("SELECT count(*) FROM restored_commands"));
        // What was told already may be told again.
        Assert.True(await Tell(Entry("i-1.1")));
    }

    static async Task<JournalReport> ReportAsync(RemediationBench bench, params JournalEntry[] entries) =>
        new((await bench.Runs.LineageAsync(TestContext.Current.CancellationToken)).Generation, 0, entries, More: false);

    static JournalEntry Entry(string id) =>
        new(id, "disk.clean-paths", RemediationBench.Start.ToUnixTimeMilliseconds(), CommandOutcome.Refused, "no", Began: false);

    /// <summary>Enumerated, not sampled: a backup at any durable change, and the restore at any later one.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Whenever_the_backup_was_taken_and_restored_nothing_is_done_twice_within_the_cool_down_and_all_come_to_an_end(
        bool helps)
    {
        var points = await LifeAsync(helps, backup: int.MaxValue, restore: int.MaxValue);
        Assert.InRange(points, 8, 60);
        for (var backup = 0; backup < points; backup++)
        {
            for (var restore = backup + 1; restore <= points; restore += helps ? 1 : 3)
                await LifeAsync(helps, backup, restore);
        }
    }

    async Task<int> LifeAsync(bool helps, int backup, int restore)
    {
        var what = $"backup at {backup}, restore at {restore}, helps {helps}";
        using var bench = new RemediationBench();
        using var agent = new JournalAgent(bench) { Helps = helps };
        var (backupAt, restoredAt) = (default(DateTimeOffset?), default(DateTimeOffset?));
        File.Delete(Copy);
        bench.Fire();
        for (var step = 0; step < (helps ? 100 : 400); step++)
        {
            await StepAsync(bench, agent);
            if (backupAt is null && bench.Points > backup)
            {
                bench.CopyState(Copy);
                backupAt = bench.Now;
            }

            if (backupAt is not null && restoredAt is null && bench.Points > restore)
            {
                await bench.RestoreAsync(Copy, backupAt.Value);
                await ReleaseAsync(bench);
                restoredAt = bench.Now;
            }

            if (restoredAt is { } at && bench.Now - at >= TimeSpan.FromMinutes(1))
                Assert.True(
                    await bench.Host.Agents.JournalWantedAsync(RemediationBench.Node, TestContext.Current.CancellationToken) is null,
                    $"{what}: a minute later the agent has not told what it did.");
            // Nothing more is to come.
            if (bench.Now - restoredAt > TimeSpan.FromMinutes(2)
                && (await bench.Runs.LiveAsync(TestContext.Current.CancellationToken)).Count == 0
                && (helps
                    ? (await bench.Incidents.ActiveAsync(TestContext.Current.CancellationToken)).Count == 0
                    : bench.Latest?.State is RunState.Escalated))
                break;
            if (restoredAt is null && restore == int.MaxValue && bench.Latest is { EndedAt: not null } latest
                && (helps || latest.State is RunState.Escalated))
                return bench.Points;
        }

        Assert.True(
            (await bench.Runs.LiveAsync(TestContext.Current.CancellationToken)).Count == 0, $"{what}: a run did not end: {bench.Latest}");
        foreach (var action in agent.Changes.GroupBy(c => c.Action))
        {
            var times = action.Select(c => c.At).ToList();
            for (var i = 1; i < times.Count; i++)
                Assert.True(
                    times[i] - times[i - 1] >= CoolDown,
                    $"{what}: {action.Key} at {string.Join(", ", times.Select(t => $"{t:HH:mm:ss}"))}, restored at {restoredAt:HH:mm:ss}");
        }

        if (helps)
            Assert.True(agent.Changes.Count == 1, $"{what}: {agent.Changes.Count} changes");
        return bench.Points;
    }

    /// <summary>The backup is taken while the step that cleans is offered and no agent has it.</summary>
    async Task<DateTimeOffset> UntilCleanIsOfferedAsync(RemediationBench bench, JournalAgent agent, Action? before = null)
    {
        bench.Fire();
        while (bench.Latest is not { State: RunState.Running, Step: 1 } run
            || await bench.Host.Commands.FindAsync(run.CommandId, TestContext.Current.CancellationToken) is null)
        {
            await agent.WorkAsync();
            await bench.StepAsync();
        }

        before?.Invoke();
        bench.CopyState(Copy);
        return bench.Now;
    }

    static async Task ReleaseAsync(RemediationBench bench) =>
        await bench.Control.SetAsync(new KillSwitch(false, "looked at", "ann", bench.Now), TestContext.Current.CancellationToken);

    static async Task StepAsync(RemediationBench bench, JournalAgent agent)
    {
        await bench.StepAsync();
        await agent.WorkAsync();
    }

    static async Task StepsAsync(RemediationBench bench, JournalAgent agent, int steps)
    {
        for (var i = 0; i < steps; i++)
            await StepAsync(bench, agent);
    }

    static async Task StepsUntilAsync(RemediationBench bench, JournalAgent agent, Func<bool> reached, int steps = 200)
    {
        for (var i = 0; !reached(); i++)
        {
            Assert.True(i < steps, $"Never reached; the run is {bench.Latest}");
            await StepAsync(bench, agent);
        }
    }
}
