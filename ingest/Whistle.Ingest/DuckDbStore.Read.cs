using System.Globalization;

using DuckDB.NET.Data;

using Whistle.Telemetry;

namespace Whistle.Ingest;

public sealed partial class DuckDbStore
{
    // Where one in so many ids is wanted, all between the first and the last are read.
    const int DenseIds = 16;

    /// <summary>Every series that satisfies all matchers, with its samples in the range (both ends included).</summary>
    /// <param name="matchers">What the series must satisfy.</param>
    /// <param name="minTime">In milliseconds since 1970 UTC, as the next.</param>
    /// <param name="maxTime">The end.</param>
    /// <param name="loaded">Is told how many more samples were read, while they are; what it throws ends the reading.</param>
    /// <param name="newer">Series whose samples lie after the range; theirs are joined to those of the store.</param>
    /// <exception cref="StoreException">The store does not answer.</exception>
    public List<SeriesSamples> Select(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<int>? loaded = null, IReadOnlyList<SeriesSamples>? newer = null)
    {
        List<SeriesSamples> found = [];
        // Each file and table has the samples of a series in the order of time, and they follow each other: sorting all would cost more than reading.
        Within(minTime, maxTime, sources =>
        {
            var samples = new StoredSamples();
            var labels = SeriesOf(matchers);
            foreach (var (id, one) in labels)
                samples.Want(id, one);
            var where = Where(labels, minTime, maxTime);
            var each = labels.Count == 0 ? [] : sources.Select(s => $"SELECT series, epoch_ms(time), value FROM {s} WHERE {where}{(s == LateTable ? " ORDER BY series, time" : "")}");
            Scan(each, (series, times, values) =>
            {
                var taken = samples.Add(series, times, values);
                loaded?.Invoke(taken);
            });

            foreach (var one in newer ?? [])
                samples.Add(one);
            found = samples.Build();
        });
        return found;
    }

    /// <summary>The labels of every series that satisfies all matchers and has a sample in the range (both ends included).</summary>
    /// <exception cref="StoreException">The store does not answer.</exception>
    public HashSet<Labels> Series(IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime)
    {
        var found = new HashSet<Labels>();
        Still(() => found.UnionWith(SeriesOf(matchers, $"id IN ({IdsIn(minTime, maxTime)})").Values));
        return found;
    }

    /// <summary>The highest id given so far; a new series must get a higher one.</summary>
    internal uint LastSeriesId()
    {
        var last = 0u;
        Query("SELECT coalesce(max(id), 0)::UINTEGER FROM series", row => last = row.GetFieldValue<uint>(0));
        return last;
    }

    /// <summary>The labels, sorted, of every series that has a sample in the range.</summary>
    internal Dictionary<uint, List<Label>> SeriesIn(long minTime, long maxTime)
    {
        var found = new Dictionary<uint, List<Label>>();
        Still(() => Query($"SELECT id, labels FROM series WHERE id IN ({IdsIn(minTime, maxTime)})", row => found[row.GetFieldValue<uint>(0)] = LabelsJson.Read(row.GetString(1))));
        return found;
    }

    /// <summary>All samples of the range, nearly in time order: what came late comes last.</summary>
    internal void ReadAll(long minTime, long maxTime, Action<uint, long, double> each) => Within(minTime, maxTime, sources =>
    {
        foreach (var source in sources)
            ReadRows($"SELECT series, epoch_ms(time), value FROM {source} WHERE {InRange(minTime, maxTime)}", each);
    });

    // The ids of all series with a sample in the range. Of a sealed hour that lies within it, the small file beside its samples tells.
    string IdsIn(long minTime, long maxTime)
    {
        List<long> whole = [.. _sealed.Where(h => h * Hour >= minTime && (h + 1) * Hour - 1 <= maxTime)];
        var ids = Sources(minTime, maxTime, whole).Select(source => $"SELECT series FROM {source} WHERE {InRange(minTime, maxTime)}");
        if (whole.Count > 0)
            ids = ids.Append($"SELECT id FROM read_parquet([{string.Join(", ", whole.Select(h => Quote(SealedSeriesFile(h))))}])");
        return string.Join(" UNION ", ids);
    }

    Dictionary<uint, Labels> SeriesOf(IReadOnlyList<LabelMatcher> matchers, string where = "true")
    {
        var name = matchers.FirstOrDefault(m => m.Name == Labels.MetricName && m.Operator == MatchOperator.Equal);
        var found = new Dictionary<uint, Labels>();
        Query($"SELECT id, labels FROM series WHERE {where}{(name is null ? "" : " AND name = ?")}", row =>
        {
            var labels = Labels.From(LabelsJson.Read(row.GetString(1)));
            if (matchers.All(m => m.IsMatch(labels)))
                found[row.GetFieldValue<uint>(0)] = labels;
        }, name?.Value);
        return found;
    }

    /// <summary>Rows in the order of series, then time, each time once. Returns how many.</summary>
    internal int Read(IReadOnlyCollection<uint> ids, long minTime, long maxTime, Action<uint, long, double> each)
    {
        var (rows, lastSeries, lastTime) = (0, 0u, long.MinValue);
        if (ids.Count == 0)
            return 0;
        var where = $"series IN (SELECT unnest([{string.Join(',', ids)}]::UINTEGER[])) AND {InRange(minTime, maxTime)}";
        Within(minTime, maxTime, sources =>
        {
            var parts = sources.Select((source, order) => $"SELECT series, time, value, {order} AS source FROM {source} WHERE {where}");
            ReadRows($"SELECT series, epoch_ms(time), value FROM ({string.Join(" UNION ALL ", parts)}) ORDER BY series, time, source", (series, time, value) =>
            {
                if (rows > 0 && series == lastSeries && time == lastTime)
                    return;
                (lastSeries, lastTime) = (series, time);
                rows++;
                each(series, time, value);
            });
        });
        return rows;
    }

    // Passing over rows of others costs less than looking each up, unless nearly all are.
    static string Where(Dictionary<uint, Labels> series, long minTime, long maxTime)
    {
        var (first, last) = (series.Keys.DefaultIfEmpty().Min(), series.Keys.DefaultIfEmpty().Max());
        var which = last - first < (long)DenseIds * series.Count
            ? $"series BETWEEN {first} AND {last}" : $"series IN (SELECT unnest([{string.Join(',', series.Keys)}]::UINTEGER[]))";
        return $"{which} AND {InRange(minTime, maxTime)}";
    }

    // Hands out the tables and files of a range, and holds their layout still meanwhile.
    void Within(long minTime, long maxTime, Action<List<string>> read) => Still(() => read(Sources(minTime, maxTime)));

    void Still(Action read)
    {
        _layout.EnterReadLock();
        try
        {
            read();
        }
        finally
        {
            _layout.ExitReadLock();
        }
    }

    // Sealed before hot before late: where a time comes twice, the first kept is the first that was stored.
    List<string> Sources(long minTime, long maxTime, IReadOnlyCollection<long>? without = null)
    {
        var (first, last) = (FloorHour(minTime), FloorHour(maxTime));
        var sources = _sealed.Where(h => h >= first && h <= last).Except(without ?? []).Select(h => $"read_parquet({Quote(SealedFile(h))})").ToList();
        lock (_appending)
            sources.AddRange(_hot.Where(h => h >= first && h <= last).Select(HotTable));
        sources.Add(LateTable);
        return sources;
    }

    static string Quote(string text) => $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";

    static string InRange(long minTime, long maxTime) =>
        $"time BETWEEN {Timestamp(minTime)} AND {Timestamp(maxTime)}";

    // DuckDB's milliseconds overflow where they become microseconds; nothing is stored beyond these years.
    static string Timestamp(long time) => string.Create(
        CultureInfo.InvariantCulture, $"make_timestamp_ms({Math.Clamp(time, -62_135_596_800_000, 253_402_300_799_999)})::TIMESTAMP_MS");

    void ReadRows(string sql, Action<uint, long, double> each) =>
        Query(sql, row => each(row.GetFieldValue<uint>(0), row.GetInt64(1), row.GetDouble(2)));

    void Scan(IEnumerable<string> queries, SampleRows each) => Connected(connection =>
    {
        foreach (var sql in queries)
        {
            if (SampleScan.Run(connection, sql, each) is { } error)
                throw DidNotAnswer(error);
        }
    });

    void Query(string sql, Action<DuckDBDataReader> each, string? parameter = null) => Connected(connection =>
    {
        using var command = connection.CreateCommand();
        command.UseStreamingMode = true;
        command.CommandText = sql;
        if (parameter is not null)
            command.Parameters.Add(new DuckDBParameter(parameter));
        using var reader = command.ExecuteReader();
        while (reader.Read())
            each(reader);
    });

    void Connected(Action<DuckDBConnection> read)
    {
        _layout.EnterReadLock();
        try
        {
            using var connection = Connect();
            read(connection);
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

    StoreException DidNotAnswer(string reason, Exception? cause = null) => new($"The store in {_options.Folder} did not answer: {reason.TrimEnd()}", cause);
}
