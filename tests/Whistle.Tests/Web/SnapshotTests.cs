using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Control;
using Whistle.State.Files;
using Whistle.Telemetry;
using Whistle.Web.Charts;
using Whistle.Web.Live;
using Whistle.Web.Nodes;

using Xunit;

namespace Whistle.Tests.Web;

public sealed class SnapshotTests : IDisposable
{
    readonly WebBench _bench = new();

    public void Dispose() => _bench.Dispose();

    [Fact]
    public async Task A_thousand_filesystems_take_as_many_queries_as_one()
    {
        Add(1, 1);
        await _bench.ReadAsync();
        var forOne = _bench.Selections;
        Add(100, 10);
        var snapshot = await _bench.ReadAsync();

        Assert.Equal(forOne, _bench.Selections - forOne);
        Assert.Equal(1000, snapshot.Nodes.Sum(n => n.Filesystems.Count));
    }

    [Fact]
    public async Task Telemetry_is_looked_at_every_ten_seconds_and_state_each_time()
    {
        var first = await _bench.ReadAsync();
        var selections = _bench.Selections;
        await _bench.AddAsync(Some("i1"));
        var second = await _bench.ReadAsync(first);
        Assert.Equal((selections, 1), (_bench.Selections, second.Incidents.Count));

        _bench.Rules.Clock.Advance(TimeSpan.FromSeconds(10));
        var third = await _bench.ReadAsync(second);
        Assert.True(_bench.Selections > selections);
        Assert.Equal([1L, 2L, 3L], [first.Version, second.Version, third.Version]);
    }

    [Fact]
    public async Task The_register_is_looked_at_every_ten_seconds_and_at_once_after_somebody_changed_it_here()
    {
        var (cluster, cancellation) = (new ClusterId("t", "c"), TestContext.Current.CancellationToken);
        await _bench.Credentials.EnrollAsync(cluster, "n1", cancellation);
        var first = await _bench.ReadAsync();
        // As another process does.
        var elsewhere = new Credentials(_bench.Database, _bench.Rules.Clock);
        await elsewhere.EnrollAsync(cluster, "n2", cancellation);
        await elsewhere.Register.ChangeTenantAsync("t", new("elsewhere"), cancellation);
        var second = await _bench.ReadAsync(first);
        Assert.Equal((1, "t"), (second.Known.Count, second.NameOf("t")));
        _bench.Rules.Clock.Advance(TimeSpan.FromSeconds(10));
        var third = await _bench.ReadAsync(second);
        Assert.Equal((2, "elsewhere"), (third.Known.Count, third.NameOf("t")));

        await _bench.Credentials.Register.ChangeTenantAsync("t", new("here"), cancellation);
        await _bench.Credentials.Register.ArchiveNodeAsync(cluster.Node("n1"), "ann", cancellation);
        var fourth = await _bench.ReadAsync(third);
        Assert.Equal(("here", "n2"), (fourth.NameOf("t"), Assert.Single(fourth.Nodes).Key.Node));
        await _bench.Credentials.Register.UnarchiveNodeAsync(cluster.Node("n1"), cancellation);
        Assert.Equal(2, (await _bench.ReadAsync(fourth)).Nodes.Count);
    }

    [Fact]
    public async Task What_has_closed_stays_for_a_day_without_being_read_again_and_is_back_when_it_reopens()
    {
        var closed = Some("i1") with { State = IncidentState.Closed, ClosedAt = _bench.Now };
        await _bench.AddAsync(closed);
        var snapshot = await _bench.ReadAsync();
        _bench.Rules.Clock.Advance(TimeSpan.FromHours(2));
        snapshot = await _bench.ReadAsync(snapshot);
        Assert.Equal(IncidentState.Closed, Assert.Single(snapshot.Incidents).State);

        await _bench.AddAsync(closed with { State = IncidentState.Open, ClosedAt = null, Reopened = 1 });
        snapshot = await _bench.ReadAsync(snapshot);
        Assert.Equal((IncidentState.Open, 1), (Assert.Single(snapshot.Incidents).State, snapshot.Incidents[0].Reopened));

        await _bench.AddAsync(closed);
        snapshot = await _bench.ReadAsync(snapshot);
        _bench.Rules.Clock.Advance(TimeSpan.FromHours(25));
        Assert.Empty((await _bench.ReadAsync(snapshot)).Incidents);
    }

    [Fact]
    public async Task Who_has_taken_an_incident_on_is_known_until_it_ends()
    {
        await _bench.AddAsync(Some("i1"), Some("i2"));
        Assert.True(await _bench.Incidents.AcknowledgeAsync(
            new("i1", "somebody", _bench.Now, _bench.Now.AddHours(1)), TestContext.Current.CancellationToken));

        var snapshot = await _bench.ReadAsync();
        Assert.Equal(["i1"], snapshot.Acknowledgements.Keys);
        _bench.Rules.Clock.Advance(TimeSpan.FromHours(1));
        Assert.Empty((await _bench.ReadAsync(snapshot)).Acknowledgements);
    }

    [Fact]
    public async Task A_store_that_does_not_answer_costs_the_data_not_the_state()
    {
        await _bench.Credentials.EnrollAsync(new("t", "c"), "n1", TestContext.Current.CancellationToken);
        await _bench.AddAsync(Some("i1"));
        await _bench.Control.SetAsync(new KillSwitch(true, "stop", "somebody", _bench.Now), TestContext.Current.CancellationToken);
        _bench.Failure = new StoreException("The disk is full.");

        var snapshot = await _bench.ReadAsync();

        Assert.StartsWith("The telemetry store does not answer.", snapshot.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("The disk is full.", snapshot.Error, StringComparison.Ordinal);
        Assert.Equal((1, true), (snapshot.Incidents.Count, snapshot.Kill.On));
        Assert.Equal("n1", Assert.Single(snapshot.Nodes).Key.Node);
        _bench.Failure = null;
        _bench.Rules.Clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Null((await _bench.ReadAsync(snapshot)).Error);
    }

    [Fact]
    public async Task A_silent_node_shows_what_it_said_last()
    {
        await _bench.Credentials.EnrollAsync(new("t", "c"), "n1", TestContext.Current.CancellationToken);
        for (var minute = 0; minute < 20; minute++)
        {
            if (minute < 5)
            {
                _bench.Rules.Report("filesystem");
                _bench.Rules.Disk(50);
            }

            await _bench.Rules.StepAsync();
        }

        var node = Assert.Single((await _bench.ReadAsync()).Nodes);

        Assert.Equal(NodeState.Silent, node.State);
        Assert.Equal(16, (_bench.Now - node.LastReport!.Value).TotalMinutes, 0.5);
        Assert.Equal(0.55, Assert.Single(node.Filesystems).Used, 6);
    }

    [Fact]
    public async Task A_disk_that_fills_steadily_has_a_forecast_with_a_band_and_one_that_is_emptied_again_has_none()
    {
        for (var minute = 0; minute < 7 * 60; minute++)
        {
            _bench.Rules.Report("filesystem");
            _bench.Rules.Disk(40 + (minute * 0.1), "/fills");
            _bench.Rules.Disk(40 + (minute % 180 * 0.2), "/rotates");
            _bench.Rules.Pass();
        }

        var charts = await _bench.Nodes.ChartsAsync(
            new("t", "c", "n1"), ChartRange.Default, _bench.Now, TestContext.Current.CancellationToken);

        var forecast = charts.Single(c => c.Name == "/fills").Forecast!;
        Assert.Equal(0.001 / 60, forecast.Gain, 2e-7);
        // 419 minutes after the start 81.9 of 95 are used.
        Assert.Equal(131, (forecast.Full - _bench.Now).TotalMinutes, 1.5);
        Assert.True(forecast.Earliest <= forecast.Full && forecast.Full <= forecast.Latest);
        Assert.Null(charts.Single(c => c.Name == "/rotates").Forecast);
    }

    [Fact]
    public async Task A_filesystem_that_is_no_longer_reported_is_gone_and_those_of_a_silent_node_are_not()
    {
        var node = new NodeId("t", "c", "n1");
        Task<IReadOnlyList<ChartView>> ChartsAsync() =>
            _bench.Nodes.ChartsAsync(node, ChartRange.Default, _bench.Now, TestContext.Current.CancellationToken);
        for (var minute = 0; minute < 60; minute++)
        {
            _bench.Rules.Report("filesystem");
            _bench.Rules.Disk(40, "/stays");
            if (minute < 30)
                _bench.Rules.Disk(40, "/gone");
            _bench.Rules.Pass();
        }

        Assert.Equal(["/gone", "/stays"], (await ChartsAsync()).Where(c => c.Kind is ChartKind.Filesystem).Select(c => c.Name).Order());
        Assert.Equal(["/gone"], (await ChartsAsync()).Where(c => c.IsGone).Select(c => c.Name));
        _bench.Rules.Clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(["/gone"], (await ChartsAsync()).Where(c => c.IsGone).Select(c => c.Name));
    }

    [Fact]
    public async Task With_no_viewer_nothing_is_read_and_with_many_once()
    {
        using var feed = new LiveFeed(_bench.Reader, _bench.Pace, NullLogger<LiveFeed>.Instance);
        await feed.StartAsync(TestContext.Current.CancellationToken);
        _bench.Rules.Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Null(feed.Current);

        var seen = new List<long>();
        Task See(FleetSnapshot snapshot)
        {
            lock (seen)
                seen.Add(snapshot.Version);
            return Task.CompletedTask;
        }

        var first = await feed.GetAsync(TestContext.Current.CancellationToken);
        Assert.Same(first, await feed.GetAsync(TestContext.Current.CancellationToken));
        using (feed.Watch(See))
        using (feed.Watch(See))
            await feed.RefreshAsync(TestContext.Current.CancellationToken);
        await feed.RefreshAsync(TestContext.Current.CancellationToken);
        Assert.Equal([2L, 2L], seen);
        Assert.Equal(0, feed.Watchers);
        await feed.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_viewer_that_fails_or_hangs_keeps_nothing_from_the_others()
    {
        using var feed = new LiveFeed(_bench.Reader, _bench.Pace, NullLogger<LiveFeed>.Instance);
        var seen = 0;
        using var failing = feed.Watch(_ => throw new ObjectDisposedException("circuit"));
        using var hanging = feed.Watch(_ => new TaskCompletionSource().Task);
        using var well = feed.Watch(_ =>
        {
            seen++;
            return Task.CompletedTask;
        });
        await feed.RefreshAsync(TestContext.Current.CancellationToken);
        await feed.RefreshAsync(TestContext.Current.CancellationToken);

        Assert.Equal((2, 2), (seen, feed.Watchers));
    }

    Incident Some(string id) => new()
    {
        Id = id,
        Tenant = "t",
        Cluster = "c",
        Subject = Labels.Of(("node", "n1"), ("mountpoint", $"/{id}")),
        Title = "It fills up",
        Severity = "warning",
        State = IncidentState.Open,
        OpenedAt = _bench.Now,
    };

    void Add(int nodes, int filesystems)
    {
        for (var node = 0; node < nodes; node++)
        {
            for (var mount = 0; mount < filesystems; mount++)
            {
                (string, string)[] labels =
                [
                    ("tenant", "t"), ("cluster", "c"), ("node", $"n{node}"), ("device", "d"), ("fstype", "ext4"),
                    ("mountpoint", $"/m{mount}"),
                ];
                _bench.Rules.Series.Add(Labels.OfMetric("node_filesystem_size_bytes", labels), _bench.Rules.Now, 1000);
                _bench.Rules.Series.Add(Labels.OfMetric("node_filesystem_avail_bytes", labels), _bench.Rules.Now, 900 - mount);
            }
        }

        _bench.Rules.Clock.Advance(TimeSpan.FromSeconds(10));
    }
}
