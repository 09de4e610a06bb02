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
        _state.Add(new StateSchema("blobs", "CREATE TABLE blobs (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"));
        _state.Watch(_health, _log);
    }

    public void Dispose()
    {
        _state.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_full_disk_is_said_once_reported_and_over_with_the_next_write()
    {
        await using (var connection = await _state.OpenAsync(TestContext.Current.CancellationToken))
        {
            // SQLite's own bound stands for the disk's.
            await connection.QueryAsync("PRAGMA max_page_count = 20", r => r.GetInt64(0), TestContext.Current.CancellationToken);
            var error = await Assert.ThrowsAsync<StateException>(async () => await AddAsync(connection));
            Assert.Contains("The disk of", error.Message, StringComparison.Ordinal);
            await Assert.ThrowsAsync<StateException>(async () => await AddAsync(connection));
        }

        var problem = Assert.Single(_health.Problems());
        Assert.Equal(("state", "", HealthState.Failed), (problem.Component, problem.Subject, problem.State));
        Assert.Single(_log.Errors);
        await using (var connection = await _state.OpenAsync(TestContext.Current.CancellationToken))
            await AddAsync(connection);
        Assert.Empty(_health.Problems());
    }

    [Fact]
    public async Task Pages_that_were_damaged_under_a_running_server_are_reported_and_read_by_nobody()
    {
        await using (var connection = await _state.OpenAsync(TestContext.Current.CancellationToken))
        {
            for (var i = 0; i < 100; i++)
                await AddAsync(connection, 10_000);
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

        await using (var connection = await again.OpenAsync(TestContext.Current.CancellationToken))
            Assert.Contains("is damaged", (await Assert.ThrowsAsync<StateException>(async () => await connection.QueryAsync(
                "SELECT text FROM blobs", r => r.GetString(0), TestContext.Current.CancellationToken))).Message, StringComparison.Ordinal);
        Assert.Equal(HealthState.Failed, Assert.Single(_health.Problems()).State);
    }

    [Fact]
    public async Task A_column_whose_name_was_garbled_in_the_schema_is_damage_of_the_state()
    {
        await (await _state.OpenAsync(TestContext.Current.CancellationToken)).DisposeAsync();
        _state.Dispose();
        var bytes = File.ReadAllBytes(_folder.File);
        var at = bytes.AsSpan().IndexOf("text TEXT NOT NULL"u8);
        bytes[at] = (byte)'T' + 1;
        File.WriteAllBytes(_folder.File, bytes);
        using var again = new StateDatabase(_folder.File);
        again.Watch(_health, _log);

        await using var connection = await again.OpenAsync(TestContext.Current.CancellationToken);
        Assert.Contains("is damaged", (await Assert.ThrowsAsync<StateException>(async () => await connection.QueryAsync(
            "SELECT text FROM blobs", r => r.GetString(0), TestContext.Current.CancellationToken))).Message, StringComparison.Ordinal);
        Assert.Equal(HealthState.Failed, Assert.Single(_health.Problems()).State);
    }

    [Fact]
    public async Task A_statement_that_is_wrong_by_itself_is_no_trouble_of_the_state()
    {
        await using var connection = await _state.OpenAsync(TestContext.Current.CancellationToken);
        await connection.ExecuteAsync("INSERT INTO blobs (id, text) VALUES (1, 'one')", TestContext.Current.CancellationToken);

        Assert.IsNotType<StateException>(await Assert.ThrowsAnyAsync<System.Data.Common.DbException>(async () =>
            await connection.ExecuteAsync("INSERT INTO blobs (id, text) VALUES (1, 'again')", TestContext.Current.CancellationToken)));
        Assert.Empty(_health.Problems());
    }

    [Fact]
    public async Task A_state_that_is_moved_away_while_it_is_used_is_not_made_again_empty()
    {
        await using var held = await _state.OpenAsync(TestContext.Current.CancellationToken);
        File.Delete(_folder.File);
        File.Delete(_folder.Log);

        await Assert.ThrowsAsync<StateException>(async () => await _state.OpenAsync(TestContext.Current.CancellationToken));
        Assert.False(File.Exists(_folder.File));
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task Another_content_in_the_same_file_is_believed_by_nobody(bool older, bool isLooked)
    {
        using var other = new StateFolder();
        await using (var connection = await _state.OpenAsync(TestContext.Current.CancellationToken))
            await AddAsync(connection);
        if (older)
        {
            _folder.Sql($"VACUUM INTO '{other.File}'");
            await using var connection = await _state.OpenAsync(TestContext.Current.CancellationToken);
            await AddAsync(connection);
        }
        else
        {
            using var foreign = new StateDatabase(other.File);
            await foreign.MigrateAsync(
                new StateSchema("blobs", "CREATE TABLE blobs (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"),
                TestContext.Current.CancellationToken);
            await using var connection = await foreign.OpenAsync(TestContext.Current.CancellationToken);
            for (var i = 0; i < 10; i++)
                await AddAsync(connection);
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
            await _state.LookAtFileAsync(TestContext.Current.CancellationToken);
        }
        else
        {
            await using var connection = await _state.OpenAsync(TestContext.Current.CancellationToken);
            Assert.Contains(
                "was replaced by an older state or another server's",
                (await Assert.ThrowsAsync<StateException>(async () => await AddAsync(connection))).Message, StringComparison.Ordinal);
        }

        await Assert.ThrowsAsync<StateException>(() => _state.OpenAsync(TestContext.Current.CancellationToken));
        await _state.LookAtFileAsync(TestContext.Current.CancellationToken);
        Assert.Equal(("file", HealthState.Failed), (Assert.Single(_health.Problems()).Subject, _health.Problems()[0].State));
        Assert.Equal(mark, File.ReadAllText(_folder.File + "-instance"));
    }

    [Fact]
    public async Task A_log_that_is_deleted_while_it_is_in_use_is_told_of()
    {
        await using (var connection = await _state.OpenAsync(TestContext.Current.CancellationToken))
            await AddAsync(connection);
        await _state.LookAtFileAsync(TestContext.Current.CancellationToken);
        Assert.Empty(_health.Problems());
        File.Delete(_folder.Log);

        await _state.LookAtFileAsync(TestContext.Current.CancellationToken);
        Assert.Contains("-wal was deleted or replaced", Assert.Single(_health.Problems()).Reason, StringComparison.Ordinal);
    }

    static async Task AddAsync(StateConnection connection, int length = 200_000) =>
        await connection.ExecuteAsync(
            "INSERT INTO blobs (text) VALUES ($text)", TestContext.Current.CancellationToken, ("$text", new string('x', length)));

    sealed class Lines : ILogger
    {
        public List<string> Errors { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (logLevel >= LogLevel.Error)
                Errors.Add(formatter(state, exception));
        }
    }
}
