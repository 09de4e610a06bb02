using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;

using Whistle.Benchmarks.Ingest;
using Whistle.Telemetry;

namespace Whistle.Benchmarks.Churn;

/// <summary>
/// One tenant, a, brings very many series over many past hours and asks for its labels, before and after a restart; another, b, is a node
/// that reports and a page that queries it. Tells what each question of a takes, and how much longer than alone b's write and query take
/// beside a.
/// </summary>
sealed class ChurnRun
{
    public const string Usage = """
        churn [--series N] [--hours N] [--rounds N] [--whistle PATH]

        Writes N series (1400000) of one tenant over so many past hours (14), with what another tenant does timed beside it,
        then starts the server again and asks for labels.
        Takes about ten minutes.
        """;

    const int SeriesPerRequest = 2000;
    const int Connections = 4;

    readonly int _series;
    readonly int _hours;
    readonly int _rounds;
    readonly string _program;
    readonly ConcurrentDictionary<string, int> _failures = new();
    int _generation;

    ChurnRun(IReadOnlyDictionary<string, string> options)
    {
        _series = Number(options, "--series", 1_400_000);
        _hours = Number(options, "--hours", 14);
        _rounds = Number(options, "--rounds", 60);
        _program = options.GetValueOrDefault("--whistle", Path.Combine(AppContext.BaseDirectory, "whistle"));
    }

    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        if (arguments.Count % 2 != 0
            || arguments.Where((_, i) => i % 2 == 0).Any(a => a is not ("--series" or "--hours" or "--rounds" or "--whistle")))
        {
            await Console.Error.WriteLineAsync(Usage);
            return 2;
        }

        var run = new ChurnRun(arguments.Chunk(2).ToDictionary(pair => pair[0], pair => pair[1]));
        return await run.MeasureAsync();
    }

    async Task<int> MeasureAsync()
    {
        // The churn after the restart is half as much again.
        await using var server = new ChurnServer(_program, maxSeries: _series * 2);
        await server.StartAsync();
        using var a = await server.SenderAsync("a");
        using var b = await server.SenderAsync("b");
        using var reader = server.Reader();
        var node = new RequestTemplate(NodeProfile.Series(0));

        Console.WriteLine($"{_series:N0} series of tenant a over {_hours} past hours; tenant b is a node of {node.Samples} series. "
            + $"{Environment.ProcessorCount} cores, shared with the sender.\n");
        var alone = await BesideAsync("b alone", b, reader, node, _ => Task.CompletedTask, null);
        var bodies = Bodies(_series);
        await BesideAsync("b while a churns", b, reader, node, stop => ChurnAsync(a, bodies, stop), alone);
        Console.WriteLine($"  resident {Mebibytes(server.ResidentBytes())}, peak {Mebibytes(server.PeakBytes())}");
        await WaitForSealsAsync(server);

        await server.StopAsync();
        var start = await server.StartAsync();
        Console.WriteLine($"\nafter a restart, ready in {start.TotalSeconds:0.0} s, resident {Mebibytes(server.ResidentBytes())}");
        foreach (var question in Questions)
            await AskAsync(server, reader, question);

        alone = await BesideAsync("b alone", b, reader, node, _ => Task.CompletedTask, null);
        await BesideAsync("b while a asks for labels", b, reader, node, stop => AskOnAsync(reader, stop), alone);
        await BesideAsync("b beside busy processors", b, reader, node, BusyAsync, alone);
        bodies = Bodies(_series / 2);
        await BesideAsync("b while a churns", b, reader, node, stop => ChurnAsync(a, bodies, stop), alone);
        bodies = Bodies(_series / 2);
        await BesideAsync(
            "b while a does both", b, reader, node, stop => Task.WhenAll(AskOnAsync(reader, stop), ChurnAsync(a, bodies, stop)), alone);
        Console.WriteLine($"  resident {Mebibytes(server.ResidentBytes())}, peak {Mebibytes(server.PeakBytes())}");
        foreach (var (what, count) in _failures.OrderByDescending(f => f.Value).Take(10))
            Console.WriteLine($"  {count} times {what}");
        return 0;
    }

    static readonly string[] Questions =
    [
        "labels", "label/pod/values", "label/__name__/values", "label/pod/values?limit=100", "series?match[]={tenant=\"a\"}",
        "series?match[]={tenant=\"a\"}&limit=100", "labels?match[]={tenant=\"a\"}", "label/pod/values?match[]={tenant=\"a\"}",
    ];

    static async Task AskAsync(ChurnServer server, HttpClient reader, string question)
    {
        server.ForgetPeak();
        var before = server.ResidentBytes();
        var started = Stopwatch.GetTimestamp();
        using var answer = await reader.GetAsync(new Uri("api/v1/" + question, UriKind.Relative));
        var length = (await answer.Content.ReadAsByteArrayAsync()).Length;
        Console.WriteLine(
            $"  {question,-48} {(int)answer.StatusCode} {Stopwatch.GetElapsedTime(started).TotalSeconds,8:0.00} s {length,12:N0} bytes, "
            + $"peak {Mebibytes(server.PeakBytes())} ({Mebibytes(server.PeakBytes() - before)} more)");
    }

    // The reference: what busy processors alone cost b.
    static Task BusyAsync(CancellationToken stop) =>
        Task.WhenAll(Enumerable.Range(0, Environment.ProcessorCount).Select(_ => Task.Factory.StartNew(
            () =>
            {
                while (!stop.IsCancellationRequested)
                    Thread.SpinWait(1000);
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));

    // Two callers, each with one question after the other, as a dashboard's variables.
    Task AskOnAsync(HttpClient reader, CancellationToken stop) => Task.WhenAll(Enumerable.Range(0, 2).Select(i => Task.Run(
        async () =>
        {
            for (var k = i; !stop.IsCancellationRequested; k++)
            {
                try
                {
                    using var answer = await reader.GetAsync(new Uri("api/v1/" + Questions[k % Questions.Length], UriKind.Relative), stop);
                    Count("a's question", (int)answer.StatusCode);
                }
                catch (OperationCanceledException) when (stop.IsCancellationRequested)
                {
                }
            }
        },
        CancellationToken.None)));

    // Made beforehand: the sender shares the server's cores.
    List<byte[]> Bodies(int series)
    {
        var (generation, now) = (++_generation, Now());
        return [.. Enumerable.Range(0, series / SeriesPerRequest).Select(i => Body(generation, i * SeriesPerRequest, now))];
    }

    async Task ChurnAsync(HttpClient sender, List<byte[]> bodies, CancellationToken stop)
    {
        var next = -1;
        await Task.WhenAll(Enumerable.Range(0, Connections).Select(_ => Task.Run(
            async () =>
            {
                while (!stop.IsCancellationRequested && Interlocked.Increment(ref next) is var i && i < bodies.Count)
                    await PostAsync(sender, "a's write", bodies[i]);
            },
            CancellationToken.None)));
    }

    // Half of them have the name that b's query reads too.
    byte[] Body(int generation, int from, long now)
    {
        var output = new ArrayBufferWriter<byte>();
        RemoteWriteEncoder.EncodeV1(
            [
                .. Enumerable.Range(from, SeriesPerRequest).Select(i => new TimeSeries(
                    Labels.OfMetric(
                        i % 2 == 0 ? "node_cpu_seconds_total" : $"container_{i % 50}_total", ("container", $"app-{i % 20}"), ("cpu", "0"),
                        ("id", $"/kubepods/burstable/pod{Hash(generation, i):x16}"), ("image", $"registry.example.com/app-{i % 20}:v1"),
                        ("mode", "user"), ("namespace", $"team-{i % 100}"), ("pod", $"app-{i % 20}-{Hash(generation, i):x16}")),
                    [new Sample(now - (i % _hours * 3_600_000L), i)])),
            ],
            output);
        using var body = RemoteWriteBody.Compress(output.WrittenSpan);
        return body.Span.ToArray();
    }

    async Task<(double Write, double Query)> BesideAsync(
        string what, HttpClient sender, HttpClient reader, RequestTemplate node, Func<CancellationToken, Task> beside,
        (double Write, double Query)? alone)
    {
        using var stop = new CancellationTokenSource();
        var started = Stopwatch.GetTimestamp();
        var other = beside(stop.Token);
        List<double> writes = [], queries = [];
        for (var round = 0; round < _rounds || (alone is not null && !other.IsCompleted && round < _rounds * 20); round++)
        {
            writes.Add(await TimeAsync(() => PostAsync(sender, "b's write", node.Next(Now()))));
            queries.Add(await TimeAsync(() => QueryAsync(reader)));
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        }

        await stop.CancelAsync();
        await other;
        Console.WriteLine($"{what,-28} {Stopwatch.GetElapsedTime(started).TotalSeconds,6:0} s  write {Row(writes, alone?.Write)}   query "
            + $"{Row(queries, alone?.Query)}");
        return (Quantile(writes, 0.5), Quantile(queries, 0.5));
    }

    static string Row(List<double> times, double? alone) =>
        $"median {Quantile(times, 0.5),7:0.0} p95 {Quantile(times, 0.95),7:0.0} max {times.Max(),7:0.0} "
        + $"ms{(alone is { } usual ? $", {Quantile(times, 0.5) / usual:0.00} times" : "")}";

    static double Quantile(List<double> times, double quantile) => times.Order().ElementAt((int)(quantile * (times.Count - 1)));

    static async Task<double> TimeAsync(Func<Task> work)
    {
        var started = Stopwatch.GetTimestamp();
        await work();
        return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    }

    async Task QueryAsync(HttpClient reader)
    {
        using var answer = await reader.GetAsync(
            new Uri("api/v1/query?query=sum by (mode) (rate(node_cpu_seconds_total{tenant=\"b\"}[5m]))", UriKind.Relative));
        Count("b's query", (int)answer.StatusCode);
    }

    async Task PostAsync(HttpClient sender, string what, byte[] body)
    {
        using var content = new ByteArrayContent(body);
        content.Headers.ContentType = new MediaTypeHeaderValue(RemoteWriteBody.ContentTypeV1);
        content.Headers.ContentEncoding.Add("snappy");
        using var answer = await sender.PostAsync(new Uri("api/v1/write", UriKind.Relative), content);
        Count(what, (int)answer.StatusCode);
    }

    void Count(string what, int status)
    {
        if (status is not (200 or 204))
            _failures.AddOrUpdate($"{status} to {what}", 1, (_, count) => count + 1);
    }

    async Task WaitForSealsAsync(ChurnServer server)
    {
        var started = Stopwatch.GetTimestamp();
        while (server.SealedHours() < _hours - 1 && Stopwatch.GetElapsedTime(started) < TimeSpan.FromMinutes(6))
            await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System);
        Console.WriteLine($"  {server.SealedHours()} hours sealed after {Stopwatch.GetElapsedTime(started).TotalSeconds:0} s");
    }

    static long Now() => TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();

    static ulong Hash(int generation, int i) => (((ulong)generation << 32) + (ulong)i + 1) * 0x9E3779B97F4A7C15;

    static string Mebibytes(long bytes) => $"{bytes / 1048576.0:N0} MiB";

    static int Number(IReadOnlyDictionary<string, string> options, string name, int usual) =>
        options.TryGetValue(name, out var text) ? int.Parse(text, CultureInfo.InvariantCulture) : usual;
}
