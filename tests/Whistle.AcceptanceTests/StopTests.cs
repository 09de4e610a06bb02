using System.Collections.Concurrent;

using Whistle.Fixtures;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Server, demo and agent stop in order, however long it takes and however many signals come.</summary>
public sealed class StopTests : IDisposable
{
    readonly string _base = Directory.CreateTempSubdirectory("whistle-stop").FullName;
    readonly ConcurrentQueue<string> _lines = [];

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string, int> Signals => new() { { "TERM", 1 }, { "INT", 1 }, { "TERM", 3 } };

    public void Dispose() => Directory.Delete(_base, recursive: true);

    [Theory]
    [MemberData(nameof(Signals))]
    public async Task A_server_with_its_agent_closes_its_files(string signal, int times)
    {
        var data = Path.Combine(_base, "data");
        await StopAsync("Whistle", "whistle.dll", address => ["serve", "--data", data, "--listen", address], IsReadyAsync, signal, times);
        Assert.Empty(Directory.GetFiles(Path.Combine(data, "telemetry"), "*.wal"));
    }

    [Theory]
    [MemberData(nameof(Signals))]
    public async Task A_demo_takes_its_folder_with_it(string signal, int times)
    {
        var temporary = Directory.CreateDirectory(Path.Combine(_base, "tmp")).FullName;
        await StopAsync(
            "Whistle", "whistle.dll", address => ["demo", "--fast", "--nodes", "12", "--listen", address],
            (_, _) => Task.FromResult(_lines.Any(l => l.Contains("Log in", StringComparison.OrdinalIgnoreCase))), signal, times,
            new Dictionary<string, string> { ["TMPDIR"] = temporary });
        Assert.Empty(Directory.GetFileSystemEntries(temporary, "whistle-demo-*"));
    }

    [Theory]
    [MemberData(nameof(Signals))]
    public async Task An_agent_whose_server_does_not_answer_keeps_its_reports(string signal, int times)
    {
        var (buffer, token) = (Path.Combine(_base, "buffer"), Path.Combine(_base, "token"));
        PrivateText.Write(token, AccessToken.New(AccessToken.OfSender));
        await StopAsync(
            "Whistle.Agent", "whistle-agent.dll",
            address => ["run", "--server", address, "--token-file", token, "--interval", "1s", "--buffer", buffer, "--no-commands"],
            (_, _) => Task.FromResult(HasReports()), signal, times);
        Assert.True(HasReports());

        bool HasReports() =>
            Directory.Exists(buffer) && Directory.GetFiles(buffer, "*", SearchOption.AllDirectories).Any(f => new FileInfo(f).Length > 0);
    }

    async Task StopAsync(
        string project, string assembly, Func<string, string[]> arguments, Func<HttpClient, CancellationToken, Task<bool>> ready,
        string signal, int times, IReadOnlyDictionary<string, string>? environment = null)
    {
        var address = $"http://127.0.0.1:{ChildProcess.FreePort()}";
        using var http = new HttpClient { BaseAddress = new Uri(address) };
        using var process = ChildProcess.StartProject(project, assembly, arguments(address), environment);
        process.OutputDataReceived += (_, line) => _lines.Enqueue(line.Data ?? "");
        process.ErrorDataReceived += (_, line) => _lines.Enqueue(line.Data ?? "");
        try
        {
            await process.UntilAsync(c => ready(http, c), Cancellation);
            Shell.Run(string.Join("; ", Enumerable.Repeat($"kill -{signal} {process.Id}", times)));
            await process.WaitForExitAsync(Cancellation);
            Assert.True(process.ExitCode == 0, $"{process.ExitCode}: {string.Join('\n', _lines)}");
            Assert.DoesNotContain(_lines, l => l.Contains("Exception", StringComparison.Ordinal));
        }
        finally
        {
            await process.KillAndWaitAsync();
        }
    }

    static async Task<bool> IsReadyAsync(HttpClient http, CancellationToken cancellation)
    {
        try
        {
            using var answer = await http.GetAsync(new Uri("-/ready", UriKind.Relative), cancellation);
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}
