using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;

using Whistle.Telemetry;

namespace Whistle.AcceptanceTests;

/// <summary>A Prometheus of the test's own on a free port with an empty store; ends with the test.</summary>
sealed class PrometheusProcess : IAsyncDisposable
{
    readonly Process _process;
    readonly string _folder;
    readonly HttpClient _http = new();
    Task _restOfLog = Task.CompletedTask;

    PrometheusProcess(Process process, string folder, Uri address)
    {
        _process = process;
        _folder = folder;
        Address = address;
    }

    public Uri Address { get; }

    // In the configuration ADDRESS becomes the host and port that it listens on.
    public static async Task<PrometheusProcess> StartAsync(string configuration, CancellationToken cancellation, params string[] arguments)
    {
        var program = Requirement.Prometheus();
        var folder = Directory.CreateTempSubdirectory("whistle-prometheus-").FullName;
        var address = $"127.0.0.1:{FreePort()}";
        var file = Path.Combine(folder, "prometheus.yml");
        await File.WriteAllTextAsync(file, configuration.Replace("ADDRESS", address, StringComparison.Ordinal), cancellation);
        string[] all =
        [
            $"--config.file={file}", $"--storage.tsdb.path={folder}", $"--web.listen-address={address}", .. arguments,
        ];
        var process = Process.Start(new ProcessStartInfo(program, all) { RedirectStandardError = true })!;
        var prometheus = new PrometheusProcess(process, folder, new Uri($"http://{address}"));
        try
        {
            await prometheus.WaitUntilReadyAsync(cancellation);
            return prometheus;
        }
        catch
        {
            await prometheus.DisposeAsync();
            throw;
        }
    }

    public async Task<HttpResponseMessage> PostAsync(byte[] message, RemoteWriteVersion version, CancellationToken cancellation)
    {
        using var compressed = RemoteWriteBody.Compress(message);
        using var content = new ByteArrayContent(compressed.Span.ToArray());
        content.Headers.Add("Content-Encoding", "snappy");
        content.Headers.TryAddWithoutValidation("Content-Type", version == RemoteWriteVersion.V1 ? RemoteWriteBody.ContentTypeV1 : RemoteWriteBody.ContentTypeV2);
        content.Headers.Add(RemoteWriteBody.VersionHeader, version == RemoteWriteVersion.V1 ? RemoteWriteBody.VersionV1 : RemoteWriteBody.VersionV2);
        return await _http.PostAsync(new Uri(Address, "/api/v1/write"), content, cancellation);
    }

    /// <summary>The raw samples that a range selector such as <c>up[5m]</c> covers. Staleness markers are not among them.</summary>
    public async Task<Dictionary<Labels, Sample[]>> SelectAsync(string selector, CancellationToken cancellation)
    {
        var text = await _http.GetStringAsync(new Uri(Address, $"/api/v1/query?query={Uri.EscapeDataString(selector)}"), cancellation);
        using var answer = JsonDocument.Parse(text);
        return answer.RootElement.GetProperty("data").GetProperty("result").EnumerateArray().ToDictionary(
            series => Labels.From(series.GetProperty("metric").EnumerateObject().Select(l => new Label(l.Name, l.Value.GetString()!))),
            series => series.GetProperty("values").EnumerateArray().Select(ParseSample).ToArray());
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        await _restOfLog;
        _process.Dispose();
        _http.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    static Sample ParseSample(JsonElement pair) => new(
        (long)decimal.Round(pair[0].GetDecimal() * 1000),
        pair[1].GetString() switch
        {
            "+Inf" => double.PositiveInfinity,
            "-Inf" => double.NegativeInfinity,
            var number => double.Parse(number!, CultureInfo.InvariantCulture),
        });

    // What follows is read too, so that the pipe never fills.
    async Task WaitUntilReadyAsync(CancellationToken cancellation)
    {
        while (await _process.StandardError.ReadLineAsync(cancellation) is { } line)
        {
            if (!line.Contains("Server is ready to receive web requests", StringComparison.Ordinal))
                continue;
            _restOfLog = _process.StandardError.ReadToEndAsync(CancellationToken.None);
            return;
        }

        throw new InvalidOperationException("Prometheus ended before it was ready.");
    }

    static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
