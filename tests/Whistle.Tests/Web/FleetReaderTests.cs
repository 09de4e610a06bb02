using Whistle.Ingest;
using Whistle.Telemetry;
using Whistle.Web.Fleet;

using Xunit;

namespace Whistle.Tests.Web;

public sealed class FleetReaderTests : IDisposable
{
    readonly FleetBench _bench = new();

    public void Dispose() => _bench.Dispose();

    [Fact]
    public async Task A_disk_that_fills_steadily_has_a_forecast_and_one_that_is_emptied_again_has_none()
    {
        for (var minute = 0; minute < 7 * 60; minute++)
        {
            _bench.Rules.Report("filesystem");
            _bench.Rules.Disk(40 + (minute * 0.1), "/fills");
            _bench.Rules.Disk(40 + (minute % 180 * 0.2), "/rotates");
            _bench.Rules.Pass();
        }

        var node = Assert.Single((await _bench.ReadAsync()).Nodes);

        var forecast = node.Filesystems.Single(f => f.Key.Mountpoint == "/fills").Chart!.Forecast;
        Assert.Equal(0.001 / 60, forecast!.GainPerSecond, 8);
        // 419 minutes after the start 81.9 of 95 are used.
        Assert.Equal(131, (forecast.Full - _bench.Rules.Clock.GetUtcNow()).TotalMinutes, 0);
        Assert.Null(node.Filesystems.Single(f => f.Key.Mountpoint == "/rotates").Chart!.Forecast);
    }

    [Fact]
    public async Task A_thousand_filesystems_take_as_many_queries_as_one()
    {
        Add(1, 1);
        await _bench.ReadAsync();
        var forOne = _bench.Selections;
        Add(100, 10);
        var view = await _bench.ReadAsync();

        Assert.Equal(forOne, _bench.Selections - forOne);
        Assert.Equal(1000, view.Nodes.Sum(n => n.Filesystems.Count));
        Assert.InRange(view.Nodes.SelectMany(n => n.Filesystems).Count(f => f.Chart is not null), 1, 6);
    }

    [Fact]
    public async Task The_filesystem_that_is_asked_for_is_drawn_on_its_node()
    {
        Add(2, 40);
        var view = await _bench.ReadAsync(new FleetQuery(ChartRange.All[0], new NodeKey("t", "c", "n0"), "/m0"));

        var node = Assert.Single(view.Nodes);
        Assert.Equal(40, node.Filesystems.Count);
        Assert.NotNull(node.Filesystems.Single(f => f.Key.Mountpoint == "/m0").Chart);
    }

    [Fact]
    public async Task A_silent_node_shows_what_it_said_last()
    {
        _bench.Credentials.Enroll("t", "c", "n1");
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
        Assert.Equal(16, (_bench.Rules.Clock.GetUtcNow() - node.LastReport!.Value).TotalMinutes, 0.5);
        Assert.Equal(0.55, Assert.Single(node.Filesystems).Used, 6);
    }

    [Fact]
    public async Task A_store_that_does_not_answer_costs_the_data_not_the_signals()
    {
        using var bench = new FleetBench("groups: [{name: g, rules: [{alert: Low, expr: node_filesystem_avail_bytes < 10}]}]");
        await bench.Rules.LoadAsync();
        bench.Credentials.Enroll("t", "c", "n1");
        bench.Rules.Report("filesystem");
        bench.Rules.Disk(90);
        await bench.Rules.StepAsync();
        bench.Failure = new StoreException("The disk is full.");

        var view = await bench.ReadAsync();

        Assert.Contains("The disk is full.", view.Error, StringComparison.Ordinal);
        Assert.Equal("firing", Assert.Single(view.Signals).State);
        Assert.Equal("n1", Assert.Single(view.Nodes).Key.Node);
    }

    void Add(int nodes, int filesystems)
    {
        for (var node = 0; node < nodes; node++)
        {
            for (var mount = 0; mount < filesystems; mount++)
            {
                (string, string)[] labels = [("tenant", "t"), ("cluster", "c"), ("node", $"n{node}"), ("device", "d"), ("fstype", "ext4"), ("mountpoint", $"/m{mount}")];
                _bench.Rules.Series.Add(Labels.OfMetric("node_filesystem_size_bytes", labels), _bench.Rules.Now, 1000);
                _bench.Rules.Series.Add(Labels.OfMetric("node_filesystem_avail_bytes", labels), _bench.Rules.Now, 900 - mount);
            }
        }
    }
}
