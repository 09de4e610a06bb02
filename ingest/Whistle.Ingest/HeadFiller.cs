using Microsoft.Extensions.Logging;

namespace Whistle.Ingest;

/// <summary>Fills the head from the store at start: an hour of everything, and more of what rules read further back.</summary>
static class HeadFiller
{
    public static void Fill(Head head, DuckDbStore store, TimeProvider time, ILogger logger)
    {
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        var usual = now - (long)(Head.UsualWindow + Head.Lag).TotalMilliseconds;
        var longest = now - (long)(Head.LongestWindow + Head.Lag).TotalMilliseconds;
        // A sample may lie a little in the future, where a node's clock is ahead.
        var newest = now + DuckDbStore.Hour;
        var byId = new Dictionary<uint, HeadSeries>();
        foreach (var (id, labels) in store.SeriesIn(longest, newest))
            byId[id] = head.GetOrAdd(UInt128.Zero, labels, id, limited: false)!;
        head.ContinueAfter(store.LastSeriesId());

        var samples = 0L;
        var kept = byId.Where(s => s.Value.KeepMilliseconds > now - usual + (long)Head.Lag.TotalMilliseconds).Select(s => s.Key).ToList();
        store.Read(kept, longest, usual - 1, Append);
        store.ReadAll(usual, newest, Append);
        foreach (var series in byId.Values)
            series.StagedTime = series.LastTime;
        logger.HeadFilled(byId.Count, samples);

        void Append(uint id, long at, double value)
        {
            if (byId.TryGetValue(id, out var series) && series.Append(at, value))
                samples++;
        }
    }
}
