using System.Collections.Concurrent;
using System.Data.Common;

using Whistle.State;
using Whistle.State.Files;

namespace Whistle.Ingest.Heads;

/// <summary>
/// How many new series each tenant was let in within the last hour. A part of the allowance is written down before it is used, so a
/// restart, which a tenant might bring about, gives nobody a new one: what was written down and not used counts as used then.
/// </summary>
sealed class NewSeries
{
    public static readonly StateSchema Tables = new(
        "ingest-series",
        "CREATE TABLE new_series (tenant TEXT NOT NULL, slot INTEGER NOT NULL, reserved INTEGER NOT NULL, PRIMARY KEY (tenant, slot))");

    static readonly long SlotMilliseconds = (long)TimeSpan.FromMinutes(10).TotalMilliseconds;

    // The slot that runs, and as many before it as make up an hour.
    const int Slots = 7;

    // Used under a clock that is further ahead than this, it counts as used now: it must not count until that time has come.
    const int MostAhead = 6;

    // Written down at a time: at least as many, at most this part of the limit.
    const int FewestAtOnce = 64;
    const int PartAtOnce = 100;

    static readonly StateScope Scope = StateScope.Of("new_series");

    readonly int _limit;
    readonly TimeProvider _time;
    readonly StateDatabase? _state;
    readonly ConcurrentDictionary<string, Window> _windows = new();

    /// <param name="state">Where the allowance is written down; null where nothing is to survive.</param>
    public NewSeries(int limit, TimeProvider time, StateDatabase? state)
    {
        (_limit, _time, _state) = (limit, time, state);
        if (state is null)
            return;
        state.Add(Tables);
        foreach (var (tenant, slot, reserved) in Wait(LoadAsync(state, Slot())))
            Of(tenant).Used[slot] = Of(tenant).Reserved[slot] = reserved;
    }

    public IEnumerable<string> Tenants => _windows.Keys;

    public long Count(string tenant)
    {
        var window = Of(tenant);
        lock (window)
            return Count_NeedsLock(window, Slot());
    }

    /// <summary>Counts one more, unless that is past the limit.</summary>
    /// <param name="own">A limit of the tenant's own; null where the usual one counts.</param>
    /// <exception cref="StoreException">It cannot be written down.</exception>
    public bool TryAdd(string tenant, int? own = null)
    {
        var limit = own ?? _limit;
        var (window, slot) = (Of(tenant), Slot());
        // Held while it is written down: that holds up nobody but the tenant.
        lock (window)
        {
            if (Count_NeedsLock(window, slot) >= limit)
                return false;
            var used = window.Used.GetValueOrDefault(slot) + 1;
            if (used > window.Reserved.GetValueOrDefault(slot))
                Reserve_NeedsLock(window, tenant, slot, used, limit);
            window.Used[slot] = used;
            return true;
        }
    }

    /// <summary>The last one turned out not to be new.</summary>
    public void Withdraw(string tenant)
    {
        var (window, slot) = (Of(tenant), Slot());
        lock (window)
        {
            if (window.Used.GetValueOrDefault(slot) is > 0 and var used)
                window.Used[slot] = used - 1;
        }
    }

    // A clock that was set back does not free what was used under later times: that counts for an hour more.
    static long Count_NeedsLock(Window window, long slot)
    {
        foreach (var old in window.Used.Keys.Where(s => s <= slot - Slots).ToList())
        {
            window.Used.Remove(old);
            window.Reserved.Remove(old);
        }

        foreach (var ahead in window.Used.Keys.Where(s => s > slot + MostAhead).ToList())
        {
            Move(window.Used, ahead, slot);
            Move(window.Reserved, ahead, slot);
        }

        return window.Used.Values.Sum();
    }

    static void Move(Dictionary<long, long> counts, long from, long to)
    {
        if (counts.Remove(from, out var count))
            counts[to] = counts.GetValueOrDefault(to) + count;
    }

    // Before any of it is used.
    static async Task<List<(string Tenant, long Slot, long Reserved)>> LoadAsync(StateDatabase state, long slot)
    {
        await using var connection = await state.OpenAsync(CancellationToken.None);
        await FoldAsync(connection, slot);
        return await connection.QueryAsync(
            "SELECT tenant, slot, reserved FROM new_series", r => (r.GetString(0), r.GetInt64(1), r.GetInt64(2)), CancellationToken.None);
    }

    static async Task FoldAsync(StateConnection connection, long slot)
    {
        const string ahead = "SELECT 1 FROM new_series WHERE slot > $ahead";
        if ((await connection.QueryAsync(ahead, _ => true, CancellationToken.None, ("$ahead", slot + MostAhead))).Count == 0)
            return;
        await using var transaction = await connection.BeginWriteAsync(Scope, CancellationToken.None);
        await connection.ExecuteAsync(
            """
            INSERT INTO new_series (tenant, slot, reserved)
                SELECT tenant, $slot, sum(reserved) FROM new_series WHERE slot > $ahead GROUP BY tenant
            ON CONFLICT (tenant, slot) DO UPDATE SET reserved = new_series.reserved + excluded.reserved
            """,
            CancellationToken.None, ("$slot", slot), ("$ahead", slot + MostAhead));
        await connection.ExecuteAsync("DELETE FROM new_series WHERE slot > $ahead", CancellationToken.None, ("$ahead", slot + MostAhead));
        await transaction.CommitAsync(CancellationToken.None);
    }

    // Decoding is synchronous, and its thread has nothing else to do before it knows: one write for a hundredth of the limit.
    static T Wait<T>(Task<T> write) => write.GetAwaiter().GetResult();

    void Reserve_NeedsLock(Window window, string tenant, long slot, long used, int limit)
    {
        var most = Math.Max(1, limit / PartAtOnce);
        var reserved = used - 1 + Math.Clamp(used, Math.Min(FewestAtOnce, most), most);
        try
        {
            if (_state is not null)
                Wait(WriteAsync(_state, tenant, slot, reserved));
        }
        catch (DbException e)
        {
            throw new StoreException("New series cannot be counted now: the state cannot be written.", e);
        }

        window.Reserved[slot] = reserved;
    }

    static async Task<bool> WriteAsync(StateDatabase state, string tenant, long slot, long reserved)
    {
        await using var connection = await state.OpenAsync(CancellationToken.None);
        await using var transaction = await connection.BeginWriteAsync(Scope, CancellationToken.None);
        // What this tenant used under a clock ahead is part of what it reserves now.
        await connection.ExecuteAsync(
            "DELETE FROM new_series WHERE slot <= $old OR (tenant = $tenant AND slot > $ahead)",
            CancellationToken.None, ("$old", slot - Slots), ("$tenant", tenant), ("$ahead", slot + MostAhead));
        await connection.ExecuteAsync(
            """
            INSERT INTO new_series (tenant, slot, reserved) VALUES ($tenant, $slot, $reserved)
            ON CONFLICT (tenant, slot) DO UPDATE SET reserved = excluded.reserved
            """,
            CancellationToken.None, ("$tenant", tenant), ("$slot", slot), ("$reserved", reserved));
        await transaction.CommitAsync(CancellationToken.None);
        return true;
    }

    long Slot() => _time.GetUtcNow().ToUnixTimeMilliseconds() / SlotMilliseconds;

    Window Of(string tenant) => _windows.GetOrAdd(tenant, static _ => new Window());

    sealed class Window
    {
        public Dictionary<long, long> Used { get; } = [];

        public Dictionary<long, long> Reserved { get; } = [];
    }
}
