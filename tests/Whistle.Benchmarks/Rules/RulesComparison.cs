using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;

using Whistle.Benchmarks.Ingest;
using Whistle.Fixtures;

namespace Whistle.Benchmarks.Rules;

/// <summary>
/// What rules cost: Whistle and Prometheus, each once with the shared rules and once without, side by side on the same samples in real
/// time, all groups every 15 s. The CPU of the rules is that of the server with them less that of the one without.
/// </summary>
sealed class RulesComparison : IAsyncDisposable
{
    const string Usage =
        "rules [--nodes N] [--warm-up SLICES] [--slices SLICES] [--rules FOLDER] [--whistle PATH] [--servers whistle,prometheus]";

    // Enough that they spread over the slice, few enough that each may wait for the one before.
    const int MostRequests = 80;
    const int FewestSeries = 2000;

    static readonly TimeSpan Slice = TimeSpan.FromSeconds(IngestOptions.SliceSeconds);

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-benchmark-rules-").FullName;
    readonly List<(string Name, bool WithRules, ServerUnderTest Server, HttpClient Sender)> _servers = [];
    readonly List<RequestTemplate> _templates;
    int _failures;
    string _firstFailure = "";

    RulesComparison(KubernetesFixture fixture) => _templates =
        [.. fixture.Series.Chunk(Math.Max(FewestSeries, fixture.Series.Count / MostRequests)).Select(c => new RequestTemplate(c))];

    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        var options = arguments.Chunk(2).ToDictionary(a => a[0], a => a.Length > 1 ? a[1] : throw new ArgumentException(Usage));
        var (nodes, warmUp, slices) = (Number("--nodes", 300), Number("--warm-up", 24), Number("--slices", 20));
        var fixture = new KubernetesFixture(nodes);
        await using var run = new RulesComparison(fixture);
        var rules = run.PrepareRules(options.GetValueOrDefault("--rules", Path.Combine("..", "shared", "data", "prometheus-rules")));
        Console.WriteLine($"{nodes} nodes, {fixture.Series.Count:N0} series a slice of 15 s, {rules} rules; "
            + $"{warmUp} slices to warm up, {slices} measured; {Environment.ProcessorCount} cores for all.");
        foreach (var name in options.GetValueOrDefault("--servers", "whistle,prometheus").Split(','))
        {
            await run.StartAsync(name, options.GetValueOrDefault("--whistle"), withRules: true);
            await run.StartAsync(name, options.GetValueOrDefault("--whistle"), withRules: false);
        }

        return await run.MeasureAsync(warmUp, slices, fixture.Series.Count);

        int Number(string option, int usual) =>
            options.TryGetValue(option, out var text) ? int.Parse(text, CultureInfo.InvariantCulture) : usual;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var (_, _, server, sender) in _servers)
        {
            sender.Dispose();
            await server.DisposeAsync();
        }

        Directory.Delete(_folder, recursive: true);
    }

    int PrepareRules(string from)
    {
        var rules = Directory.CreateDirectory(Path.Combine(_folder, "rules")).FullName;
        Directory.CreateDirectory(Path.Combine(_folder, "none"));
        File.WriteAllText(
            Path.Combine(_folder, "prometheus.yml"),
            $"global: {{evaluation_interval: {IngestOptions.SliceSeconds}s}}\nrule_files: ['{rules}/*.yaml']\n");
        return SharedRules.Prepare(from, rules);
    }

    async Task StartAsync(string name, string? whistle, bool withRules)
    {
        var options = new IngestOptions
        {
            WhistleArguments = $"--rules {Path.Combine(_folder, withRules ? "rules" : "none")}",
            PrometheusConfiguration = withRules ? Path.Combine(_folder, "prometheus.yml") : "/dev/null",
        };
        var server = await ServerUnderTest.StartAsync(name, whistle is null ? options : options with { Whistle = whistle });
        _servers.Add((name, withRules, server, server.Sender()));
    }

    async Task<int> MeasureAsync(int warmUp, int slices, int series)
    {
        var idle = _servers.Select(s => s.Server.ResidentBytes()).ToList();
        await SendAsync(warmUp);
        var before = _servers.Select(s => s.Server.CpuSeconds()).ToList();
        await SendAsync(slices);
        var cpu = _servers.Select((s, i) => (s.Server.CpuSeconds() - before[i]) / slices).ToList();
        Console.WriteLine("\nserver                   CPU-s a cycle  resident   idle before  more a series  failures and misses");
        for (var i = 0; i < _servers.Count; i++)
        {
            var (name, withRules, server, _) = _servers[i];
            var resident = server.ResidentBytes();
            Console.WriteLine(
                $"{name + (withRules ? " with rules" : " without"),-24} {cpu[i],12:0.000}  {resident / 1048576.0,6:0} MiB  "
                + $"{idle[i] / 1048576.0,6:0} MiB  {(resident - idle[i]) / (double)series,8:N0} bytes  "
                + $"{(withRules ? await TroubleAsync(name, server) : "")}");
        }

        var rules = _servers.Index().Where(s => s.Item.WithRules).ToDictionary(s => s.Item.Name, s => cpu[s.Index] - cpu[s.Index + 1]);
        foreach (var (name, used) in rules)
            Console.WriteLine($"rules of {name}: {used:0.000} CPU-s a cycle");
        if (rules.TryGetValue("whistle", out var ours) && rules.TryGetValue("prometheus", out var theirs))
            Console.WriteLine($"ratio {ours / theirs:0.00}");
        if (_failures > 0)
            Console.WriteLine($"{_failures} requests failed, the first with {_firstFailure}");
        return _failures == 0 ? 0 : 1;
    }

    // In real time and evenly over each slice, as scrapes are.
    async Task SendAsync(int slices)
    {
        for (var slice = 0; slice < slices; slice++)
        {
            var now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
            var length = (long)Slice.TotalMilliseconds;
            var time = ((now / length) + 1) * length;
            await Task.Delay(TimeSpan.FromMilliseconds(time - now), TimeProvider.System);
            var started = Stopwatch.GetTimestamp();
            for (var i = 0; i < _templates.Count; i++)
            {
                var body = _templates[i].Next(time);
                await Task.WhenAll(_servers.Select(s => PostAsync(s.Sender, s.Server.WriteAddress, body)));
                var due = (Slice * 0.8 * (i + 1) / _templates.Count) - Stopwatch.GetElapsedTime(started);
                if (due > TimeSpan.Zero)
                    await Task.Delay(due, TimeProvider.System);
            }
        }
    }

    async Task PostAsync(HttpClient client, Uri address, byte[] body)
    {
        using var content = new ByteArrayContent(body);
        content.Headers.ContentType = new MediaTypeHeaderValue(Telemetry.RemoteWriteBody.ContentTypeV1);
        content.Headers.ContentEncoding.Add("snappy");
        content.Headers.Add(Telemetry.RemoteWriteBody.VersionHeader, Telemetry.RemoteWriteBody.VersionV1);
        using var answer = await client.PostAsync(address, content);
        if (!answer.IsSuccessStatusCode && Interlocked.Increment(ref _failures) == 1)
            _firstFailure = $"{address}: {(int)answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}";
    }

    static async Task<string> TroubleAsync(string name, ServerUnderTest server)
    {
        using var client = server.Reader();
        var metrics = await client.GetStringAsync(new Uri("/metrics", UriKind.Relative));
        string[] names = name == "whistle"
            ? ["whistle_rule_evaluation_failures_total", "whistle_rule_group_overruns_total"]
            : ["prometheus_rule_evaluation_failures_total", "prometheus_rule_group_iterations_missed_total"];
        return string.Join(" and ", names.Select(n => metrics.Split('\n').Where(l => l.StartsWith(n, StringComparison.Ordinal))
            .Sum(l => double.Parse(l[(l.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture))));
    }
}
