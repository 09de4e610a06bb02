using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors.Evaluation;

/// <summary>
/// Compares the enrolled agents with what has arrived and states for each whether it reports: the series
/// <c>whistle_agent_up</c> (0 or 1) and <c>whistle_agent_last_report_age_seconds</c>. Not thread-safe.
/// </summary>
/// <param name="series">In a server <see cref="OwnReports"/>.</param>
/// <param name="refused">Who tries, and is refused for the server's own sake.</param>
sealed class NodePresence(ISeriesSource series, RefusedSenders? refused = null)
{
    /// <summary>How often it is stated.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(15);

    static readonly TimeSpan Recent = TimeSpan.FromMinutes(5);

    // As far back as the head always goes: presence must be judged while the store does not answer.
    static readonly TimeSpan Furthest = TimeSpan.FromMinutes(55);
    static readonly string[] Published = [ReservedMetrics.AgentUp, ReservedMetrics.AgentReportAge];

    Dictionary<NodeId, Sighting> _sightings = [];

    public async ValueTask<IReadOnlyList<RecordedSample>> ObserveAsync(
        IReadOnlyList<EnrolledAgent> agents, DateTimeOffset now, CancellationToken cancellation)
    {
        var recent = await LatestAsync([], now - Recent, now, cancellation);
        var sightings = new Dictionary<NodeId, Sighting>();
        var written = new List<RecordedSample>();
        foreach (var agent in agents)
        {
            var sighting = await SightAsync(agent.NodeId, _sightings.GetValueOrDefault(agent.NodeId), recent, now, cancellation);
            sightings[agent.NodeId] = sighting;
            written.AddRange(State(agent, sighting, now));
        }

        foreach (var node in _sightings.Keys.Except(sightings.Keys))
            written.AddRange(Published.Select(m => Point(m, node, now, StaleMarker.Value)));
        _sightings = sightings;
        return written;
    }

    /// <summary>Forgets nodes that are another process's to judge from now on: their series do not end.</summary>
    public void Forget(Func<ClusterId, bool> keeps) =>
        _sightings = _sightings.Where(s => keeps(s.Key.ClusterId)).ToDictionary();

    async ValueTask<Sighting> SightAsync(
        NodeId node, Sighting? before, Dictionary<NodeId, Sighting> recent, DateTimeOffset now, CancellationToken cancellation)
    {
        if (!recent.TryGetValue(node, out var sighting))
        {
            // A backlog that is still draining ends before the recent window.
            LabelMatcher[] matchers =
            [
                new("tenant", MatchOperator.Equal, node.Tenant), new("cluster", MatchOperator.Equal, node.Cluster),
                new("node", MatchOperator.Equal, node.Node),
            ];
            var since = before?.Last is { } last && last > now - Furthest ? last : now - Furthest;
            sighting = (await LatestAsync(matchers, since, now, cancellation)).GetValueOrDefault(node) ?? new(null, null);
        }

        return new(sighting.Last ?? before?.Last, sighting.Interval ?? before?.Interval);
    }

    IEnumerable<RecordedSample> State(EnrolledAgent agent, Sighting sighting, DateTimeOffset now)
    {
        var age = now - (sighting.Last ?? agent.EnrolledAt);
        var silent = age > SourceHealth.Window(sighting.Interval ?? SourceHealth.DefaultInterval)
            && refused?.Heard(agent.NodeId.ClusterId, agent.NodeId.Node) is not true;
        // Enrolled a moment ago and not heard yet is neither up nor down.
        if (sighting.Last is null && !silent)
            return [];
        return
        [
            Point(Published[0], agent.NodeId, now, silent ? 0 : 1),
            Point(Published[1], agent.NodeId, now, Math.Max(age.TotalSeconds, 0)),
        ];
    }

    static RecordedSample Point(string metric, NodeId node, DateTimeOffset now, double value) => new(
        new(Labels.OfMetric(metric, ("tenant", node.Tenant), ("cluster", node.Cluster), ("node", node.Node))),
        now.ToUnixTimeMilliseconds(), value);

    async ValueTask<Dictionary<NodeId, Sighting>> LatestAsync(
        LabelMatcher[] matchers, DateTimeOffset since, DateTimeOffset now, CancellationToken cancellation)
    {
        var latest = new Dictionary<NodeId, Sighting>();
        var (from, to) = (since.ToUnixTimeMilliseconds(), now.ToUnixTimeMilliseconds());
        foreach (var samples in await series.SelectAsync([Named(ReservedMetrics.CollectorSuccess), .. matchers], from, to, cancellation))
        {
            var at = DateTimeOffset.FromUnixTimeMilliseconds(samples.Times[^1]);
            var known = latest.GetValueOrDefault(NodeId.Of(samples.Labels));
            if (!StaleMarker.Is(samples.Values[^1]) && (known?.Last is null || at > known.Last))
                latest[NodeId.Of(samples.Labels)] = new(at, null);
        }

        foreach (var samples in await series.SelectAsync([Named(ReservedMetrics.AgentInterval), .. matchers], from, to, cancellation))
        {
            // A source may have an interval of its own; that is not the agent's.
            if (samples.Labels.Has("collector") || SourceHealth.Interval(samples.Values[^1]) is not { } interval)
                continue;
            if (latest.TryGetValue(NodeId.Of(samples.Labels), out var sighting))
                latest[NodeId.Of(samples.Labels)] = sighting with { Interval = interval };
        }

        return latest;
    }

    static LabelMatcher Named(string metric) => new(Labels.MetricName, MatchOperator.Equal, metric);

    sealed record Sighting(DateTimeOffset? Last, TimeSpan? Interval);
}
