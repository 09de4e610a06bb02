using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;

namespace Whistle.Benchmarks.Ingest;

/// <summary>
/// One server as a process of its own on an empty folder, held to the given cores; ends when disposed, its folder with it.
/// </summary>
sealed class ServerUnderTest : IAsyncDisposable
{
    // Fixed by Linux for what it shows to programs (USER_HZ).
    const double TicksPerSecond = 100;

    readonly Process _process;
    readonly string _folder;
    readonly StreamWriter _log;
    readonly string? _token;

    ServerUnderTest(Process process, string folder, Uri address, string? token)
    {
        _process = process;
        _folder = folder;
        Address = address;
        _token = token;
        _log = new StreamWriter(Path.Combine(folder, "log")) { AutoFlush = true };
        process.OutputDataReceived += (_, line) => Log(line.Data);
        process.ErrorDataReceived += (_, line) => Log(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public Uri Address { get; }

    public Uri WriteAddress => new(Address, "/api/v1/write");

    /// <exception cref="FileNotFoundException">The server's program is not there.</exception>
    public static async Task<ServerUnderTest> StartAsync(string name, IngestOptions options)
    {
        var program = Program(name, options);
        var folder = Directory.CreateTempSubdirectory($"whistle-benchmark-{name}-").FullName;
        var data = Path.Combine(folder, "data");
        var listen = $"127.0.0.1:{FreePort()}";
        var token = name == "whistle" ? await AddClusterAsync(program, data) : null;
        // taskset becomes the program, so the process is the server's own.
        string[] arguments = ["-c", options.Cores, program, .. Arguments(name, data, listen, options)];
        var process = Process.Start(
            new ProcessStartInfo("taskset", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var server = new ServerUnderTest(process, folder, new Uri($"http://{listen}"), token);
        try
        {
            await server.WaitUntilAsync(name == "victoriametrics" ? "/health" : "/-/ready");
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>One connection that may write.</summary>
    public HttpClient Sender() => Client(_token);

    /// <summary>One that may query: Whistle's command line finds its token in the data folder, the peers ask for none.</summary>
    public HttpClient Reader()
    {
        var file = Path.Combine(_folder, "data", "token");
        return Client(File.Exists(file) ? File.ReadAllText(file).Trim() : null);
    }

    /// <summary>What the process has used of all cores so far, in user and kernel mode.</summary>
    public double CpuSeconds()
    {
        // The second field is the program's name in brackets and may hold blanks; utime and stime are the 14th and 15th.
        var stat = File.ReadAllText($"/proc/{_process.Id}/stat");
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return (double.Parse(fields[11], CultureInfo.InvariantCulture) + double.Parse(fields[12], CultureInfo.InvariantCulture))
            / TicksPerSecond;
    }

    public long PeakBytes() => Status("VmHWM:");

    public long ResidentBytes() => Status("VmRSS:");

    public long DiskBytes() =>
        new DirectoryInfo(Path.Combine(_folder, "data")).EnumerateFiles("*", SearchOption.AllDirectories).Sum(f => f.Length);

    /// <summary>How many files of its data have such a name.</summary>
    public int Files(string pattern) =>
        Directory.EnumerateFiles(Path.Combine(_folder, "data"), pattern, SearchOption.AllDirectories).Count();

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        lock (_log)
            _log.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    HttpClient Client(string? token)
    {
        var client = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 1 }) { BaseAddress = Address };
        if (token is not null)
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return client;
    }

    long Status(string field)
    {
        var line = File.ReadLines($"/proc/{_process.Id}/status").First(l => l.StartsWith(field, StringComparison.Ordinal));
        return long.Parse(line[field.Length..].Replace("kB", "", StringComparison.Ordinal).Trim(), CultureInfo.InvariantCulture) * 1024;
    }

    void Log(string? line)
    {
        lock (_log)
        {
            if (line is not null && _log.BaseStream is not null)
                _log.WriteLine(line);
        }
    }

    async Task WaitUntilAsync(string ready)
    {
        using var client = Client(null);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        var started = Stopwatch.GetTimestamp();
        while (await timer.WaitForNextTickAsync())
        {
            if (_process.HasExited || Stopwatch.GetElapsedTime(started) > TimeSpan.FromMinutes(1))
                throw new InvalidOperationException($"{_process.StartInfo.ArgumentList[2]} did not become ready:\n{ReadLog()}");
            try
            {
                using var answer = await client.GetAsync(new Uri(ready, UriKind.Relative));
                if (answer.IsSuccessStatusCode)
                    return;
            }
            catch (HttpRequestException)
            {
                continue;
            }
        }
    }

    string ReadLog()
    {
        lock (_log)
            return File.ReadAllText(Path.Combine(_folder, "log"));
    }

    static async Task<string> AddClusterAsync(string program, string data)
    {
        string[] arguments = ["agents", "add", "--offline", "--data", data, "--tenant", "t", "--cluster", "c"];
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {output}");
        return output.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)[^1];
    }

    static string Program(string name, IngestOptions options)
    {
        var (path, named) = name switch
        {
            "whistle" => (options.Whistle, "--whistle"),
            "prometheus" => (Environment.GetEnvironmentVariable("WHISTLE_TEST_PROMETHEUS"), "WHISTLE_TEST_PROMETHEUS"),
            "victoriametrics" => (Environment.GetEnvironmentVariable("WHISTLE_TEST_VICTORIAMETRICS"), "WHISTLE_TEST_VICTORIAMETRICS"),
            _ => throw new InvalidOperationException("there is no such server; there are whistle, prometheus and victoriametrics."),
        };
        return File.Exists(path) ? path : throw new FileNotFoundException($"There is no program at \"{path}\"; {named} says where it is.");
    }

    // Prometheus is content with an empty configuration.
    static string[] Arguments(string name, string data, string listen, IngestOptions options) => name switch
    {
        "whistle" =>
        [
            "serve", "--data", data, "--listen", $"http://{listen}", "--no-agent",
            .. options.WhistleArguments.Split(' ', StringSplitOptions.RemoveEmptyEntries),
        ],
        "prometheus" =>
        [
            $"--config.file={options.PrometheusConfiguration}", $"--storage.tsdb.path={data}", $"--web.listen-address={listen}",
            "--web.enable-remote-write-receiver", "--log.level=warn",
        ],
        _ => [$"-storageDataPath={data}", $"-httpListenAddr={listen}", "-loggerLevel=WARN"],
    };

    static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
