using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

using Snappier;

using Whistle.PromQL;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>A real Prometheus on a free loopback port, with its data in a folder that ends with it.</summary>
sealed class PrometheusServer : IAsyncDisposable
{
    readonly Process _process;
    readonly HttpClient _http;
    readonly string _folder;

    PrometheusServer(Process process, HttpClient http, string folder) => (_process, _http, _folder) = (process, http, folder);

    public static async Task<PrometheusServer> StartAsync()
    {
        var program = Requirement.Prometheus();
        var folder = Directory.CreateTempSubdirectory("whistle-prometheus-").FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, "prometheus.yml"), "storage: {tsdb: {out_of_order_time_window: 1d}}\n");
        var port = FreePort();
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in (string[])
                 [
                     $"--config.file={folder}/prometheus.yml", $"--storage.tsdb.path={folder}/data", $"--web.listen-address=127.0.0.1:{port}",
                     "--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y", "--storage.tsdb.min-block-duration=24h",
                     "--storage.tsdb.max-block-duration=24h", "--log.level=error",
                 ])
        {
            start.ArgumentList.Add(argument);
        }

        var process = Process.Start(start)!;
        var log = new StringBuilder();
        process.OutputDataReceived += (_, line) => log.AppendLine(line.Data);
        process.ErrorDataReceived += (_, line) => log.AppendLine(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        var server = new PrometheusServer(process, new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") }, folder);
        await server.WaitUntilReadyAsync(log);
        return server;
    }

    async Task WaitUntilReadyAsync(StringBuilder log)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        for (var attempt = 0; attempt < 600; attempt++)
        {
            Assert.False(_process.HasExited, $"Prometheus did not start:\n{log}");
            try
            {
                if ((await _http.GetAsync("/-/ready")).IsSuccessStatusCode)
                    return;
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }

            await timer.WaitForNextTickAsync();
        }

        Assert.Fail($"Prometheus was not ready in time:\n{log}");
    }

    /// <summary>Remote-write 1.0, one request a time slice, since the receiver wants time to go forward.</summary>
    public async Task WriteAsync(IReadOnlyList<SeriesSamples> series)
    {
        const long Slice = 10 * 60_000;
        var (first, last) = (series.Min(s => s.Times[0]), series.Max(s => s.Times[^1]));
        for (var from = first; from <= last; from += Slice)
        {
            using var content = new ByteArrayContent(Snappy.CompressToArray(Encode(series, from, from + Slice)));
            content.Headers.Add("Content-Encoding", "snappy");
            content.Headers.Add("Content-Type", "application/x-protobuf");
            content.Headers.Add("X-Prometheus-Remote-Write-Version", "0.1.0");
            using var response = await _http.PostAsync("/api/v1/write", content);
            Assert.True(response.IsSuccessStatusCode, $"{response.StatusCode}: {await response.Content.ReadAsStringAsync()}");
        }
    }

    public Task<QueryValue> InstantAsync(string expression, long time) =>
        QueryAsync("/api/v1/query", new() { ["query"] = expression, ["time"] = Seconds(time) });

    public Task<QueryValue> RangeAsync(string expression, long start, long end, long step) => QueryAsync(
        "/api/v1/query_range",
        new() { ["query"] = expression, ["start"] = Seconds(start), ["end"] = Seconds(end), ["step"] = Seconds(step) });

    async Task<QueryValue> QueryAsync(string path, Dictionary<string, string> parameters)
    {
        using var form = new FormUrlEncodedContent(parameters);
        using var response = await _http.PostAsync(path, form);
        using var json = JsonDocument.Parse(await response.Content.ReadAsStreamAsync());
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
            "vector" => new VectorValue(0, [.. result.EnumerateArray().Select(r => new VectorSample(LabelsOf(r), Number(r.GetProperty("value")[1])))]),
            "matrix" => new MatrixValue([.. result.EnumerateArray().Select(Series)]),
            var other => throw new InvalidOperationException($"Unknown result type {other}."),
        };
    }

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

    static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    static byte[] Encode(IReadOnlyList<SeriesSamples> series, long from, long to)
    {
        using var request = new MemoryStream();
        foreach (var (labels, times, values) in series)
        {
            using var one = new MemoryStream();
            foreach (var (name, value) in labels)
            {
                using var label = new MemoryStream();
                Bytes(label, 1, Encoding.UTF8.GetBytes(name));
                Bytes(label, 2, Encoding.UTF8.GetBytes(value));
                Bytes(one, 1, label.ToArray());
            }

            for (var i = 0; i < times.Length; i++)
            {
                if (times[i] < from || times[i] >= to)
                    continue;
                using var sample = new MemoryStream();
                sample.WriteByte((1 << 3) | 1);
                var bits = new byte[8];
                BinaryPrimitives.WriteInt64LittleEndian(bits, BitConverter.DoubleToInt64Bits(values[i]));
                sample.Write(bits);
                sample.WriteByte(2 << 3);
                Varint(sample, (ulong)times[i]);
                Bytes(one, 2, sample.ToArray());
            }

            Bytes(request, 1, one.ToArray());
        }

        return request.ToArray();
    }

    static void Bytes(MemoryStream stream, int field, byte[] bytes)
    {
        Varint(stream, (ulong)((field << 3) | 2));
        Varint(stream, (ulong)bytes.Length);
        stream.Write(bytes);
    }

    static void Varint(MemoryStream stream, ulong value)
    {
        for (; value >= 0x80; value >>= 7)
            stream.WriteByte((byte)(value | 0x80));
        stream.WriteByte((byte)value);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        _http.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
