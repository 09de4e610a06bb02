using DuckDB.NET.Data;

namespace Whistle.Ingest;

public sealed partial class DuckDbStore
{
    // A finished hour stays open this long for what is still under way.
    static readonly TimeSpan SealGrace = TimeSpan.FromMinutes(5);

    /// <summary>Seals every finished hour into Parquet, merges what came late into its hour, and drops what is past retention.</summary>
    /// <returns>The hours sealed or merged.</returns>
    /// <exception cref="StoreException">An hour (the first, where several) could not be sealed; it stays readable where it is, and is tried again next time.</exception>
    public int Maintain()
    {
        var now = _time.GetUtcNow();
        DropExpired(FloorHour((now - _options.Retention).ToUnixTimeMilliseconds()));
        List<long> hours;
        lock (_appending)
        {
            _openFrom = Math.Max(_openFrom, FloorHour((now - SealGrace).ToUnixTimeMilliseconds()));
            hours = [.. _hot.Where(h => h < _openFrom)];
        }

        Query($"SELECT DISTINCT epoch_ms(time) // {Hour} FROM late", row => hours.Add(row.GetInt64(0)));
        var due = hours.Where(h => h < _openFrom).Distinct().Order().ToList();
        // An hour that cannot be sealed must not hold up the others, or the hot store would grow for as long as that hour is kept.
        StoreException? failure = null;
        foreach (var hour in due)
        {
            try
            {
                Seal(hour);
            }
            catch (StoreException e)
            {
                failure ??= e;
            }
        }

        return failure is null ? due.Count : throw failure;
    }

    void Seal(long hour)
    {
        var (samples, series) = (SealedFile(hour), SealedSeriesFile(hour));
        try
        {
            using var connection = Connect();
            Execute(connection, "BEGIN");
            var rows = RowsOf(connection, hour, out var isHot);
            Execute(connection, $"COPY ({rows}) TO {Quote(samples + ".tmp")} (FORMAT parquet, COMPRESSION zstd)");
            Execute(connection, $"COPY (SELECT id, name, labels FROM series WHERE id IN (SELECT series FROM read_parquet({Quote(samples + ".tmp")})) ORDER BY id) TO {Quote(series + ".tmp")} (FORMAT parquet, COMPRESSION zstd)");
            Execute(connection, $"UPDATE series SET last_hour = {hour} WHERE last_hour < {hour} AND id IN (SELECT id FROM read_parquet({Quote(series + ".tmp")}))");
            Execute(connection, $"DELETE FROM late WHERE {InHour(hour)}");
            if (isHot)
                Execute(connection, $"DROP TABLE {HotTable(hour)}");
            Sync(samples + ".tmp");
            Sync(series + ".tmp");
            Swap(connection, hour);
        }
        catch (Exception e) when (e is DuckDBException or IOException or UnauthorizedAccessException)
        {
            TryDelete(samples + ".tmp");
            TryDelete(series + ".tmp");
            throw new StoreException($"The hour {HourName(hour)} could not be sealed in {SealedFolder}: {e.Message.TrimEnd()} It stays in the hot store; free disk space if that is the cause.", e);
        }
    }

    void Swap(DuckDBConnection connection, long hour)
    {
        _layout.EnterWriteLock();
        try
        {
            File.Move(SealedSeriesFile(hour) + ".tmp", SealedSeriesFile(hour), overwrite: true);
            File.Move(SealedFile(hour) + ".tmp", SealedFile(hour), overwrite: true);
            _sealed.Add(hour);
            Execute(connection, "COMMIT");
            lock (_appending)
                _hot.Remove(hour);
        }
        finally
        {
            _layout.ExitWriteLock();
        }
    }

    // A fresh hour is unique by itself; only where it meets a file or late samples must times be compared.
    // Counts inside the transaction that will delete: what arrives after its snapshot stays for the next time.
    string RowsOf(DuckDBConnection connection, long hour, out bool isHot)
    {
        bool isSealed;
        // An append adds to the layout meanwhile, and a recovery reads it anew.
        lock (_appending)
            (isHot, isSealed) = (_hot.Contains(hour), _sealed.Contains(hour));
        var hot = isHot ? $"SELECT series, time, value, 1 AS source FROM {HotTable(hour)}" : null;
        var file = isSealed ? $"SELECT series, time, value, 0 AS source FROM read_parquet({Quote(SealedFile(hour))})" : null;
        using var count = connection.CreateCommand();
        count.CommandText = $"SELECT count(*) FROM late WHERE {InHour(hour)}";
        var late = (long)count.ExecuteScalar()!;
        if (hot is not null && file is null && late == 0)
            return $"SELECT series, time, value FROM {HotTable(hour)} ORDER BY series, time";
        string?[] sources = [file, hot, $"SELECT series, time, value, 2 AS source FROM late WHERE {InHour(hour)}"];
        return $"SELECT series, time, arg_min(value, source) AS value FROM ({string.Join(" UNION ALL ", sources.OfType<string>())}) GROUP BY series, time ORDER BY series, time";
    }

    void DropExpired(long firstKept)
    {
        _layout.EnterWriteLock();
        try
        {
            foreach (var hour in _sealed.Where(h => h < firstKept).ToList())
            {
                File.Delete(SealedFile(hour));
                File.Delete(SealedSeriesFile(hour));
                _sealed.Remove(hour);
            }

            using var connection = Connect();
            Execute(connection, $"DELETE FROM series WHERE last_hour < {firstKept}");
            Execute(connection, $"DELETE FROM late WHERE time < {Timestamp(firstKept * Hour)}");
        }
        catch (Exception e) when (e is DuckDBException or IOException or UnauthorizedAccessException)
        {
            throw new StoreException($"What is past retention could not be dropped from {_options.Folder}: {e.Message.TrimEnd()}", e);
        }
        finally
        {
            _layout.ExitWriteLock();
        }
    }

    static string InHour(long hour) => InRange(hour * Hour, (hour + 1) * Hour - 1);

    static void TryDelete(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The disk may take nothing any more. Opening the store deletes what is left.
        }
    }

    static void Sync(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.ReadWrite);
        stream.Flush(flushToDisk: true);
    }
}
