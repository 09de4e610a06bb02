using System.Text.Json;

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

using Whistle.Alerting;
using Whistle.Alerting.PagerDuty;
using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.Remediation.Runs;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// A node that falls silent with a disk almost full, while Kubernetes says that it is not ready: the shipped rules through every stage on a
/// clock that the test moves.
/// </summary>
public sealed class InhibitionTests
{
    const string Disk = "NodeFilesystemAlmostOutOfSpace";

    static readonly TimeSpan Step = TimeSpan.FromSeconds(15);

    readonly FakeTimeProvider _clock = new(new(2026, 3, 1, 0, 0, 0, TimeSpan.Zero));
    InProcessServer _server = null!;
    RemoteWriteClient _node = null!;
    RemoteWriteClient _collector = null!;
    bool _reports = true;
    bool _ready = true;

    [Fact]
    public async Task A_silent_node_calls_people_once_and_what_it_hid_goes_on_as_new_when_it_returns()
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var pagerDuty = await PagerDutyServer.StartAsync(cancellation);
        await using var server = _server = await InProcessServer.StartAsync(cancellation, change: o => o with
        {
            Time = _clock,
            RunTimers = false,
            Rules = [Shipped("disk.yaml"), Shipped("node.yaml"), Shipped("inhibitions.yaml")],
            Alerting = new AlertingOptions
            {
                Channels = [new PagerDutyOptions { Address = pagerDuty.Address, RoutingKey = new string('k', 32) }],
            },
        });
        using var node = _node = await server.SenderAsync();
        using var collector = _collector = await server.SenderAsync(node: null);

        // The warning fires after five minutes, and would call people after fifteen more.
        await RunAsync(6, cancellation);
        var disk = Assert.Single(await OpenAsync());
        Assert.Equal(Disk, disk.Signals[0].Name);

        (_reports, _ready) = (false, false);
        await RunAsync(20, cancellation);
        var silent = (await OpenAsync()).Single(i => i.Id != disk.Id);
        Assert.Equal(
            ("NodeSilent NodeNotReady", Disk), (string.Join(' ', silent.Signals.Select(s => s.Name)), Assert.Single(silent.Inhibits)));
        Assert.Equal([$"trigger {silent.Id}/1"], Told(pagerDuty));
        Assert.Equal("NodeSilent (node n1)", (await Incidents.FindAsync(disk.Id, TestContext.Current.CancellationToken))!.InhibitedBy);
        Assert.Equal("Page held: all its signals are inhibited by NodeSilent (node n1).", Assert.Single(
            await Incidents.TimelineAsync(disk.Id, TestContext.Current.CancellationToken), e => e.Kind is TimelineKind.Hold).Text);
        Assert.Equal([SignalState.Unknown, SignalState.Firing], Inhibited.OrderBy(s => s.Name == "NodeNotReady").Select(s => s.State));
        var run = Assert.Single(
            await server.App.Services.GetRequiredService<RunStore>().OfIncidentAsync(disk.Id, TestContext.Current.CancellationToken));
        Assert.Contains("inhibited by NodeSilent (node n1)", (await server.App.Remediation.AskGatesAsync(
            run.Id, TestContext.Current.CancellationToken)).Single(g => g.Name == "inhibited").Reason, StringComparison.Ordinal);
        Assert.Contains(
            "\"inhibitedBy\":{\"name\":\"NodeSilent\"", await server.Http.GetStringAsync("api/whistle/v1/signals", cancellation),
            StringComparison.Ordinal);
        Assert.DoesNotContain("inhibitedBy", await server.Http.GetStringAsync("api/v1/alerts", cancellation), StringComparison.Ordinal);
        Assert.Equal(2, await server.MetricAsync("whistle_signals_inhibited", cancellation));

        // The agent is back, a minute later Kubernetes has seen it too, and the disk is as full as before.
        _reports = true;
        await RunAsync(1, cancellation);
        _ready = true;
        await RunAsync(2, cancellation);
        Assert.Empty(Inhibited);
        Assert.Equal((IncidentState.Recovering, IncidentState.Open), (
            (await Incidents.FindAsync(silent.Id, TestContext.Current.CancellationToken))!.State,
            (await Incidents.FindAsync(disk.Id, TestContext.Current.CancellationToken))!.State));
        await RunAsync(16, cancellation);
        Assert.Equal([$"trigger {silent.Id}/1", $"resolve {silent.Id}/1", $"trigger {disk.Id}/1"], Told(pagerDuty));
        Assert.Contains(await Incidents.TimelineAsync(disk.Id, TestContext.Current.CancellationToken), e => e.Kind is TimelineKind.Page
            && e.Text.Contains("still open 15 min after it opened, not counting the ", StringComparison.Ordinal));
        Assert.Equal(
            2,
            (await Incidents.TimelineAsync(disk.Id, TestContext.Current.CancellationToken)).Count(e => e.Kind is TimelineKind.Inhibited));
    }

    IncidentStore Incidents => _server.App.Services.GetRequiredService<IncidentStore>();

    async Task<IReadOnlyList<Incident>> OpenAsync() => await Incidents.ActiveAsync(TestContext.Current.CancellationToken);

    IEnumerable<Signal> Inhibited => _server.App.Rules.Signals.Where(s => s.InhibitedBy is not null);

    static string Shipped(string file) => Path.Combine(AppContext.BaseDirectory, "rules", file);

    static IEnumerable<string> Told(PagerDutyServer pagerDuty) =>
        pagerDuty.Events.Select(e => $"{Text(e, "event_action")} {Text(e, "dedup_key")}");

    static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;

    async Task RunAsync(int minutes, CancellationToken cancellation)
    {
        for (var end = _clock.GetUtcNow().AddMinutes(minutes); _clock.GetUtcNow() < end;)
        {
            _clock.Advance(Step);
            var now = _clock.GetUtcNow();
            if (_reports)
                await SendAsync(_node, [.. Report()], cancellation);
            await SendAsync(_collector,
            [
                Of("up", 1, Kube),
                Of("kube_node_status_condition", _ready ? 1 : 0, [.. Kube, ("node", "n1"), ("condition", "Ready"), ("status", "true")]),
            ], cancellation);
            await _server.App.Rules.EvaluateAsync(now, cancellation);
            await _server.App.Incidents.ReconcileAsync(now, cancellation);
            await _server.App.Remediation.AdvanceAsync(now, cancellation);
            await _server.App.Alerting.RunOnceAsync(now, cancellation);
        }
    }

    static readonly (string, string)[] Kube = [("job", "kube-state-metrics"), ("instance", "ksm:8080")];

    IEnumerable<TimeSeries> Report()
    {
        (string, string)[] disk = [("device", "/dev/sdb1"), ("fstype", "ext4"), ("mountpoint", "/data")];
        yield return Of("whistle_agent_interval_seconds", Step.TotalSeconds);
        yield return Of("node_scrape_collector_success", 1, ("collector", "filesystem"));
        yield return Of("node_filesystem_size_bytes", 100, disk);
        yield return Of("node_filesystem_avail_bytes", 4, disk);
        yield return Of("node_filesystem_readonly", 0, disk);
    }

    TimeSeries Of(string metric, double value, params (string, string)[] labels) =>
        new(Labels.OfMetric(metric, labels), [new(_clock.GetUtcNow().ToUnixTimeMilliseconds(), value)]);

    static async Task SendAsync(RemoteWriteClient client, IReadOnlyList<TimeSeries> series, CancellationToken cancellation)
    {
        using var answer = await client.SendAsync(series, cancellation);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(cancellation));
    }
}
