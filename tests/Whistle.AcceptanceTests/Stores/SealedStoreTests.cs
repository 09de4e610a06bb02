using Whistle.Remediation.Agents;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

using Xunit;

namespace Whistle.AcceptanceTests;

// Rows that permit a mutation, harmed one column at a time: each means the strictest that it could, and can be set again.
public abstract class SealedStoreTests : StoreTests
{
    [Theory]
    [InlineData("UPDATE kill_switch SET active = 0")]
    [InlineData("UPDATE kill_switch SET id = 1, since = since + 1")]
    [InlineData("UPDATE kill_switch SET checksum = 0")]
    [InlineData("UPDATE kill_switch SET checksum = NULL")]
    [InlineData("DELETE FROM kill_switch")]
    [InlineData("DELETE FROM seals WHERE scope = 'kill_switch'")]
    [InlineData("UPDATE seals SET scope = 'kill_swotch' WHERE scope = 'kill_switch'")]
    [InlineData("UPDATE seals SET total = total - 1 WHERE scope = 'kill_switch'")]
    public async Task A_damaged_kill_switch_is_on_until_a_person_sets_it(string damage)
    {
        var (_, control, commands) = await RunningAsync();
        await control.SetAsync(new KillSwitch(true, "stop", "ann", Now), Cancellation);
        await HarmAsync(damage);

        (control, commands) = (new ControlStore(Database), new AgentCommands(Database));
        Assert.True((await control.KillSwitchAsync(Cancellation)).On);
        Assert.Contains(
            (await FleetAsync()).Faults,
            f => f.Subject == "kill_switch" && f.Reason.Contains("whistle kill-switch", StringComparison.Ordinal));
        Assert.Empty(await commands.LeaseAsync(Node, Now, Cancellation));
        await control.SetAsync(new KillSwitch(false, "go", "ann", Now), Cancellation);
        Assert.False((await control.KillSwitchAsync(Cancellation)).On);
        Assert.Empty((await FleetAsync()).Faults);
        Assert.StartsWith("Damage found", (await control.TimelineAsync(2, Cancellation))[1].Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("UPDATE runbook_modes SET mode = 'Automatic' WHERE cluster = 'd'")]
    [InlineData("UPDATE runbook_modes SET mode = 'Autom' WHERE cluster = 'd'")]
    [InlineData("UPDATE runbook_modes SET cluster = 'e' WHERE cluster = 'd'")]
    [InlineData("UPDATE runbook_modes SET tenant = 'u' WHERE cluster = 'd'")]
    [InlineData("UPDATE runbook_modes SET runbook = 'x' WHERE cluster = 'd'")]
    [InlineData("UPDATE runbook_modes SET author = 'eve'")]
    [InlineData("DELETE FROM runbook_modes WHERE cluster = 'd'")]
    [InlineData("DELETE FROM runbook_modes")]
    [InlineData("DELETE FROM seals WHERE scope = 'runbook_modes'")]
    public async Task Damaged_modes_are_off_until_a_person_sets_that_of_all(string damage)
    {
        await StoresAsync();
        var control = new ControlStore(Database);
        await control.SetAsync(new ModeEntry("", "t", "c", RunbookMode.Automatic, "ann", Now), Cancellation);
        await control.SetAsync(new ModeEntry("", "t", "d", RunbookMode.Observe, "ann", Now), Cancellation);
        await control.SetAsync(new ModeEntry("", "t", "", RunbookMode.Automatic, "ann", Now), Cancellation);
        async Task<RunbookMode> Mode(string cluster) =>
            ControlStore.ModeOf(await control.ModesAsync(Cancellation), Book, new("t", cluster)).Mode;
        Assert.Equal((RunbookMode.Automatic, RunbookMode.Observe), (await Mode("c"), await Mode("d")));
        await HarmAsync(damage);

        control = new ControlStore(Database);
        Assert.Equal((RunbookMode.Off, RunbookMode.Off), (await Mode("c"), await Mode("d")));
        await control.SetAsync(new ModeEntry("", "t", "d", RunbookMode.Observe, "ann", Now), Cancellation);
        Assert.Equal((RunbookMode.Off, RunbookMode.Off), (await Mode("c"), await Mode("d")));
        await control.SetAsync(new ModeEntry("", "t", "c", RunbookMode.Automatic, "ann", Now), Cancellation);
        await control.SetAsync(new ModeEntry("", "", "", RunbookMode.Automatic, "ann", Now), Cancellation);
        Assert.Equal((RunbookMode.Automatic, RunbookMode.Observe), (await Mode("c"), await Mode("d")));
        Assert.Empty((await FleetAsync()).Faults);
    }

    [Theory]
    [InlineData("UPDATE pauses SET until_at = from_at")]
    [InlineData("UPDATE pauses SET node = 'm'")]
    [InlineData("UPDATE pauses SET id = id + 7")]
    [InlineData("DELETE FROM pauses")]
    public async Task Damaged_pauses_pause_everything_until_a_person_ends_that(string damage)
    {
        await StoresAsync();
        var control = new ControlStore(Database);
        await control.AddAsync(new Pause(0, "t", "c", "n", "", "new disk", "ann", Now, Now.AddDays(1)), Cancellation);
        await HarmAsync(damage);

        control = new ControlStore(Database);
        Assert.Contains((await FleetAsync()).Pauses, p => p.Covers(new("t", "c", "n"), "disk", Now));
        Assert.Contains(await control.PausesAsync(Now, Cancellation), p => p.Covers(new("any", "other", "node"), "disk", Now));
        Assert.Contains("whistle pause end 0", Assert.Single((await FleetAsync()).Faults).Reason, StringComparison.Ordinal);
        Assert.True(await control.EndPauseAsync(0, "ann", Now, Cancellation));
        Assert.DoesNotContain(await control.PausesAsync(Now, Cancellation), p => p.Node.Length == 0);
        Assert.Empty((await FleetAsync()).Faults);
    }

    [Theory]
    [InlineData("UPDATE windows SET seconds = 604800")]
    [InlineData("UPDATE windows SET cluster = 'd'")]
    [InlineData("DELETE FROM windows")]
    [InlineData("UPDATE freezes SET until_at = from_at")]
    [InlineData("UPDATE freezes SET cluster = 'd'")]
    [InlineData("DELETE FROM freezes")]
    public async Task Damaged_windows_and_freezes_freeze_everything_until_a_person_ends_that(string damage)
    {
        await StoresAsync();
        var control = new ControlStore(Database);
        await control.AddAsync(
            new MaintenanceWindow(
                0, "t", "c", "FREQ=WEEKLY;BYDAY=SA,SU", new(2026, 1, 3, 22, 0, 0), TimeSpan.FromHours(4), "Europe/Berlin", "ann", Now),
            Cancellation);
        await control.AddAsync(new ChangeFreeze(0, "t", "c", "the fair", "ann", Now, Now.AddDays(3)), Cancellation);
        await HarmAsync(damage);

        control = new ControlStore(Database);
        Assert.Contains((await FleetAsync()).Freezes, f => f.Covers(new("t", "c"), Now) && f.Covers(new("any", "other"), Now));
        Assert.Contains("whistle freezes end 0", Assert.Single((await FleetAsync()).Faults).Reason, StringComparison.Ordinal);
        Assert.True(await control.EndFreezeAsync(0, "ann", Now, Cancellation));
        Assert.Empty((await FleetAsync()).Faults);
        Assert.DoesNotContain(await control.FreezesAsync(Now, Cancellation), f => f.Cluster.Length == 0);
    }

    [Theory]
    [InlineData("UPDATE approvals SET plan_hash = 'q'")]
    [InlineData("UPDATE approvals SET until_at = until_at + 1")]
    [InlineData("UPDATE approvals SET step = 'look'")]
    [InlineData("UPDATE approvals SET author = 'eve'")]
    [InlineData("UPDATE approvals SET checksum = NULL")]
    public async Task A_damaged_approval_approves_nothing_until_it_is_given_again(string damage)
    {
        var runs = (await StoresAsync()).Runs;
        var approval = new Approval("i1-1", "p", "ann", Now, Now.AddHours(1));
        await runs.ApproveAsync(approval, Cancellation);
        await HarmAsync(damage);

        runs = new RunStore(Database);
        Assert.Empty((await FleetAsync()).Approvals);
        Assert.Contains("whistle runs approve", Assert.Single((await FleetAsync()).Faults).Reason, StringComparison.Ordinal);
        await runs.ApproveAsync(approval, Cancellation);
        Assert.Equal(approval, (await FleetAsync()).Approvals[("i1-1", "")]);
    }

    [Fact]
    public async Task A_damaged_task_is_not_done_until_it_is_said_again()
    {
        var runs = (await StoresAsync()).Runs;
        await runs.CompleteAsync(new("i1-1", "look", "ann", "seen", Now), Cancellation);
        await HarmAsync("UPDATE tasks_done SET note = 'unseen'");

        runs = new RunStore(Database);
        Assert.Empty((await FleetAsync()).Tasks);
        Assert.True(await runs.CompleteAsync(new("i1-1", "look", "ann", "seen again", Now), Cancellation));
        Assert.Equal("seen again", Assert.Single((await FleetAsync()).Tasks.Values).Note);
        Assert.Empty((await FleetAsync()).Faults);
    }

    [Theory]
    [InlineData("DELETE FROM cancellations")]
    [InlineData("UPDATE cancellations SET author = 'eve'")]
    [InlineData("DELETE FROM seals WHERE scope = 'cancellations'")]
    public async Task A_lost_cancellation_turns_the_kill_switch_on(string damage)
    {
        var runs = (await StoresAsync()).Runs;
        await runs.CancelAsync(new("i1-1", "ann", "not now", Now), Cancellation);
        await HarmAsync(damage);

        runs = new RunStore(Database);
        Assert.True((await FleetAsync()).Kill.On);
        await runs.ResetCancellationsAsync(Cancellation);
        Assert.Empty((await FleetAsync()).Faults);
    }

    [Theory]
    [InlineData("DELETE FROM reservations")]
    [InlineData("UPDATE reservations SET node = 'm'")]
    [InlineData("UPDATE reservations SET disruptive = 1 - disruptive")]
    [InlineData("DELETE FROM seals WHERE scope = 'reservations'")]
    public async Task A_lost_reservation_keeps_all_from_beginning_until_none_is_at_work(string damage)
    {
        var (runs, _, commands) = await RunningAsync();
        await commands.LeaseAsync(Node, Now, Cancellation);
        Assert.True((await commands.BeginAsync(Node, Offer.Id, 1, _ => null, () => (Active, Now), Cancellation))!.Granted);
        await HarmAsync(damage);

        (runs, commands) = (new RunStore(Database), new AgentCommands(Database));
        Assert.Contains(
            "The runs under way are unknown",
            (await commands.BeginAsync(Node, Offer.Id, 1, _ => null, () => (Active, Now), Cancellation))!.Reason, StringComparison.Ordinal);
        await runs.ResetReservationsAsync(Cancellation);
        Assert.NotNull((await FleetAsync()).BudgetFault);
        var run = (await runs.FindAsync("i1-1", Cancellation))!;
        Assert.True(await runs.ApplyAsync(new(run with { State = RunState.Failed, EndedAt = Now }, []), "a", 1, Now, Cancellation));
        await runs.ResetReservationsAsync(Cancellation);
        Assert.Null((await FleetAsync()).BudgetFault);
    }

    [Theory]
    [InlineData("parameters = '{\"days\":0}'")]
    [InlineData("dry_run = 1 - dry_run")]
    [InlineData("action = 'node.reboot'")]
    [InlineData("token = token + 1")]
    [InlineData("state = 'Offered'")]
    [InlineData("state = 'Nonsense'")]
    [InlineData("undo = 1")]
    [InlineData("checksum = NULL")]
    public async Task A_damaged_command_is_neither_leased_nor_begun(string damage)
    {
        var (_, _, commands) = await RunningAsync();
        await commands.LeaseAsync(Node, Now, Cancellation);
        await HarmAsync($"UPDATE commands SET {damage}");

        commands = new AgentCommands(Database);
        Assert.Empty(await commands.LeaseAsync(Node, Now, Cancellation));
        Assert.Null(await commands.BeginAsync(Node, Offer.Id, 1, _ => null, () => (Active, Now), Cancellation));
        Assert.Empty((await FleetAsync()).Commands);
        Assert.Equal("commands", Assert.Single((await FleetAsync()).Faults).Subject);
    }

    [Theory]
    [InlineData("body = replace(body, '\"n\"', '\"m\"')")]
    [InlineData("body = '{'")]
    [InlineData("checksum = NULL")]
    [InlineData("state = 'Succeeded', revision = revision + 1")]
    [InlineData("state = 'Nonsense', revision = revision + 1")]
    [InlineData("incident = 'i1', cancelled = 1, revision = revision + 1")]
    public async Task A_damaged_run_keeps_its_command_from_beginning(string damage)
    {
        var (_, _, commands) = await RunningAsync();
        await commands.LeaseAsync(Node, Now, Cancellation);
        await HarmAsync($"UPDATE runs SET {damage}");
        Assert.False(
            (await new AgentCommands(Database).BeginAsync(Node, Offer.Id, 1, _ => null, () => (Active, Now), Cancellation))!.Granted);
    }

    // What a process has read it knows, so another one looks.
    async Task HarmAsync(string sql)
    {
        await InWriteAsync(async t => Assert.True(await t.Connection.ExecuteAsync(sql, Cancellation) > 0));
        var again = Again();
        Assert.NotSame(Database, again);
        Database.Dispose();
        Database = again;
    }
}
