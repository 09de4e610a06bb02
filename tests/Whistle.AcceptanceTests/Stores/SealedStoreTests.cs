using Whistle.Remediation.Commands;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;

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
    public void A_damaged_kill_switch_is_on_until_a_person_sets_it(string damage)
    {
        var (_, control, commands) = Running();
        control.Set(new KillSwitch(true, "stop", "ann", Now));
        Harm(damage);

        (control, commands) = (new ControlStore(Database), new CommandStore(Database));
        Assert.True(control.KillSwitch().On);
        Assert.Contains(Fleet().Faults, f => f.Subject == "kill_switch" && f.Reason.Contains("whistle kill-switch", StringComparison.Ordinal));
        Assert.Empty(commands.Lease(Node, Now));
        control.Set(new KillSwitch(false, "go", "ann", Now));
        Assert.False(control.KillSwitch().On);
        Assert.Empty(Fleet().Faults);
        Assert.StartsWith("Damage found", control.Timeline(2)[1].Text, StringComparison.Ordinal);
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
    public void Damaged_modes_are_off_until_a_person_sets_that_of_all(string damage)
    {
        Stores();
        var control = new ControlStore(Database);
        control.Set(new ModeEntry("", "t", "c", RunbookMode.Automatic, "ann", Now));
        control.Set(new ModeEntry("", "t", "d", RunbookMode.Observe, "ann", Now));
        control.Set(new ModeEntry("", "t", "", RunbookMode.Automatic, "ann", Now));
        RunbookMode Mode(string cluster) => ControlStore.ModeOf(control.Modes(), Book, "t", cluster).Mode;
        Assert.Equal((RunbookMode.Automatic, RunbookMode.Observe), (Mode("c"), Mode("d")));
        Harm(damage);

        control = new ControlStore(Database);
        Assert.Equal((RunbookMode.Off, RunbookMode.Off), (Mode("c"), Mode("d")));
        control.Set(new ModeEntry("", "t", "d", RunbookMode.Observe, "ann", Now));
        Assert.Equal((RunbookMode.Off, RunbookMode.Off), (Mode("c"), Mode("d")));
        control.Set(new ModeEntry("", "t", "c", RunbookMode.Automatic, "ann", Now));
        control.Set(new ModeEntry("", "", "", RunbookMode.Automatic, "ann", Now));
        Assert.Equal((RunbookMode.Automatic, RunbookMode.Observe), (Mode("c"), Mode("d")));
        Assert.Empty(Fleet().Faults);
    }

    [Theory]
    [InlineData("UPDATE pauses SET until_at = from_at")]
    [InlineData("UPDATE pauses SET node = 'm'")]
    [InlineData("UPDATE pauses SET id = id + 7")]
    [InlineData("DELETE FROM pauses")]
    public void Damaged_pauses_pause_everything_until_a_person_ends_that(string damage)
    {
        Stores();
        var control = new ControlStore(Database);
        control.Add(new Pause(0, "t", "c", "n", "", "new disk", "ann", Now, Now.AddDays(1)));
        Harm(damage);

        control = new ControlStore(Database);
        Assert.Contains(Fleet().Pauses, p => p.Holds("t", "c", "n", "disk", Now));
        Assert.Contains(control.Pauses(Now), p => p.Holds("any", "other", "node", "disk", Now));
        Assert.Contains("whistle pause end 0", Assert.Single(Fleet().Faults).Reason, StringComparison.Ordinal);
        Assert.True(control.EndPause(0, "ann", Now));
        Assert.DoesNotContain(control.Pauses(Now), p => p.Node.Length == 0);
        Assert.Empty(Fleet().Faults);
    }

    [Theory]
    [InlineData("UPDATE windows SET seconds = 604800")]
    [InlineData("UPDATE windows SET cluster = 'd'")]
    [InlineData("DELETE FROM windows")]
    [InlineData("UPDATE freezes SET until_at = from_at")]
    [InlineData("UPDATE freezes SET cluster = 'd'")]
    [InlineData("DELETE FROM freezes")]
    public void Damaged_windows_and_freezes_freeze_everything_until_a_person_ends_that(string damage)
    {
        Stores();
        var control = new ControlStore(Database);
        control.Add(new MaintenanceWindow(0, "t", "c", "FREQ=WEEKLY;BYDAY=SA,SU", new(2026, 1, 3, 22, 0, 0), TimeSpan.FromHours(4), "Europe/Berlin", "ann", Now));
        control.Add(new ChangeFreeze(0, "t", "c", "the fair", "ann", Now, Now.AddDays(3)));
        Harm(damage);

        control = new ControlStore(Database);
        Assert.Contains(Fleet().Freezes, f => f.Holds("t", "c", Now) && f.Holds("any", "other", Now));
        Assert.Contains("whistle freezes end 0", Assert.Single(Fleet().Faults).Reason, StringComparison.Ordinal);
        Assert.True(control.EndFreeze(0, "ann", Now));
        Assert.Empty(Fleet().Faults);
        Assert.DoesNotContain(control.Freezes(Now), f => f.Cluster.Length == 0);
    }

    [Theory]
    [InlineData("UPDATE approvals SET plan_hash = 'q'")]
    [InlineData("UPDATE approvals SET until_at = until_at + 1")]
    [InlineData("UPDATE approvals SET step = 'look'")]
    [InlineData("UPDATE approvals SET author = 'eve'")]
    [InlineData("UPDATE approvals SET checksum = NULL")]
    public void A_damaged_approval_approves_nothing_until_it_is_given_again(string damage)
    {
        var runs = Stores().Runs;
        var approval = new Approval("i1-1", "p", "ann", Now, Now.AddHours(1));
        runs.Approve(approval);
        Harm(damage);

        runs = new RunStore(Database);
        Assert.Empty(Fleet().Approvals);
        Assert.Contains("whistle runs approve", Assert.Single(Fleet().Faults).Reason, StringComparison.Ordinal);
        runs.Approve(approval);
        Assert.Equal(approval, Fleet().Approvals[("i1-1", "")]);
    }

    [Fact]
    public void A_damaged_task_is_not_done_until_it_is_said_again()
    {
        var runs = Stores().Runs;
        runs.Complete(new("i1-1", "look", "ann", "seen", Now));
        Harm("UPDATE tasks_done SET note = 'unseen'");

        runs = new RunStore(Database);
        Assert.Empty(Fleet().Tasks);
        Assert.True(runs.Complete(new("i1-1", "look", "ann", "seen again", Now)));
        Assert.Equal("seen again", Assert.Single(Fleet().Tasks.Values).Note);
        Assert.Empty(Fleet().Faults);
    }

    [Theory]
    [InlineData("DELETE FROM cancellations")]
    [InlineData("UPDATE cancellations SET author = 'eve'")]
    [InlineData("DELETE FROM seals WHERE scope = 'cancellations'")]
    public void A_lost_cancellation_turns_the_kill_switch_on(string damage)
    {
        var runs = Stores().Runs;
        runs.Cancel(new("i1-1", "ann", "not now", Now));
        Harm(damage);

        runs = new RunStore(Database);
        Assert.True(Fleet().Kill.On);
        runs.ResetCancellations();
        Assert.Empty(Fleet().Faults);
    }

    [Theory]
    [InlineData("DELETE FROM reservations")]
    [InlineData("UPDATE reservations SET node = 'm'")]
    [InlineData("UPDATE reservations SET disruptive = 1 - disruptive")]
    [InlineData("DELETE FROM seals WHERE scope = 'reservations'")]
    public void A_lost_reservation_keeps_all_from_beginning_until_none_is_at_work(string damage)
    {
        var (runs, _, commands) = Running();
        commands.Lease(Node, Now);
        Assert.True(commands.Begin(Node, Offer.Id, 1, (_, _) => null, () => (Active, Now))!.Granted);
        Harm(damage);

        (runs, commands) = (new RunStore(Database), new CommandStore(Database));
        Assert.Contains("The runs under way are unknown", commands.Begin(Node, Offer.Id, 1, (_, _) => null, () => (Active, Now))!.Reason, StringComparison.Ordinal);
        runs.ResetReservations();
        Assert.NotNull(Fleet().BudgetFault);
        var run = runs.Find("i1-1")!;
        Assert.True(runs.Apply(new(run with { State = RunState.Failed, EndedAt = Now }, []), "a", 1, Now));
        runs.ResetReservations();
        Assert.Null(Fleet().BudgetFault);
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
    public void A_damaged_command_is_neither_leased_nor_begun(string damage)
    {
        var (_, _, commands) = Running();
        commands.Lease(Node, Now);
        Harm($"UPDATE commands SET {damage}");

        commands = new CommandStore(Database);
        Assert.Empty(commands.Lease(Node, Now));
        Assert.Null(commands.Begin(Node, Offer.Id, 1, (_, _) => null, () => (Active, Now)));
        Assert.Empty(Fleet().Commands);
        Assert.Equal("commands", Assert.Single(Fleet().Faults).Subject);
    }

    [Theory]
    [InlineData("body = replace(body, '\"n\"', '\"m\"')")]
    [InlineData("body = '{'")]
    [InlineData("checksum = NULL")]
    [InlineData("state = 'Succeeded', revision = revision + 1")]
    [InlineData("state = 'Nonsense', revision = revision + 1")]
    [InlineData("incident = 'i1', cancelled = 1, revision = revision + 1")]
    public void A_damaged_run_keeps_its_command_from_beginning(string damage)
    {
        var (_, _, commands) = Running();
        commands.Lease(Node, Now);
        Harm($"UPDATE runs SET {damage}");
        Assert.False(new CommandStore(Database).Begin(Node, Offer.Id, 1, (_, _) => null, () => (Active, Now))!.Granted);
    }

    // What a process has read it knows, so another one looks.
    void Harm(string sql)
    {
        InWrite(t => Assert.True(t.Connection!.Execute(sql) > 0));
        var again = Again();
        Assert.NotSame(Database, again);
        Database.Dispose();
        Database = again;
    }
}
