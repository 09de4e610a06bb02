using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Whistle.Data;
using Whistle.Remediation.Control;
using Whistle.State;
using Whistle.State.Files;
using Whistle.State.Health;

using Xunit;

namespace Whistle.Tests.State;

/// <summary>What was dropped from the state is found at the start, not when it is first needed.</summary>
public sealed class StateShapeTests : IAsyncLifetime
{
    readonly StateFolder _folder = new();

    public static async Task<TheoryData<string>> Tables()
    {
        using var state = StateDatabase.InMemory();
        await state.UpgradeAsync(StateStages.All, _ => { }, TestContext.Current.CancellationToken);
        await using var connection = await state.OpenAsync(TestContext.Current.CancellationToken);
        return [.. await connection.QueryAsync(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('migrations', 'sqlite_sequence')", r => r.GetString(0),
            TestContext.Current.CancellationToken)];
    }

    public async ValueTask InitializeAsync() => await StartAsync();

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    [Theory]
    [MemberData(nameof(Tables))]
    public async Task A_table_that_is_missing_is_refused_with_its_name(string table)
    {
        // Foreign keys are not asked.
        _folder.Sql($"PRAGMA foreign_keys = OFF; DROP TABLE {table}");

        // These two are asked for before all else; without seals it is taken for one from before an upgrade.
        await AssertRefusedAsync(table switch
        {
            "seals" => "is from before an upgrade",
            "instance" => "no such table: instance",
            _ => $"the table {table} is missing",
        });
    }

    [Theory]
    [InlineData("ALTER TABLE pauses DROP COLUMN reason", "the column reason of pauses is missing")]
    [InlineData("ALTER TABLE windows RENAME COLUMN recurrence TO rule", "the column recurrence of windows is missing")]
    [InlineData(
        "CREATE TABLE k AS SELECT * FROM kill_switch; DROP TABLE kill_switch; ALTER TABLE k RENAME TO kill_switch",
        "the column id of kill_switch, a part of its key is missing")]
    [InlineData("DROP INDEX alerting_tickets_incident", "the index alerting_tickets_incident is missing")]
    [InlineData("DELETE FROM migrations", "is there, but the table migrations does not have the migration that made it")]
    [InlineData(
        "DELETE FROM migrations WHERE stage = 'control'", "is there, but the table migrations does not have the migration that made it")]
    [InlineData("DELETE FROM migrations WHERE stage = 'control' AND number = 0", "migration 4 of the stage control, but not all before it")]
    [InlineData("DROP TABLE migrations", "but not Whistle's")]
    [InlineData("UPDATE migrations SET number = 'one' WHERE number = 1", "names no migration")]
    [InlineData("INSERT INTO migrations VALUES ('state', -1, 'c')", "names no migration")]
    [InlineData("INSERT INTO migrations VALUES ('state', 9223372036854775807, 'c')", "names no migration")]
    [InlineData(
        "DELETE FROM migrations WHERE stage = 'control' AND number = 3",
        "is there, but the table migrations does not have the migration that made it")]
    [InlineData("UPDATE migrations SET stage = x'00ff' WHERE stage = 'control' AND number = 1", "names no migration")]
    [InlineData("ALTER TABLE migrations RENAME COLUMN stage TO step", "no such column")]
    public async Task What_is_missing_is_refused(string sql, string why)
    {
        _folder.Sql(sql);

        await AssertRefusedAsync(why);
    }

    [Theory]
    [InlineData("news", 0)]
    [InlineData("a b", 3)]
    [InlineData("control", 4)]
    public async Task What_a_newer_version_made_is_refused_at_the_start_and_no_damage(string stage, int number)
    {
        _folder.Sql($"INSERT INTO migrations (stage, number) VALUES ('{stage}', {number})");

        Assert.Contains(
            "made by a newer version", (await Assert.ThrowsAsync<StateException>(StartAsync)).Message, StringComparison.Ordinal);
        Assert.False((await LookAsync()).IsDamage);
        Assert.Contains("newer version", (await LookAsync()).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_others_made_beside_it_is_left_alone()
    {
        _folder.Sql(
            "CREATE TABLE notes (text TEXT); CREATE INDEX notes_text ON notes (text); ALTER TABLE pauses ADD COLUMN ticket TEXT; ANALYZE");

        await StartAsync();
        Assert.False((await LookAsync()).IsDamage);
    }

    [Fact]
    public async Task A_migration_that_fails_is_told_with_its_stage_and_number()
    {
        _folder.Sql("CREATE VIEW later AS SELECT 1");

        using var state = new StateDatabase(_folder.File);
        var error = await Assert.ThrowsAsync<StateException>(async () => await state.UpgradeAsync(
            [.. StateStages.All, new StateSchema("late", "CREATE TABLE earlier (id INTEGER)", "CREATE TABLE later (id INTEGER)")], _ => { },
            TestContext.Current.CancellationToken));
        Assert.Contains("Migration 2 of the stage late failed", error.Message, StringComparison.Ordinal);
        Assert.Empty(_folder.Sql("SELECT name FROM sqlite_schema WHERE name = 'earlier'"));
    }

    [Fact]
    public async Task What_is_dropped_under_a_running_server_is_trouble_that_health_tells()
    {
        var health = new HealthBoard(new FakeTimeProvider());
        using var state = new StateDatabase(_folder.File);
        state.Watch(health, NullLogger.Instance);
        var control = new ControlStore(state);
        var on = new KillSwitch(true, "a flood", "ann", DateTimeOffset.UnixEpoch);
        _folder.Sql("DROP TABLE kill_switch; DROP TABLE control_timeline");

        Assert.Contains("no such table: control_timeline", (await Assert.ThrowsAsync<StateException>(
            async () => await control.TimelineAsync(1, TestContext.Current.CancellationToken))).Message, StringComparison.Ordinal);
        Assert.Contains("no such table: kill_switch", (await Assert.ThrowsAsync<StateException>(async () => await control.SetAsync(
            on, TestContext.Current.CancellationToken))).Message, StringComparison.Ordinal);
        Assert.Equal(("state", HealthState.Failed), (Assert.Single(health.Problems()).Component, health.Problems()[0].State));
    }

    async Task AssertRefusedAsync(string why)
    {
        var before = _folder.Contents();
        var error = await Assert.ThrowsAsync<StateException>(StartAsync);

        Assert.Contains(why, error.Message, StringComparison.Ordinal);
        Assert.Contains("whistle backup restore", error.Message, StringComparison.Ordinal);
        Assert.Equal(before, _folder.Contents());
        var finding = await LookAsync();
        Assert.True(finding.IsDamage);
        Assert.Contains(why, finding.Text, StringComparison.Ordinal);
    }

    Task<DataFinding> LookAsync() =>
        StateDatabase.LookAsync(_folder.File, hasHistory: false, StateStages.All, TestContext.Current.CancellationToken);

    async Task StartAsync()
    {
        using var state = new StateDatabase(_folder.File);
        await state.UpgradeAsync(StateStages.All, _ => { }, TestContext.Current.CancellationToken);
    }
}
