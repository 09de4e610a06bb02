using System.Globalization;

using Whistle.PromQL;

using Xunit;

namespace Whistle.Tests;

/// <summary>Data in <see cref="SeriesText"/>'s notation, one sample a minute.</summary>
public sealed class PromQLEngineTests
{
    const long Minute = 60_000;

    [Theory]
    // Ranges and look-back are open at the left: the sample exactly 5 minutes old is outside.
    [InlineData("count_over_time(x[5m])", 10, "x 0+1x10", "{} 5")]
    [InlineData("x", 5, "x 7", "")]
    [InlineData("x", 4, "x 7", "x 7")]
    [InlineData("x offset 1m", 6, "x 7", "")]
    [InlineData("sum_over_time(x[2m] offset -3m)", 1, "x 0+1x10", "{} 7")]
    // A staleness marker ends look-back at once, and is no sample of a range.
    [InlineData("x", 2, "x 1 stale", "")]
    [InlineData("count_over_time(x[5m])", 3, "x 1 stale 3 4", "{} 3")]
    // Extrapolated to both ends of the range; to half an interval where the series begins inside; never below zero.
    [InlineData("increase(x[5m])", 10, "x 0+60x10", "{} 300")]
    [InlineData("rate(x[10m])", 10, "x _x5 100+60x5", "{} 0.55")]
    [InlineData("increase(x[10m])", 10, "x _x5 0+60x5", "{} 300")]
    [InlineData("increase(x[4m])", 4, "x 10 20 30 5 15", "{} 33.33333333333333")]
    [InlineData("delta(x[3m])", 3, "x 9 6 3 0", "{} -9")]
    [InlineData("rate(x[1m])", 10, "x 0+60x10", "")]
    [InlineData("deriv(x[5m])", 10, "x 0+60x10", "{} 1")]
    [InlineData("predict_linear(x[5m], 600)", 10, "x 100-1x10", "{} 80")]
    [InlineData("predict_linear(x[5m], 600)", 10, "x 3x10", "{} 3")]
    [InlineData("avg_over_time(x[3m])", 2, "x 1e308 1e308 1e308", "{} 1E+308")]
    [InlineData("sum_over_time(x[4m])", 3, "x 1 1e100 1 -1e100", "{} 2")]
    // A subquery stands at multiples of its step, whatever the time of the query is.
    [InlineData("x[2m:30s]", 4, "x 0+1x10", "x @150000 2; x @180000 3; x @210000 3; x @240000 4")]
    [InlineData("sum_over_time(x[3m:])", 5, "x 0+1x10", "{} 12")]
    [InlineData("max_over_time(rate(x[2m])[4m:1m] offset 1m)", 8, "x 0+60x4 0+120x4", "{} 2")]
    [InlineData("x @ 120 offset 1m", 9, "x 0+1x10", "x 1")]
    [InlineData("last_over_time(x[5m] @ end())", 4, "x 0+1x10", "x 4")]
    [InlineData("sum_over_time((x @ 60)[3m:1m])", 9, "x 0+1x10", "{} 3")]
    [InlineData("count_over_time(x[1m * (2 + 1)])", 9, "x 0+1x10", "{} 3")]
    [InlineData("first_over_time(x[3m])", 9, "x 0+1x10", "x 7")]
    [InlineData("ts_of_first_over_time(x[3m])", 9, "x 0+1x10", "{} 420")]
    [InlineData("ts_of_max_over_time(x[5m])", 4, "x 1 7 7 2", "{} 120")]
    [InlineData("mad_over_time(x[5m])", 4, "x 4 6 2 1 99", "{} 2")]
    [InlineData("double_exponential_smoothing(x[5m], 0.5, 0.5)", 4, "x 0+2x4", "{} 8")]
    public async Task Samples_are_selected_and_folded_as_in_Prometheus(string expression, int minute, string data, string expected) =>
        Assert.Equal(expected, await EvaluateAsync(expression, minute, data));

    const string Disks = """
        free{node="a",mount="/"} 10
        free{node="a",mount="/var"} 80
        free{node="b",mount="/"} 30
        size{node="a",mount="/"} 100
        size{node="a",mount="/var"} 100
        up{node="a"} 1
        up{node="b"} 0
        """;

    [Theory]
    [InlineData("free / size", "{mount=\"/\",node=\"a\"} 0.1; {mount=\"/var\",node=\"a\"} 0.8")]
    [InlineData("free / size < 0.5", "{mount=\"/\",node=\"a\"} 0.1")]
    [InlineData("free < 20", "free{mount=\"/\",node=\"a\"} 10")]
    [InlineData("20 > free", "free{mount=\"/\",node=\"a\"} 10")]
    [InlineData("free < bool 20", "{mount=\"/\",node=\"a\"} 1; {mount=\"/\",node=\"b\"} 0; {mount=\"/var\",node=\"a\"} 0")]
    [InlineData("free and on (node) up == 1", "free{mount=\"/\",node=\"a\"} 10; free{mount=\"/var\",node=\"a\"} 80")]
    [InlineData("free unless size", "free{mount=\"/\",node=\"b\"} 30")]
    [InlineData("free{node=\"b\"} or on (node) up", "free{mount=\"/\",node=\"b\"} 30; up{node=\"a\"} 1")]
    [InlineData(
        "free * on (node) group_left up", "{mount=\"/\",node=\"a\"} 10; {mount=\"/\",node=\"b\"} 0; {mount=\"/var\",node=\"a\"} 80")]
    [InlineData("min by (node) (free)", "{node=\"a\"} 10; {node=\"b\"} 30")]
    [InlineData("count without (mount) (free)", "{node=\"a\"} 2; {node=\"b\"} 1")]
    [InlineData("topk(1, free)", "free{mount=\"/var\",node=\"a\"} 80")]
    [InlineData("count(limitk(2, free))", "{} 2")]
    [InlineData("limit_ratio(1, up) or limit_ratio(-1, up)", "up{node=\"a\"} 1; up{node=\"b\"} 0")]
    [InlineData("limit_ratio(0.3, free) and limit_ratio(-0.7, free)", "")]
    [InlineData("count_values(\"v\", up)", "{v=\"0\"} 1; {v=\"1\"} 1")]
    [InlineData("-up", "{node=\"a\"} -1; {node=\"b\"} -0")]
    [InlineData("absent(gone{node=\"a\",x!=\"y\"})", "{node=\"a\"} 1")]
    [InlineData("label_replace(up{node=\"a\"}, \"n\", \"node-$1\", \"node\", \"(.*)\")", "up{n=\"node-a\",node=\"a\"} 1")]
    public async Task Vectors_are_matched_and_grouped_by_their_labels(string expression, string expected) =>
        Assert.Equal(expected, await EvaluateAsync(expression, 0, Disks));

    [Theory]
    [InlineData("free / on (node) size", "many-to-many matching not allowed")]
    [InlineData("free * on (node) up", "many-to-one matching must be explicit")]
    [InlineData("-{node=\"a\",mount=\"/\"}", "same labelset")]
    [InlineData("rate({node=\"a\",mount=\"/\"}[5m]) or abs({node=\"a\",mount=\"/\"})", "same labelset")]
    [InlineData("topk(NaN, free)", "no 64-bit integer")]
    public async Task What_has_no_single_answer_is_an_error(string expression, string message)
    {
        var error = await Assert.ThrowsAsync<PromQLException>(() => EvaluateAsync(expression, 0, Disks));

        Assert.Equal(PromQLErrorKind.Execution, error.Kind);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_range_query_equals_instant_queries_at_its_steps()
    {
        const string Data = "x{a=\"1\"} 0+5x20 3+2x20 _x7 9+1x20 stale _x5 4x10\nx{a=\"2\"} _x3 1+1x60";
        const string Expression = "sum(rate(x[7m])) + on () group_right (b) avg_over_time(x[4m] offset 2m) or x";
        var engine = new PromQLEngine(new MemorySeriesSource(SeriesText.Parse(Data)));

        var range = await engine.RangeAsync(Expression, 0, 90 * Minute, 90_000, default);

        var points = range.Series.SelectMany(s => s.Times.Select((t, i) => (t, s.Labels, s.Values[i]))).ToHashSet();
        for (var time = 0L; time <= 90 * Minute; time += 90_000)
        {
            var instant = (VectorValue)await engine.InstantAsync(Expression, time, default);
            foreach (var (labels, value) in instant.Samples)
                Assert.True(points.Remove((time, labels, value)), $"{labels} at {time}");
        }

        Assert.Empty(points);
    }

    [Fact]
    public async Task Each_selector_is_read_once_with_exactly_its_range()
    {
        var source = new MemorySeriesSource([]);

        await new PromQLEngine(source).RangeAsync(
            "rate(x[5m] offset 1m) / rate(x[5m] offset 1m) + y", 10 * Minute, 20 * Minute, Minute, default);

        Assert.Equal(
            [("__name__=\"x\"", (4 * Minute) + 1, 19 * Minute), ("__name__=\"y\"", (5 * Minute) + 1, 20 * Minute)], source.Asked);
    }

    [Fact]
    public async Task A_range_query_has_limits()
    {
        var engine = new PromQLEngine(new MemorySeriesSource([]));

        Assert.Single((await engine.RangeAsync("1", 0, 11_000, 1, default)).Series);
        await Assert.ThrowsAsync<PromQLException>(() => engine.RangeAsync("1", 0, 11_001, 1, default));
        await Assert.ThrowsAsync<PromQLException>(() => engine.RangeAsync("1", 0, 10, 0, default));
        await Assert.ThrowsAsync<PromQLException>(() => engine.RangeAsync("1", 10, 0, 1, default));
        await Assert.ThrowsAsync<PromQLException>(() => engine.RangeAsync("x[5m]", 0, 10, 1, default));
        var small = new PromQLEngine(new MemorySeriesSource(SeriesText.Parse("x 0+1x9")), new PromQLOptions { MaxSamples = 5 });
        await Assert.ThrowsAsync<PromQLException>(() => small.InstantAsync("x[10m]", 9 * Minute, default));
    }

    [Fact]
    public async Task A_cancelled_query_stops()
    {
        var engine = new PromQLEngine(new MemorySeriesSource(SeriesText.Parse("x 1")));

        await Assert.ThrowsAsync<OperationCanceledException>(() => engine.InstantAsync("x", 0, new CancellationToken(canceled: true)));
    }

    static async Task<string> EvaluateAsync(string expression, int minute, string data)
    {
        var engine = new PromQLEngine(new MemorySeriesSource(SeriesText.Parse(data)));
        var value = await engine.InstantAsync(expression, minute * Minute, default);
        if (value is MatrixValue matrix)
            return string.Join("; ", matrix.Series.SelectMany(s => s.Times.Zip(s.Values, (t, v) => $"{s.Labels} @{t} {v}")));
        var vector = (VectorValue)value;
        return string.Join("; ", vector.Samples
            .Select(s => $"{s.Labels} {s.Value.ToString("R", CultureInfo.InvariantCulture)}").Order(StringComparer.Ordinal));
    }
}
