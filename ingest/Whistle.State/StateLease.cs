namespace Whistle.State;

/// <summary>
/// Lets one of several processes on the same PostgreSQL do a thing at a time; another goes on when it has not renewed its lease. What is
/// written within <see cref="RunAsync(Func{Task}, CancellationToken)"/> is refused once another has the lease, however late the process is
/// that lost it. On SQLite there is one process, which always has it.
/// </summary>
/// <param name="name">Of the thing: the same in every process.</param>
/// <param name="owner">A name that no other process has at the same time.</param>
public sealed class StateLease(StateDatabase database, string name, string owner, TimeProvider time)
{
    /// <summary>How long a process that died keeps others waiting, by the clock of the database.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromSeconds(15);

    public static readonly StateSchema Tables = new(
        "leases",
        "CREATE TABLE leases (name TEXT PRIMARY KEY, owner TEXT NOT NULL, until_at INTEGER NOT NULL) WITHOUT ROWID;");

    // One clock for all who want it; on PostgreSQL alone.
    const string Now = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

    static readonly AsyncLocal<StateLease?> Running = new();

    readonly StateScope _scope = StateScope.Of($"lease\n{name}");
    long _heldSince;
    bool _isHeld;

    /// <summary>Under which the code that runs writes.</summary>
    internal static StateLease? Current => Running.Value;

    /// <summary>For a transaction that must not be committed where the lease is lost.</summary>
    internal StateScope Fence => _scope.Shared();

    /// <summary>Under a lease where there is one; else at once.</summary>
    public static Task RunAsync(StateLease? lease, Func<Task> work, CancellationToken cancellation) =>
        lease is null ? work() : lease.RunAsync(work, cancellation);

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
                await TryHoldAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
        }
    }

    async Task TryHoldAsync(CancellationToken cancellation)
    {
        try
        {
            await HoldAsync(cancellation);
        }
        catch (Exception e) when (e is System.Data.Common.DbException or IOException)
        {
            // Tried again; and whoever works finds out when they write.
        }
    }

    /// <summary>Gives it to whoever asks next; where the database does not answer, they wait until it ends.</summary>
    public async Task TryReleaseAsync(CancellationToken cancellation)
    {
        if (!database.IsPostgreSql || !_isHeld)
            return;
        _isHeld = false;
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
        _isHeld = false;
        throw new StateException($"Another process holds the lease of {name} now, so this one wrote nothing.");
    }

    async Task<bool> HoldAsync(CancellationToken cancellation)
    {
        if (_isHeld && time.GetElapsedTime(_heldSince) < Life / 2)
            return true;
        var began = time.GetTimestamp();
        await using var connection = await database.OpenAsync(cancellation);
        // First without the lock, which whoever has the lease needs for each of its writes.
        if (await IsAnothersAsync(connection, cancellation))
            return false;
        await using var transaction = await connection.BeginWriteAsync(_scope, cancellation);
        if (await IsAnothersAsync(connection, cancellation))
            return false;

        await connection.ExecuteAsync(
            $"INSERT INTO leases (name, owner, until_at) VALUES ($name, $owner, {Now} + $life) ON CONFLICT (name) DO UPDATE SET "
            + "owner = excluded.owner, until_at = excluded.until_at",
            cancellation, ("$name", name), ("$owner", owner), ("$life", (long)Life.TotalMilliseconds));
        await transaction.CommitAsync(cancellation);
        (_heldSince, _isHeld) = (began, true);
        return true;
    }

    async Task<bool> IsAnothersAsync(StateConnection connection, CancellationToken cancellation)
    {
        var others = await connection.QueryAsync(
            $"SELECT 1 FROM leases WHERE name = $name AND owner <> $owner AND until_at > {Now}", _ => true, cancellation,
            ("$name", name), ("$owner", owner));
        if (others.Count == 0)
            return false;
        _isHeld = false;
        return true;
    }
}

/// <summary>The leases of a process.</summary>
/// <param name="owner">A name that no other process has at the same time.</param>
public sealed class StateLeases(StateDatabase database, string owner, TimeProvider time)
{
    public StateLease Of(string name) => new(database, name, owner, time);
}
