using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors.Evaluation;

/// <summary>
/// Whether a signal's source has succeeded recently. A sample not older than <paramref name="Window"/> counts as live:
/// two of the source's intervals and a grace for collecting and sending.
/// </summary>
/// <param name="Healthy">It has.</param>
/// <param name="Window">How old a sample of it may be.</param>
/// <param name="IsPushed">Nobody ever said of it whether it is up, so only its own samples can.</param>
/// <param name="Answers">Its last report succeeded. A scraper ends all series of a target that did not answer, so that they are missing
/// says nothing.</param>
readonly record struct SourceState(bool Healthy, TimeSpan Window, bool IsPushed = false, bool Answers = true);

/// <summary>
/// Answers at one instant for any number of signals, reading each source once. The source is the node's agent with its
/// sources that the rule reads; else the scrape target (<c>up</c>); an aggregate's are all agents enrolled under its labels.
/// </summary>
/// <param name="series">In a server <see cref="OwnReports"/>.</param>
/// <param name="agents">Who should report.</param>
/// <param name="now">The instant.</param>
/// <param name="refuses">The server refuses samples for its own sake, so it is unknown whether a source succeeded.</param>
sealed class SourceHealth(ISeriesSource series, IReadOnlyList<EnrolledAgent> agents, DateTimeOffset now, bool refuses = false)
{
    // The label of a success, and of the interval of a source that has one of its own.
    const string Source = "collector";

    public static readonly TimeSpan DefaultInterval = TimeSpan.FromSeconds(15);

    // An agent may say how often it reports, but not that it need never be heard.
    static readonly TimeSpan LongestInterval = TimeSpan.FromHours(1);

    // Prometheus's lookback, for series whose source is not known.
    static readonly TimeSpan Lookback = TimeSpan.FromMinutes(5);

    // An expression no longer sees what is as old as the look-back; then its silence must count already.
    static readonly TimeSpan PushedWindow = Lookback - TimeSpan.FromMilliseconds(1);

    // As far back as the head always goes.
    static readonly TimeSpan Heard = TimeSpan.FromMinutes(55);

    readonly Dictionary<NodeId, NodeReport> _nodes = [];
    readonly Dictionary<(Labels Target, string Node, bool Scraped), SourceState> _targets = [];
    readonly long _now = now.ToUnixTimeMilliseconds();

    public static TimeSpan Window(TimeSpan interval) =>
        (2 * interval) + TimeSpan.FromTicks(Math.Min(TimeSpan.TicksPerSecond * 5, interval.Ticks / 2));

    /// <summary>What an agent says of its interval, where it can be one.</summary>
    public static TimeSpan? Interval(double seconds) =>
        seconds > 0 && seconds <= LongestInterval.TotalSeconds ? TimeSpan.FromSeconds(seconds) : null;

    public async ValueTask<SourceState> CheckAsync(RuleSources sources, Labels element, CancellationToken cancellation)
    {
        if (sources.ServerOnly)
            return new(true, Window(DefaultInterval));
        var enrolled = agents.Select(a => a.NodeId).Where(n => Covers(element, n)).ToList();
        var target = element.Has("job") && element.Has("instance");
        if (sources.Reported.Count == 0 && target)
            return await TargetAsync(element, sources.ScrapeOnly, cancellation);
        if (enrolled.Count > 0 && (sources.Reported.Count > 0 || element.Has("node")))
            return await AgentsAsync(enrolled, sources.Reported, cancellation);
        // While the server refuses samples, that something is absent says nothing.
        return target ? await TargetAsync(element, sources.ScrapeOnly, cancellation) : new(!refuses, Lookback);
    }

    // An element without one of the stamped labels is an aggregate over it.
    static bool Covers(Labels element, NodeId node) =>
        Fits(element["tenant"], node.Tenant) && Fits(element["cluster"], node.Cluster) && Fits(element["node"], node.Node);

    static bool Fits(string label, string value) => label.Length == 0 || label == value;

    async ValueTask<SourceState> AgentsAsync(List<NodeId> enrolled, IReadOnlyList<string> sources, CancellationToken cancellation)
    {
        var window = TimeSpan.Zero;
        var healthy = true;
        foreach (var node in enrolled)
        {
            var report = await ReportAsync(node, cancellation);
            healthy &= report.Has(sources);
            window = Longer(window, report.WindowOf(sources));
        }

        return new(healthy, window);
    }

    async ValueTask<NodeReport> ReportAsync(NodeId node, CancellationToken cancellation)
    {
        if (_nodes.TryGetValue(node, out var known))
            return known;
        LabelMatcher[] matchers =
        [
            new("tenant", MatchOperator.Equal, node.Tenant), new("cluster", MatchOperator.Equal, node.Cluster),
            new("node", MatchOperator.Equal, node.Node),
        ];
        var intervals = await SelectAsync(ReservedMetrics.AgentInterval, matchers, Lookback, cancellation);
        var window = Window(Latest(intervals.Where(s => !s.Labels.Has(Source))) ?? DefaultInterval);
        var own = intervals.Where(s => s.Labels.Has(Source)).GroupBy(s => s.Labels[Source])
            .ToDictionary(i => i.Key, i => Longer(window, Window(Latest(i) ?? DefaultInterval)));
        var successes = await SelectAsync(ReservedMetrics.CollectorSuccess, matchers, own.Values.Aggregate(window, Longer), cancellation);
        return _nodes[node] = new(window, own, successes.Where(Succeeded).Select(s => s.Labels[Source]).ToHashSet());

        // Most agents have no other window than the one that was read.
        bool Succeeded(SeriesSamples samples) => own.Count == 0 ? Array.IndexOf(samples.Values, 1.0) >= 0
            : Recent(samples, own.GetValueOrDefault(samples.Labels[Source], window)).Contains(1);
    }

    static TimeSpan? Latest(IEnumerable<SeriesSamples> intervals) =>
        intervals.Select(Last).OfType<Sample>().OrderBy(s => s.Time).Select(s => Interval(s.Value)).LastOrDefault(i => i is not null);

    static TimeSpan Longer(TimeSpan one, TimeSpan other) => one > other ? one : other;

    // That a target is down is known from the scraper, which need only be heard.
    async ValueTask<SourceState> TargetAsync(Labels element, bool scraped, CancellationToken cancellation)
    {
        var identity = element.Keep(["tenant", "cluster", "job", "instance"]);
        var node = element["node"];
        var key = (identity, node, scraped);
        if (_targets.TryGetValue(key, out var known))
            return known;
        var ups = await UpsAsync(identity, node, Lookback, cancellation);
        if (ups.Count == 0 && (await UpsAsync(identity, node, Heard, cancellation)).Count == 0)
            return _targets[key] = new(false, PushedWindow, IsPushed: true);
        var window = Window(ups.Select(Spacing).DefaultIfEmpty(DefaultInterval).Max());
        var healthy = ups.Any(s => Recent(s, window).Any(v => v == 1 || (scraped && v == 0)));
        var answers = scraped || ups.Select(Last).Any(s => s is { Value: 1 });
        return _targets[key] = new(healthy, window, Answers: answers);
    }

    // What another node's agent says of a target of the same name is about its own.
    async ValueTask<List<SeriesSamples>> UpsAsync(Labels target, string node, TimeSpan back, CancellationToken cancellation)
    {
        var ups = await SelectAsync(
            "up", [.. target.Select(l => new LabelMatcher(l.Name, MatchOperator.Equal, l.Value))], back, cancellation);
        return [.. ups.Where(u => node.Length == 0 || u.Labels["node"] is "" || u.Labels["node"] == node)];
    }

    ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        string metric, LabelMatcher[] labels, TimeSpan back, CancellationToken cancellation) =>
        series.SelectAsync(
            [new(Labels.MetricName, MatchOperator.Equal, metric), .. labels], _now - (long)back.TotalMilliseconds, _now, cancellation);

    IEnumerable<double> Recent(SeriesSamples samples, TimeSpan window) =>
        samples.Times.Zip(samples.Values).Where(s => s.First >= _now - window.TotalMilliseconds).Select(s => s.Second);

    static Sample? Last(SeriesSamples samples)
    {
        var at = Array.FindLastIndex(samples.Values, double.IsFinite);
        return at < 0 ? null : new Sample(samples.Times[at], samples.Values[at]);
    }

    // The usual distance of two scrapes; a minute, Prometheus's default, where only one is seen.
    static TimeSpan Spacing(SeriesSamples samples)
    {
        var gaps = samples.Times.Skip(1).Zip(samples.Times, (later, earlier) => later - earlier).Order().ToList();
        return gaps.Count == 0 ? TimeSpan.FromMinutes(1) : TimeSpan.FromMilliseconds(gaps[gaps.Count / 2]);
    }

    /// <summary>The sources of a node that succeeded, each within its window.</summary>
    /// <param name="Window">Of those that are read for each report.</param>
    /// <param name="Own">Of those that have an interval of their own.</param>
    sealed record NodeReport(TimeSpan Window, IReadOnlyDictionary<string, TimeSpan> Own, HashSet<string> Successful)
    {
        public bool Has(IReadOnlyList<string> sources) => sources.Count == 0 ? Successful.Count > 0 : sources.All(Successful.Contains);

        public TimeSpan WindowOf(IReadOnlyList<string> sources) => sources.Select(s => Own.GetValueOrDefault(s)).Aggregate(Window, Longer);
    }
}
