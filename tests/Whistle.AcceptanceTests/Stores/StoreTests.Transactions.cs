using System.Collections.Concurrent;

using Whistle.Actions.Protocol;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Agents;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runs;
using Whistle.State;

using Xunit;

namespace Whistle.AcceptanceTests;

public abstract partial class StoreTests
{
    [Fact]
    public async Task Migrations_run_once_however_many_start_at_a_time()
    {
        var mine = new StateSchema(
            "mine", "CREATE TABLE mine (id INTEGER PRIMARY KEY, text TEXT NOT NULL)", "INSERT INTO mine (text) VALUES ('once')");
        await SideBySideAsync(4, async database =>
        {
            await database.MigrateAsync(mine, Cancellation);
            Assert.Empty(await new ControlStore(database).TimelineAsync(1, Cancellation));
        });
        await Database.MigrateAsync(mine, Cancellation);

        await using var connection = await Database.OpenAsync(Cancellation);
        Assert.Equal(
            ["1 once"], await connection.QueryAsync("SELECT id, text FROM mine", r => $"{r.GetInt32(0)} {r.GetString(1)}", Cancellation));
    }

    [Fact]
    public async Task Of_owners_that_race_one_wins_and_of_lines_none_is_lost()
    {
        await StoresAsync();
        var tokens = new ConcurrentBag<long>();
        await SideBySideAsync(4, async database =>
        {
            if (await OwnAsync(Guid.NewGuid().ToString(), Now, database) is { } token)
                tokens.Add(token);
            var incidents = new IncidentStore(database);
            for (var i = 0; i < 10; i++)
                await incidents.AppendTimelineAsync("i1", Now, TimelineKind.State, "a line", cancellation: Cancellation);
        });

        Assert.Equal([1L], tokens);
        Assert.Equal(
            Enumerable.Range(1, 42).Select(n => (long)n),
            (await new IncidentStore(Database).TimelineAsync("i1", Cancellation)).Select(e => e.Number));
    }

    [Fact]
    public async Task A_kill_switch_that_races_a_begin_comes_before_it_or_after()
    {
        await (await RunningAsync()).Commands.LeaseAsync(Node, Now, Cancellation);
        BeginAnswer? answer = null;
        await Task.WhenAll(
            Task.Run(
                async () => await new ControlStore(Database).SetAsync(new KillSwitch(true, "stop", "ann", Now), Cancellation),
                Cancellation),
            Task.Run(async () => answer = await new AgentCommands(
                Database).BeginAsync(Node, Offer.Id, 1, _ => null, () => (Active, Now), Cancellation), Cancellation));

        Assert.Equal(
            answer!.Granted ? CommandState.Begun : CommandState.Denied,
            (await new CommandStore(Database).FindAsync(Offer.Id, Cancellation))!.State);
    }

    [Fact]
    public async Task Whoever_reads_and_writes_waits_for_the_writer_before()
    {
        await StoresAsync();
        var other = Task.CompletedTask;
        await using (var connection = await Database.OpenAsync(Cancellation))
        await using (var transaction = await connection.BeginWriteAsync(Cancellation))
        {
            await RunStore.AppendAsync(connection, Proposed, new(TimelineKind.State, "first"), Now, Cancellation);
            other = Task.Run(
                async () => await new RunStore(Database).CancelAsync(new("i1-1", "ann", "second", Now), Cancellation), Cancellation);
            await transaction.CommitAsync(Cancellation);
        }

        await other;
        Assert.Equal(
            ["1 proposed", "2 first", "3 Cancelled by ann: second"],
            (await new RunStore(Database).TimelineAsync("i1-1", Cancellation)).Select(e => $"{e.Number} {e.Text}"));
    }

    [Theory]
    [InlineData(StateMoment.BeforeBegin, 0)]
    [InlineData(StateMoment.BeforeCommit, 0)]
    [InlineData(StateMoment.AfterCommit, 1)]
    internal async Task A_fault_loses_what_was_not_committed_and_nothing_else(StateMoment at, int kept)
    {
        var incidents = new IncidentStore(Database);
        var credentials = new Credentials(Database, TimeProvider.System);
        // Makes the tables: what is broken is what comes after.
        await (await Database.OpenAsync(Cancellation)).DisposeAsync();
        Database.Fault = moment => moment == at ? throw new TimeoutException() : Task.CompletedTask;

        await Assert.ThrowsAsync<TimeoutException>(
            async () => await incidents.SaveAsync([new(Disk, [(TimelineKind.Opened, "")])], Now, Cancellation));
        await Assert.ThrowsAsync<TimeoutException>(async () => await credentials.EnrollAsync(new("t", "c"), "n", Cancellation));
        Database.Fault = null;
        Assert.Equal((kept, kept, kept), ((await incidents.ActiveAsync(Cancellation)).Count, (await incidents.TimelineAsync(
            "i1", Cancellation)).Count, (await credentials.AgentsAsync(Cancellation)).Count));
        await incidents.SaveAsync([new(Disk, [(TimelineKind.Opened, "")])], Now, Cancellation);
        Assert.Equal(kept + 1, (await incidents.TimelineAsync("i1", Cancellation)).Count);
    }

    [Fact]
    public async Task Before_it_begins_another_may_write()
    {
        var incidents = new IncidentStore(Database);
        var moments = new List<StateMoment>();
        var isInside = false;
        // Makes the tables, so that no migration is among the moments.
        await (await Database.OpenAsync(Cancellation)).DisposeAsync();
        Database.Fault = async moment =>
        {
            moments.Add(moment);
            if (moment != StateMoment.BeforeBegin || isInside)
                return;
            isInside = true;
            await incidents.SaveAsync([new(Disk, [(TimelineKind.Opened, "inside")])], Now, Cancellation);
        };
        await incidents.SaveAsync([new(Disk, [(TimelineKind.Signal, "outside")])], Now, Cancellation);

        Assert.Equal(["inside", "outside"], (await incidents.TimelineAsync("i1", Cancellation)).Select(e => e.Text));
        Assert.Equal(
            [
                StateMoment.BeforeBegin, StateMoment.BeforeBegin, StateMoment.BeforeCommit, StateMoment.AfterCommit,
                StateMoment.BeforeCommit, StateMoment.AfterCommit,
            ],
            moments);
    }

    [Fact]
    public async Task A_transaction_that_only_reads_cannot_write()
    {
        await new IncidentStore(Database).SaveAsync([new(Disk, [])], Now, Cancellation);
        await using var connection = await Database.OpenAsync(Cancellation);
        await using var picture = await connection.BeginReadAsync(Cancellation);

        Assert.NotNull(await IncidentStore.FindAsync(connection, "i1", Cancellation));
        await Assert.ThrowsAsync<InvalidOperationException>(
            async () => await IncidentStore.AppendAsync(connection, "i1", Now, TimelineKind.State, "", cancellation: Cancellation));
    }

    [Fact]
    public async Task A_connection_given_back_in_the_middle_leaves_nothing_behind()
    {
        await new IncidentStore(Database).SaveAsync([new(Disk, [])], Now, Cancellation);
        await using (var connection = await Database.OpenAsync(Cancellation))
        {
            await connection.BeginWriteAsync(Cancellation);
            await connection.ExecuteAsync("UPDATE incidents SET title = $title", Cancellation, ("$title", "half"));
        }

        Assert.Equal(Disk.Title, (await new IncidentStore(Database).FindAsync("i1", Cancellation))!.Title);
    }
}
