using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors.Evaluation;

/// <summary>
/// States for each enrolled collector of a cluster whether it reports: the series <c>whistle_collector_up</c> (0 or 1) and
/// <c>whistle_collector_last_report_age_seconds</c>. Not thread-safe.
/// </summary>
/// <param name="series">What has arrived.</param>
/// <param name="refused">Who tries, and is refused for the server's own sake.</param>
sealed class CollectorPresence(ISeriesSource series, RefusedSenders? refused = null)
{
    // Prometheus's lookback: then nothing that it sent is current any more.
    static readonly TimeSpan Window = TimeSpan.FromMinutes(5);

    // As far back as the head always goes. Only a new process must look so far.
    static readonly TimeSpan Evidence = TimeSpan.FromMinutes(55);
    static readonly string[] Published = [ReservedMetrics.CollectorUp, ReservedMetrics.CollectorReportAge];

    Dictionary<ClusterId, DateTimeOffset?> _seen = [];

    public async ValueTask<IReadOnlyList<RecordedSample>> ObserveAsync(
        IReadOnlyList<EnrolledCollector> collectors, DateTimeOffset now, CancellationToken cancellation)
    {
        if (collectors.Count == 0 && _seen.Count == 0)
            return [];
        var latest = await LatestAsync(now, cancellation);
        var seen = new Dictionary<ClusterId, DateTimeOffset?>();
        var written = new List<RecordedSample>();
        foreach (var collector in collectors)
        {
            var key = collector.ClusterId;
            seen[key] = latest.TryGetValue(key, out var at) ? at : _seen.GetValueOrDefault(key);
            written.AddRange(State(collector, seen[key], now));
        }

        foreach (var cluster in _seen.Keys.Except(seen.Keys))
            written.AddRange(Published.Select(m => Point(m, cluster, now, StaleMarker.Value)));
        _seen = seen;
        return written;
    }

    /// <summary>Forgets clusters that are another process's to judge from now on: their series do not end.</summary>
    public void Forget(Func<ClusterId, bool> keeps) => _seen = _seen.Where(s => keeps(s.Key)).ToDictionary();

    IEnumerable<RecordedSample> State(EnrolledCollector collector, DateTimeOffset? seen, DateTimeOffset now)
    {
        var age = now - (seen ?? collector.EnrolledAt);
        var silent = age > Window && refused?.Heard(collector.ClusterId, null) is not true;
        // Enrolled a moment ago and not heard yet is neither up nor down.
        if (seen is null && !silent)
            return [];
        return
        [
            Point(Published[0], collector.ClusterId, now, silent ? 0 : 1),
            Point(Published[1], collector.ClusterId, now, Math.Max(age.TotalSeconds, 0)),
        ];
    }

    static RecordedSample Point(string metric, ClusterId cluster, DateTimeOffset now, double value) =>
        new(new(Labels.OfMetric(metric, ("tenant", cluster.Tenant), ("cluster", cluster.Cluster))), now.ToUnixTimeMilliseconds(), value);

    async ValueTask<Dictionary<ClusterId, DateTimeOffset>> LatestAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        var reports = await series.SelectAsync(
            [new(Labels.MetricName, MatchOperator.Equal, ReservedMetrics.CollectorReport)],
            (now - (_seen.Count == 0 ? Evidence : Window)).ToUnixTimeMilliseconds(), now.ToUnixTimeMilliseconds(), cancellation);
        return reports.ToDictionary(s => ClusterId.Of(s.Labels), s => DateTimeOffset.FromUnixTimeMilliseconds(s.Times[^1]));
    }
}
