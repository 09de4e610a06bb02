using System.Net;

using Microsoft.Extensions.DependencyInjection;

using Whistle.Ingest.Stores;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// A Prometheus and a Whistle that were sent the same: series of three hours, so that Whistle has them in sealed files, hot tables and its
/// head. Whistle stamps <c>tenant</c> and <c>cluster</c> on them.
/// </summary>
sealed class PrometheusPair : IAsyncDisposable
{
    const string Rules =
        """
        groups:
          - name: first
            interval: 1h
            limit: 5
            rules:
              - alert: Never
                expr: absent_metric > 0
                for: 5m
                keep_firing_for: 1m
                labels: { severity: page }
                annotations: { summary: "{{ $value }} is too much" }
              - record: job:requests:rate5m
                expr: sum by (job) (rate(http_requests_total[5m]))
                labels: { level: job }
          - name: second
            interval: 1h
            rules:
              - alert: Nor
                expr: absent_metric < 0
        """;

    PrometheusPair(PrometheusServer prometheus, InProcessServer whistle, string rulesFile, long now)
    {
        Prometheus = prometheus;
        Whistle = whistle;
        RulesFile = rulesFile;
        Now = now;
    }

    public PrometheusServer Prometheus { get; }

    public InProcessServer Whistle { get; }

    public string RulesFile { get; }

    /// <summary>The time of the last samples, in seconds since 1970 UTC: a whole minute.</summary>
    public long Now { get; }

    public static async Task<PrometheusPair> StartAsync(CancellationToken cancellation)
    {
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() / 60 * 60;
        var rules = Path.Combine(Directory.CreateTempSubdirectory("whistle-rules").FullName, "rules.yaml");
        await File.WriteAllTextAsync(rules, Rules, cancellation);
        var prometheus = await PrometheusServer.StartAsync(
            $"storage: {{tsdb: {{out_of_order_time_window: 1d}}}}\nrule_files: [\"{rules}\"]", cancellation);
        var whistle = await InProcessServer.StartAsync(cancellation, change: o => o with { RunTimers = false, Rules = [rules] });
        var pair = new PrometheusPair(prometheus, whistle, rules, now);
        await pair.WriteAsync(cancellation);
        return pair;
    }

    public async ValueTask DisposeAsync()
    {
        await Whistle.DisposeAsync();
        await Prometheus.DisposeAsync();
        Directory.Delete(Path.GetDirectoryName(RulesFile)!, recursive: true);
    }

    async Task WriteAsync(CancellationToken cancellation)
    {
        var series = Series(Now);
        await Prometheus.WriteAsync(series, cancellation);
        using var sender = await Whistle.SenderAsync(node: null);
        using var answer = await sender.SendAsync(
            [.. series.Select(s => new TimeSeries(s.Labels, [.. s.Times.Zip(s.Values, (time, value) => new Sample(time, value))]))],
            cancellation);
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        Assert.NotEqual(0, Whistle.App.Services.GetRequiredService<DuckDbStore>().Maintain());
    }

    static List<SeriesSamples> Series(long now) =>
    [
        Minutes(now, 180, 0, i => i * 60, "http_requests_total", ("az", "a"), ("code", "200"), ("job", "api")),
        Minutes(now, 180, 0, i => i, "http_requests_total", ("az", "a"), ("code", "500"), ("job", "api")),
        Minutes(now, 180, 0, i => i * 7 % 11, "memory_bytes", ("az", "b"), ("job", "worker")),
        Minutes(now, 180, 150, i => i / 3.0, "only_old", ("az", "b"), ("job", "worker"), ("old", "yes")),
        Minutes(now, 10, 0, i => -i, "only_new", ("az", "c"), ("my.label", "x y"), ("new", "yes")),
        Minutes(now, 90, 80, i => i, "http_requests_total", ("az", "a"), ("code", "404"), ("job", "api")),
    ];

    static SeriesSamples Minutes(long now, int first, int last, Func<int, double> value, string metric, params (string, string)[] labels)
    {
        int[] minutes = [.. Enumerable.Range(0, first - last + 1)];
        return new(Labels.OfMetric(metric, labels), [.. minutes.Select(i => (now - (first - i) * 60L) * 1000)], [.. minutes.Select(value)]);
    }
}
