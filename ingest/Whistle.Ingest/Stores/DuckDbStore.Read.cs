using System.Collections.Concurrent;
using System.Globalization;

using DuckDB.NET.Data;

using Whistle.Inventory;
using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.Telemetry;

namespace Whistle.Ingest.Stores;

public sealed partial class DuckDbStore
{
    // Where one in so many ids is wanted, all between the first and the last are read.
    const int DenseIds = 16;

    // Files that change while they are read are read again; more often than this, somebody else is at work there.
    const int MostTries = 4;

    /// <summary>Every series that satisfies all matchers, with its samples in the range (both ends included).</summary>
    /// <param name="matchers">What the series must satisfy.</param>
    /// <param name="minTime">In milliseconds since 1970 UTC, as the next.</param>
    /// <param name="maxTime">The end.</param>
    /// <param name="loaded">Called with how many more samples were read, while they are read; an exception from it ends the read.</param>
    /// <param name="newer">Series whose samples lie after the range; theirs are joined to those of the store.</param>
    /// <exception cref="StoreException">The store does not answer.</exception>
    public List<SeriesSamples> Select(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<int>? loaded = null,
        IReadOnlyList<SeriesSamples>? newer = null) =>
        Reading(minTime, maxTime, (connection, hours) =>
        {
            var (samples, search) = (new StoredSamples(), new LabelSearch(matchers, loaded));
            // Each file and table has the samples of a series in the order of time, and they follow
            // each other: sorting all would cost more than reading.
            foreach (var hour in hours)
                Take(
                    SeriesOf(connection, $"read_parquet({Quote(_sealed.PathOf(hour.Series))})", search),
                    $"read_parquet({Quote(_sealed.PathOf(hour.Samples))})");
            ReadHot(minTime, maxTime, () =>
            {
                var series = SeriesOf(connection, "series", search);
                foreach (var table in HotTables(minTime, maxTime))
                    ReadHot(minTime, maxTime, () => Take(series, table));
            });
            foreach (var one in newer ?? [])
                samples.Add(one);
            return samples.Build();

            void Take(Dictionary<uint, Labels> series, string source)
            {
                if (series.Count == 0)
                    return;
                samples.Begin(series);
                Scan(connection, $"SELECT series, epoch_ms(time), value FROM {source} "
                    + $"WHERE {Where(series.Keys, minTime, maxTime)}{(source == LateTable ? " ORDER BY series, time" : "")}",
                    (ids, times, values) =>
                    {
                        var taken = samples.Add(ids, times, values);
                        loaded?.Invoke(taken);
                    });
            }
        });

    /// <summary>
    /// Gives all samples of the range to whoever wants their series, in time order but for what came late.
    /// </summary>
    /// <param name="clusters">Only of these; null for all.</param>
    /// <param name="open">Is asked for each series, with its id in the hot store or null where it is of a sealed hour; null where it is not
    /// wanted.</param>
    public void ReadAll<T>(
        IReadOnlyCollection<ClusterId>? clusters, long minTime, long maxTime, Func<uint?, List<Label>, T?> open,
        Action<T, long, double> each)
        where T : class => Reading(minTime, maxTime, (connection, hours) =>
        {
            // The hot store's ids first: a series that is in both has that one.
            var hot = new Dictionary<uint, T>();
            ReadHot(minTime, maxTime, () => hot = Open("series", SeriesIn(HotTables(minTime, maxTime)), id => id));
            foreach (var hour in hours)
                Read(
                    Open($"read_parquet({Quote(_sealed.PathOf(hour.Series))})", "true", _ => null),
                    $"read_parquet({Quote(_sealed.PathOf(hour.Samples))})");
            foreach (var table in HotTables(minTime, maxTime))
                ReadHot(minTime, maxTime, () => Read(hot, table));
            return true;

            string SeriesIn(IEnumerable<string> tables) =>
                $"id IN ({string.Join(" UNION ", tables.Select(t => $"SELECT series FROM {t} WHERE {InRange(minTime, maxTime)}"))})";

            Dictionary<uint, T> Open(string source, string where, Func<uint, uint?> hotId)
            {
                var series = new Dictionary<uint, T>();
                Query(connection, $"SELECT id, labels FROM {source} WHERE {where}", row =>
                {
                    var id = row.GetFieldValue<uint>(0);
                    var labels = LabelsJson.Read(row.GetString(1));
                    if (IsOf(clusters, labels) && open(hotId(id), labels) is { } wanted)
                        series[id] = wanted;
                });
                return series;
            }

            void Read(Dictionary<uint, T> series, string source)
            {
                if (series.Count == 0)
                    return;
                Scan(
                    connection, $"SELECT series, epoch_ms(time), value FROM {source} WHERE {Where(series.Keys, minTime, maxTime)}",
                    (ids, times, values) =>
                    {
                        for (var i = 0; i < ids.Length; i++)
                        {
                            if (series.TryGetValue(ids[i], out var wanted))
                                each(wanted, times[i], values[i]);
                        }
                    });
            }
        });

    static bool IsOf(IReadOnlyCollection<ClusterId>? clusters, List<Label> labels) =>
        clusters is null || clusters.Contains(ClusterId.Of(Labels.From(labels)));

    static Dictionary<uint, Labels> SeriesOf(DuckDBConnection connection, string source, LabelSearch search)
    {
        var found = new Dictionary<uint, Labels>();
        Query(connection, $"SELECT id, labels FROM {source} WHERE {search.Where}", row =>
        {
            if (search.Match(row.GetString(1)) is { } labels)
                found[row.GetFieldValue<uint>(0)] = labels;
        }, [.. search.Parameters]);
        return found;
    }

    // Passing over rows of others costs less than looking each up, unless nearly all are.
    static string Where(IReadOnlyCollection<uint> ids, long minTime, long maxTime)
    {
        var (first, last) = (ids.Min(), ids.Max());
        var within = $"series BETWEEN {first} AND {last} AND {InRange(minTime, maxTime)}";
        return last - first < (long)DenseIds * ids.Count
            ? within : $"{within} AND series IN (SELECT unnest([{string.Join(',', ids)}]::UINTEGER[]))";
    }

    // Sealed before hot before late: where a time comes twice, the first kept is the first that was stored.
    List<string> HotTables(long minTime, long maxTime)
    {
        var (first, last) = (FloorHour(minTime), FloorHour(maxTime));
        lock (_appending)
            return [.. _hot.Where(h => h >= first && h <= last).Select(HotTable), LateTable];
    }

    /// <summary>
    /// Hands out the sealed hours of a range once their files are proven, and holds the layout still while they are read. An hour that
    /// cannot be trusted is set aside; the answer is of the rest, and says so.
    /// </summary>
    T Reading<T>(long minTime, long maxTime, Func<DuckDBConnection, List<SealedHour>, T> read)
    {
        for (var tries = 0; tries < MostTries; tries++)
        {
            List<SealedFault> faults;
            _layout.EnterReadLock();
            try
            {
                var hours = _sealed.Between(FloorHour(minTime), FloorHour(maxTime));
                faults = FaultsOf(hours, again: false);
                hours.RemoveAll(h => faults.Exists(f => f.Hour == h));
                if (faults.TrueForAll(f => !f.IsDamage) && TryRead(hours, read, ref faults, out var answer))
                {
                    faults.ForEach(f => ReadWarnings.Add($"samples are missing: {f.Reason}"));
                    Warn(minTime, maxTime);
                    return answer;
                }
            }
            finally
            {
                _layout.ExitReadLock();
            }

            SetAsideNow(faults.Where(f => f.IsDamage));
        }

        throw DidNotAnswer($"the files in {SealedFolder} change while they are read.");
    }

    bool TryRead<T>(List<SealedHour> hours, Func<DuckDBConnection, List<SealedHour>, T> read, ref List<SealedFault> faults, out T answer)
    {
        try
        {
            answer = Connected(connection => read(connection, hours));
            return hours.TrueForAll(_sealed.IsUnchanged);
        }
        catch (StoreException e) when (HotFile.IsDamage(e.Message))
        {
            // A file that was damaged since it was proven.
            faults = FaultsOf(hours, again: true);
            answer = default!;
            if (faults.Count == 0)
                throw;
            return false;
        }
    }

    // A file that may not be read is left where it is: its owner or mode is wrong, not its content.
    List<SealedFault> FaultsOf(List<SealedHour> hours, bool again)
    {
        var faults = new List<SealedFault>();
        foreach (var hour in hours)
        {
            var subject = SealedHour.NameOf(hour.Hour);
            if (_sealed.Fault(hour, again) is not { } fault)
            {
                if (_barred.TryRemove(hour.Hour, out _))
                    _health?.Clear(SetAside.Component, subject);
                continue;
            }

            faults.Add(fault);
            if (!fault.IsDamage && _barred.TryAdd(hour.Hour, true))
                _health?.Report(
                    SetAside.Component, subject, HealthState.Degraded,
                    $"{fault.Reason}. Queries answer without this hour until the server's user may read it.");
        }

        return faults;
    }

    readonly ConcurrentDictionary<long, bool> _barred = new();

    // The hot store's damage is not that of the sealed hours: they still answer.
    void ReadHot(long minTime, long maxTime, Action read)
    {
        try
        {
            read();
        }
        catch (Exception e) when (e is StoreException or DuckDBException && HotFile.IsDamage(e.Message))
        {
            Suspect(e.Message);
            Warn(minTime, maxTime, "the hot store is damaged: samples of the last hour may be missing");
        }
    }

    /// <summary>Tells whoever collects <see cref="ReadWarnings"/> what is known to be missing of the range.</summary>
    internal void Warn(long minTime, long maxTime, string? also = null)
    {
        if (also is not null)
            ReadWarnings.Add(also);
        foreach (var damage in _setAside.Known.Where(d => d.Overlaps(minTime, maxTime)))
            ReadWarnings.Add($"samples may be missing: {damage.Reason}");
    }

    static string Quote(string text) => $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";

    static string InRange(long minTime, long maxTime) =>
        $"time BETWEEN {Timestamp(minTime)} AND {Timestamp(maxTime)}";

    // DuckDB's milliseconds overflow where they become microseconds; nothing is stored beyond these years.
    static string Timestamp(long time) => string.Create(
        CultureInfo.InvariantCulture, $"make_timestamp_ms({Math.Clamp(time, -62_135_596_800_000, 253_402_300_799_999)})::TIMESTAMP_MS");

    void Scan(DuckDBConnection connection, string sql, SampleRows each)
    {
        if (SampleScan.Run(connection, sql, each) is { } error)
            throw DidNotAnswer(error);
    }

    static void Query(DuckDBConnection connection, string sql, Action<DuckDBDataReader> each, params IReadOnlyList<string> parameters)
    {
        using var command = connection.CreateCommand();
        command.UseStreamingMode = true;
        command.CommandText = sql;
        foreach (var parameter in parameters)
            command.Parameters.Add(new DuckDBParameter(parameter));
        using var reader = command.ExecuteReader();
        while (reader.Read())
            each(reader);
    }

    void Connected(Action<DuckDBConnection> read) => Connected(connection =>
    {
        read(connection);
        return true;
    });

    T Connected<T>(Func<DuckDBConnection, T> read)
    {
        _layout.EnterReadLock();
        try
        {
            using var connection = _hotFile.Connect();
            return read(connection);
        }
        catch (DuckDBException e)
        {
            throw DidNotAnswer(e.Message, e);
        }
        finally
        {
            _layout.ExitReadLock();
        }
    }

    StoreException DidNotAnswer(string reason, Exception? cause = null) =>
        new($"The store in {_options.Folder} did not answer: {reason.TrimEnd()}", cause);
}
