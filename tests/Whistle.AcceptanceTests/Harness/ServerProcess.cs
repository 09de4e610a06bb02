using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Headers;

using Whistle.Inventory;
using Whistle.State;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>The real server as a process of its own, that can be killed at any moment and started again on its data.</summary>
sealed class ServerProcess : IAsyncDisposable
{
    readonly string[] _arguments;
    Process? _process;

    public ServerProcess(string dataFolder, params string[] arguments)
    {
        DataFolder = dataFolder;
        Address = new Uri($"http://127.0.0.1:{ChildProcess.FreePort()}");
        _arguments = ["serve", "--data", dataFolder, "--listen", Address.ToString(), .. arguments];
        Http = new HttpClient { BaseAddress = Address };
    }

    public string DataFolder { get; }

    public Uri Address { get; }

    public Dictionary<string, string> Environment { get; } = [];

    /// <summary>All that it printed.</summary>
    public ConcurrentQueue<string> Output { get; } = [];

    /// <summary>Carries the operator's token once the server has started.</summary>
    public HttpClient Http { get; }

    /// <summary>Works before the first start too: enrolment needs only the data folder.</summary>
    public async Task<string> EnrollAsync(string cluster, string? node = null)
    {
        using var state = new StateDatabase(Path.Combine(DataFolder, "state.sqlite"));
        return await new Credentials(state, TimeProvider.System).EnrollAsync(
            new("default", cluster), node, TestContext.Current.CancellationToken);
    }

    public async Task StartAsync(CancellationToken cancellation)
    {
        _process = ChildProcess.StartProject("Whistle", "whistle.dll", _arguments, Environment);
        _process.OutputDataReceived += (_, line) => Output.Enqueue(line.Data ?? "");
        _process.ErrorDataReceived += (_, line) => Output.Enqueue(line.Data ?? "");
        await _process.UntilAnswersAsync(Http, "-/ready", cancellation);
        Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue(
            "Bearer", (await File.ReadAllTextAsync(Path.Combine(DataFolder, "token"), cancellation)).Trim());
    }

    /// <summary>Started without a wait until it is ready: it may end before that. Its end is the caller's.</summary>
    public Process StartMortal(IReadOnlyDictionary<string, string> environment) =>
        ChildProcess.StartProject("Whistle", "whistle.dll", _arguments, environment);

    /// <summary>SIGKILL: nothing of the process runs any more, not even what it would do at its end.</summary>
    public async Task KillAsync()
    {
        if (_process is null)
            return;
        await _process.KillAndWaitAsync();
        _process = null;
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        Http.Dispose();
    }
}
