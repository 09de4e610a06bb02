using Whistle.Inventory;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;

using Xunit;

namespace Whistle.Tests.State;

public sealed class StateMigrationTests : IDisposable
{
    const string Table = "CREATE TABLE things (id INTEGER PRIMARY KEY, text TEXT NOT NULL)";
    const string Column = "ALTER TABLE things ADD COLUMN more INTEGER";

    readonly StateFolder _folder = new();
    readonly List<string> _told = [];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Each_migration_is_kept_with_a_checksum_of_its_text()
    {
        await UpgradeAsync(new StateSchema("things", Table, Column));

        Assert.Equal(
            ["things 0", "things 1"],
            _folder.Sql("SELECT stage, number FROM migrations WHERE stage = 'things' AND length(checksum) = 32 ORDER BY number"));
        Assert.Equal(["2"], _folder.Sql("SELECT count(DISTINCT checksum) FROM migrations WHERE stage = 'things'"));
    }

    [Fact]
    public async Task Line_ends_of_the_source_do_not_count()
    {
        await UpgradeAsync(new StateSchema("things", Table + ";\r\nSELECT 1"));
        await UpgradeAsync(new StateSchema("things", Table + ";\nSELECT 1"));
    }

    [Fact]
    public async Task A_migration_that_was_changed_since_is_refused_with_its_stage_and_number()
    {
        await UpgradeAsync(new StateSchema("things", Table, Column));

        var error = await Assert.ThrowsAsync<StateException>(
            async () => await UpgradeAsync(new StateSchema("things", Table, Column + " DEFAULT 7", "CREATE TABLE third (id INTEGER)")));

        Assert.Contains("Migration 2 of the stage things", error.Message, StringComparison.Ordinal);
        Assert.Contains("whistle backup restore", error.Message, StringComparison.Ordinal);
        Assert.Empty(_folder.Sql("SELECT name FROM sqlite_schema WHERE name = 'third'"));
    }

    [Fact]
    public async Task Rows_of_a_version_that_kept_no_checksums_are_given_theirs()
    {
        await UpgradeAsync(new StateSchema("things", Table));
        _folder.Sql("UPDATE migrations SET checksum = NULL; ALTER TABLE migrations DROP COLUMN checksum");

        await UpgradeAsync(new StateSchema("things", Table));

        Assert.Equal(["0"], _folder.Sql("SELECT count(*) FROM migrations WHERE checksum IS NULL"));
        await Assert.ThrowsAsync<StateException>(async () => await UpgradeAsync(new StateSchema("things", Column)));
    }

    [Theory]
    [InlineData("INSERT INTO migrations (stage, number) VALUES ('things', 2)", "version 5", "version 4", "migration 3 of the stage things")]
    [InlineData("INSERT INTO migrations (stage, number) VALUES ('news', 0)", "version 5", "version 4", "the stage news")]
    public async Task What_a_newer_program_made_is_refused_with_both_numbers_and_stays_as_it_is(
        string newer, string found, string known, string what)
    {
        await UpgradeAsync(new StateSchema("things", Table, Column));
        _folder.Sql(newer);
        var before = _folder.Contents();

        var error = await Assert.ThrowsAsync<StateException>(async () => await UpgradeAsync(new StateSchema("things", Table, Column)));

        Assert.All(
            new[] { found, known, what, "Start the newer version again" },
            w => Assert.Contains(w, error.Message, StringComparison.Ordinal));
        Assert.Equal(before, _folder.Contents());
    }

    [Fact]
    public async Task Nothing_is_changed_where_one_stage_of_several_is_newer()
    {
        await UpgradeAsync(new StateSchema("first", "CREATE TABLE one (id INTEGER)"), new StateSchema("second", Table, Column));
        var before = _folder.Contents();

        await Assert.ThrowsAsync<StateException>(async () => await UpgradeAsync(
            new StateSchema("first", "CREATE TABLE one (id INTEGER)", "CREATE TABLE two (id INTEGER)"), new StateSchema("second", Table)));

        Assert.Equal(before, _folder.Contents());
    }

    [Fact]
    public async Task An_older_state_is_migrated_after_a_copy_which_only_its_owner_can_read()
    {
        await UpgradeAsync(new StateSchema("things", Table));
        using (var running = new StateDatabase(_folder.File))
        {
            await running.MigrateAsync(new StateSchema("things", Table), TestContext.Current.CancellationToken);
            await using var connection = await running.OpenAsync(TestContext.Current.CancellationToken);
            await connection.ExecuteAsync("INSERT INTO things (text) VALUES ('in the log')", TestContext.Current.CancellationToken);

            // The log is not in the file yet.
            using var other = new StateDatabase(_folder.File);
            await other.UpgradeAsync([new StateSchema("things", Table, Column)], _told.Add, TestContext.Current.CancellationToken);
        }

        var copy = _folder.File + ".before-3-to-4";
        Assert.Contains(copy, Assert.Single(_told), StringComparison.Ordinal);
        Assert.Equal(["1 in the log"], _folder.Sql("SELECT id, text FROM things", copy));
        Assert.Equal(["ok"], _folder.Sql("PRAGMA integrity_check", copy));
        Assert.Equal(["1 in the log "], _folder.Sql("SELECT id, text, more FROM things"));
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(copy));
        Assert.False(File.Exists(copy + "-wal"));
        // It can be put back as it is.
        File.Delete(_folder.File + "-instance");
        File.Move(copy, _folder.File, overwrite: true);
        await UpgradeAsync(new StateSchema("things", Table));
    }

    [Fact]
    public async Task Without_room_for_the_copy_nothing_is_changed()
    {
        await UpgradeAsync(new StateSchema("things", Table));
        Directory.CreateDirectory(_folder.File + ".before-3-to-4");
        var before = _folder.Contents();

        var error = await Assert.ThrowsAsync<StateException>(async () => await UpgradeAsync(new StateSchema("things", Table, Column)));

        Assert.Contains("No copy of the state can be made", error.Message, StringComparison.Ordinal);
        Assert.Equal(before, _folder.Contents());
    }

    [Fact]
    public async Task A_migration_that_fails_leaves_none_of_all()
    {
        await UpgradeAsync(new StateSchema("things", Table));

        await Assert.ThrowsAnyAsync<System.Data.Common.DbException>(
            async () => await UpgradeAsync(new StateSchema("things", Table, Column), new StateSchema("others", "no SQL at all")));

        Assert.Equal(["id", "text"], _folder.Sql("SELECT name FROM pragma_table_info('things')"));
    }

    [Fact]
    public async Task Rows_of_a_version_without_checksums_are_taken_for_what_they_say()
    {
        await UpgradeAsync(Before(Credentials.Tables, 1), Before(RunStore.Tables, 5), Before(ControlStore.Tables, 3));
        _folder.Sql(
            """
            INSERT INTO kill_switch (id, active, reason, author, since) VALUES (1, 1, 'stop', 'ann', 5);
            INSERT INTO runbook_modes (runbook, tenant, cluster, mode, author, at) VALUES ('', 't', 'c', 'Approve', 'ann', 5);
            INSERT INTO pauses (tenant, cluster, node, runbook, reason, author, from_at, until_at)
                VALUES ('t', '', 'n', '', 'new disk', 'ann', 5, 7);
            INSERT INTO runs (id, incident, tenant, cluster, node, runbook, state, created_at, body, owner, token, owned_until)
                VALUES ('r', 'i', 't', 'c', 'n', 'disk', 'Waiting', 5, '{}', '', 0, 0);
            INSERT INTO approvals (run, step, plan_hash, author, at, until_at) VALUES ('r', '', 'p', 'ann', 5, 7);
            INSERT INTO cancellations (run, author, reason, at) VALUES ('r', 'ann', 'no', 5);
            INSERT INTO reservations (run, runbook, tenant, cluster, zone, node, subject, disruptive, control_plane)
                VALUES ('r', 'disk', 't', 'c', 'z', 'n', '{}', 1, 0);
            """);

        await UpgradeAsync(Credentials.Tables, RunStore.Tables, ControlStore.Tables);

        using var state = new StateDatabase(_folder.File);
        await using var connection = await state.OpenAsync(TestContext.Current.CancellationToken);
        var control = await ControlState.ReadAsync(connection, TestContext.Current.CancellationToken);
        Assert.Empty(control.Faults);
        Assert.Equal((true, "stop"), (control.Kill.On, control.Kill.Reason));
        Assert.Equal((RunbookMode.Approve, "n"), (Assert.Single(control.Modes).Mode, Assert.Single(control.Pauses).Node));
        var seals = await StateSeals.ReadAsync(connection, TestContext.Current.CancellationToken);
        Assert.Equal((null, 1), (
            (await RunTables.SealedCancellations.ReadAsync(connection, seals, TestContext.Current.CancellationToken)).Fault,
            (await RunTables.SealedCancellations.ReadAsync(connection, seals, TestContext.Current.CancellationToken)).Rows.Count));
        Assert.Equal((null, "z"), (
            (await RunTables.SealedReservations.ReadAsync(connection, seals, TestContext.Current.CancellationToken)).Fault,
            (await RunTables.SealedReservations.ReadAsync(connection, seals, TestContext.Current.CancellationToken)).Rows[0].Zone));
        var faults = new List<StateFault>();
        Assert.Equal(
            "p", Assert.Single(await RunStore.ApprovalsAsync(connection, "r", faults, TestContext.Current.CancellationToken)).PlanHash);
        Assert.Empty(faults);
        Assert.Equal(["0"], _folder.Sql("SELECT count(*) FROM runs WHERE checksum IS NULL OR summary_checksum IS NULL"));
    }

    static StateSchema Before(StateSchema schema, int count) => new(schema.Stage, [.. schema.Scripts.Take(count)]);

    [Fact]
    public async Task The_command_line_makes_a_new_state_whole_and_leaves_the_upgrade_of_an_older_one_to_the_server()
    {
        using (var state = new StateDatabase(_folder.File))
            await state.RequireCurrentAsync([new StateSchema("things", Table)], TestContext.Current.CancellationToken);
        using (var state = new StateDatabase(_folder.File))
        {
            await state.RequireCurrentAsync([new StateSchema("things", Table)], TestContext.Current.CancellationToken);
            Assert.Contains("Start `whistle serve`", (await Assert.ThrowsAsync<StateException>(async () => await state.RequireCurrentAsync(
                [new StateSchema("things", Table, Column)], TestContext.Current.CancellationToken))).Message, StringComparison.Ordinal);
        }
    }

    async Task UpgradeAsync(params StateSchema[] program)
    {
        using var state = new StateDatabase(_folder.File);
        await state.UpgradeAsync(program, _told.Add, TestContext.Current.CancellationToken);
    }
}
