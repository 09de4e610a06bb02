using Whistle.Web.Charts;

using Xunit;

namespace Whistle.Tests.Web;

public sealed class ChartTests
{
    static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    static long End => Now.ToUnixTimeMilliseconds();

    [Fact]
    public void The_line_is_lifted_over_a_gap_and_a_lone_point_is_a_dot()
    {
        var range = ChartRange.All[0];
        var plot = new ChartPlot(Chart(range, [new(End - (20 * range.Step), 0.5), new(End - range.Step, 0.5), new(End, 0.6)]));

        Assert.Equal("M327.3 66h0M352.7 66L354 55.2", plot.Line());
        Assert.Equal([new ChartGap(327.3, 25.4)], plot.Gaps());
        Assert.Equal(["11:15", "11:30", "11:45"], plot.Ticks().Select(t => t.Text));
    }

    [Fact]
    public void A_forecast_stretches_the_axis_by_four_hours_with_its_band_between_the_fastest_and_the_slowest_pace()
    {
        var chart = Chart(ChartRange.All[1], [new(End, 0.8)]) with
        {
            Forecast = new(0.1 / 3600, 0.2 / 3600, 0.05 / 3600, Now.AddHours(2), Now.AddHours(1), Now.AddHours(4)),
        };
        var plot = new ChartPlot(chart);

        Assert.Equal(226, plot.NowX);
        Assert.Equal("M226 33.6L290 12", plot.ForecastLine());
        Assert.Equal("M226 33.6L258 12L354 12L354 12Z", plot.ForecastBand());
        Assert.EndsWith("At this rate it is full in 2 h (1 h to 4 h).", chart.Words, StringComparison.Ordinal);
    }

    [Fact]
    public void Noise_widens_the_band_and_no_clear_line_is_no_forecast_where_no_rule_has_judged()
    {
        var steady = Forecasts.Of(Past(i => 0.5 + (i * 0.001)), Now)!;
        var noisy = Forecasts.Of(Past(i => 0.5 + (i * 0.001) + (i % 2 * 0.02)), Now)!;

        Assert.True(steady.Latest - steady.Earliest < TimeSpan.FromMinutes(1));
        Assert.True(noisy.Latest is null || noisy.Latest - noisy.Earliest > TimeSpan.FromMinutes(30));
        Assert.NotNull(Forecasts.Of(Past(i => 0.5 + (i * 0.001)), Now, clearly: true));
        Assert.Null(Forecasts.Of(Past(i => 0.5 + (0.1 * Math.Sin(i / 20.0)) + (i * 0.0001)), Now, clearly: true));
        Assert.Null(Forecasts.Of(Past(i => 0.9 - (i * 0.001)), Now));
    }

    [Fact]
    public void A_repair_within_the_range_is_marked_and_one_before_is_not()
    {
        var chart = Chart(ChartRange.All[0], [new(End, 0.8)]) with
        {
            Marks = [new(Now.AddHours(-2), "before"), new(Now.AddMinutes(-30), "clean: Deleted 3 files.")],
        };

        Assert.Equal([(194, "clean: Deleted 3 files.")], new ChartPlot(chart).Marks().Select(m => (m.X, m.Mark.Text)));
    }

    // Every two minutes over six hours.
    static List<ChartPoint> Past(Func<int, double> used) =>
        [.. Enumerable.Range(0, 181).Select(i => new ChartPoint(Now.AddMinutes(-360 + (2 * i)).ToUnixTimeMilliseconds(), used(i)))];

    static ChartView Chart(ChartRange range, IReadOnlyList<ChartPoint> points) =>
        new() { Kind = ChartKind.Filesystem, Name = "/data", Range = range, Now = Now, Points = points };
}
