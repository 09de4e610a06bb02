using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;

namespace Whistle.Benchmarks.Doors;

/// <summary>A Whistle that listens with TLS, as a process of its own; it is gone, with its folder, when it is disposed of.</summary>
sealed class DoorServer : IAsyncDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-doors-").FullName;
    readonly Process _process;

    DoorServer(string program, int port)
    {
        Target = new(new($"https://127.0.0.1:{port}"));
        _process = Process.Start(new ProcessStartInfo(
            program, ["serve", "--data", _folder, "--listen", Target.Address.ToString(), "--no-agent"])
        { RedirectStandardOutput = true, RedirectStandardError = true })!;
        _process.OutputDataReceived += static (_, _) => { };
        _process.ErrorDataReceived += static (_, _) => { };
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public Target Target { get; }

    public static async Task<DoorServer> StartAsync(string program)
    {
        using var free = new TcpListener(IPAddress.Loopback, 0);
        free.Start();
        var port = ((IPEndPoint)free.LocalEndpoint).Port;
        free.Stop();
        var server = new DoorServer(program, port);
        using var client = server.Target.Client();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (await timer.WaitForNextTickAsync() && !await IsReadyAsync(client))
        {
            if (server._process.HasExited)
                throw new InvalidOperationException($"{program} ended with {server._process.ExitCode}.");
        }

        return server;
    }

    /// <summary>Whoever may do everything.</summary>
    public HttpClient Operator() => Target.WithToken(File.ReadAllText(Path.Combine(_folder, "token")).Trim());

    /// <summary>Enrols a node's agent; its token.</summary>
    public static async Task<string> EnrolAsync(HttpClient operatorsClient, string node)
    {
        using var answer = await operatorsClient.PostAsJsonAsync(
            new Uri("api/whistle/v1/agents", UriKind.Relative), new { tenant = "t", cluster = "c", node });
        answer.EnsureSuccessStatusCode();
        using var body = JsonDocument.Parse(await answer.Content.ReadAsStreamAsync());
        return body.RootElement.GetProperty("token").GetString()!;
    }

    public long ResidentBytes() => Status("VmRSS:");

    public long PeakBytes() => Status("VmHWM:");

    /// <summary>The peak counts from here on.</summary>
    public void ForgetPeak() => File.WriteAllText($"/proc/{_process.Id}/clear_refs", "5");

    /// <summary>Processor time so far.</summary>
    public TimeSpan Cpu()
    {
        _process.Refresh();
        return _process.TotalProcessorTime;
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    long Status(string field)
    {
        var line = File.ReadLines($"/proc/{_process.Id}/status").First(l => l.StartsWith(field, StringComparison.Ordinal));
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
}
