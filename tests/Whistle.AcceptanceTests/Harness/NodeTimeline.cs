using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Whistle.Agent;
using Whistle.Detectors.Signals;

namespace Whistle.AcceptanceTests;

/// <summary>
/// This host with its real agent, and the server with its shipped rules, on one clock that the test moves: each step is a report
/// that is sent over HTTP and stored, and then an evaluation.
/// </summary>
sealed class NodeTimeline : IAsyncDisposable
{
    public static readonly DateTimeOffset Start = new(2026, 3, 1, 0, 0, 0, TimeSpan.Zero);

    readonly InProcessServer _server;
    readonly string _buffer = Directory.CreateTempSubdirectory("whistle-buffer").FullName;
    readonly WhistleAgent _agent;

    NodeTimeline(InProcessServer server, FakeTimeProvider clock)
    {
        _server = server;
        Clock = clock;
        _agent = new WhistleAgent(
            new AgentOptions
            {
                Server = server.App.Address,
                Token = server.App.Credentials.Enroll("default", "c1", "n1"),
                Buffer = new BufferOptions { Folder = _buffer },
                Time = clock,
            },
            NullLogger.Instance);
    }

    public FakeTimeProvider Clock { get; }

    public DateTimeOffset Now => Clock.GetUtcNow();

    /// <summary>False: the agent is down.</summary>
    public bool AgentRuns { get; set; } = true;

    /// <summary>False: the agent runs and buffers, and the server is out of its reach.</summary>
    public bool NetworkWorks { get; set; } = true;

    public WhistleApp Server => _server.App;

    public static async Task<NodeTimeline> StartAsync(CancellationToken cancellation)
    {
        var clock = new FakeTimeProvider(Start);
        return new NodeTimeline(await InProcessServer.StartAsync(cancellation, change: o => o with { Time = clock, RunTimers = false }), clock);
    }

    public async Task StepAsync(TimeSpan step, CancellationToken cancellation)
    {
        Clock.Advance(step);
        if (AgentRuns)
            await _agent.ReportAsync(cancellation);
        if (AgentRuns && NetworkWorks)
            await _agent.SendPendingAsync(cancellation);
        await Server.Rules.EvaluateAsync(Now, cancellation);
    }

    public async Task RunAsync(TimeSpan length, TimeSpan step, CancellationToken cancellation, Func<Task>? each = null)
    {
        for (var end = Now + length; Now < end;)
        {
            await (each?.Invoke() ?? Task.CompletedTask);
            await StepAsync(step, cancellation);
        }
    }

    public IReadOnlyList<Signal> SignalsOf(LoopDisk disk) => [.. Server.Rules.Signals.Where(s => s.Labels["mountpoint"] == disk.Folder)];

    public IReadOnlyList<Signal> EndedOf(LoopDisk disk) => [.. Server.Rules.EndedSignals(Start).Where(s => s.Labels["mountpoint"] == disk.Folder)];

    public Signal? Find(string name, string severity, LoopDisk disk) =>
        SignalsOf(disk).SingleOrDefault(s => s.Name == name && s.Labels["severity"] == severity);

    public async ValueTask DisposeAsync()
    {
        _agent.Dispose();
        await _server.DisposeAsync();
        Directory.Delete(_buffer, recursive: true);
    }
}
