using System.Text.RegularExpressions;

using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Telemetry;
using Whistle.Web.Charts;
using Whistle.Web.Places;
using Whistle.Web.Signals;

namespace Whistle.Web.Nodes;

/// <summary>
/// Reads what the pages show of nodes. The number of queries does not grow with the fleet: one a metric for all nodes, two for all
/// forecasts, and a handful for the charts of one node.
/// </summary>
sealed class NodeReader(PromQLEngine engine)
{
    // The last values of silent nodes, and the points of filling disks, are asked for by name.
    const int MostNamed = 100;

    static readonly long ForecastStep = (long)TimeSpan.FromMinutes(2).TotalMilliseconds;

    public async Task<(IReadOnlyList<NodeView> Nodes, IReadOnlyList<DueForecast> Due)> ReadAsync(
        IReadOnlyList<EnrolledAgent> agents, IReadOnlyList<SignalView> signals, DateTimeOffset now, CancellationToken cancellation)
    {
        var telemetry = new FleetTelemetry();
        foreach (var text in FleetTelemetry.NodeQueries.Concat(FleetTelemetry.FilesystemMetrics))
            telemetry.Add(text, await InstantAsync(text, now, cancellation));
        await AddSilentAsync(telemetry, agents, now, cancellation);
        var nodes = NodeList.Build(agents, signals, telemetry);
        return (nodes, await DueAsync(nodes, now, cancellation));
    }

    /// <summary>All filesystems of a node that have a size, its memory and its processors.</summary>
    public async Task<IReadOnlyList<ChartView>> ChartsAsync(
        NodeId node, ChartRange range, DateTimeOffset now, CancellationToken cancellation)
    {
        var of = Matchers(node);
        var used = Used(of);
        var memory = $"1 - node_memory_MemAvailable_bytes{of} / node_memory_MemTotal_bytes{of}";
        var busy = $"1 - avg by (tenant, cluster, node, instance) (rate(node_cpu_seconds_total{Matchers(node, "mode=\"idle\"")}[5m]))";
        var end = now.ToUnixTimeMilliseconds();
        // On a grid, so that the line does not shiver from one look to the next; the latest value closes it.
        var start = (end - (long)range.Length.TotalMilliseconds + range.Step - 1) / range.Step * range.Step;
        var filling = (await InstantAsync(Forecasts.Filling(of), now, cancellation))
            .Select(s => FilesystemKey.Of(s.Labels).Mountpoint).ToHashSet();
        List<ChartView> charts = [];
        foreach (var (kind, query) in new[] { (ChartKind.Filesystem, used), (ChartKind.Memory, memory), (ChartKind.Cpu, busy) })
        {
            var lines = (await engine.RangeAsync(query, start, end, range.Step, cancellation)).Series;
            var latest = (await InstantAsync(query, now, cancellation)).ToLookup(s => s.Labels["mountpoint"], s => s.Value);
            var past = kind is ChartKind.Cpu ? null : (await PastAsync(query, now, cancellation)).ToLookup(s => s.Labels["mountpoint"]);
            // Of two devices that were mounted at one place, the later.
            foreach (var line in lines.OrderByDescending(l => l.Times.LastOrDefault()).DistinctBy(l => l.Labels["mountpoint"]))
            {
                var mount = line.Labels["mountpoint"];
                List<ChartPoint> points = [.. Points(line)];
                if (latest[mount].Any() && double.IsFinite(latest[mount].First()) && (points.Count == 0 || points[^1].Time < end))
                    points.Add(new(end, latest[mount].First()));
                if (points.Count == 0)
                    continue;
                var judged = kind is ChartKind.Memory || filling.Contains(mount);
                charts.Add(new()
                {
                    Kind = kind,
                    Name = kind switch { ChartKind.Memory => "Memory", ChartKind.Cpu => "CPU", _ => mount },
                    Range = range,
                    Now = now,
                    Points = points,
                    Forecast = judged && past?[mount].FirstOrDefault() is { } series
                        ? Forecasts.Of([.. Points(series)], now, clearly: kind is ChartKind.Memory) : null,
                });
            }
        }

        // A filesystem that fails has no size and is there.
        var present = (await InstantAsync($"{FleetTelemetry.DeviceError}{of}", now, cancellation))
            .Concat(await InstantAsync(used, now, cancellation)).Select(s => s.Labels["mountpoint"]).ToHashSet();
        return MarkGone(charts, present);
    }

    // Of a silent node nothing is present: there, what its last report had is not gone.
    static IReadOnlyList<ChartView> MarkGone(IReadOnlyList<ChartView> charts, HashSet<string> present)
    {
        var newest = charts.Where(c => c.Kind is ChartKind.Filesystem).Select(c => c.Points[^1].Time).DefaultIfEmpty().Max();
        bool IsGone(ChartView chart) =>
            present.Count > 0 ? !present.Contains(chart.Name) : newest - chart.Points[^1].Time > chart.Range.Step;
        return [.. charts.Select(c => c.Kind is ChartKind.Filesystem && IsGone(c) ? c with { IsGone = true } : c)];
    }

    // Their series are no longer current, but what they last said is what a person wants to see.
    async Task AddSilentAsync(
        FleetTelemetry telemetry, IReadOnlyList<EnrolledAgent> agents, DateTimeOffset now, CancellationToken cancellation)
    {
        var silent = agents.Where(a => telemetry.Of(FleetTelemetry.Up, a.NodeId) == 0).Take(MostNamed).ToList();
        if (silent.Count == 0)
            return;
        var nodes = Quoted(AnyOf(silent.Select(a => a.NodeId.Node)));
        foreach (var metric in FleetTelemetry.FilesystemMetrics)
            telemetry.Add(metric, await InstantAsync(
                $"last_over_time({metric}{{node=~{nodes}}}[1h]) and on (tenant, cluster, node) (whistle_agent_up == 0)", now,
                cancellation));
    }

    // Which disks fill is what the forecast rules say; the pages only draw when.
    async Task<IReadOnlyList<DueForecast>> DueAsync(IReadOnlyList<NodeView> nodes, DateTimeOffset now, CancellationToken cancellation)
    {
        var filling = nodes.SelectMany(n => n.Filesystems).Where(f => f.Signals.Any(s => s.IsForecast)).OrderByDescending(f => f.Used)
            .Take(MostNamed).GroupBy(f => (f.Key.Node, f.Key.Mountpoint)).ToDictionary(g => g.Key, g => g.First());
        if (filling.Count == 0)
            return [];
        var names = Quoted($"|{AnyOf(filling.Keys.Select(k => k.Node.Node))}");
        var matchers = $"{{node=~{names},instance=~{names},mountpoint=~{Quoted(AnyOf(filling.Keys.Select(k => k.Mountpoint)))}}}";
        List<DueForecast> due = [];
        foreach (var series in await PastAsync(Used(matchers), now, cancellation))
        {
            var key = FilesystemKey.Of(series.Labels);
            if (filling.TryGetValue((key.Node, key.Mountpoint), out var filesystem)
                && Forecasts.Of([.. Points(series)], now) is { } forecast)
                due.Add(new(key, filesystem.Used, filesystem.Available, forecast));
        }

        return [.. due.OrderBy(d => d.Forecast.Full)];
    }

    async Task<IReadOnlyList<VectorSample>> InstantAsync(string expression, DateTimeOffset now, CancellationToken cancellation) =>
        await engine.InstantAsync(expression, now.ToUnixTimeMilliseconds(), cancellation) is VectorValue vector ? vector.Samples : [];

    async Task<IReadOnlyList<SeriesSamples>> PastAsync(string expression, DateTimeOffset now, CancellationToken cancellation)
    {
        var end = now.ToUnixTimeMilliseconds();
        return (await engine.RangeAsync(expression, end - (long)Forecasts.Past.TotalMilliseconds, end, ForecastStep, cancellation)).Series;
    }

    static IEnumerable<ChartPoint> Points(SeriesSamples series)
    {
        for (var i = 0; i < series.Times.Length; i++)
        {
            if (double.IsFinite(series.Values[i]))
                yield return new(series.Times[i], series.Values[i]);
        }
    }

    static string Used(string matchers) => $"1 - node_filesystem_avail_bytes{matchers} / node_filesystem_size_bytes{matchers}";

    // Where a collector sends for a whole cluster, the node's name is in the instance.
    static string Matchers(NodeId node, string more = "")
    {
        var names = Quoted($"|{Regex.Escape(node.Node)}");
        return $"{{tenant={Quoted(node.Tenant)},cluster={Quoted(node.Cluster)},node=~{names},instance=~{names}"
            + $"{(more.Length > 0 ? "," + more : "")}}}";
    }

    static string AnyOf(IEnumerable<string> texts) => string.Join('|', texts.Distinct().Select(Regex.Escape));

    static string Quoted(string text) =>
        '"' + text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("\n", "\\n", StringComparison.Ordinal) + '"';
}
