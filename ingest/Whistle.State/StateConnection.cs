using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;

using Microsoft.Data.Sqlite;

namespace Whistle.State;

/// <summary>A connection of the provider's. On SQLite it outlives its users, with a prepared command a text.</summary>
sealed class KeptConnection(DbConnection inner, bool keepsCommands) : IDisposable
{
    readonly Dictionary<string, DbCommand> _commands = [];

    public DbConnection Inner => inner;

    public bool KeepsCommands => keepsCommands;

    /// <summary>It met with trouble; another takes its place.</summary>
    public bool IsSpent { get; set; }

    /// <summary>Whoever has a command has it alone until it is given back: what reads rows may run the same text again.</summary>
    public DbCommand Take(string sql)
    {
        if (_commands.Remove(sql, out var command))
            return command;
        command = inner.CreateCommand();
#pragma warning disable CA2100 // Every text is a constant of the store that calls.
        command.CommandText = keepsCommands ? sql : StateDialect.Statement(sql);
#pragma warning restore CA2100
        return command;
    }

    /// <summary>Not to be called for a command that failed.</summary>
    public void Give(string sql, DbCommand command)
    {
        if (!keepsCommands || !_commands.TryAdd(sql, command))
            command.Dispose();
    }

    public void Dispose()
    {
        foreach (var command in _commands.Values)
            command.Dispose();
        inner.Dispose();
    }
}

/// <summary>
/// A connection to the state, of either engine. Writers follow one another: on SQLite by its own lock, on PostgreSQL by an advisory lock,
/// so that what a transaction has read holds until it commits.
/// </summary>
sealed class StateConnection(StateDatabase database, KeptConnection kept) : DbConnection
{
    // "Whistle" in ASCII; the number is of its own within a PostgreSQL database.
    const long WriteLock = 0x57686973746C65;

    // As long as SQLite waits for another writer.
    const int LockSeconds = 10;

    KeptConnection? _kept = kept;

    public StateDatabase Source => database;

    /// <summary>The one that statements take part in; null where each is one of its own.</summary>
    public StateTransaction? Current { get; private set; }

    public KeptConnection Kept => _kept ?? throw new ObjectDisposedException(nameof(StateConnection));

    [AllowNull]
    public override string ConnectionString
    {
        get => Kept.Inner.ConnectionString;
        set => throw new NotSupportedException();
    }

    public override string Database => Kept.Inner.Database;

    public override string DataSource => Kept.Inner.DataSource;

    public override string ServerVersion => Kept.Inner.ServerVersion;

    public override ConnectionState State => _kept?.Inner.State ?? ConnectionState.Closed;

    public StateTransaction BeginWrite()
    {
        database.Fault?.Invoke(StateMoment.BeforeBegin);
        database.MakeRoom();
        return Guarded(static c =>
        {
            var inner = c.Kept.Inner is SqliteConnection sqlite ? sqlite.BeginTransaction(deferred: false) : c.BeginLocked();
            return c.Current = new(c, inner, isWrite: true);
        });
    }

    public StateTransaction BeginRead() => Guarded(static c =>
    {
        if (c.Kept.Inner is SqliteConnection sqlite)
            return c.Current = new(c, sqlite.BeginTransaction(deferred: true), isWrite: false);
        var inner = c.Kept.Inner.BeginTransaction(IsolationLevel.RepeatableRead);
        c.Run(inner, "SET TRANSACTION READ ONLY");
        return c.Current = new(c, inner, isWrite: false);
    });

    /// <summary>Reports what is wrong with the state as a whole, and throws it as a <see cref="StateException"/>.</summary>
    public T Guarded<T>(Func<StateConnection, T> work)
    {
        try
        {
            return work(this);
        }
        catch (DbException e) when (database.Trouble(e) is { } trouble)
        {
            _kept?.IsSpent = true;
            throw trouble;
        }
    }

    public void Ended(StateTransaction transaction)
    {
        if (Current == transaction)
            Current = null;
    }

    public override void ChangeDatabase(string databaseName) => throw new NotSupportedException();

    public override void Open() => throw new NotSupportedException("The database opens its connections itself.");

    public override void Close()
    {
        if (_kept is not { } kept)
            return;
        _kept = null;
        try
        {
            Current?.Dispose();
        }
        catch
        {
            // Nobody knows what became of its transaction.
            kept.Dispose();
            throw;
        }

        database.Release(kept);
    }

    protected override DbTransaction BeginDbTransaction(IsolationLevel isolationLevel) => BeginWrite();

    protected override DbCommand CreateDbCommand() => Kept.Inner.CreateCommand();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            Close();
        base.Dispose(disposing);
    }

    // Each statement after the lock sees all that the writer before has committed.
    DbTransaction BeginLocked()
    {
        var inner = Kept.Inner.BeginTransaction(IsolationLevel.ReadCommitted);
        Run(inner, $"SELECT pg_advisory_xact_lock({WriteLock})");
        return inner;
    }

    void Run(DbTransaction inner, string sql)
    {
        try
        {
            using var command = Kept.Inner.CreateCommand();
#pragma warning disable CA2100 // A constant of this file.
            command.CommandText = sql;
#pragma warning restore CA2100
            command.CommandTimeout = LockSeconds;
            command.ExecuteNonQuery();
        }
        catch
        {
            inner.Dispose();
            throw;
        }
    }
}

/// <summary>Rolled back where it is disposed without a commit.</summary>
sealed class StateTransaction(StateConnection connection, DbTransaction inner, bool isWrite) : DbTransaction
{
    readonly int _changes = isWrite ? StateDatabase.Changes(connection.Kept.Inner) : 0;

    public DbTransaction Inner => inner;

    public bool IsWrite => isWrite;

    public override IsolationLevel IsolationLevel => inner.IsolationLevel;

    protected override DbConnection DbConnection => connection;

    public override void Commit()
    {
        if (isWrite)
            connection.Source.Fault?.Invoke(StateMoment.BeforeCommit);
        var number = isWrite ? connection.Source.Count(connection, _changes) : 0;
        connection.Guarded(_ => Commit(inner));
        connection.Ended(this);
        if (!isWrite)
            return;
        connection.Source.Committed(connection, number);
        connection.Source.Fault?.Invoke(StateMoment.AfterCommit);
    }

    static bool Commit(DbTransaction inner)
    {
        inner.Commit();
        return true;
    }

    public override void Rollback()
    {
        inner.Rollback();
        connection.Ended(this);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
            connection.Ended(this);
        }

        base.Dispose(disposing);
    }
}
