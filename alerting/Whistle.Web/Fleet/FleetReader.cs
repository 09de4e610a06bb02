using System.Text.RegularExpressions;

using Microsoft.Extensions.Logging;

using Whistle.Detectors;
using Whistle.Ingest;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Web.Fleet;

/// <summary>
/// Reads what the page shows. The number of queries does not grow with the fleet: one a metric for all nodes, two for all
/// charts. A store that does not answer costs the parts that need it; signals are held by the rules and stay.
/// </summary>
public sealed class FleetReader(PromQLEngine engine, RulesHost rules, Credentials credentials, TimeProvider time, ILogger<FleetReader> logger)
{
    static readonly TimeSpan EndedShown = TimeSpan.FromHours(24);

    // The last values of silent nodes are asked for by name.
    const int MostSilent = 100;

    public async Task<FleetView> ReadAsync(FleetQuery query, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        var signals = SignalView.Active(rules.Signals);
        IReadOnlyList<EnrolledAgent> agents = [];
        var telemetry = new FleetTelemetry();
        try
        {
            agents = credentials.Agents();
            foreach (var text in FleetTelemetry.NodeQueries.Concat(FleetTelemetry.FilesystemMetrics))
                telemetry.Add(text, await InstantAsync(text, now, cancellation));
            await AddSilentAsync(telemetry, agents, now, cancellation);
            var view = FleetView.Build(query, now, agents, signals, telemetry) with { Ended = Ended(query, now) };
            return view.With(await ChartsAsync(view, cancellation));
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            logger.PageIncomplete(e);
            return FleetView.Build(query, now, agents, signals, telemetry) with
            {
                Error = $"The store does not answer: {e.Message} What is missing below is unknown, not well. The server's log says more; most often its disk is full or cannot be written.",
            };
        }
    }

    IReadOnlyList<SignalView> Ended(FleetQuery query, DateTimeOffset now) =>
        [.. rules.EndedSignals(now - EndedShown).Select(SignalView.Of).Where(s => query.Node is null || s.Node == query.Node)];

    async Task<IReadOnlyList<VectorSample>> InstantAsync(string expression, DateTimeOffset now, CancellationToken cancellation) =>
        await engine.InstantAsync(expression, now.ToUnixTimeMilliseconds(), cancellation) is VectorValue vector ? vector.Samples : [];

    // Their series are no longer current, but what they last said is what a person wants to see.
    async Task AddSilentAsync(FleetTelemetry telemetry, IReadOnlyList<EnrolledAgent> agents, DateTimeOffset now, CancellationToken cancellation)
    {
        var silent = agents.Where(a => telemetry.Of(FleetTelemetry.Up, new(a.Tenant, a.Cluster, a.Node)) == 0).Take(MostSilent).ToList();
        if (silent.Count == 0)
            return;
        var nodes = Quoted(AnyOf(silent.Select(a => a.Node)));
        foreach (var metric in FleetTelemetry.FilesystemMetrics)
            telemetry.Add(metric, await InstantAsync($"last_over_time({metric}{{node=~{nodes}}}[1h]) and on (tenant, cluster, node) (whistle_agent_up == 0)", now, cancellation));
    }

    async Task<IReadOnlyDictionary<FilesystemKey, ChartView>> ChartsAsync(FleetView view, CancellationToken cancellation)
    {
        var keys = view.Charted();
        if (keys.Count == 0)
            return new Dictionary<FilesystemKey, ChartView>();
        var matchers = Matchers(keys);
        var (step, end) = (view.Query.Range.Step, view.Now.ToUnixTimeMilliseconds());
        // On a grid, so that the line does not shiver from one look to the next; the latest value closes it.
        var start = (end - (long)view.Query.Range.Length.TotalMilliseconds + step - 1) / step * step;
        var used = $"1 - node_filesystem_avail_bytes{matchers} / node_filesystem_size_bytes{matchers}";
        var lines = (await engine.RangeAsync(used, start, end, step, cancellation)).Series.ToLookup(s => FilesystemKey.Of(s.Labels));
        var latest = (await InstantAsync(used, view.Now, cancellation)).ToLookup(s => FilesystemKey.Of(s.Labels), s => s.Value);
        var gains = (await InstantAsync(Forecasts.Gain(matchers), view.Now, cancellation)).ToLookup(s => FilesystemKey.Of(s.Labels), s => s.Value);
        return keys.ToDictionary(k => k, k =>
        {
            List<ChartPoint> points = [.. lines[k].Take(1).SelectMany(Points)];
            if (latest[k].Any() && (points.Count == 0 || points[^1].Time < end))
                points.Add(new(end, latest[k].First()));
            return new ChartView(view.Query.Range, view.Now, points, gains[k].Any() ? Forecasts.Of(points, gains[k].First(), view.Now) : null);
        });
    }

    static IEnumerable<ChartPoint> Points(SeriesSamples series)
    {
        for (var i = 0; i < series.Times.Length; i++)
        {
            if (double.IsFinite(series.Values[i]))
                yield return new(series.Times[i], series.Values[i]);
        }
    }

    // Every node with every mount point: a few more than asked for, in one query. Where a collector sends for a whole cluster,
    // the node's name is in the instance.
    static string Matchers(IReadOnlyList<FilesystemKey> keys)
    {
        var names = Quoted($"|{AnyOf(keys.Select(k => k.Node.Node))}");
        return $"{{node=~{names},instance=~{names},mountpoint=~{Quoted(AnyOf(keys.Select(k => k.Mountpoint)))}}}";
    }

    static string AnyOf(IEnumerable<string> texts) => string.Join('|', texts.Distinct().Select(Regex.Escape));

    static string Quoted(string text) =>
        $"\"{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)}\"";
}
