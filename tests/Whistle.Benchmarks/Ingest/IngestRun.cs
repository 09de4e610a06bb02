using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json;

namespace Whistle.Benchmarks.Ingest;

/// <param name="Server">Whose figures these are.</param>
/// <param name="FirstSliceCpu">CPU-seconds for the slice in which every series is new.</param>
/// <param name="CpuPerMillion">CPU-seconds for a million samples after that.</param>
/// <param name="PacedRate">Samples per second that were reached in the paced phase.</param>
/// <param name="PeakBytes">Highest resident memory by the end of the paced phase.</param>
/// <param name="BytesPerSeries">Of it, what was not there before the first sample, for each series.</param>
/// <param name="DiskBytes">The data folder after the paced phase.</param>
/// <param name="MaxRate">Samples per second in the phase without a pace.</param>
/// <param name="MaxCpuPerMillion">CPU-seconds for a million samples there.</param>
/// <param name="Stored">Series that a query finds at the last slice's time; null where it does not answer.</param>
/// <param name="Failures">Requests without an answer of 2xx.</param>
/// <param name="FirstFailure">What the first of them was answered.</param>
sealed record IngestResult(
    string Server,
    double FirstSliceCpu,
    double CpuPerMillion,
    double PacedRate,
    long PeakBytes,
    double BytesPerSeries,
    long DiskBytes,
    double MaxRate,
    double MaxCpuPerMillion,
    int? Stored,
    int Failures,
    string FirstFailure);

/// <summary>
/// Both phases against one server. Each connection has requests of its own, as a Prometheus shard has series of its own, and sends one
/// after the other, so every series' samples arrive in order. Every server gets the same requests, but for the time, which ends now.
/// </summary>
sealed class IngestRun
{
    const int NodesPerRequest = 2;
    const double MillionSamples = 1e6;

    static readonly TimeSpan Slice = TimeSpan.FromSeconds(IngestOptions.SliceSeconds);

    readonly IngestOptions _options;
    readonly string _name;
    readonly RequestTemplate[] _templates;
    readonly long _firstTime;
    int _failures;
    string _firstFailure = "";

    IngestRun(string name, IngestOptions options)
    {
        _name = name;
        _options = options;
        _templates =
        [
            .. Enumerable.Range(0, options.Nodes).Chunk(NodesPerRequest).Select(nodes =>
                new RequestTemplate([.. nodes.SelectMany(node => NodeProfile.Series(node, (uint)options.Seed))])),
        ];
        // The last slice is of now: some servers refuse what lies in the future.
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        _firstTime = now - (now % (long)Slice.TotalMilliseconds)
            - ((options.PacedSlices + options.MaxSlices) * (long)Slice.TotalMilliseconds);
    }

    int SamplesPerSlice => _templates.Sum(t => t.Samples);

    public static async Task<IngestResult> RunAsync(string name, IngestOptions options)
    {
        var run = new IngestRun(name, options);
        await using var server = await ServerUnderTest.StartAsync(name, options);
        return await run.MeasureAsync(server);
    }

    async Task<IngestResult> MeasureAsync(ServerUnderTest server)
    {
        var idleBytes = server.ResidentBytes();
        var idleCpu = server.CpuSeconds();
        await PacedAsync(server, 0, 1);
        var firstCpu = server.CpuSeconds();
        var watch = Stopwatch.GetTimestamp();
        await PacedAsync(server, 1, _options.PacedSlices);
        var pacedRate = SamplesPerSlice * (_options.PacedSlices - 1) / Stopwatch.GetElapsedTime(watch).TotalSeconds;
        await SettleAsync();
        var pacedCpu = server.CpuSeconds();
        var peak = server.PeakBytes();
        var disk = server.DiskBytes();

        var (seconds, maxCpu) = await FlatOutAsync(server);
        var maxSamples = (double)SamplesPerSlice * _options.MaxSlices;
        return new IngestResult(
            _name,
            firstCpu - idleCpu,
            (pacedCpu - firstCpu) / (SamplesPerSlice * (_options.PacedSlices - 1) / MillionSamples),
            pacedRate,
            peak,
            (peak - idleBytes) / (double)SamplesPerSlice,
            disk,
            maxSamples / seconds,
            maxCpu / (maxSamples / MillionSamples),
            await StoredAsync(server),
            _failures,
            _firstFailure);
    }

    // What a server puts off until after its answer is its work too.
    static Task SettleAsync() => Task.Delay(TimeSpan.FromSeconds(2), TimeProvider.System);

    // Requests are spread evenly over their slice, as scrapes are.
    Task PacedAsync(ServerUnderTest server, int fromSlice, int toSlice)
    {
        var started = Stopwatch.GetTimestamp();
        var interval = SamplesPerSlice / (double)_options.Rate / _templates.Length;
        return OnEachConnectionAsync(server, async (send, shard) =>
        {
            for (var slice = fromSlice; slice < toSlice; slice++)
            {
                for (var i = shard; i < _templates.Length; i += _options.Connections)
                {
                    var body = _templates[i].Next(TimeOf(slice));
                    var due = TimeSpan.FromSeconds(((((slice - fromSlice) * _templates.Length) + i) * interval)) - Stopwatch.GetElapsedTime(
                        started);
                    if (due > TimeSpan.Zero)
                        await Task.Delay(due, TimeProvider.System);
                    await send(body);
                }
            }
        });
    }

    // All bodies are made before the clock starts: the sender shares the server's cores.
    async Task<(double Seconds, double Cpu)> FlatOutAsync(ServerUnderTest server)
    {
        var bodies = new byte[_options.MaxSlices][][];
        for (var slice = 0; slice < bodies.Length; slice++)
            bodies[slice] = [.. _templates.Select(t => t.Next(TimeOf(_options.PacedSlices + slice)))];
        GC.Collect();
        var cpu = server.CpuSeconds();
        var started = Stopwatch.GetTimestamp();
        await OnEachConnectionAsync(server, async (send, shard) =>
        {
            foreach (var slice in bodies)
            {
                for (var i = shard; i < slice.Length; i += _options.Connections)
                    await send(slice[i]);
            }
        });
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        await SettleAsync();
        return (seconds, server.CpuSeconds() - cpu);
    }

    // VictoriaMetrics shows what it took in after a second or two; a server that shows it never has lost it.
    async Task<int?> StoredAsync(ServerUnderTest server)
    {
        var time = TimeOf(_options.PacedSlices + _options.MaxSlices - 1) / 1000;
        var query = new Uri($"/api/v1/query?query=count({{job%3D\"node-exporter\"}})&time={time}", UriKind.Relative);
        using var client = server.Reader();
        int? stored = null;
        for (var attempt = 0; attempt < 10 && stored != SamplesPerSlice; attempt++)
        {
            await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System);
            using var answer = await client.GetAsync(query);
            if (!answer.IsSuccessStatusCode)
                return null;
            using var json = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
            var result = json.RootElement.GetProperty("data").GetProperty("result");
            stored =
                result.GetArrayLength() == 0 ? 0 : int.Parse(result[0].GetProperty("value")[1].GetString()!, CultureInfo.InvariantCulture);
        }

        return stored;
    }

    long TimeOf(int slice) => _firstTime + (slice * (long)Slice.TotalMilliseconds);

    Task OnEachConnectionAsync(ServerUnderTest server, Func<Func<byte[], Task>, int, Task> send) =>
        Task.WhenAll(Enumerable.Range(0, _options.Connections).Select(shard => Task.Run(async () =>
        {
            using var client = server.Sender();
            await send(body => PostAsync(client, server.WriteAddress, body), shard);
        })));

    async Task PostAsync(HttpClient client, Uri address, byte[] body)
    {
        using var content = new ByteArrayContent(body);
        content.Headers.ContentType = new MediaTypeHeaderValue(Telemetry.RemoteWriteBody.ContentTypeV1);
        content.Headers.ContentEncoding.Add("snappy");
        content.Headers.Add(Telemetry.RemoteWriteBody.VersionHeader, Telemetry.RemoteWriteBody.VersionV1);
        try
        {
            using var answer = await client.PostAsync(address, content);
            if (!answer.IsSuccessStatusCode)
                Fail($"{(int)answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}");
        }
        catch (HttpRequestException e)
        {
            Fail(e.Message);
        }
    }

    void Fail(string what)
    {
        if (Interlocked.Increment(ref _failures) == 1)
            _firstFailure = what.Trim();
    }
}
