using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>A server that is told to stop takes the time that it needs, and leaves closed files.</summary>
public sealed class StopTests : IDisposable
{
    readonly string _folder = Path.Combine(Directory.CreateTempSubdirectory("whistle-stop").FullName, "data");

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(Path.GetDirectoryName(_folder)!, recursive: true);

    [Theory]
    [InlineData("TERM", 1)]
    [InlineData("INT", 1)]
    [InlineData("TERM", 3)]
    public async Task A_server_with_its_agent_stops_in_order_however_often_it_is_told_to(string signal, int times)
    {
        var port = ChildProcess.FreePort();
        var lines = new System.Collections.Concurrent.ConcurrentQueue<string>();
        using var process = ChildProcess.StartProject("Whistle", "whistle.dll", ["serve", "--data", _folder, "--listen", $"http://127.0.0.1:{port}"]);
        process.OutputDataReceived += (_, line) => lines.Enqueue(line.Data ?? "");
        process.ErrorDataReceived += (_, line) => lines.Enqueue(line.Data ?? "");
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        try
        {
            await process.UntilAnswersAsync(http, "-/ready", Cancellation);
            Shell.Run(string.Join("; ", Enumerable.Repeat($"kill -{signal} {process.Id}", times)));
            await process.WaitForExitAsync(Cancellation);
            Assert.True(process.ExitCode == 0, $"{process.ExitCode}: {string.Join('\n', lines)}");
        }
        finally
        {
            await process.KillAndWaitAsync();
        }

        Assert.Empty(Directory.GetFiles(Path.Combine(_folder, "telemetry"), "*.wal"));
        Assert.DoesNotContain(lines, l => l.Contains("Exception", StringComparison.Ordinal));
    }
}
