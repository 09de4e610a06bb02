using System.Threading.Channels;

using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Whistle.Agent;
using Whistle.Agent.Reporting;
using Whistle.Agent.Settings;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Agent;

public sealed class WhistleAgentTests : IDisposable
{
    static readonly TimeSpan SenderPatience = TimeSpan.FromSeconds(30);
    static readonly DateTimeOffset Origin = DateTimeOffset.FromUnixTimeSeconds(1_800_000_000);

    readonly HostFixture _disk = new();
    readonly ObservedTime _time = new();
    readonly ScriptedServer _server = new(_ => ScriptedServer.Status(204));
    readonly Channel<DateTimeOffset> _collected = Channel.CreateUnbounded<DateTimeOffset>();

    string _metric = "m";

    public void Dispose() => _disk.Dispose();

    [Fact]
    public async Task Reports_wait_while_the_server_is_away_and_are_sent_oldest_first_when_it_is_back()
    {
        using var agent = Agent();
        _server.Answer = _ => ScriptedServer.Status(503);
        for (var i = 0; i < 3; i++)
        {
            await agent.ReportAsync(CancellationToken.None);
            Assert.False(await agent.SendPendingAsync(CancellationToken.None));
            _time.Advance(TimeSpan.FromSeconds(15));
        }

        var first = _server.Bodies[0];
        Assert.All(_server.Bodies, body => Assert.Equal(first, body));
        _server.Bodies.Clear();
        _server.Answer = _ => ScriptedServer.Status(200);
        Assert.True(await agent.SendPendingAsync(CancellationToken.None));
        Assert.Equal(3, _server.Bodies.Count);
        Assert.Equal(first, _server.Bodies[0]);
        Assert.Equal(0, agent.Pending);
    }

    [Fact]
    public async Task What_is_sent_decodes_to_the_report_with_markers_and_what_the_agent_says_about_itself()
    {
        using var agent = Agent();
        await agent.ReportAsync(CancellationToken.None);
        _metric = "n";
        await agent.ReportAsync(CancellationToken.None);
        await agent.SendPendingAsync(CancellationToken.None);

        var second = Decode(_server.Bodies[1]);
        Assert.True(StaleMarker.Is(second["m"]));
        Assert.Equal(1, second["n"]);
        Assert.Equal(1, second["node_scrape_collector_success{collector=\"c\"}"]);
        Assert.Equal(15, second["whistle_agent_interval_seconds"]);
        Assert.Equal(1, second["whistle_agent_buffered_reports"]);
        Assert.Equal(0, second["whistle_agent_dropped_samples_total{reason=\"too_old\"}"]);
        Assert.Contains(second.Keys, key => key.StartsWith("whistle_agent_info{version=", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_report_that_is_refused_for_good_does_not_hold_up_the_next_one()
    {
        using var agent = Agent();
        await agent.ReportAsync(CancellationToken.None);
        await agent.ReportAsync(CancellationToken.None);
        _server.Answer = _ => ScriptedServer.Status(_server.Bodies.Count == 1 ? 400 : 204);

        Assert.True(await agent.SendPendingAsync(CancellationToken.None));
        Assert.Equal(2, _server.Bodies.Count);
    }

    [Fact]
    public async Task An_agent_that_was_killed_before_it_could_send_sends_after_its_restart()
    {
        using (var agent = Agent())
            await agent.ReportAsync(CancellationToken.None);

        using var restarted = Agent();
        Assert.True(await restarted.SendPendingAsync(CancellationToken.None));
        Assert.Single(_server.Bodies);
    }

    [Fact]
    public async Task It_reports_at_once_then_on_a_steady_grid_and_leaves_missed_ticks_out()
    {
        using var agent = Agent();
        using var stop = new CancellationTokenSource();
        var running = agent.RunAsync(stop.Token);

        Assert.Equal(Origin, await _collected.Reader.ReadAsync());
        var first = await NextWaitAsync();
        _time.Advance(first);
        var grid = await _collected.Reader.ReadAsync();
        Assert.Equal(Origin + first, grid);
        Assert.Equal(TimeSpan.FromSeconds(15), await NextWaitAsync());

        // The process sleeps for 2.6 intervals: one report, late, and the next one is on the grid again.
        _time.Advance(TimeSpan.FromSeconds(39));
        Assert.Equal(grid + TimeSpan.FromSeconds(39), await _collected.Reader.ReadAsync());
        Assert.Equal(TimeSpan.FromSeconds(6), await NextWaitAsync());

        await stop.CancelAsync();
        await running;
        Assert.False(_collected.Reader.TryRead(out _));
    }

    [Fact]
    public void The_grid_is_the_same_on_every_start_and_differs_from_host_to_host()
    {
        var interval = TimeSpan.FromSeconds(15);
        var due = Enumerable.Range(0, 100).Select(i => new ReportGrid(interval, $"host{i}").UntilNext(Origin)).ToArray();

        Assert.Equal(due, Enumerable.Range(0, 100).Select(i => new ReportGrid(interval, $"host{i}").UntilNext(Origin + interval)));
        Assert.All(due, wait => Assert.InRange(wait, TimeSpan.FromTicks(1), interval));
        Assert.True(due.Distinct().Count() > 90);
    }

    WhistleAgent Agent() => new(
        new AgentOptions
        {
            Server = new Uri("http://localhost:9480"),
            Token = "t",
            Time = _time,
            Handler = _server,
            Instance = "h1",
            CommandsEnabled = false,
            Buffer = new BufferOptions { Folder = _disk.Folder },
        },
        NullLogger.Instance,
        [
            new ScriptedCollector("c", series =>
            {
                series.Add(_metric, 1);
                _collected.Writer.TryWrite(_time.GetUtcNow());
            }),
        ]);

    static Dictionary<string, double> Decode(byte[] body)
    {
        using var message = RemoteWriteBody.Decompress(body, 1 << 20);
        var reader = new WriteRequestReader(message.Span, RemoteWriteVersion.V2, new WriteRequestScratch());
        var values = new Dictionary<string, double>();
        while (reader.ReadSeries())
        {
            var labels = LabelsCodec.Decode(reader.Key, LabelLimits.Default);
            Assert.True(reader.ReadSample(out var sample));
            Assert.Equal(Origin.ToUnixTimeMilliseconds(), sample.Time);
            values.Add(labels.Drop(["job", "instance"]).ToString(), sample.Value);
        }

        return values;
    }

    async Task<TimeSpan> NextWaitAsync()
    {
        while (true)
        {
            var wait = await _time.Waits.Reader.ReadAsync();
            if (wait != SenderPatience && wait > TimeSpan.Zero)
                return wait;
        }
    }

    /// <summary>Tells when a wait has begun, so that the test advances the clock neither too early nor by guess.</summary>
    sealed class ObservedTime() : FakeTimeProvider(Origin)
    {
        public Channel<TimeSpan> Waits { get; } = Channel.CreateUnbounded<TimeSpan>();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = base.CreateTimer(callback, state, dueTime, period);
            Waits.Writer.TryWrite(dueTime);
            return timer;
        }
    }
}
