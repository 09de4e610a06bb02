using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

using Whistle.State;
using Whistle.State.Health;

using Xunit;

namespace Whistle.Tests.State;

/// <summary>What befalls the state while it is in use.</summary>
public sealed class StateTroubleTests : IDisposable
{
    readonly StateFolder _folder = new();
    readonly HealthBoard _health = new(new FakeTimeProvider());
    readonly Lines _log = new();
    readonly StateDatabase _state;

    public StateTroubleTests()
    {
        _state = new StateDatabase(_folder.File);
        _state.Migrate("blobs", "CREATE TABLE blobs (id INTEGER PRIMARY KEY, text TEXT NOT NULL)");
        _state.Watch(_health, _log);
    }

    public void Dispose()
    {
        _state.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void A_full_disk_is_said_once_reported_and_over_with_the_next_write()
    {
        using (var connection = _state.Open())
        {
            // SQLite's own bound stands for the disk's.
            connection.Query("PRAGMA max_page_count = 20", r => r.GetInt64(0));
            var error = Assert.Throws<StateException>(() => Add(connection));
            Assert.Contains("The disk of", error.Message, StringComparison.Ordinal);
            Assert.Throws<StateException>(() => Add(connection));
        }

        var problem = Assert.Single(_health.Problems());
        Assert.Equal(("state", "", HealthState.Failed), (problem.Component, problem.Subject, problem.State));
        Assert.Single(_log.Errors);
        using (var connection = _state.Open())
            Add(connection);
        Assert.Empty(_health.Problems());
    }

    [Fact]
    public void Pages_that_were_damaged_under_a_running_server_are_reported_and_read_by_nobody()
    {
        using (var connection = _state.Open())
        {
            for (var i = 0; i < 100; i++)
                Add(connection, 10_000);
        }

        // Another process's view, so that nothing of it is in the memory of this one.
        _state.Dispose();
        using var again = new StateDatabase(_folder.File);
        again.Watch(_health, _log);
        using (var file = new FileStream(_folder.File, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            file.Position = 4096 * 8;
            file.Write(new byte[file.Length - file.Position]);
        }

        using (var connection = again.Open())
            Assert.Contains("is damaged", Assert.Throws<StateException>(() => connection.Query("SELECT text FROM blobs", r => r.GetString(0))).Message, StringComparison.Ordinal);
        Assert.Equal(HealthState.Failed, Assert.Single(_health.Problems()).State);
    }

    [Fact]
    public void A_column_whose_name_was_garbled_in_the_schema_is_damage_of_the_state()
    {
        _state.Dispose();
        var bytes = File.ReadAllBytes(_folder.File);
        var at = bytes.AsSpan().IndexOf("text TEXT NOT NULL"u8);
        bytes[at] = (byte)'T' + 1;
        File.WriteAllBytes(_folder.File, bytes);
        using var again = new StateDatabase(_folder.File);
        again.Watch(_health, _log);

        using var connection = again.Open();
        Assert.Contains("is damaged", Assert.Throws<StateException>(() => connection.Query("SELECT text FROM blobs", r => r.GetString(0))).Message, StringComparison.Ordinal);
        Assert.Equal(HealthState.Failed, Assert.Single(_health.Problems()).State);
    }

    [Fact]
    public void A_statement_that_is_wrong_by_itself_is_no_trouble_of_the_state()
    {
        using var connection = _state.Open();
        connection.Execute("INSERT INTO blobs (id, text) VALUES (1, 'one')");

        Assert.IsNotType<StateException>(Assert.ThrowsAny<System.Data.Common.DbException>(() => connection.Execute("INSERT INTO blobs (id, text) VALUES (1, 'again')")));
        Assert.Empty(_health.Problems());
    }

    [Fact]
    public void A_state_that_is_moved_away_while_it_is_used_is_not_made_again_empty()
    {
        using var held = _state.Open();
        File.Delete(_folder.File);
        File.Delete(_folder.Log);

        Assert.Throws<StateException>(() => _state.Open());
        Assert.False(File.Exists(_folder.File));
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void Another_content_in_the_same_file_is_believed_by_nobody(bool older, bool isLooked)
    {
        using var other = new StateFolder();
        using (var connection = _state.Open())
            Add(connection);
        if (older)
        {
            _folder.Sql($"VACUUM INTO '{other.File}'");
            using var connection = _state.Open();
            Add(connection);
        }
        else
        {
            using var foreign = new StateDatabase(other.File);
            foreign.Migrate("blobs", "CREATE TABLE blobs (id INTEGER PRIMARY KEY, text TEXT NOT NULL)");
            using var connection = foreign.Open();
            for (var i = 0; i < 10; i++)
                Add(connection);
        }

        var mark = File.ReadAllText(_folder.File + "-instance");
        using (var from = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={other.File};Pooling=False"))
        using (var into = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={_folder.File};Pooling=False"))
        {
            from.Open();
            into.Open();
            from.BackupDatabase(into);
        }

        if (isLooked)
        {
            _state.LookAtFile();
        }
        else
        {
            using var connection = _state.Open();
            Assert.Contains("was replaced by an older state or another server's", Assert.Throws<StateException>(() => Add(connection)).Message, StringComparison.Ordinal);
        }

        Assert.Throws<StateException>(_state.Open);
        _state.LookAtFile();
        Assert.Equal(("file", HealthState.Failed), (Assert.Single(_health.Problems()).Subject, _health.Problems()[0].State));
        Assert.Equal(mark, File.ReadAllText(_folder.File + "-instance"));
    }

    [Fact]
    public void A_log_that_is_deleted_while_it_is_in_use_is_told_of()
    {
        using (var connection = _state.Open())
            Add(connection);
        _state.LookAtFile();
        Assert.Empty(_health.Problems());
        File.Delete(_folder.Log);

        _state.LookAtFile();
        Assert.Contains("-wal was deleted or replaced", Assert.Single(_health.Problems()).Reason, StringComparison.Ordinal);
    }

    static void Add(System.Data.Common.DbConnection connection, int length = 200_000) =>
        connection.Execute("INSERT INTO blobs (text) VALUES ($text)", ("$text", new string('x', length)));

    sealed class Lines : ILogger
    {
        public List<string> Errors { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (logLevel >= LogLevel.Error)
                Errors.Add(formatter(state, exception));
        }
    }
}
