using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Whistle.Agent;
using Whistle.Agent.Settings;
using Whistle.Detectors.Signals;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// This host with its real agent, which sees one disk, and the server with its shipped rules, on one clock that the test moves: each
/// step is a report that is sent over HTTP and stored, and then an evaluation.
/// </summary>
sealed class NodeTimeline : IAsyncDisposable
{
    public static readonly DateTimeOffset Start = new(2026, 3, 1, 0, 0, 0, TimeSpan.Zero);

    readonly InProcessServer _server;
    readonly string _buffer = Directory.CreateTempSubdirectory("whistle-buffer").FullName;
    readonly WhistleAgent _agent;

    NodeTimeline(InProcessServer server, string token, FakeTimeProvider clock, LoopDisk disk, Func<AgentOptions, AgentOptions>? agent)
    {
        _server = server;
        Clock = clock;
        var options = new AgentOptions
        {
            Server = server.App.Address,
            Token = token,
            Buffer = new BufferOptions { Folder = _buffer },
            Time = clock,
        };
        options = agent?.Invoke(options) ?? options;
        _agent = new WhistleAgent(options, NullLogger.Instance, OwnMounts.SourcesOf(options, disk.Folder, _buffer));
    }

    public FakeTimeProvider Clock { get; }

    public DateTimeOffset Now => Clock.GetUtcNow();

    /// <summary>False: the agent is down.</summary>
    public bool AgentRuns { get; set; } = true;

    /// <summary>False: the agent runs and buffers, and the server is out of its reach.</summary>
    public bool NetworkWorks { get; set; } = true;

    public WhistleApp Server => _server.App;

    public HttpClient Http => _server.Http;

    /// <param name="disk">The one that the agent sees.</param>
    public static async Task<NodeTimeline> StartAsync(
        LoopDisk disk, CancellationToken cancellation, DateTimeOffset? start = null, Func<WhistleOptions, WhistleOptions>? server = null,
        Func<AgentOptions, AgentOptions>? agent = null)
    {
        var clock = new FakeTimeProvider(start ?? Start);
        var app = await InProcessServer.StartAsync(cancellation, change: o =>
        {
            var options = o with { Rules = [Shipped("disk.yaml"), Shipped("node.yaml")] };
            return (server?.Invoke(options) ?? options) with { Time = clock, RunTimers = false };
        });
        var token = await app.App.Credentials.EnrollAsync(new("default", "c1"), "n1", cancellation);
        return new NodeTimeline(app, token, clock, disk, agent);
    }

    // The agent is real, and the clock, memory and network of the test's own machine are not what these timelines are about.
    static string Shipped(string file) => Path.Combine(AppContext.BaseDirectory, "rules", file);

    public async Task StepAsync(TimeSpan step, CancellationToken cancellation)
    {
        Clock.Advance(step);
        await ReportAsync(cancellation);
        await Server.Rules.EvaluateAsync(Now, cancellation);
    }

    public async Task ReportAsync(CancellationToken cancellation)
    {
        if (AgentRuns)
            await _agent.ReportAsync(cancellation);
        if (AgentRuns && NetworkWorks)
            await _agent.SendPendingAsync(cancellation);
    }

    /// <summary>Leases what there is and runs it; where there is nothing, it waits on the clock.</summary>
    public Task LeaseAsync(CancellationToken cancellation) => _agent.LeaseAndRunOnceAsync(cancellation);

    public async Task RunAsync(TimeSpan length, TimeSpan step, CancellationToken cancellation, Func<Task>? each = null)
    {
        for (var end = Now + length; Now < end;)
        {
            await (each?.Invoke() ?? Task.CompletedTask);
            await StepAsync(step, cancellation);
        }
    }

    public IReadOnlyList<Signal> SignalsOf(LoopDisk disk) => [.. Server.Rules.Signals.Where(s => s.Labels["mountpoint"] == disk.Folder)];

    public async Task<IReadOnlyList<Signal>> EndedOfAsync(LoopDisk disk)
    {
        var ended = await Server.Rules.EndedSignalsAsync(Start, TestContext.Current.CancellationToken);
        return [.. ended.Where(s => s.Labels["mountpoint"] == disk.Folder)];
    }

    public Signal? Find(string name, string severity, LoopDisk disk) =>
        SignalsOf(disk).SingleOrDefault(s => s.Name == name && s.Labels["severity"] == severity);

    public async ValueTask DisposeAsync()
    {
        _agent.Dispose();
        await _server.DisposeAsync();
        Directory.Delete(_buffer, recursive: true);
    }
}
