using System.Collections.Concurrent;
using System.Data.Common;

using Microsoft.Data.Sqlite;

using Npgsql;

namespace Whistle.Ingest;

/// <summary>When <see cref="StateDatabase.Fault"/> is called.</summary>
enum StateMoment
{
    /// <summary>No lock is held yet: other connections may still write.</summary>
    BeforeBegin,

    BeforeCommit,

    /// <summary>It is durable; nobody was told yet.</summary>
    AfterCommit,
}

/// <summary>
/// The state: one SQLite file, a database in memory, or a PostgreSQL database. Each stage owns its tables and numbers its own migrations.
/// The statements are SQLite's that PostgreSQL takes too; see <see cref="StateDialect"/> for what it does not.
/// </summary>
public sealed partial class StateDatabase : IDisposable
{
    static long _memories;

    readonly string _connectionString;
    readonly NpgsqlDataSource? _postgreSql;

    // Connections to SQLite that nobody uses, with their prepared statements. One in memory lives as long as one of them is open.
    readonly ConcurrentStack<KeptConnection> _idle = [];
    volatile bool _isDisposed;

    public StateDatabase(string file)
        : this(FileConnection(file), null, "PRAGMA journal_mode = WAL")
    {
    }

    StateDatabase(string connectionString, NpgsqlDataSource? postgreSql, string? prepare)
    {
        (_connectionString, _postgreSql) = (connectionString, postgreSql);
        using var connection = Open();
        if (prepare is not null)
            connection.Script(prepare);
        using var transaction = connection.BeginWrite();
        connection.Script("CREATE TABLE IF NOT EXISTS migrations (stage TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (stage, number))");
        transaction.Commit();
    }

    /// <param name="connectionString">As Npgsql takes it. The database must exist, and its user be allowed to make tables in it.</param>
    public static StateDatabase PostgreSql(string connectionString)
    {
        var source = NpgsqlDataSource.Create(connectionString);
        try
        {
            return new StateDatabase(connectionString, source, null);
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

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
        new SqliteConnectionStringBuilder
        {
            DataSource = $"file:/whistle-{Interlocked.Increment(ref _memories)}?vfs=memdb",
            DefaultTimeout = 10,
            Pooling = false,
        }.ToString(),
        null,
        null);

    /// <summary>
    /// Called around every transaction that writes. What it throws goes to whoever writes, and what is not committed by then is rolled back.
    /// At <see cref="StateMoment.BeforeBegin"/> it may use the database itself.
    /// </summary>
    internal Action<StateMoment>? Fault { get; set; }

    internal bool IsPostgreSql => _postgreSql is not null;

    public DbConnection Open() => new StateConnection(
        this, _postgreSql is { } source ? new(source.OpenConnection(), false) : _idle.TryPop(out var kept) ? kept : OpenSqlite());

    /// <summary>Closes the connections that are kept open, so that a file can be moved or its disk unmounted.</summary>
    public void Dispose()
    {
        _isDisposed = true;
        Drain();
        _postgreSql?.Dispose();
    }

    /// <summary>Runs the scripts that this database has not seen yet. A script, once released, never changes.</summary>
    public void Migrate(string stage, params ReadOnlySpan<string> scripts)
    {
        using var connection = Open();
        for (var number = 0; number < scripts.Length; number++)
        {
            using var transaction = connection.BeginWrite();
            if (connection.Execute("INSERT INTO migrations (stage, number) VALUES ($stage, $number) ON CONFLICT DO NOTHING", ("$stage", stage), ("$number", number)) > 0)
                connection.Script(scripts[number]);
            transaction.Commit();
        }
    }

    internal void Release(KeptConnection kept)
    {
        if (!kept.KeepsCommands)
        {
            kept.Dispose();
            return;
        }

        _idle.Push(kept);
        if (_isDisposed)
            Drain();
    }

    KeptConnection OpenSqlite()
    {
        var connection = new SqliteConnection(_connectionString);
        connection.Open();
        using var command = connection.CreateCommand();
        // FULL: what a caller was told is written survives the loss of power too. The cache takes up to 32 MiB, as far as there is so much to read.
        command.CommandText = "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -32768";
        command.ExecuteNonQuery();
        return new(connection, true);
    }

    void Drain()
    {
        while (_idle.TryPop(out var kept))
            kept.Dispose();
    }

    static string FileConnection(string file)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
        return new SqliteConnectionStringBuilder { DataSource = file, DefaultTimeout = 10, Pooling = false }.ToString();
    }
}
