namespace Whistle.State;

/// <summary>
/// Lets one of several processes on the same PostgreSQL do a thing at a time; another goes on when it has not renewed its lease. What is
/// written within <see cref="RunAsync"/> is refused once another has the lease, however late the process is that lost it. On SQLite there
/// is one process, which always has it.
/// </summary>
/// <param name="name">Of the thing: the same in every process.</param>
/// <param name="owner">A name that no other process has at the same time.</param>
public sealed class StateLease(StateDatabase database, string name, string owner, TimeProvider time)
{
    /// <summary>How long a process that died keeps others waiting, by the clock of who takes over.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromSeconds(15);

    public static readonly StateSchema Tables = new(
        "leases",
        "CREATE TABLE leases (name TEXT PRIMARY KEY, owner TEXT NOT NULL, until_at INTEGER NOT NULL) WITHOUT ROWID;");

    static readonly AsyncLocal<StateLease?> Running = new();

    readonly StateScope _scope = StateScope.Of($"lease\n{name}");
    DateTimeOffset _until = DateTimeOffset.MinValue;

    /// <summary>Under which the code that runs writes.</summary>
    internal static StateLease? Current => Running.Value;

    /// <summary>For a transaction that must not be committed where the lease is lost.</summary>
    internal StateScope Fence => _scope.Shared();

    /// <summary>Whether this process had it when it last looked.</summary>
    public bool IsHeld => !database.IsPostgreSql || time.GetUtcNow() < _until;

    /// <returns>False where another process has it, and nothing was done.</returns>
    public async Task<bool> RunAsync(Func<Task> work, CancellationToken cancellation)
    {
        if (!database.IsPostgreSql)
        {
            await work();
            return true;
        }

        if (!await HoldAsync(cancellation))
            return false;
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var keeping = KeepAsync(ended.Token);
        Running.Value = this;
        try
        {
            await work();
        }
        finally
        {
            Running.Value = null;
            await ended.CancelAsync();
            await keeping;
        }

        return true;
    }

    // Work that takes longer than the lease must not lose it.
    async Task KeepAsync(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(Life / 3, time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellation))
                await HoldAsync(cancellation);
        }
        catch (Exception e) when (e is OperationCanceledException or System.Data.Common.DbException or IOException)
        {
            // Whoever works finds out when they write.
        }
    }

    /// <summary>Gives it to whoever asks next; where the database does not answer, they wait until it ends.</summary>
    public async Task TryReleaseAsync(CancellationToken cancellation)
    {
        if (!database.IsPostgreSql || _until == DateTimeOffset.MinValue)
            return;
        _until = DateTimeOffset.MinValue;
        try
        {
            await using var connection = await database.OpenAsync(cancellation);
            await connection.ExecuteAsync(
                "DELETE FROM leases WHERE name = $name AND owner = $owner", cancellation, ("$name", name), ("$owner", owner));
        }
        catch (Exception e) when (e is System.Data.Common.DbException or IOException or OperationCanceledException)
        {
        }
    }

    /// <exception cref="StateException">Another process has it by now.</exception>
    internal async Task CheckAsync(StateConnection connection, CancellationToken cancellation)
    {
        var owners = await connection.QueryAsync(
            "SELECT owner FROM leases WHERE name = $name", r => r.GetString(0), cancellation, ("$name", name));
        if (owners is [var held] && held == owner)
            return;
        _until = DateTimeOffset.MinValue;
        throw new StateException($"Another process has taken over {name}; what this one worked out meanwhile is not written.");
    }

    async Task<bool> HoldAsync(CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        if (_until - now > Life / 2)
            return true;
        await using var connection = await database.OpenAsync(cancellation);
        // First without the lock, which whoever has the lease needs for each of its writes.
        if (await IsAnothersAsync(connection, now, cancellation))
            return false;
        await using var transaction = await connection.BeginWriteAsync(_scope, cancellation);
        if (await IsAnothersAsync(connection, now, cancellation))
            return false;

        await connection.ExecuteAsync(
            "INSERT INTO leases (name, owner, until_at) VALUES ($name, $owner, $until) ON CONFLICT (name) DO UPDATE SET "
            + "owner = excluded.owner, until_at = excluded.until_at",
            cancellation, ("$name", name), ("$owner", owner), ("$until", now + Life));
        await transaction.CommitAsync(cancellation);
        _until = now + Life;
        return true;
    }

    async Task<bool> IsAnothersAsync(StateConnection connection, DateTimeOffset now, CancellationToken cancellation)
    {
        var held = await connection.QueryAsync(
            "SELECT owner, until_at FROM leases WHERE name = $name", r => (Owner: r.GetString(0), Until: r.Instant(1)), cancellation,
            ("$name", name));
        if (held is not [var other] || other.Owner == owner || other.Until <= now)
            return false;
        _until = DateTimeOffset.MinValue;
        return true;
    }
}

/// <summary>The leases of a process.</summary>
/// <param name="owner">A name that no other process has at the same time.</param>
public sealed class StateLeases(StateDatabase database, string owner, TimeProvider time)
{
    public StateLease Of(string name) => new(database, name, owner, time);
}
