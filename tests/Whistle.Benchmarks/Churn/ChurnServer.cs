using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;

namespace Whistle.Benchmarks.Churn;

/// <summary>A Whistle as a process of its own that can be started again on the same data; both are gone when it is disposed of.</summary>
sealed class ChurnServer : IAsyncDisposable
{
    readonly string _program;
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-churn-").FullName;
    readonly int _port = FreePort();
    Process? _process;

    public ChurnServer(string program, int maxSeries)
    {
        _program = program;
        MaxSeries = maxSeries;
    }

    public int MaxSeries { get; }

    public Uri Address => new($"http://127.0.0.1:{_port}");

    /// <summary>How long it took until it was ready.</summary>
    public async Task<TimeSpan> StartAsync()
    {
        string[] arguments =
        [
            "serve", "--data", _folder, "--listen", Address.ToString(), "--no-agent", "--max-series",
            MaxSeries.ToString(CultureInfo.InvariantCulture),
        ];
        var started = Stopwatch.GetTimestamp();
        _process = Process.Start(
            new ProcessStartInfo(_program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var process = _process;
        process.OutputDataReceived += static (_, _) => { };
        process.ErrorDataReceived += static (_, line) => Console.Error.WriteLine(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using var client = new HttpClient { BaseAddress = Address };
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (await timer.WaitForNextTickAsync() && !await IsReadyAsync(client))
        {
            if (process.HasExited)
                throw new InvalidOperationException($"{_program} ended with {process.ExitCode}.");
        }

        return Stopwatch.GetElapsedTime(started);
    }

    public async Task StopAsync()
    {
        _process!.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        _process = null;
    }

    public async Task<HttpClient> SenderAsync(string tenant)
    {
        string[] arguments = ["agents", "add", "--offline", "--data", _folder, "--tenant", tenant, "--cluster", "c"];
        using var process = Process.Start(new ProcessStartInfo(_program, arguments) { RedirectStandardOutput = true })!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return Client(output.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)[^1]);
    }

    public HttpClient Reader() => Client(File.ReadAllText(Path.Combine(_folder, "token")).Trim());

    public int SealedHours() => Directory.EnumerateFiles(Path.Combine(_folder, "telemetry", "sealed"), "*.samples.parquet").Count();

    public long ResidentBytes() => Status("VmRSS:");

    public long PeakBytes() => Status("VmHWM:");

    /// <summary>The peak counts from here on.</summary>
    public void ForgetPeak() => File.WriteAllText($"/proc/{_process!.Id}/clear_refs", "5");

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await StopAsync();
        Directory.Delete(_folder, recursive: true);
    }

    HttpClient Client(string token)
    {
        var client = new HttpClient { BaseAddress = Address, Timeout = TimeSpan.FromMinutes(10) };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return client;
    }

    long Status(string field)
    {
        var line = File.ReadLines($"/proc/{_process!.Id}/status").First(l => l.StartsWith(field, StringComparison.Ordinal));
        return long.Parse(line[field.Length..].Replace("kB", "", StringComparison.Ordinal).Trim(), CultureInfo.InvariantCulture) * 1024;
    }

    static async Task<bool> IsReadyAsync(HttpClient client)
    {
        try
        {
            using var answer = await client.GetAsync(new Uri("/-/ready", UriKind.Relative));
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
