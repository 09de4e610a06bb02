using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;

using Whistle.Benchmarks.Ingest;
using Whistle.Fixtures;
using Whistle.Telemetry;

namespace Whistle.Benchmarks.Latency;

/// <summary>
/// How long range queries take through the API: Whistle and Prometheus on the same samples, asked in turn, until the last byte of the
/// answer is read. Most of what they read is old, so that Whistle takes it from the sealed store and the rest from the head.
/// </summary>
sealed class LatencyComparison : IAsyncDisposable
{
    const string Usage = "latency [--hours H] [--nodes N] [--repeat N] [--only TEXT] [--whistle PATH]";

    // CPUs and modes of a node; 25 nodes have 1,000 series of each metric.
    const int SeriesPerNode = 40;

    const int SeriesPerRequest = 200;

    // Prometheus refuses what is an hour older than the newest it has.
    const int SamplesPerRequest = 120;

    static readonly string[] Queries =
    [
        "node_pressure",
        "node_pressure{mode=~\"idle|user\"}",
        "rate(node_cpu_seconds_total[5m])",
        "sum by (node) (rate(node_cpu_seconds_total[5m]))",
        "max_over_time(node_pressure[1h])",
        "node_pressure / on (node, cpu, mode) node_cpu_seconds_total",
        "avg without (cpu) (node_pressure)",
        "topk(5, node_pressure{mode=\"idle\"})",
    ];

    readonly List<(string Name, ServerUnderTest Server, HttpClient Sender, HttpClient Reader)> _servers = [];
    readonly string _rules = Directory.CreateTempSubdirectory("whistle-benchmark-latency-").FullName;

    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        var options = arguments.Chunk(2).ToDictionary(a => a[0], a => a.Length > 1 ? a[1] : throw new ArgumentException(Usage));
        var (hours, nodes, repeat) = (Number("--hours", 24), Number("--nodes", 25), Number("--repeat", 30));
        await using var run = new LatencyComparison();
        foreach (var name in (string[])["whistle", "prometheus"])
            await run.StartAsync(name, options.GetValueOrDefault("--whistle"));
        // Whistle takes samples of the last 24 h and the next 10 min: the oldest must still be taken when loading has begun.
        var end =
            TimeProvider.System.GetUtcNow().AddMinutes(5).ToUnixTimeSeconds() / IngestOptions.SliceSeconds * IngestOptions.SliceSeconds;
        var start = end - (hours * 3600);
        await run.LoadAsync(nodes, start, end);
        Console.WriteLine(
            $"{nodes * SeriesPerNode:N0} counters and as many gauges over {hours} h, a sample every {IngestOptions.SliceSeconds} s; "
            + $"each query {repeat} times; {Environment.ProcessorCount} cores for all.");
        var equal = true;
        foreach (var query in Queries.Where(q => q.Contains(options.GetValueOrDefault("--only", ""), StringComparison.Ordinal)))
            equal &= await run.MeasureAsync(
                query, $"api/v1/query_range?query={Uri.EscapeDataString(query)}&start={start}&end={end}&step={IngestOptions.SliceSeconds}",
                repeat);
        foreach (var (name, server, _, _) in run._servers)
            Console.WriteLine($"{name}: at most {server.PeakBytes() / 1048576.0:0} MiB resident");
        return equal ? 0 : 1;

        int Number(string option, int usual) =>
            options.TryGetValue(option, out var text) ? int.Parse(text, CultureInfo.InvariantCulture) : usual;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var (_, server, sender, reader) in _servers)
        {
            sender.Dispose();
            reader.Dispose();
            await server.DisposeAsync();
        }

        Directory.Delete(_rules);
    }

    async Task StartAsync(string name, string? whistle)
    {
        var options = new IngestOptions { WhistleArguments = $"--rules {_rules}" };
        var server = await ServerUnderTest.StartAsync(name, whistle is null ? options : options with { Whistle = whistle });
        _servers.Add((name, server, server.Sender(), server.Reader()));
    }

    static IEnumerable<FixtureSeries> Series(int nodes)
    {
        for (var i = 0; i < nodes * SeriesPerNode; i++)
        {
            (string, string)[] labels =
            [
                ("node", $"node-{i / SeriesPerNode:000}"), ("cpu", $"{i / 8 % 5}"),
                ("mode", ((string[])["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"])[i % 8]),
            ];
            yield return new(
                Labels.OfMetric("node_cpu_seconds_total", labels), i % 50 == 0 ? Behaviour.RestartingCounter : Behaviour.SecondsCounter,
                0.3 + (i % 7), (uint)i);
            yield return new(
                Labels.OfMetric("node_pressure", labels), i % 2 == 0 ? Behaviour.FloatGauge : Behaviour.PagesGauge,
                i % 2 == 0 ? 20 + (i % 11) : 1e9, (uint)i);
        }
    }

    async Task LoadAsync(int nodes, long start, long end)
    {
        var chunks = Series(nodes).Chunk(SeriesPerRequest).ToList();
        var count = (int)((end - start) / IngestOptions.SliceSeconds) + 1;
        for (var first = 0; first < count; first += SamplesPerRequest)
        {
            foreach (var chunk in chunks)
            {
                var series = chunk.Select(
                    s => new TimeSeries(s.Labels, [.. Enumerable.Range(first, Math.Min(SamplesPerRequest, count - first))
                        .Select(i => new Sample((start + (i * IngestOptions.SliceSeconds)) * 1000, s.At(i)))]));
                var message = new ArrayBufferWriter<byte>();
                RemoteWriteEncoder.EncodeV1([.. series], message);
                using var body = RemoteWriteBody.Compress(message.WrittenSpan);
                var bytes = body.Span.ToArray();
                await Task.WhenAll(_servers.Select(s => WriteAsync(s.Sender, s.Server.WriteAddress, bytes)));
            }
        }

        // The hours that are over go into files within a few minutes; before that they are read from where they arrived.
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), TimeProvider.System);
        while (_servers[0].Server.Files("*.samples.parquet") < ((end - start) / 3600) - 2 && await timer.WaitForNextTickAsync())
            continue;
    }

    static async Task WriteAsync(HttpClient client, Uri address, byte[] body)
    {
        using var content = new ByteArrayContent(body);
        content.Headers.ContentType = new MediaTypeHeaderValue(RemoteWriteBody.ContentTypeV1);
        content.Headers.ContentEncoding.Add("snappy");
        content.Headers.Add(RemoteWriteBody.VersionHeader, RemoteWriteBody.VersionV1);
        using var answer = await client.PostAsync(address, content);
        if (answer.Headers.RetryAfter?.Delta is { } pause)
        {
            // A tenant may not send faster.
            await Task.Delay(pause, TimeProvider.System);
            await WriteAsync(client, address, body);
            return;
        }

        if (!answer.IsSuccessStatusCode)
            throw new InvalidOperationException($"{address}: {(int)answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}");
    }

    async Task<bool> MeasureAsync(string query, string address, int repeat)
    {
        // The first answers are compared and not counted.
        List<MatrixAnswer> answers = [];
        foreach (var (_, _, _, reader) in _servers)
            answers.Add(MatrixAnswer.Read(await GetAsync(reader, address)));
        var difference = answers[0].DifferenceTo(answers[1]);
        var (seconds, cpu, bytes) =
            (_servers.Select(_ => new List<double>()).ToList(), new double[_servers.Count], new long[_servers.Count]);
        for (var i = 0; i < repeat * _servers.Count; i++)
        {
            // Each comes first as often as the other.
            var turn = (i + (i / _servers.Count)) % _servers.Count;
            var (_, server, _, reader) = _servers[turn];
            var (before, began) = (server.CpuSeconds(), Stopwatch.GetTimestamp());
            bytes[turn] = await DrainAsync(reader, address);
            seconds[turn].Add(Stopwatch.GetElapsedTime(began).TotalSeconds);
            cpu[turn] += server.CpuSeconds() - before;
        }

        Console.WriteLine($"\n{query}\n  {(difference is null ? $"the same {answers[0].Points:N0} points" : $"DIFFERENT: {difference}")}");
        for (var i = 0; i < _servers.Count; i++)
            Console.WriteLine($"  {_servers[i].Name,-11} p50 {Quantile(i, 0.5),7:0.000} s  p99 {Quantile(i, 0.99),7:0.000} s  "
                + $"{cpu[i] / repeat,7:0.000} CPU-s  {bytes[i],13:N0} bytes");
        Console.WriteLine($"  ratio       p50 {Quantile(0, 0.5) / Quantile(1, 0.5),7:0.00}    p99 "
            + $"{Quantile(0, 0.99) / Quantile(1, 0.99),7:0.00}    {cpu[0] / cpu[1],7:0.00}");
        return difference is null;

        double Quantile(int server, double q)
        {
            seconds[server].Sort();
            return seconds[server][(int)Math.Ceiling(q * repeat) - 1];
        }
    }

    static async Task<byte[]> GetAsync(HttpClient client, string address)
    {
        using var answer = await client.GetAsync(new Uri(address, UriKind.Relative));
        return answer.IsSuccessStatusCode
            ? await answer.Content.ReadAsByteArrayAsync()
            : throw new InvalidOperationException(
                $"{client.BaseAddress}: {(int)answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}");
    }

    static async Task<long> DrainAsync(HttpClient client, string address)
    {
        using var answer = await client.GetAsync(new Uri(address, UriKind.Relative), HttpCompletionOption.ResponseHeadersRead);
        await using var body = await answer.EnsureSuccessStatusCode().Content.ReadAsStreamAsync();
        var buffer = ArrayPool<byte>.Shared.Rent(1 << 16);
        var bytes = 0L;
        while (await body.ReadAsync(buffer) is > 0 and var read)
            bytes += read;
        ArrayPool<byte>.Shared.Return(buffer);
        return bytes;
    }
}
