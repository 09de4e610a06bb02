using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

using Whistle.PromQL;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>A Prometheus of the test's own on a free port, with an empty store that ends with it. It takes remote-write.</summary>
sealed class PrometheusServer : IAsyncDisposable
{
    readonly string _folder;
    readonly HttpClient _http;
    readonly string[] _arguments;
    Process _process;

    PrometheusServer(Process process, string[] arguments, string folder, Uri address)
    {
        _process = process;
        _arguments = arguments;
        _folder = folder;
        _http = new HttpClient { BaseAddress = address };
    }

    public Uri Address => _http.BaseAddress!;

    public HttpClient Http => _http;

    /// <param name="configuration">In it ADDRESS becomes the host and port that it listens on.</param>
    /// <param name="arguments">Beside those that every test needs.</param>
    public static async Task<PrometheusServer> StartAsync(string configuration, CancellationToken cancellation, params string[] arguments)
    {
        var program = Requirement.Prometheus();
        var folder = Directory.CreateTempSubdirectory("whistle-prometheus-").FullName;
        var listen = $"127.0.0.1:{ChildProcess.FreePort()}";
        var file = Path.Combine(folder, "prometheus.yml");
        await File.WriteAllTextAsync(file, configuration.Replace("ADDRESS", listen, StringComparison.Ordinal), cancellation);
        string[] all =
        [
            $"--config.file={file}", $"--storage.tsdb.path={Path.Combine(folder, "data")}", $"--web.listen-address={listen}",
            "--web.enable-remote-write-receiver", "--web.enable-lifecycle", "--log.level=warn", .. arguments,
        ];
        var process = ChildProcess.Start(program, all);
        var server = new PrometheusServer(process, all, folder, new Uri($"http://{listen}"));
        try
        {
            await process.UntilAnswersAsync(server._http, "-/ready", cancellation);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Ends it in an orderly way.</summary>
    public async Task QuitAsync(CancellationToken cancellation)
    {
        using var answer = await _http.PostAsync(new Uri("-/quit", UriKind.Relative), null, cancellation);
        await _process.WaitForExitAsync(cancellation);
    }

    /// <summary>Starts it again on its store, after <see cref="QuitAsync"/>.</summary>
    public async Task StartAgainAsync(CancellationToken cancellation)
    {
        _process.Dispose();
        _process = ChildProcess.Start(Requirement.Prometheus(), _arguments);
        await _process.UntilAnswersAsync(_http, "-/ready", cancellation);
    }

    public async Task<HttpResponseMessage> PostAsync(
        IReadOnlyList<TimeSeries> series, RemoteWriteVersion version, CancellationToken cancellation)
    {
        using var content = new ByteArrayContent(RemoteWriteClient.Body(series, version));
        content.Headers.Add("Content-Encoding", "snappy");
        content.Headers.TryAddWithoutValidation(
            "Content-Type", version == RemoteWriteVersion.V1 ? RemoteWriteBody.ContentTypeV1 : RemoteWriteBody.ContentTypeV2);
        content.Headers.Add(
            RemoteWriteBody.VersionHeader, version == RemoteWriteVersion.V1 ? RemoteWriteBody.VersionV1 : RemoteWriteBody.VersionV2);
        return await _http.PostAsync("api/v1/write", content, cancellation);
    }

    /// <summary>Remote-write 1.0, one request a time slice, since the receiver wants time to go forward.</summary>
    public async Task WriteAsync(IReadOnlyList<SeriesSamples> series, CancellationToken cancellation)
    {
        const long Slice = 10 * 60_000;
        var (first, last) = (series.Min(s => s.Times[0]), series.Max(s => s.Times[^1]));
        for (var from = first; from <= last; from += Slice)
        {
            using var answer = await PostAsync(
                [.. series.Select(s => Between(s, from, from + Slice))], RemoteWriteVersion.V1, cancellation);
            Assert.True(answer.IsSuccessStatusCode, $"{answer.StatusCode}: {await answer.Content.ReadAsStringAsync(cancellation)}");
        }
    }

    /// <summary>The raw samples that a range selector such as <c>up[5m]</c> covers. Staleness markers are not among them.</summary>
    public async Task<Dictionary<Labels, Sample[]>> SelectAsync(string selector, CancellationToken cancellation)
    {
        var found = (MatrixValue)await QueryAsync("api/v1/query", new() { ["query"] = selector }, cancellation);
        return found.Series.ToDictionary(s => s.Labels, s => s.Times.Zip(s.Values, (time, value) => new Sample(time, value)).ToArray());
    }

    public Task<QueryValue> InstantAsync(string expression, long time, CancellationToken cancellation) =>
        QueryAsync("api/v1/query", new() { ["query"] = expression, ["time"] = Seconds(time) }, cancellation);

    public Task<QueryValue> RangeAsync(string expression, long start, long end, long step, CancellationToken cancellation) => QueryAsync(
        "api/v1/query_range",
        new() { ["query"] = expression, ["start"] = Seconds(start), ["end"] = Seconds(end), ["step"] = Seconds(step) },
        cancellation);

    public async ValueTask DisposeAsync()
    {
        await _process.KillAndWaitAsync();
        _http.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    async Task<QueryValue> QueryAsync(string path, Dictionary<string, string> parameters, CancellationToken cancellation)
    {
        using var form = new FormUrlEncodedContent(parameters);
        using var response = await _http.PostAsync(path, form, cancellation);
        using var json = JsonDocument.Parse(await response.Content.ReadAsStreamAsync(cancellation));
        var root = json.RootElement;
        if (root.GetProperty("status").GetString() != "success")
        {
            var kind = root.GetProperty("errorType").GetString() == "bad_data" ? PromQLErrorKind.BadData : PromQLErrorKind.Execution;
            throw new PromQLException(kind, root.GetProperty("error").GetString()!);
        }

        var data = root.GetProperty("data");
        var result = data.GetProperty("result");
        return data.GetProperty("resultType").GetString() switch
        {
            "scalar" => new ScalarValue(Time(result[0]), Number(result[1])),
            "string" => new StringValue(Time(result[0]), result[1].GetString()!),
            "vector" => new VectorValue(
                0, [.. result.EnumerateArray().Select(r => new VectorSample(LabelsOf(r), Number(r.GetProperty("value")[1])))]),
            "matrix" => new MatrixValue([.. result.EnumerateArray().Select(Series)]),
            var other => throw new InvalidOperationException($"Unknown result type {other}."),
        };
    }

    static TimeSeries Between(SeriesSamples series, long from, long to) => new(
        series.Labels,
        [.. series.Times.Zip(series.Values, (time, value) => new Sample(time, value)).Where(s => s.Time >= from && s.Time < to)]);

    static SeriesSamples Series(JsonElement element)
    {
        var points = element.GetProperty("values").EnumerateArray().ToArray();
        return new SeriesSamples(LabelsOf(element), [.. points.Select(p => Time(p[0]))], [.. points.Select(p => Number(p[1]))]);
    }

    static Labels LabelsOf(JsonElement element) =>
        Labels.From(element.GetProperty("metric").EnumerateObject().Select(p => new Label(p.Name, p.Value.GetString()!)));

    static long Time(JsonElement element) => (long)Math.Round(element.GetDecimal() * 1000);

    static double Number(JsonElement element) => element.GetString() switch
    {
        "NaN" => double.NaN,
        "+Inf" => double.PositiveInfinity,
        "-Inf" => double.NegativeInfinity,
        var text => double.Parse(text!, CultureInfo.InvariantCulture),
    };

    static string Seconds(long milliseconds) => (milliseconds / 1000m).ToString(CultureInfo.InvariantCulture);
}
