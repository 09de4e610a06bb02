using System.Diagnostics;
using System.Globalization;
using System.Text;

using InfluxDB.Client;
using InfluxDB.Client.Api.Domain;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

using Whistle.Ingest.Influx;
using Whistle.Ingest.Series;
using Whistle.Ingest.Stores;
using Whistle.Telemetry;

using Label = Whistle.Telemetry.Label;

namespace Whistle.Benchmarks.Ingest;

/// <summary>
/// What a million points cost the sender: by InfluxDB's client, and by the store, which writes the body itself. A process of its own takes
/// them and looks at nothing.
/// </summary>
static class InfluxWrites
{
    const int Series = 10_000;
    const int Rounds = 100;

    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        if (arguments is ["--sink"])
            return await TakeAsync();
        var start = new ProcessStartInfo(Environment.ProcessPath!, ["influx", "--sink"]) { RedirectStandardOutput = true };
        using var sink = Process.Start(start)!;
        var url = (await sink.StandardOutput.ReadLineAsync())!;
        try
        {
            HeadSeries[] series = [.. Enumerable.Range(0, Series).Select(i => new HeadSeries((uint)i, LabelsOf(i), "t"))];
            var bytes = InfluxLines.Key(series[0].Labels).Length;
            Console.WriteLine($"{Series * Rounds:N0} points, {Series:N0} series, {bytes} bytes of labels: "
                + "CPU seconds of the sender for a million");
            for (var repeat = 0; repeat < 3; repeat++)
            {
                Say("head alone", Measure(() => FillHead(series)));
                Say("store", Measure(() => Store(url, series, gzip: false)));
                Say("store, gzip", Measure(() => Store(url, series, gzip: true)));
                Say("client", Measure(() => Client(url, series, gzip: false)));
                Say("client, gzip", Measure(() => Client(url, series, gzip: true)));
            }
        }
        finally
        {
            sink.Kill();
            await sink.WaitForExitAsync();
        }

        return 0;
    }

    static void FillHead(HeadSeries[] series)
    {
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var one in series)
                one.Append(one.LastTime == long.MinValue ? 0 : one.LastTime + 15_000, round * 1.37);
        }
    }

    static void Store(string url, HeadSeries[] series, bool gzip)
    {
        using var store = new InfluxStore(
            new InfluxOptions { Endpoints = [new(new Uri(url), "w")], Retention = TimeSpan.FromDays(1), Gzip = gzip }, TimeProvider.System);
        var batch = new CommitBatch();
        for (var round = 0; round < Rounds; round++)
        {
            batch.Clear();
            foreach (var one in series)
                batch.Add(one, round * 15_000L, round * 1.37, late: false);
            store.Append(batch);
        }
    }

    static void Client(string url, HeadSeries[] series, bool gzip)
    {
        using var client = new InfluxDBClient(url, "token");
        if (gzip)
            client.EnableGzip();
        var api = client.GetWriteApiAsync();
        string[] keys = [.. series.Select(s => Encoding.UTF8.GetString(InfluxLines.Key(s.Labels)))];
        for (var round = 0; round < Rounds; round++)
        {
            List<string> lines = [.. keys.Select(
                k => string.Create(CultureInfo.InvariantCulture, $"{k}value={round * 1.37} {round * 15_000L}"))];
            api.WriteRecordsAsync(lines, WritePrecision.Ms, "w", "o").GetAwaiter().GetResult();
        }
    }

    static double Measure(Action run)
    {
        GC.Collect();
        using var process = Process.GetCurrentProcess();
        var before = process.TotalProcessorTime;
        run();
        process.Refresh();
        return (process.TotalProcessorTime - before).TotalSeconds / (Series * Rounds / 1e6);
    }

    static void Say(string what, double seconds) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what,-14}{seconds,6:0.00}"));

    static Labels LabelsOf(int i) => Labels.From(
    [
        new Label(Labels.MetricName, $"node_cpu_seconds_total{i % 40}"), new Label("tenant", "default"), new Label("cluster", "production"),
        new Label("node", $"worker-{i / 400:000}"), new Label("cpu", $"{i % 16}"), new Label("mode", "iowait"),
        new Label("instance", $"10.0.{i / 250}.{i % 250}:9100"), new Label("job", "node-exporter"),
    ]);

    static async Task<int> TakeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        var app = builder.Build();
        app.Urls.Add("http://127.0.0.1:0");
        app.Run(async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted);
            context.Response.StatusCode = StatusCodes.Status204NoContent;
        });
        app.Lifetime.ApplicationStarted.Register(() => Console.WriteLine(app.Urls.First()));
        await app.RunAsync();
        return 0;
    }
}
