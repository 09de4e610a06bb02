using System.Data;
using System.Data.Common;

using Microsoft.Data.Sqlite;

namespace Whistle.State;

/// <summary>A connection of the provider's. On SQLite it outlives its users, with a prepared command a text.</summary>
sealed class KeptConnection(DbConnection inner, bool keepsCommands) : IAsyncDisposable, IDisposable
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

    public ValueTask DisposeAsync()
    {
        foreach (var command in _commands.Values)
            command.Dispose();
        return inner.DisposeAsync();
    }
}

/// <summary>
/// A connection to the state, of either engine, for one user at a time. Statements take part in the open transaction; one that changes rows
/// outside of any is a transaction of its own. Texts of statements are constants, values always parameters; instants are stored as
/// milliseconds since 1970 UTC.
/// </summary>
public sealed class StateConnection : IAsyncDisposable
{
    // As long as SQLite waits for another writer.
    const int LockSeconds = 10;

    readonly StateDatabase _database;
    KeptConnection? _kept;

    internal StateConnection(StateDatabase database, KeptConnection kept) => (_database, _kept) = (database, kept);

    public bool IsPostgreSql => _database.IsPostgreSql;

    internal StateDatabase Source => _database;

    internal StateTransaction? Current { get; private set; }

    internal KeptConnection Kept => _kept ?? throw new ObjectDisposedException(nameof(StateConnection));

    /// <summary>
    /// Begins a transaction that reads and writes, under <see cref="StateScope.Everything"/>. To be used wherever a write depends on what
    /// was read. Others go on to read what was before.
    /// </summary>
    public Task<StateTransaction> BeginWriteAsync(CancellationToken cancellation) => BeginWriteAsync([StateScope.Everything], cancellation);

    /// <summary>As <see cref="BeginWriteAsync(CancellationToken)"/>, under one scope.</summary>
    public Task<StateTransaction> BeginWriteAsync(StateScope scope, CancellationToken cancellation) =>
        BeginWriteAsync([scope], cancellation);

    /// <summary>As <see cref="BeginWriteAsync(CancellationToken)"/>, under several scopes.</summary>
    public async Task<StateTransaction> BeginWriteAsync(IReadOnlyCollection<StateScope> scopes, CancellationToken cancellation)
    {
        if (_database.Fault is { } fault)
            await fault(StateMoment.BeforeBegin);
        await _database.MakeRoomAsync(cancellation);
        var turn = await _database.WaitForTurnAsync(cancellation);
        try
        {
            var lease = StateLease.Current;
            var inner = await GuardedAsync(() => BeginAsync(lease is null ? scopes : [.. scopes, lease.Fence], cancellation));
            Current = new StateTransaction(this, inner, isWrite: true, turn);
            if (lease is not null)
                await CheckAsync(lease, Current, cancellation);
            return Current;
        }
        catch
        {
            turn?.Dispose();
            throw;
        }
    }

    async Task CheckAsync(StateLease lease, StateTransaction begun, CancellationToken cancellation)
    {
        try
        {
            await lease.CheckAsync(this, cancellation);
        }
        catch
        {
            await begun.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Takes one more scope in the transaction that is open, after all others. Whoever has it must commit without waiting for anything
    /// more, so that nobody who waits for it has what another needs.
    /// </summary>
    public async Task TakeLastAsync(StateScope scope, CancellationToken cancellation)
    {
        if (Current is not { IsWrite: true } open)
            throw new InvalidOperationException("A scope is taken in a transaction that writes.");
        if (IsPostgreSql)
            await GuardedAsync(() => LockAsync(open.Inner, scope.Statement(), cancellation));
    }

    /// <summary>Begins a transaction that only reads, all of it as of one moment.</summary>
    public async Task<StateTransaction> BeginReadAsync(CancellationToken cancellation)
    {
        var inner = await GuardedAsync(async () =>
        {
            if (Kept.Inner is SqliteConnection sqlite)
                return sqlite.BeginTransaction(deferred: true);
            var begun = await Kept.Inner.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellation);
            await RunAsync(begun, "SET TRANSACTION READ ONLY", cancellation);
            return begun;
        });
        return Current = new StateTransaction(this, inner, isWrite: false, turn: null);
    }

    /// <summary>Returns the number of rows that were changed.</summary>
    public Task<int> ExecuteAsync(string sql, CancellationToken cancellation, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        if (Current is { IsWrite: false })
            throw new InvalidOperationException("A read transaction cannot write; begin it with BeginWriteAsync.");
        return Current is null
            ? ExecuteAloneAsync(sql, parameters.ToArray(), cancellation)
            : ChangeAsync(sql, Command(sql, parameters), cancellation);
    }

    /// <summary>
    /// A statement that changes rows and returns them needs <see cref="BeginWriteAsync(StateScope, CancellationToken)"/>.
    /// </summary>
    /// <param name="read">Called for each row, which it must not keep.</param>
    public Task<List<T>> QueryAsync<T>(
        string sql, Func<DbDataReader, T> read, CancellationToken cancellation,
        params ReadOnlySpan<(string Name, object? Value)> parameters) =>
        ReadAsync(sql, Command(sql, parameters), read, cancellation);

    /// <summary>
    /// Says a text to all processes that listen (<see cref="StateDatabase.ListenAsync"/>), once the open transaction has committed. On
    /// SQLite there is nobody else to hear it.
    /// </summary>
    public Task NotifyAsync(string channel, string text, CancellationToken cancellation) => Source.IsPostgreSql
        ? QueryAsync("SELECT pg_notify($channel, $text)::text", _ => true, cancellation, ("$channel", channel), ("$text", text))
        : Task.CompletedTask;

    /// <summary>Runs a script of several statements, in the open transaction where there is one.</summary>
    internal async Task RunScriptAsync(string sql, CancellationToken cancellation)
    {
        await using var command = Kept.Inner.CreateCommand();
#pragma warning disable CA2100 // Every script is a constant of the stage that calls.
        command.CommandText = Source.IsPostgreSql ? StateDialect.Script(sql) : sql;
#pragma warning restore CA2100
        await GuardedAsync(() => command.ExecuteNonQueryAsync(cancellation));
    }

    /// <summary>Reports what is wrong with the state as a whole, and throws it as a <see cref="StateException"/>.</summary>
    internal async Task<T> GuardedAsync<T>(Func<Task<T>> work)
    {
        try
        {
            return await work();
        }
        catch (DbException e) when (_database.Trouble(e) is { } trouble)
        {
            _kept?.IsSpent = true;
            throw trouble;
        }
    }

    internal void Ended(StateTransaction transaction)
    {
        if (Current == transaction)
            Current = null;
    }

    public async ValueTask DisposeAsync()
    {
        if (_kept is not { } kept)
            return;
        _kept = null;
        try
        {
            if (Current is { } open)
                await open.DisposeAsync();
        }
        catch
        {
            // Nobody knows what became of its transaction.
            await kept.DisposeAsync();
            throw;
        }

        await _database.ReleaseAsync(kept);
    }

    async Task<DbTransaction> BeginAsync(IReadOnlyCollection<StateScope> scopes, CancellationToken cancellation)
    {
        if (Kept.Inner is SqliteConnection sqlite)
            return sqlite.BeginTransaction(deferred: false);
        // Each statement after the locks sees all that the writers before have committed.
        var inner = await Kept.Inner.BeginTransactionAsync(IsolationLevel.ReadCommitted, cancellation);
        await RunAsync(inner, StateScope.Statement(scopes), cancellation);
        return inner;
    }

    async Task RunAsync(DbTransaction inner, string sql, CancellationToken cancellation)
    {
        try
        {
            await LockAsync(inner, sql, cancellation);
        }
        catch
        {
            await inner.DisposeAsync();
            throw;
        }
    }

    async Task<int> LockAsync(DbTransaction inner, string sql, CancellationToken cancellation)
    {
        await using var command = Kept.Inner.CreateCommand();
#pragma warning disable CA2100 // Made of constants and numbers.
        command.CommandText = sql;
#pragma warning restore CA2100
        command.Transaction = inner;
        command.CommandTimeout = LockSeconds;
        return await command.ExecuteNonQueryAsync(cancellation);
    }

    async Task<int> ExecuteAloneAsync(string sql, (string Name, object? Value)[] parameters, CancellationToken cancellation)
    {
        await using var own = await BeginWriteAsync(StateScope.Rows, cancellation);
        var changed = await ChangeAsync(sql, Command(sql, parameters), cancellation);
        await own.CommitAsync(cancellation);
        return changed;
    }

    async Task<int> ChangeAsync(string sql, DbCommand command, CancellationToken cancellation)
    {
        var changed = await RunAsync(sql, command, c => c.ExecuteNonQueryAsync(cancellation));
        if (changed != 0)
            Current?.HasChanges = true;
        return changed;
    }

    Task<List<T>> ReadAsync<T>(string sql, DbCommand command, Func<DbDataReader, T> read, CancellationToken cancellation) => RunAsync(
        sql, command, async c =>
        {
            await using var reader = await c.ExecuteReaderAsync(cancellation);
            var rows = new List<T>();
            while (await reader.ReadAsync(cancellation))
                rows.Add(StateSql.Row(sql, reader, read));
            if (reader.RecordsAffected > 0)
                Current?.HasChanges = true;
            return rows;
        });

    // A command that failed is not used again.
    async Task<T> RunAsync<T>(string sql, DbCommand command, Func<DbCommand, Task<T>> work)
    {
        try
        {
            var result = await GuardedAsync(() => work(command));
            Kept.Give(sql, command);
            return result;
        }
        catch
        {
            await command.DisposeAsync();
            throw;
        }
    }

    DbCommand Command(string sql, ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        var command = Kept.Take(sql);
        command.Transaction = Current?.Inner;
        if (!HasNames(command, parameters))
        {
            command.Parameters.Clear();
            foreach (var (name, _) in parameters)
            {
                var parameter = command.CreateParameter();
                parameter.ParameterName = Source.IsPostgreSql ? name[1..] : name;
                command.Parameters.Add(parameter);
            }
        }

        for (var i = 0; i < parameters.Length; i++)
            command.Parameters[i].Value = StateSql.Stored(parameters[i].Value, Source.IsPostgreSql);
        return command;
    }

    static bool HasNames(DbCommand command, ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        if (command.Parameters.Count != parameters.Length)
            return false;
        for (var i = 0; i < parameters.Length; i++)
        {
            if (command.Parameters[i].ParameterName != parameters[i].Name)
                return false;
        }

        return true;
    }
}

/// <summary>Rolled back where it is disposed without a commit.</summary>
public sealed class StateTransaction : IAsyncDisposable
{
    readonly StateConnection _connection;
    readonly DbTransaction _inner;
    readonly IDisposable? _turn;
    readonly int _changes;

    /// <param name="turn">Given back when the transaction ends.</param>
    internal StateTransaction(StateConnection connection, DbTransaction inner, bool isWrite, IDisposable? turn)
    {
        (_connection, _inner, _turn, IsWrite) = (connection, inner, turn, isWrite);
        _changes = isWrite ? StateDatabase.Changes(connection.Kept.Inner) : 0;
    }

    /// <summary>Statements of this connection take part in it.</summary>
    public StateConnection Connection => _connection;

    internal DbTransaction Inner => _inner;

    internal bool IsWrite { get; }

    /// <summary>A row was changed in it.</summary>
    internal bool HasChanges { get; set; }

    /// <summary>Once it has begun to commit, it is not cancelled: nobody would know whether it did.</summary>
    public Task CommitAsync(CancellationToken cancellation) => CommitAsync(_connection.Source.BeforeCommit, cancellation);

    /// <param name="along">As <see cref="StateDatabase.BeforeCommit"/>; null where nothing goes along.</param>
    internal async Task CommitAsync(Func<StateConnection, CancellationToken, Task<Action?>>? along, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var database = _connection.Source;
        var committed = HasChanges && along is not null ? await along(_connection, cancellation) : null;
        if (IsWrite && database.Fault is { } before)
            await before(StateMoment.BeforeCommit);
        var number = IsWrite ? await database.CountAsync(_connection, _changes) : 0;
        await _connection.GuardedAsync(async () =>
        {
            await _inner.CommitAsync(CancellationToken.None);
            return true;
        });
        _connection.Ended(this);
        if (!IsWrite)
            return;
        database.Committed(_connection, number);
        _turn?.Dispose();
        committed?.Invoke();
        if (database.Fault is { } after)
            await after(StateMoment.AfterCommit);
    }

    public async Task RollbackAsync(CancellationToken cancellation)
    {
        await _inner.RollbackAsync(cancellation);
        _connection.Ended(this);
        _turn?.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            await _inner.DisposeAsync();
        }
        finally
        {
            _connection.Ended(this);
            _turn?.Dispose();
        }
    }
}
