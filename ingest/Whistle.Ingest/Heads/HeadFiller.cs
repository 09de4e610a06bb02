using Microsoft.Extensions.Logging;

using Whistle.Ingest.Series;
using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.Telemetry;

namespace Whistle.Ingest.Heads;

/// <summary>Fills the head from the store: an hour of everything, and more of what rules read further back.</summary>
static class HeadFiller
{
    public static void Fill(
        Head head, ITelemetryStore store, IReadOnlyCollection<ClusterId>? clusters, TimeProvider time, ILogger logger)
    {
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        var usual = now - (long)(Head.UsualWindow + Head.Lag).TotalMilliseconds;
        var longest = now - (long)(Head.LongestWindow + Head.Lag).TotalMilliseconds;
        // A sample may lie a little in the future, where a node's clock is ahead.
        var newest = now + DuckDbStore.Hour;
        var filled = new HashSet<HeadSeries>();
        var samples = 0L;
        head.ContinueAfter(store.LastSeriesId);
        store.ReadAll(
            clusters, longest, usual - 1,
            (id, labels) => head.KeepFor(Labels.From(labels)) > now - usual + (long)Head.Lag.TotalMilliseconds ? Open(id, labels) : null,
            Append);
        store.ReadAll(clusters, usual, newest, Open, Append);
        foreach (var series in filled)
            series.StagedTime = series.LastTime;
        logger.HeadFilled(filled.Count, samples);

        HeadSeries Open(uint? id, List<Label> labels)
        {
            var series = head.GetOrAdd(UInt128.Zero, labels, id, limited: false)!;
            filled.Add(series);
            return series;
        }

        void Append(HeadSeries series, long at, double value)
        {
            if (series.Append(at, value))
                samples++;
        }
    }
}
