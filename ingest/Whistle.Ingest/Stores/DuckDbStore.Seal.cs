using System.Collections.Frozen;

using DuckDB.NET.Data;

using Whistle.Inventory;
using Whistle.State.Files;

namespace Whistle.Ingest.Stores;

public sealed partial class DuckDbStore
{
    // A finished hour stays open this long for what is still under way.
    static readonly TimeSpan SealGrace = TimeSpan.FromMinutes(5);

    // The labels of a series that nothing in the hot store refers to stay this long: longer
    // than a sample may be late, and than the head keeps one.
    const int HoursOfIdleSeries = 26;

    static readonly TimeSpan ProofInterval = TimeSpan.FromDays(1);

    static readonly string[] Kinds = ["samples", "series", "labels"];

    long? _nextToProve;
    DateTimeOffset _provingSince;

    /// <summary>Seals every finished hour into Parquet, merges what came late into its hour, and drops what is past retention.</summary>
    /// <param name="own">Tenants of whom less is kept, with how much.</param>
    /// <returns>The hours sealed or merged.</returns>
    /// <exception cref="StoreException">An hour (the first, where several) could not be sealed; it stays readable where it is, and is tried
    /// again next time.</exception>
    public int Maintain(IReadOnlyDictionary<string, TimeSpan>? own = null)
    {
        lock (_maintaining)
            return MaintainAlone(own);
    }

    int MaintainAlone(IReadOnlyDictionary<string, TimeSpan>? own)
    {
        var now = _time.GetUtcNow();
        LookAtHotFile();
        ProveNext(now);
        DropExpired(FloorHour((now - _options.Retention).ToUnixTimeMilliseconds()));
        List<long> hours;
        lock (_appending)
        {
            _openFrom = Math.Max(_openFrom, FloorHour((now - SealGrace).ToUnixTimeMilliseconds()));
            hours = [.. _hot.Where(h => h < _openFrom)];
        }

        Connected(
            connection => Query(connection, $"SELECT DISTINCT epoch_ms(time) // {Hour} FROM late", row => hours.Add(row.GetInt64(0))));
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

        if (due.Count > 0)
            DropIdleSeries(FloorHour(now.ToUnixTimeMilliseconds()) - HoursOfIdleSeries);
        failure ??= DropExpiredOf(own ?? FrozenDictionary<string, TimeSpan>.Empty, now);
        return failure is null ? due.Count : throw failure;
    }

    /// <summary>A running store continues without its file, and loses everything at the next start.</summary>
    internal void LookAtHotFile()
    {
        if (_hotFile.Loss is { } loss)
            Suspect(loss);
    }

    /// <summary>Hashes every sealed file; what does not hold its content is set aside.</summary>
    /// <returns>How many hours are right.</returns>
    public int ProveAll()
    {
        // An hour at a time, so that what writes waits for one at most.
        for (long? next = long.MinValue; next is { } from;)
            next = Prove(from);
        _layout.EnterReadLock();
        try
        {
            return _sealed.All.Count;
        }
        finally
        {
            _layout.ExitReadLock();
        }
    }

    // A disk forgets without changing a file's time. One hour a round, each once a day.
    void ProveNext(DateTimeOffset now)
    {
        if (_nextToProve is null && now - _provingSince >= ProofInterval)
            (_nextToProve, _provingSince) = (long.MinValue, now);
        if (_nextToProve is { } next)
            _nextToProve = Prove(next);
    }

    /// <summary>Hashes the first hour from there on; what does not hold its content is set aside.</summary>
    /// <returns>From where to go on; null at the end.</returns>
    long? Prove(long from)
    {
        SealedHour? hour;
        SealedFault? fault;
        _layout.EnterReadLock();
        try
        {
            hour = _sealed.Between(from, long.MaxValue).FirstOrDefault();
            fault = hour is null ? null : FaultsOf([hour], again: true).FirstOrDefault();
        }
        finally
        {
            _layout.ExitReadLock();
        }

        if (fault is { IsDamage: true })
            SetAsideNow([fault]);
        return hour?.Hour + 1;
    }

    /// <param name="hour">Hours since 1970 UTC.</param>
    /// <param name="without">Tenants whose samples of the hour are left out.</param>
    void Seal(long hour, IReadOnlyCollection<string>? without = null)
    {
        SetAsideDamaged(hour);
        var before = _sealed.Find(hour);
        // Set aside as damaged, or given up for want of space: there is nothing to leave anybody out of.
        if (before is null && without is not null)
            return;
        var generation = 1 + Math.Max(before?.Generation ?? 0, Directory.EnumerateFiles(
            SealedFolder, $"{SealedHour.NameOf(hour)}.*").Max(f => (int?)SealedHour.GenerationOf(Path.GetFileName(f))) ?? 0);
        var names = Kinds.Select(kind => SealedHour.FileName(hour, generation, kind)).ToArray();
        string Unfinished(int file) => _sealed.PathOf(names[file]) + DurableFile.UnfinishedSuffix;
        try
        {
            using var connection = _hotFile.Connect();
            HotFile.Execute(connection, "BEGIN");
            Number(connection, hour, before, without ?? [], out var isHot);
            var orphans = KeepOrphans(connection, hour, isHot);
            HotFile.Execute(connection, $"COPY ({RowsOf(connection, hour, before, isHot)}) TO {Quote(Unfinished(0))} ({Parquet})");
            HotFile.Execute(
                connection, $"COPY (SELECT DISTINCT id, name, labels FROM numbers ORDER BY id) TO {Quote(Unfinished(1))} ({Parquet})");
            HotFile.Execute(
                connection, $"COPY ({LabelPairs("(SELECT DISTINCT labels FROM numbers)")}) TO {Quote(Unfinished(2))} ({Parquet})");
            HotFile.Execute(
                connection,
                $"UPDATE series SET last_hour = {hour} WHERE last_hour < {hour} AND id IN (SELECT old FROM numbers WHERE source > 0)");
            HotFile.Execute(connection, $"DELETE FROM late WHERE {InHour(hour)}");
            if (isHot)
                HotFile.Execute(connection, $"DROP TABLE {HotTable(hour)}");
            var files = names.Select((name, i) =>
            {
                DurableFile.Sync(Unfinished(i));
                return SealedFile.Of(Unfinished(i), name);
            }).ToArray();
            var after = new SealedHour(hour, generation, files[0], files[1], files[2]);
            HotFile.Execute(connection, $"DELETE FROM hours WHERE hour = {hour}");
            Execute(connection, "INSERT INTO hours VALUES (?, ?)", hour, after.Write());
            Swap(connection, before, after);
            if (orphans is { } kept)
                _setAside.Add(
                    SealedHour.NameOf(hour),
                    $"{kept.Count} samples of the hour {SealedHour.NameOf(hour)} belong to no series that the hot store knows", hour * Hour,
                    (hour + 1) * Hour - 1, kept.File);
        }
        catch (Exception e) when (e is DuckDBException or IOException or UnauthorizedAccessException)
        {
            for (var i = 0; i < names.Length; i++)
            {
                TryDelete(Unfinished(i));
                // Renamed already, while no manifest names it.
                if (_sealed.Find(hour)?.Generation != generation)
                    TryDelete(_sealed.PathOf(names[i]));
            }

            throw new StoreException(
                $"The hour {SealedHour.NameOf(hour)} could not be sealed in {SealedFolder}: "
                + $"{e.Message.TrimEnd()} It stays in the hot store; free disk space if that is the cause.",
                e);
        }
    }

    const string Parquet = "FORMAT parquet, COMPRESSION zstd";

    /// <summary>Each label with each of its values, for whoever asks what there is.</summary>
    static string LabelPairs(string series) =>
        "SELECT DISTINCT pair.key AS label, pair.value AS value "
        + $"FROM (SELECT unnest(map_entries(CAST(CAST(labels AS JSON) AS MAP(VARCHAR, VARCHAR)))) AS pair FROM {series}) ORDER BY ALL";

    // Merging with a file that cannot be trusted would make its damage look right.
    void SetAsideDamaged(long hour)
    {
        if (_sealed.Find(hour) is not { } known || _sealed.Fault(known) is not { } fault)
            return;
        if (!fault.IsDamage)
            throw new StoreException($"The hour {SealedHour.NameOf(hour)} could not be sealed again: {fault.Reason}");
        SetAsideNow([fault]);
    }

    void SetAsideNow(IEnumerable<SealedFault> faults)
    {
        _layout.EnterWriteLock();
        try
        {
            foreach (var (hour, reason, _) in faults)
            {
                if (_sealed.Find(hour.Hour) != hour)
                    continue;
                SetHourAside(hour.Hour, [hour.ManifestName, .. hour.Files.Select(f => f.Name)], reason);
                Connected(connection => HotFile.Execute(connection, $"DELETE FROM hours WHERE hour = {hour.Hour}"));
            }
        }
        finally
        {
            _layout.ExitWriteLock();
        }
    }

    // Ids of the new file, in the order of name and labels, so that what is asked for together stands together; old is the id in the
    // source: 0 the sealed file, 1 the hot store. Counts inside the transaction that will delete: what arrives after its snapshot stays for
    // the next time.
    void Number(
        DuckDBConnection connection, long hour, SealedHour? before, IReadOnlyCollection<string> without, out bool isHot)
    {
        // An append adds to the layout while this runs, and a recovery reads it again.
        lock (_appending)
            isHot = _hot.Contains(hour);
        var used = $"SELECT series FROM late WHERE {InHour(hour)}{(isHot ? $" UNION SELECT series FROM {HotTable(hour)}" : "")}";
        var hot = $"SELECT 1 AS source, id AS old, name, labels FROM series WHERE id IN ({used})";
        var file = before is null
            ? "" : $"SELECT 0 AS source, id AS old, name, labels FROM read_parquet({Quote(_sealed.PathOf(before.Series))}) UNION ALL ";
        HotFile.Execute(connection, "CREATE OR REPLACE TEMP TABLE numbers AS "
            + $"SELECT DISTINCT source, old, name, labels, (dense_rank() OVER (ORDER BY name, labels))::UINTEGER AS id FROM ({file}{hot})"
            + (without.Count == 0 ? "" : $" WHERE coalesce(json_extract_string(labels, '$.{Sender.TenantLabel}'), '') "
                + $"NOT IN ({string.Join(", ", without.Select(Quote))})"));
    }

    string RowsOf(DuckDBConnection connection, long hour, SealedHour? before, bool isHot)
    {
        var (late, series, labels) = (0L, 0L, 0L);
        Query(connection, $"SELECT count(*) FROM late WHERE {InHour(hour)}", row => late = row.GetInt64(0));
        Query(connection, "SELECT count(*), count(DISTINCT id) FROM numbers", row => (series, labels) = (row.GetInt64(0), row.GetInt64(1)));
        // A fresh hour is unique by itself; only where it meets a file, late samples, or a series that came back under another id must
        // times be compared.
        if (before is null && late == 0 && series == labels)
            return $"SELECT id AS series, time, value FROM {HotTable(hour)} JOIN numbers ON old = series ORDER BY ALL";
        string?[] sources =
        [
            before is null ? null : "SELECT id AS series, time, value, 0 AS rank "
                + $"FROM read_parquet({Quote(_sealed.PathOf(before.Samples))}) JOIN numbers ON source = 0 AND old = series",
            isHot ? $"SELECT id AS series, time, value, 1 AS rank FROM {HotTable(hour)} JOIN numbers ON source = 1 AND old = series" : null,
            $"SELECT id AS series, time, value, 2 AS rank FROM late JOIN numbers ON source = 1 AND old = series WHERE {InHour(hour)}",
        ];
        return $"SELECT series, time, arg_min(value, rank) AS value FROM ({string.Join(" UNION ALL ", sources.OfType<string>())}) "
            + "GROUP BY series, time ORDER BY series, time";
    }

    // Samples whose series the hot store does not know belong to nobody. They are kept, and never given to anybody.
    (long Count, string File)? KeepOrphans(DuckDBConnection connection, long hour, bool isHot)
    {
        var orphans = string.Join(
            " UNION ALL ",
            ((string?[])[$"SELECT * FROM late WHERE {InHour(hour)}", isHot ? $"SELECT * FROM {HotTable(hour)}" : null]).OfType<string>()
                .Select(rows => $"SELECT series, time, value FROM ({rows}) ANTI JOIN (SELECT id FROM series) s ON s.id = series"));
        var count = 0L;
        Query(connection, $"SELECT count(*) FROM ({orphans})", row => count = row.GetInt64(0));
        if (count == 0)
            return null;
        var file = Path.Combine(_options.Folder, $"orphans-{SealedHour.NameOf(hour)}.parquet");
        HotFile.Execute(connection, $"COPY ({orphans}) TO {Quote(file)} ({Parquet})");
        return (count, file);
    }

    void Swap(DuckDBConnection connection, SealedHour? before, SealedHour after)
    {
        _layout.EnterWriteLock();
        try
        {
            foreach (var file in after.Files)
                File.Move(_sealed.PathOf(file) + DurableFile.UnfinishedSuffix, _sealed.PathOf(file), overwrite: true);
            _sealed.WriteManifest(after);
            _sealed.Take(after);
            _sealed.Prove(after);
            HotFile.Execute(connection, "COMMIT");
            lock (_appending)
                _hot.Remove(after.Hour);
        }
        finally
        {
            _layout.ExitWriteLock();
        }

        foreach (var file in before?.Files ?? [])
            TryDelete(_sealed.PathOf(file));
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
}
