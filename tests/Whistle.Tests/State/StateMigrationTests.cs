using Whistle.Ingest;

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
    public void Each_migration_is_kept_with_a_checksum_of_its_text()
    {
        Upgrade(new StateSchema("things", Table, Column));

        Assert.Equal(["things 0", "things 1"], _folder.Sql("SELECT stage, number FROM migrations WHERE stage = 'things' AND length(checksum) = 32 ORDER BY number"));
        Assert.Equal(["2"], _folder.Sql("SELECT count(DISTINCT checksum) FROM migrations WHERE stage = 'things'"));
    }

    [Fact]
    public void Line_ends_of_the_source_do_not_count()
    {
        Upgrade(new StateSchema("things", Table + ";\r\nSELECT 1"));
        Upgrade(new StateSchema("things", Table + ";\nSELECT 1"));
    }

    [Fact]
    public void A_migration_that_was_changed_since_is_refused_with_its_stage_and_number()
    {
        Upgrade(new StateSchema("things", Table, Column));

        var error = Assert.Throws<StateException>(() => Upgrade(new StateSchema("things", Table, Column + " DEFAULT 7", "CREATE TABLE third (id INTEGER)")));

        Assert.Contains("Migration 2 of the stage things", error.Message, StringComparison.Ordinal);
        Assert.Contains("whistle backup restore", error.Message, StringComparison.Ordinal);
        Assert.Empty(_folder.Sql("SELECT name FROM sqlite_schema WHERE name = 'third'"));
    }

    [Fact]
    public void Rows_of_a_version_that_kept_no_checksums_are_given_theirs()
    {
        Upgrade(new StateSchema("things", Table));
        _folder.Sql("UPDATE migrations SET checksum = NULL; ALTER TABLE migrations DROP COLUMN checksum");

        Upgrade(new StateSchema("things", Table));

        Assert.Equal(["0"], _folder.Sql("SELECT count(*) FROM migrations WHERE checksum IS NULL"));
        Assert.Throws<StateException>(() => Upgrade(new StateSchema("things", Column)));
    }

    [Theory]
    [InlineData("INSERT INTO migrations (stage, number) VALUES ('things', 2)", "version 4", "version 3", "migration 3 of the stage things")]
    [InlineData("INSERT INTO migrations (stage, number) VALUES ('news', 0)", "version 4", "version 3", "the stage news")]
    public void What_a_newer_program_made_is_refused_with_both_numbers_and_stays_as_it_is(string newer, string found, string known, string what)
    {
        Upgrade(new StateSchema("things", Table, Column));
        _folder.Sql(newer);
        var before = _folder.Contents();

        var error = Assert.Throws<StateException>(() => Upgrade(new StateSchema("things", Table, Column)));

        Assert.All(new[] { found, known, what, "Start the newer version again" }, w => Assert.Contains(w, error.Message, StringComparison.Ordinal));
        Assert.Equal(before, _folder.Contents());
    }

    [Fact]
    public void Nothing_is_changed_where_one_stage_of_several_is_newer()
    {
        Upgrade(new StateSchema("first", "CREATE TABLE one (id INTEGER)"), new StateSchema("second", Table, Column));
        var before = _folder.Contents();

        Assert.Throws<StateException>(() => Upgrade(new StateSchema("first", "CREATE TABLE one (id INTEGER)", "CREATE TABLE two (id INTEGER)"), new StateSchema("second", Table)));

        Assert.Equal(before, _folder.Contents());
    }

    [Fact]
    public void An_older_state_is_migrated_after_a_copy_which_only_its_owner_can_read()
    {
        Upgrade(new StateSchema("things", Table));
        using (var running = new StateDatabase(_folder.File))
        {
            running.Migrate("things", Table);
            using var connection = running.Open();
            connection.Execute("INSERT INTO things (text) VALUES ('in the log')");

            // The log is not in the file yet.
            using var other = new StateDatabase(_folder.File);
            other.Upgrade([new StateSchema("things", Table, Column)], _told.Add);
        }

        var copy = _folder.File + ".before-2-to-3";
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
        Upgrade(new StateSchema("things", Table));
    }

    [Fact]
    public void Without_room_for_the_copy_nothing_is_changed()
    {
        Upgrade(new StateSchema("things", Table));
        Directory.CreateDirectory(_folder.File + ".before-2-to-3");
        var before = _folder.Contents();

        var error = Assert.Throws<StateException>(() => Upgrade(new StateSchema("things", Table, Column)));

        Assert.Contains("No copy of the state can be made", error.Message, StringComparison.Ordinal);
        Assert.Equal(before, _folder.Contents());
    }

    [Fact]
    public void A_migration_that_fails_leaves_none_of_all()
    {
        Upgrade(new StateSchema("things", Table));

        Assert.ThrowsAny<System.Data.Common.DbException>(() => Upgrade(new StateSchema("things", Table, Column), new StateSchema("others", "no SQL at all")));

        Assert.Equal(["id", "text"], _folder.Sql("SELECT name FROM pragma_table_info('things')"));
    }

    [Fact]
    public void The_command_line_makes_a_new_state_whole_and_leaves_the_upgrade_of_an_older_one_to_the_server()
    {
        using (var state = new StateDatabase(_folder.File))
            state.RequireCurrent([new StateSchema("things", Table)]);
        using (var state = new StateDatabase(_folder.File))
        {
            state.RequireCurrent([new StateSchema("things", Table)]);
            Assert.Contains("Start `whistle serve`", Assert.Throws<StateException>(() => state.RequireCurrent([new StateSchema("things", Table, Column)])).Message, StringComparison.Ordinal);
        }
    }

    void Upgrade(params StateSchema[] program)
    {
        using var state = new StateDatabase(_folder.File);
        state.Upgrade(program, _told.Add);
    }
}
