using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;

using Whistle.Inventory;
using Whistle.State;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// The real server as a process that may have little: what is too little is said at the start, and with the least it never ends by a crash.
/// </summary>
public sealed class ProcessLimitTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-limits").FullName;
    readonly ConcurrentQueue<string> _output = [];

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory(Timeout = 120_000)]
    [InlineData("ulimit -n 100", "This process may have 100 files and connections open, and needs at least 1024. Raise the limit")]
    [InlineData("ulimit -n 80", "This process may have 80 files and connections open, and needs at least 1024. Raise the limit")]
    [InlineData(
        "export DOTNET_GCHeapHardLimit=0x4000000",
        "This process may use 64 MiB of memory for its heap, and needs at least 160 MiB. Raise the limit")]
    [InlineData("ulimit -v 2000000", "This process may have 1953 MiB of address space, and needs at least 8192 MiB. Raise the limit")]
    [InlineData("ulimit -f 100000", "This process may write files of 97 MiB, and needs at least 1024 MiB. Raise the limit")]
    public async Task What_is_too_little_is_refused_at_the_start_with_both_numbers(string limit, string says)
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var process = Start(limit, out _);
        await process.WaitForExitAsync(cancellation);

        Assert.Equal(1, process.ExitCode);
        Assert.StartsWith(says, Assert.Single(_output, l => l.Length > 0), StringComparison.Ordinal);
    }

    [Fact(Timeout = 300_000)]
    public async Task With_the_least_of_files_any_number_of_connections_leaves_the_server_alive()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var process = Start("ulimit -n 1024", out var address);
        using var http = new HttpClient { BaseAddress = address };
        await process.UntilAnswersAsync(http, "-/ready", cancellation);
        List<System.Net.Sockets.TcpClient> crowd = [];
        for (var i = 0; i < 2000; i++)
        {
            var one = new System.Net.Sockets.TcpClient();
            crowd.Add(one);
            await one.ConnectAsync(IPAddress.Loopback, address.Port, cancellation);
        }

        Assert.False(process.HasExited);
        crowd.ForEach(c => c.Dispose());
        using var later = new HttpClient { BaseAddress = address };
        await process.UntilAnswersAsync(later, "-/ready", cancellation);
        await process.KillAndWaitAsync();
    }

    [Fact(Timeout = 300_000)]
    public async Task Files_that_may_not_grow_are_said_to_be_the_reason_and_the_server_goes_on()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var process = Start("true", out var address);
        using var http = new HttpClient { BaseAddress = address };
        await process.UntilAnswersAsync(http, "-/ready", cancellation);
        using var sender = new RemoteWriteClient(address, await EnrollAsync("t"));
        Assert.Equal(HttpStatusCode.NoContent, await TrySendAsync(sender, Flood("before", 0), cancellation));
        http.DefaultRequestHeaders.Authorization = new(
            "Bearer", (await File.ReadAllTextAsync(Path.Combine(_folder, "token"), cancellation)).Trim());

        Shell.Run($"prlimit --pid {process.Id} --fsize=65536:unlimited");
        await process.UntilAsync(
            async c => await TrySendAsync(sender, Flood("beyond", 0), c) is HttpStatusCode.ServiceUnavailable, cancellation);
        await process.UntilAsync(async c => (await http.GetStringAsync(
            new Uri("api/whistle/v1/health", UriKind.Relative), c)).Contains("File too large", StringComparison.Ordinal), cancellation);
        Shell.Run($"prlimit --pid {process.Id} --fsize=unlimited");

        await process.UntilAsync(async c => await TrySendAsync(sender, Flood("after", 0), c) is HttpStatusCode.NoContent, cancellation);
        await process.KillAndWaitAsync();
    }

    [Fact(Timeout = 300_000)]
    public async Task With_the_least_of_memory_a_flood_of_new_series_is_refused_and_the_server_goes_on()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var process = Start("export DOTNET_GCHeapHardLimit=0xA000000", out var address);
        using var http = new HttpClient { BaseAddress = address };
        await process.UntilAnswersAsync(http, "-/ready", cancellation);
        List<string> tokens = [];
        for (var i = 0; i < 8; i++)
            tokens.Add(await EnrollAsync($"t{i}"));
        var answers = new ConcurrentBag<HttpStatusCode>();
        await Parallel.ForEachAsync(
            tokens, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = cancellation }, async (token, c) =>
            {
                using var sender = new RemoteWriteClient(address, token);
                for (var round = 0; round < 40; round++)
                    answers.Add(await TrySendAsync(sender, Flood(token, round), c));
            });

        Assert.False(process.HasExited, $"It ended with {(process.HasExited ? process.ExitCode : 0)}: {string.Join('\n', _output)}");
        Assert.Contains(HttpStatusCode.NoContent, answers);
        Assert.Contains(HttpStatusCode.ServiceUnavailable, answers);
        // What it has it still says.
        Assert.Equal("Whistle is healthy.\n", await http.GetStringAsync(new Uri("-/healthy", UriKind.Relative), cancellation));
        await process.KillAndWaitAsync();
    }

    Process Start(string limit, out Uri address)
    {
        address = new Uri($"http://127.0.0.1:{ChildProcess.FreePort()}");
        var here = new DirectoryInfo(AppContext.BaseDirectory);
        var program = Path.Combine(here.Parent!.Parent!.FullName, "Whistle", here.Name, "whistle.dll");
        var process = ChildProcess.Start(
            "bash", ["-c", $"{limit}; exec dotnet '{program}' serve --no-agent --data '{_folder}' --listen {address}"]);
        process.OutputDataReceived += (_, line) => _output.Enqueue(line.Data ?? "");
        process.ErrorDataReceived += (_, line) => _output.Enqueue(line.Data ?? "");
        return process;
    }

    async Task<string> EnrollAsync(string tenant)
    {
        using var state = new StateDatabase(Path.Combine(_folder, "state.sqlite"));
        return await new Credentials(state, TimeProvider.System).EnrollAsync(new(tenant, "c"), null, Cancellation);
    }

    static async Task<HttpStatusCode> TrySendAsync(
        RemoteWriteClient sender, IReadOnlyList<TimeSeries> series, CancellationToken cancellation)
    {
        try
        {
            using var answer = await sender.SendAsync(series, cancellation);
            return answer.StatusCode;
        }
        catch (HttpRequestException)
        {
            return 0;
        }
    }

    // Two thousand new series of about a kilobyte.
    static List<TimeSeries> Flood(string token, int round)
    {
        var (now, wide) = (TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds(), new string('x', 1000));
        return [.. Enumerable.Range(0, 2000).Select(
            i => new TimeSeries(Labels.OfMetric("flood", ("i", $"{token}-{round}-{i}-{wide}")), [new Sample(now, i)]))];
    }
}
