using System.Net;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Agent;
using Whistle.Agent.Settings;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>The codec against a real Prometheus, in both directions.</summary>
public sealed class RemoteWriteInteropTests
{
    [Theory]
    [InlineData(RemoteWriteVersion.V1)]
    [InlineData(RemoteWriteVersion.V2)]
    public async Task Prometheus_stores_what_is_encoded_here(RemoteWriteVersion version)
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var prometheus = await PrometheusServer.StartAsync("", cancellation);
        var series = SomeSeries();

        using var answer = await prometheus.PostAsync(series, version, cancellation);

        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(cancellation));
        if (version == RemoteWriteVersion.V2)
            Assert.Equal(
                $"{series.Sum(s => s.Samples.Count)}",
                Assert.Single(answer.Headers.GetValues("X-Prometheus-Remote-Write-Samples-Written")));
        var stored = await prometheus.SelectAsync("{test=\"interop\"}[1h]", cancellation);
        var expected = series.Select(s => (s.Labels, Samples: s.Samples.Where(x => !StaleMarker.Is(x.Value)).ToArray()))
            .Where(s => s.Samples.Length > 0).ToArray();
        Assert.Equal(expected.Length, stored.Count);
        foreach (var (labels, samples) in expected)
            Assert.Equal(samples, stored[labels]);
    }

    /// <summary>Its headers too: over a content type that Prometheus takes for 1.0's, a report would be acknowledged and lost.</summary>
    [Fact]
    public async Task Prometheus_stores_what_the_agent_reports()
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var prometheus = await PrometheusServer.StartAsync("", cancellation);
        var buffer = Directory.CreateTempSubdirectory("whistle-agent-").FullName;
        try
        {
            using var agent = new WhistleAgent(
                new AgentOptions
                { Server = prometheus.Address, Token = "none", Instance = "h1", Buffer = new BufferOptions { Folder = buffer } },
                NullLogger.Instance);
            await agent.ReportAsync(cancellation);

            Assert.True(await agent.SendPendingAsync(cancellation));

            var stored = await prometheus.SelectAsync("{instance=\"h1\"}[1h]", cancellation);
            Assert.Single(Assert.Single(stored, s => s.Key.Name == "node_load1").Value);
            Assert.True(stored.Count > 100, $"Only {stored.Count} series were stored.");
        }
        finally
        {
            Directory.Delete(buffer, recursive: true);
        }
    }

    [Theory]
    [InlineData("prometheus.WriteRequest", RemoteWriteVersion.V1)]
    [InlineData("io.prometheus.write.v2.Request", RemoteWriteVersion.V2)]
    public async Task What_Prometheus_sends_reads_as_what_it_stored(string proto, RemoteWriteVersion version)
    {
        const int Enough = 3000;
        var cancellation = TestContext.Current.CancellationToken;
        await using var receiver = await Receiver.StartAsync(Enough, cancellation);
        await using var prometheus = await PrometheusServer.StartAsync(Configuration(receiver.Address, proto), cancellation);

        await receiver.Full.WaitAsync(TimeSpan.FromMinutes(1), TimeProvider.System, cancellation);

        Assert.Equal([version], receiver.Versions);
        var stored = await prometheus.SelectAsync("{job=\"self\"}[5m]", cancellation);
        var received = receiver.Samples.Where(s => !StaleMarker.Is(s.Sample.Value)).ToArray();
        Assert.InRange(received.Length, Enough, int.MaxValue);
        Assert.All(received, s => Assert.Contains(s.Sample, stored[s.Labels]));
    }

    static string Configuration(string receiver, string proto) => $$"""
        global: { scrape_interval: 1s, scrape_timeout: 1s }
        scrape_configs:
          - job_name: self
            static_configs: [ { targets: [ ADDRESS ] } ]
        remote_write:
          - url: {{receiver}}/api/v1/write
            protobuf_message: {{proto}}
            queue_config: { batch_send_deadline: 200ms }
        """;

    static TimeSeries[] SomeSeries()
    {
        var random = Seed.New();
        var end = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        string[] texts = ["a", "ä", "日本語 🚨", "quo\"te\\ \n", new string('x', 1000)];
        return
        [
            .. Enumerable.Range(0, 300).Select(i => new TimeSeries(
                Labels.OfMetric(
                    $"metric_{i % 7}", ("test", "interop"), ("i", $"{i}"), ("text", texts[i % texts.Length]), ("a.dotted name", "1")),
                [.. Enumerable.Range(0, 1 + (i % 5)).Select(n => new Sample(end - ((5 - n) * 15_000), Value(random, i + n)))])),
        ];
    }

    static double Value(Random random, int i) => (i % 9) switch
    {
        0 => 0,
        1 => double.NaN,
        2 => double.PositiveInfinity,
        3 => double.NegativeInfinity,
        4 => StaleMarker.Value,
        5 => double.Epsilon,
        6 => double.MaxValue,
        _ => (random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-20, 20)),
    };

    /// <summary>A remote-write receiver that keeps what it reads.</summary>
    sealed class Receiver : IAsyncDisposable
    {
        readonly WebApplication _app;
        readonly TaskCompletionSource _full = new(TaskCreationOptions.RunContinuationsAsynchronously);
        readonly Lock _lock = new();
        readonly List<(Labels Labels, Sample Sample)> _samples = [];
        readonly HashSet<RemoteWriteVersion> _versions = [];
        readonly int _enough;

        Receiver(int enough)
        {
            _enough = enough;
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            _app = builder.Build();
            _app.MapPost("/api/v1/write", ReceiveAsync);
        }

        public string Address => _app.Urls.First();

        public Task Full => _full.Task;

        public (Labels Labels, Sample Sample)[] Samples
        {
            get
            {
                lock (_lock)
                    return [.. _samples];
            }
        }

        public RemoteWriteVersion[] Versions
        {
            get
            {
                lock (_lock)
                    return [.. _versions];
            }
        }

        public static async Task<Receiver> StartAsync(int enough, CancellationToken cancellation)
        {
            var receiver = new Receiver(enough);
            await receiver._app.StartAsync(cancellation);
            return receiver;
        }

        public ValueTask DisposeAsync() => _app.DisposeAsync();

        async Task ReceiveAsync(HttpContext context)
        {
            try
            {
                using var received = new MemoryStream();
                await context.Request.Body.CopyToAsync(received, context.RequestAborted);
                var known = RemoteWriteBody.TryGetVersion(
                    context.Request.ContentType, context.Request.Headers[RemoteWriteBody.VersionHeader], out var version);
                Assert.True(known, context.Request.ContentType);
                using var body = RemoteWriteBody.Decompress(received.ToArray(), 10_000_000);
                var read = Read(body.Span, version);
                context.Response.StatusCode = (int)HttpStatusCode.NoContent;
                context.Response.Headers["X-Prometheus-Remote-Write-Samples-Written"] = $"{read}";
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                _full.TrySetException(e);
            }
        }

        int Read(ReadOnlySpan<byte> body, RemoteWriteVersion version)
        {
            lock (_lock)
            {
                var before = _samples.Count;
                _versions.Add(version);
                var reader = new WriteRequestReader(body, version, new WriteRequestScratch());
                while (reader.ReadSeries())
                {
                    var labels = LabelsCodec.Decode(reader.Key, LabelLimits.Default);
                    while (reader.ReadSample(out var sample))
                        _samples.Add((labels, sample));
                }

                if (_samples.Count > _enough * 11 / 10)
                    _full.TrySetResult();
                return _samples.Count - before;
            }
        }
    }
}
