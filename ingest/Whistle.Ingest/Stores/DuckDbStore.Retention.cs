using DuckDB.NET.Data;

using Whistle.Inventory;
using Whistle.State.Files;

namespace Whistle.Ingest.Stores;

/// <summary>What is dropped because it was kept long enough.</summary>
public sealed partial class DuckDbStore
{
    // Finished hours are sealed between two rounds, whatever there is to drop.
    const int HoursDroppedAtOnce = 12;

    // Whose samples each hour is known not to have, by its generation.
    readonly Dictionary<long, (int Generation, HashSet<string> Tenants)> _withoutTenants = [];

    void DropExpired(long firstKept)
    {
        _setAside.Refresh(firstKept * Hour);
        try
        {
            var expired = DeleteBefore(firstKept);
            foreach (var hour in _withoutTenants.Keys.Where(h => h < firstKept).ToList())
                _withoutTenants.Remove(hour);
            using var connection = _hotFile.Connect();
            if (expired)
                HotFile.Execute(connection, $"DELETE FROM hours WHERE hour < {firstKept}");
            HotFile.Execute(connection, $"DELETE FROM late WHERE time < {Timestamp(firstKept * Hour)}");
        }
        catch (Exception e) when (e is DuckDBException or IOException or UnauthorizedAccessException)
        {
            throw new StoreException($"What is past retention could not be dropped from {_options.Folder}: {e.Message.TrimEnd()}", e);
        }
    }

    // Readers are kept out only where there is something to delete: a writer that waits for them holds up all that come after.
    bool DeleteBefore(long firstKept)
    {
        _layout.EnterUpgradeableReadLock();
        try
        {
            var expired = _sealed.Between(long.MinValue, firstKept - 1);
            if (expired.Count == 0)
                return false;
            _layout.EnterWriteLock();
            try
            {
                expired.ForEach(_sealed.Delete);
            }
            finally
            {
                _layout.ExitWriteLock();
            }

            return true;
        }
        finally
        {
            _layout.ExitUpgradeableReadLock();
        }
    }

    void DropIdleSeries(long before)
    {
        List<string> tables;
        lock (_appending)
            tables = [LateTable, .. _hot.Select(HotTable)];
        Connected(connection => HotFile.Execute(connection, $"DELETE FROM series WHERE last_hour < {before} "
            + $"AND id NOT IN ({string.Join(" UNION ", tables.Select(t => $"SELECT series FROM {t}"))})"));
    }

    // An hour is one set of files for all tenants, so what one of them is not to have any more costs a generation of the hour. An hour that
    // cannot be written must not keep the others.
    StoreException? DropExpiredOf(IReadOnlyDictionary<string, TimeSpan> own, DateTimeOffset now)
    {
        var firstKept = own.ToDictionary(t => t.Key, t => FloorHour((now - t.Value).ToUnixTimeMilliseconds()));
        if (firstKept.Count == 0)
            return null;
        StoreException? failure = null;
        var (dropped, end) = (0, firstKept.Values.Max());
        foreach (var hour in SealedHours().TakeWhile(h => h.Hour < end))
        {
            try
            {
                if (PresentOf(hour, [.. firstKept.Where(t => hour.Hour < t.Value).Select(t => t.Key)]) is not { Count: > 0 } present)
                    continue;
                if (++dropped > HoursDroppedAtOnce)
                    break;
                Seal(hour.Hour, present);
            }
            catch (StoreException e)
            {
                failure ??= new($"A tenant's telemetry could not be dropped after its retention: {e.Message}", e);
            }
        }

        return failure;
    }

    /// <summary>Which of the tenants have samples in the hour.</summary>
    List<string> PresentOf(SealedHour hour, List<string> tenants)
    {
        if (_withoutTenants.TryGetValue(hour.Hour, out var known) && known.Generation == hour.Generation
            && known.Tenants.IsSupersetOf(tenants))
            return [];
        List<string> present = [];
        try
        {
            Connected(connection => Query(
                connection, $"SELECT value FROM read_parquet({Quote(_sealed.PathOf(hour.Labels))}) "
                    + $"WHERE label = '{Sender.TenantLabel}' AND value IN ({string.Join(", ", tenants.Select(Quote))})",
                row => present.Add(row.GetString(0))));
        }
        catch (Exception e) when (e is DuckDBException or StoreException)
        {
            SetAsideDamaged(hour.Hour);
            return _sealed.Find(hour.Hour) is null
                ? [] : throw new StoreException($"{_sealed.PathOf(hour.Labels)} cannot be read: {e.Message.TrimEnd()}", e);
        }

        if (present.Count == 0)
            _withoutTenants[hour.Hour] = (hour.Generation, [.. tenants]);
        return present;
    }
}
