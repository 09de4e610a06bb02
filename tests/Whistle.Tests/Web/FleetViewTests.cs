using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;

using Whistle.Detectors.Signals;
using Whistle.Ingest;
using Whistle.Telemetry;
using Whistle.Web.Fleet;

using Xunit;

namespace Whistle.Tests.Web;

public sealed class FleetViewTests
{
    static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Nodes_come_worst_first_firing_before_pending_before_the_fullest()
    {
        var telemetry = new FleetTelemetry();
        foreach (var (node, used) in new[] { ("calm", 0.1), ("full", 0.9), ("fires", 0.2), ("waits", 0.3) })
            Disk(telemetry, node, "/data", 100, 100 * (1 - used));
        var signals = SignalView.Active([Alert("waits", SignalState.Pending, "critical"), Alert("fires", SignalState.Firing, "warning")]);

        var view = FleetView.Build(FleetQuery.Default, Now, [], signals, telemetry);

        Assert.Equal(["fires", "waits", "full", "calm"], view.Nodes.Select(n => n.Key.Node));
        Assert.Equal(["fires", "waits"], view.Signals.Select(s => s.Node.Node));
        Assert.Equal("Low", Assert.Single(view.Nodes[0].Filesystems[0].Signals).Name);
    }

    [Fact]
    public void An_enrolled_node_is_awaited_then_reporting_then_silent()
    {
        EnrolledAgent[] agents = [new("t", "c", "awaited", Now.AddSeconds(-5)), new("t", "c", "never", Now.AddMinutes(-2)), new("t", "c", "up", Now.AddDays(-1)), new("t", "c", "down", Now.AddDays(-1))];
        var telemetry = new FleetTelemetry();
        telemetry.Add(FleetTelemetry.LastReport, [new(Node("up"), Seconds(-3))]);
        telemetry.Add(FleetTelemetry.Up, [new(Node("up"), 1), new(Node("down"), 0), new(Node("never"), 0)]);
        telemetry.Add(FleetTelemetry.LastHeard, [new(Node("up"), Seconds(-30)), new(Node("down"), Seconds(-600)), new(Node("never"), Seconds(-120))]);

        var nodes = FleetView.Build(FleetQuery.Default, Now, agents, [], telemetry).Nodes.ToDictionary(n => n.Key.Node);

        Assert.Equal((NodeState.Awaited, null), (nodes["awaited"].State, nodes["awaited"].LastReport));
        Assert.Equal((NodeState.Silent, null), (nodes["never"].State, nodes["never"].LastReport));
        Assert.Equal((NodeState.Reporting, Now.AddSeconds(-3)), (nodes["up"].State, nodes["up"].LastReport));
        Assert.Equal((NodeState.Silent, Now.AddMinutes(-10)), (nodes["down"].State, nodes["down"].LastReport));
    }

    [Fact]
    public void A_scrape_target_without_an_agent_is_a_node_under_its_instance()
    {
        var telemetry = new FleetTelemetry();
        telemetry.Add(FleetTelemetry.Size, [new(Labels.Of(("tenant", "t"), ("cluster", "c"), ("instance", "10.0.0.7:9100"), ("mountpoint", "/")), 10)]);

        var node = Assert.Single(FleetView.Build(FleetQuery.Default, Now, [], [], telemetry).Nodes);

        Assert.Equal(("10.0.0.7:9100", NodeState.Reporting), (node.Key.Node, node.State));
        Assert.True(double.IsNaN(node.Filesystems[0].Used));
    }

    [Fact]
    public void The_address_carries_any_name_there_and_back()
    {
        var query = new FleetQuery(ChartRange.All[3], new NodeKey("a b", "c/d", "10.0.0.7:9100"), "/mnt/ö&x=\"1\"#");

        Assert.Equal(query, FleetQuery.Read(new QueryCollection(QueryHelpers.ParseQuery(query.Address[1..]))));
        Assert.Equal(FleetQuery.Default, FleetQuery.Read(new QueryCollection(QueryHelpers.ParseQuery("?range=9y&node=x"))));
        Assert.Equal("/", FleetQuery.Default.Address);
    }

    [Fact]
    public void An_unknown_signal_says_what_it_was_and_an_ended_one_how_it_ended()
    {
        var alert = Alert("n", SignalState.Unknown, "critical");
        var unknown = SignalView.Of(alert with { Condition = alert.Condition with { Before = SignalState.Firing, UnknownSince = Now.AddMinutes(-1) } });
        var gone = SignalView.Of(alert with { Condition = alert.Condition with { State = SignalState.Resolved, Reason = SignalEnd.Gone, EndedAt = Now } });

        Assert.Equal(("unknown", "firing", Now.AddMinutes(-1)), (unknown.State, unknown.Was, unknown.Since));
        Assert.Equal(("gone", Now), (gone.State, gone.Ended));
    }

    [Fact]
    public void The_line_of_a_chart_is_lifted_over_a_gap_and_a_lone_point_is_a_dot()
    {
        var range = ChartRange.All[0];
        var end = Now.ToUnixTimeMilliseconds();
        var plot = new ChartPlot(new ChartView(range, Now, [new(end - (20 * range.Step), 0.5), new(end - range.Step, 0.5), new(end, 0.6)], null));

        Assert.Equal("M327.3 60h0M352.7 60L354 49.6", plot.Line());
        Assert.Equal([new ChartGap(327.3, 25.4)], plot.Gaps());
        Assert.Equal(["11:15", "11:30", "11:45"], plot.Ticks().Select(t => t.Text));
    }

    [Fact]
    public void A_forecast_stretches_the_axis_by_four_hours_and_ends_where_the_disk_is_full()
    {
        var end = Now.ToUnixTimeMilliseconds();
        var chart = new ChartView(ChartRange.All[1], Now, [new(end, 0.8)], new Forecast(0.1 / 3600, Now.AddHours(2)));
        var plot = new ChartPlot(chart);

        Assert.Equal(226, plot.NowX);
        Assert.Equal("M226 28.8L290 8", plot.ForecastLine());
        Assert.EndsWith("at this pace it is full in about 2 h.", chart.Words, StringComparison.Ordinal);
    }

    static Labels Node(string node) => Labels.Of(("tenant", "t"), ("cluster", "c"), ("node", node));

    static double Seconds(int fromNow) => Now.AddSeconds(fromNow).ToUnixTimeMilliseconds() / 1000.0;

    static void Disk(FleetTelemetry telemetry, string node, string mount, double size, double available)
    {
        var labels = Node(node).With("mountpoint", mount);
        telemetry.Add(FleetTelemetry.Size, [new(labels, size)]);
        telemetry.Add(FleetTelemetry.Available, [new(labels, available)]);
    }

    static Signal Alert(string node, SignalState state, string severity) => new()
    {
        Rule = "r",
        Name = "Low",
        Labels = Node(node).With("severity", severity).With("alertname", "Low").With("mountpoint", "/data"),
        Element = Node(node),
        Condition = new(state, Now.AddMinutes(-30), Now, FiringSince: Now.AddMinutes(-20)),
    };
}
