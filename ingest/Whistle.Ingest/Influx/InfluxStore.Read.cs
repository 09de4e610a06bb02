using System.Buffers.Text;
using System.Globalization;
using System.Text;

using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.Telemetry;

namespace Whistle.Ingest.Influx;

public sealed partial class InfluxStore
{
    // How many measurements one question asks for: it is answered one after the other.
    const int MeasurementsAtOnce = 64;

    // More conditions than these cost more than reading all.
    const int MostClusters = 32;

    const int RowsAtOnce = 1_024;

    // Objects around the characters of labels, as samples.
    const int SamplesPerSeries = 13;
    const int BytesPerSample = 16;

    /// <summary>As of <see cref="ITelemetryStore"/>. Whatever else the store has is not read.</summary>
    public List<SeriesSamples> Select(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<int>? loaded = null,
        IReadOnlyList<SeriesSamples>? newer = null)
    {
        var samples = new StoredSamples();
        string[] conditions = [.. InfluxQl.OfSamples(matchers), InfluxQl.Within(minTime, maxTime)];
        foreach (var connection in minTime > maxTime ? [] : ConnectionsFor(matchers))
            Read(connection, Measurements(connection, matchers), conditions, Open, loaded, samples.Add);
        foreach (var one in newer ?? [])
            samples.Add(one);
        return samples.Build();

        Labels? Open(Labels labels)
        {
            if (!matchers.All(m => m.IsMatch(labels)))
                return null;
            loaded?.Invoke(SamplesPerSeries + (labels.Sum(l => 2 * (l.Name.Length + l.Value.Length)) / BytesPerSample));
            return labels;
        }
    }

    public void ReadAll<T>(
        IReadOnlyCollection<ClusterId>? clusters, long minTime, long maxTime, Func<uint?, List<Label>, T?> open,
        Action<T, long, double> each)
        where T : class
    {
        foreach (var (index, mine) in ClustersByTarget(clusters))
        {
            var connection = _targets[index].Connection;
            List<string> conditions = [InfluxQl.Within(minTime, maxTime)];
            if (mine is { Count: <= MostClusters })
            {
                conditions.Add($"({string.Join(" OR ", mine.Select(c =>
                    $"({InfluxQl.Equal(Sender.TenantLabel, c.Tenant)} AND {InfluxQl.Equal(Sender.ClusterLabel, c.Cluster)})"))})");
            }

            Read(
                connection, Measurements(connection, []), conditions,
                labels => mine is null || mine.Contains(ClusterId.Of(labels)) ? open(null, [.. labels]) : null, null,
                (series, times, values) =>
                {
                    for (var i = 0; i < times.Length; i++)
                        each(series, times[i], values[i]);
                });
        }
    }

    IEnumerable<(int Index, HashSet<ClusterId>? Clusters)> ClustersByTarget(IReadOnlyCollection<ClusterId>? clusters) => clusters is null
        ? _targets.Select((_, i) => (i, (HashSet<ClusterId>?)null))
        : clusters.GroupBy(_map.Of).Select(g => (g.Key, (HashSet<ClusterId>?)g.ToHashSet()));

    /// <summary>The measurements, as stored, of the metrics that may satisfy the matchers.</summary>
    static List<string> Measurements(InfluxConnection connection, IReadOnlyList<LabelMatcher> matchers)
    {
        var ofName = matchers.Where(m => m.Name == Labels.MetricName).ToList();
        if (ofName.Find(m => m.Operator == MatchOperator.Equal) is { } name)
            return ofName.TrueForAll(m => m.IsMatch(name.Value)) ? [InfluxText.Measurement(name.Value)] : [];
        List<string> found = [];
        connection.Query($"SHOW MEASUREMENTS{InfluxQl.Where(InfluxQl.OfListings(matchers))}", row =>
        {
            if (row.Count == 3 && InfluxText.Decode(row[2]) is var metric && ofName.TrueForAll(m => m.IsMatch(metric)))
                found.Add(Encoding.UTF8.GetString(row[2]));
        });
        return found;
    }

    static void Read<T>(
        InfluxConnection connection, List<string> measurements, IEnumerable<string> conditions, Func<Labels, T?> open, Action<int>? loaded,
        SeriesPart<T> take)
        where T : class
    {
        var where = InfluxQl.Where(conditions);
        foreach (var some in measurements.Chunk(MeasurementsAtOnce))
        {
            var rows = new SampleRows<T>(open, loaded, take);
            connection.Query(
                string.Join("; ", some.Select(m =>
                    $"SELECT {InfluxLines.ValueField}, {InfluxLines.SpecialField} FROM {InfluxQl.Name(m)}{where} GROUP BY *")),
                row => rows.Add(row, connection));
            rows.Flush();
        }
    }

    /// <summary>Some samples of a series, in the order of time; valid during the call.</summary>
    delegate void SeriesPart<T>(T series, ReadOnlySpan<long> times, ReadOnlySpan<double> values);

    /// <summary>Puts rows together into parts of series, whose rows follow each other.</summary>
    sealed class SampleRows<T>(Func<Labels, T?> open, Action<int>? loaded, SeriesPart<T> take)
        where T : class
    {
        readonly long[] _times = new long[RowsAtOnce];
        readonly double[] _values = new double[RowsAtOnce];
        byte[] _key = [];
        int _measurement = -1;
        int _count;
        int _passed;
        T? _series;

        public void Add(CsvRows row, InfluxConnection connection)
        {
            if (row.Count != 5)
                throw connection.Failure($"did not answer: a sample has {row.Count} columns instead of five.");
            if (!IsSame(row))
            {
                Flush();
                Keep(row);
                _series = open(InfluxKey.Read(row[0], row[1]));
            }

            if (_series is null)
            {
                // Whoever waits may have left.
                if (++_passed % RowsAtOnce == 0)
                    loaded?.Invoke(0);
                return;
            }

            if (!Utf8Parser.TryParse(row[2], out _times[_count], out var taken) || taken != row[2].Length
                || !Value(row, out _values[_count]))
                throw connection.Failure($"did not answer: \"{Encoding.UTF8.GetString(row[2])}\" with the value "
                    + $"\"{Encoding.UTF8.GetString(row[3])}\" is no sample. Does something else write to its bucket?");
            if (++_count == RowsAtOnce)
                Flush();
        }

        public void Flush()
        {
            if (_count == 0)
                return;
            loaded?.Invoke(_count);
            take(_series!, _times.AsSpan(0, _count), _values.AsSpan(0, _count));
            _count = 0;
        }

        bool IsSame(CsvRows row) => _measurement == row[0].Length && _key.Length == _measurement + row[1].Length
            && row[0].SequenceEqual(_key.AsSpan(0, _measurement)) && row[1].SequenceEqual(_key.AsSpan(_measurement));

        void Keep(CsvRows row)
        {
            _measurement = row[0].Length;
            _key = [.. row[0], .. row[1]];
        }

        // A point that has both was written twice: of a number and something else, the latter stays.
        static bool Value(CsvRows row, out double value)
        {
            if (row[4].Length == 0)
                return double.TryParse(row[3], NumberStyles.Float, CultureInfo.InvariantCulture, out value);
            var isWhole = Utf8Parser.TryParse(row[4], out long special, out var taken) && taken == row[4].Length;
            value = SpecialValue.Read(special);
            return isWhole;
        }
    }
}
