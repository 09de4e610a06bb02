using Whistle.Telemetry;

namespace Whistle.Ingest;

public sealed partial class DuckDbStore
{
    // Read at a time: while rows are read, no hour can be sealed, and while one waits for that, nobody else can read.
    const uint IdsAtOnce = 1 << 16;

    // Between two looks at whether the caller is still there.
    const int RowsAtOnce = 4096;

    /// <summary>Gives the labels of every series that satisfies all matchers and has a sample in the range (both ends included); some perhaps twice.</summary>
    /// <exception cref="StoreException">The store does not answer.</exception>
    internal void VisitSeries(IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<Labels> each, CancellationToken cancellation)
    {
        var wanted = IdsWithin(minTime, maxTime, cancellation);
        var name = matchers.FirstOrDefault(m => m is { Name: Labels.MetricName, Operator: MatchOperator.Equal })?.Value;
        VisitRows(name, (id, text) =>
        {
            if (!wanted.Contains(id))
                return;
            var labels = Labels.From(LabelsJson.Read(text));
            if (matchers.All(m => m.IsMatch(labels)))
                each(labels);
        }, cancellation);
    }

    /// <summary>The names of the labels of such series; or, where a name is given, that label's values. Some perhaps several times.</summary>
    /// <exception cref="StoreException">The store does not answer.</exception>
    internal void VisitLabels(string? name, IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<string> each, CancellationToken cancellation) =>
        VisitSeries(matchers, minTime, maxTime, labels => TelemetryReader.EachText(labels, name, each), cancellation);

    /// <summary>Tenant and <see cref="Ingest.StoredSeries.Key"/> of every series within retention; some perhaps twice.</summary>
    /// <exception cref="StoreException">The store does not answer.</exception>
    internal void StoredSeries(Action<string, ulong> tenantAndKey, CancellationToken cancellation) => VisitRows(
        null, (_, text) => tenantAndKey(LabelsJson.Read(text).Find(l => l.Name == Sender.TenantLabel).Value ?? "", Ingest.StoredSeries.Key(text)), cancellation);

    void VisitRows(string? name, Action<uint, string> each, CancellationToken cancellation)
    {
        var last = LastSeriesId();
        for (var from = 0L; from <= last; from += IdsAtOnce)
        {
            var rows = 0;
            cancellation.ThrowIfCancellationRequested();
            Query($"SELECT id, labels FROM series WHERE id BETWEEN {from} AND {from + IdsAtOnce - 1}{(name is null ? "" : " AND name = ?")}", row =>
            {
                if (rows++ % RowsAtOnce == 0)
                    cancellation.ThrowIfCancellationRequested();
                each(row.GetFieldValue<uint>(0), row.GetString(1));
            }, name);
        }
    }

    IdSet IdsWithin(long minTime, long maxTime, CancellationToken cancellation)
    {
        var ids = new IdSet();
        // What is late first: what is merged into its hour meanwhile is found there.
        ReadIds($"{LateTable} WHERE {InRange(minTime, maxTime)}");
        foreach (var hour in HoursWithin(minTime, maxTime))
        {
            Still(() =>
            {
                if (_sealed.Contains(hour) && hour * Hour >= minTime && ((hour + 1) * Hour) - 1 <= maxTime)
                    ReadIds($"read_parquet({Quote(SealedSeriesFile(hour))})", "id");
                else
                    Sources(hour * Hour, hour * Hour).FindAll(s => s != LateTable).ForEach(s => ReadIds($"{s} WHERE {InRange(minTime, maxTime)}"));
            });
        }

        return ids;

        void ReadIds(string from, string column = "series") => Scan([$"SELECT {column}, 0::BIGINT, 0::DOUBLE FROM {from}"], (series, _, _) =>
        {
            cancellation.ThrowIfCancellationRequested();
            foreach (var id in series)
                ids.Add(id);
        });
    }

    List<long> HoursWithin(long minTime, long maxTime)
    {
        var (first, last) = (FloorHour(minTime), FloorHour(maxTime));
        List<long> hours = [];
        Still(() =>
        {
            lock (_appending)
                hours = [.. _sealed.Union(_hot).Where(h => h >= first && h <= last).Order()];
        });
        return hours;
    }

    // Ids are given one after the other, so a bit each takes least.
    sealed class IdSet
    {
        ulong[] _bits = [];

        public void Add(uint id)
        {
            if (id / 64 >= _bits.Length)
                Array.Resize(ref _bits, (int)Math.Max((id / 64) + 1, _bits.Length * 2L));
            _bits[id / 64] |= 1UL << (int)(id % 64);
        }

        public bool Contains(uint id) => id / 64 < _bits.Length && (_bits[id / 64] & (1UL << (int)(id % 64))) != 0;
    }
}
