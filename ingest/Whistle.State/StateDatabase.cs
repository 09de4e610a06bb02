using System.Collections.Concurrent;
using System.Data.Common;

using Microsoft.Data.Sqlite;

using Npgsql;

using Whistle.State.Files;

namespace Whistle.State;

/// <summary>When <see cref="StateDatabase.Fault"/> is called.</summary>
public enum StateMoment
{
    /// <summary>No lock is held yet: other connections may still write.</summary>
    BeforeBegin,

    BeforeCommit,

    /// <summary>It is durable; nobody knows yet.</summary>
    AfterCommit,
}

/// <summary>
/// The state: one SQLite file, a database in memory, or a PostgreSQL database. Each stage owns its tables and numbers its own migrations.
/// The statements are SQLite's that PostgreSQL takes too; see <see cref="StateDialect"/> for what it does not.
/// </summary>
public sealed partial class StateDatabase : IDisposable
{
    // As long as SQLite waits for another process that writes.
    static readonly TimeSpan LongestTurn = TimeSpan.FromSeconds(10);

    static long _memories;
    static long _numbers;

    readonly string _connectionString;
    readonly NpgsqlDataSource? _postgreSql;
    readonly string? _file;
    readonly FileIdentity? _opened;

    // Connections to SQLite that nobody uses, with their prepared statements. One in memory lives as long as one of them is open.
    readonly ConcurrentStack<KeptConnection> _idle = [];
    // SQLite has one writer at a time. Those of this process wait here, where they hold no thread.
    readonly SemaphoreSlim? _turns;
    volatile bool _isDisposed;

    /// <exception cref="StateException">The file cannot be used as it is.</exception>
    public StateDatabase(string file, StateOpening? opening = null)
    {
        _file = Path.GetFullPath(file);
        Directory.CreateDirectory(Path.GetDirectoryName(_file)!);
        var found = StateInspection.Look(_file, opening ?? new());
        (IsNew, Accepted, _isDoubted) = (found.IsNew, found.Accepted, found.Accepted is not null);
        if (_isDoubted)
            StateFiles.CreatePrivate(_file + StateMark.Suffix).Dispose();
        if (IsNew)
            Make(_file);
        // One that is moved away while it is in use is not made again, empty.
        _connectionString = FileConnection(_file, SqliteOpenMode.ReadWrite);
        _turns = new(1);
        Keep(OpenSqliteOrTrouble());
        _opened = FileIdentity.Of(_file);
    }

    StateDatabase(NpgsqlDataSource? postgreSql, string connectionString)
    {
        (_connectionString, _postgreSql) = (connectionString, postgreSql);
        IsNew = postgreSql is null;
        if (postgreSql is not null)
            return;
        _turns = new(1);
        Keep(OpenSqlite());
    }

    /// <summary>Nothing is connected to before it is first used.</summary>
    /// <param name="connectionString">As Npgsql takes it. The database must exist, and its user be allowed to make tables in it.</param>
    public static StateDatabase PostgreSql(string connectionString) => new(NpgsqlDataSource.Create(connectionString), connectionString);

    /// <summary>Whether <see cref="PostgreSql"/> can read it and it names a host; nothing is connected to.</summary>
    public static bool IsConnectionString(string text)
    {
        try
        {
            return !string.IsNullOrEmpty(new NpgsqlConnectionStringBuilder(text).Host);
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    /// <summary>A database of its own, gone with the object.</summary>
    public static StateDatabase InMemory() => new(
        null,
        new SqliteConnectionStringBuilder
        {
            DataSource = $"file:/whistle-{Interlocked.Increment(ref _memories)}?vfs=memdb",
            DefaultTimeout = 10,
            Pooling = false,
        }.ToString());

    /// <summary>
    /// Called around every transaction that writes: what tests and the simulator break the state with. What it throws goes to whoever
    /// writes, and what is not committed by then is rolled back. At <see cref="StateMoment.BeforeBegin"/> it may use the database itself.
    /// </summary>
    public Func<StateMoment, Task>? Fault { get; set; }

    /// <summary>
    /// Called in every transaction that changed a row, right before it commits: what it writes is committed with it, or the whole is
    /// not. It may take a scope (<see cref="StateConnection.TakeLastAsync"/>). What it answers is called once it is durable. Migrations
    /// commit without it.
    /// </summary>
    public Func<StateConnection, CancellationToken, Task<Action?>>? BeforeCommit { get; set; }

    /// <summary>No other database of this process has it.</summary>
    internal long Number { get; } = Interlocked.Increment(ref _numbers);

    public bool IsPostgreSql => _postgreSql is not null;

    /// <summary>
    /// A connection for one user at a time. The first one brings the tables of the stages up that were added until then
    /// (<see cref="Add"/>).
    /// </summary>
    /// <exception cref="StateException">The state cannot be used as it is.</exception>
    public async Task<StateConnection> OpenAsync(CancellationToken cancellation)
    {
        if (!_isCurrent)
            await MigrateAddedAsync(cancellation);
        return await ConnectAsync(cancellation);
    }

    internal async Task<StateConnection> ConnectAsync(CancellationToken cancellation)
    {
        if (_exchanged is { } exchanged)
            throw new StateException(exchanged);
        try
        {
            if (_postgreSql is { } source)
                return new StateConnection(this, new(await source.OpenConnectionAsync(cancellation), false));
            return new StateConnection(this, _idle.TryPop(out var kept) ? kept : OpenSqlite());
        }
        catch (DbException e) when (Trouble(e) is { } trouble)
        {
            throw trouble;
        }
    }

    /// <summary>Waits until it is this writer's turn in the process. Null where the engine lets several write.</summary>
    internal async Task<IDisposable?> WaitForTurnAsync(CancellationToken cancellation)
    {
        if (_turns is null)
            return null;
        if (!await _turns.WaitAsync(LongestTurn, cancellation))
            throw new TimeoutException($"The state was not written: another writer held it for {LongestTurn.TotalSeconds:0} s. Try again.");
        return new Turn(_turns);
    }

    /// <summary>Closes the connections that are kept open, so that a file can be moved or its disk unmounted.</summary>
    public void Dispose()
    {
        _isDisposed = true;
        Drain();
        _anchor?.Dispose();
        _postgreSql?.Dispose();
        _markFile?.Dispose();
    }

    internal ValueTask ReleaseAsync(KeptConnection kept)
    {
        if (!kept.KeepsCommands || kept.IsSpent)
            return kept.DisposeAsync();
        Keep(kept);
        return ValueTask.CompletedTask;
    }

    void Keep(KeptConnection kept)
    {
        _idle.Push(kept);
        if (_isDisposed)
            Drain();
    }

    // Its schema is read at once: a file that is damaged is found, and its log is made.
    KeptConnection OpenSqliteOrTrouble()
    {
        try
        {
            var kept = OpenSqlite();
            using var look = kept.Inner.CreateCommand();
            look.CommandText = "SELECT count(*) FROM sqlite_schema";
            look.ExecuteScalar();
            return kept;
        }
        catch (DbException e) when (Trouble(e) is { } trouble)
        {
            throw trouble;
        }
    }

    KeptConnection OpenSqlite()
    {
        // Half of what is asked would be answered by another state, which may allow what this one forbids.
        if (_opened is not null && FileLoss() is { } loss)
            throw new StateException(loss);
        var connection = new SqliteConnection(_connectionString);
        connection.Open();
        using var command = connection.CreateCommand();
        // FULL: what was acknowledged to a caller survives a power failure too. The cache takes at most 32 MiB.
        // Checkpoints are this class's own. A copy that a backup made has no log yet.
        command.CommandText = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -32768; "
            + "PRAGMA wal_autocheckpoint = 0";
        command.ExecuteNonQuery();
        return new(connection, true);
    }

    void Drain()
    {
        while (_idle.TryPop(out var kept))
            kept.Dispose();
    }

    internal static string FileConnection(string file, SqliteOpenMode mode) =>
        new SqliteConnectionStringBuilder { DataSource = file, Mode = mode, DefaultTimeout = 10, Pooling = false }.ToString();

    static void Make(string file)
    {
        using var connection = new SqliteConnection(FileConnection(file, SqliteOpenMode.ReadWriteCreate));
        try
        {
            connection.Open();
            // Its log takes the mode over.
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            using var command = connection.CreateCommand();
            command.CommandText = "PRAGMA journal_mode = WAL";
            command.ExecuteNonQuery();
        }
        catch (SqliteException e)
        {
            throw new StateException(StateInspection.Explain(file, e), e);
        }
    }

    sealed class Turn(SemaphoreSlim turns) : IDisposable
    {
        SemaphoreSlim? _turns = turns;

        public void Dispose() => Interlocked.Exchange(ref _turns, null)?.Release();
    }
}
