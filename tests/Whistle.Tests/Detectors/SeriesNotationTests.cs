using Whistle.Detectors.Testing;
using Whistle.PromQL;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Detectors;

public sealed class SeriesNotationTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData(" 1  2\t3\n4 ", "1 2 3 4")]
    [InlineData("5 -1.5 +2 1e3 1E-2 .5 2.", "5 -1.5 2 1000 0.01 0.5 2")]
    [InlineData("Inf -Inf +inf NaN", "Infinity -Infinity Infinity NaN")]
    [InlineData("1+2x3 8-2x2 4x2 0x2", "1 3 5 7 8 6 4 4 4 4 0 0 0")]
    [InlineData("-2+4x3 -1-1x1 1e1+1e1x1", "-2 2 6 10 -1 -2 10 20")]
    [InlineData("1 _ _x2 stale 1x0 _x0", "1 _ _ _ stale 1")]
    [InlineData("0+0.1x3", "0 0.1 0.2 0.30000000000000004")]
    public void Values_expand_as_in_Prometheus(string text, string expected) => Assert.Equal(
        expected, string.Join(
            ' ', SeriesNotation.Values(text).Select(v => v is not { } value ? "_" : StaleMarker.Is(value) ? "stale" : $"{value:R}")));

    [Theory]
    [InlineData("1 two", 2, "\"two\" is not a value")]
    [InlineData("1+2", 0, "\"1+2\" is not a value")]
    [InlineData("1 2 3x", 4, "\"3x\" is not a value")]
    [InlineData("stalex3", 0, "is not a value")]
    [InlineData("1 {{schema:1 sum:2}}", 2, "native histograms ({{…}}) are not supported")]
    [InlineData("1x999999 1x2", 9, "more than 1000000 values")]
    [InlineData("1x99999999999", 0, "more than 1000000 values")]
    public void What_is_no_value_is_told_with_its_place(string text, int offset, string reason)
    {
        var e = Assert.Throws<PromQLException>(() => SeriesNotation.Values(text));
        Assert.Equal(offset, e.Offset);
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("up", "up")]
    [InlineData(" up{a=\"1\", b='2'} ", "up{a=\"1\",b=\"2\"}")]
    [InlineData("{a=\"1\"}", "{a=\"1\"}")]
    [InlineData("{ }", "{}")]
    [InlineData("", "{}")]
    public void A_series_is_a_name_with_labels(string text, string expected) =>
        Assert.Equal(expected, SeriesNotation.Labels(text).ToString());

    [Theory]
    [InlineData("up{a!=\"1\"}")]
    [InlineData("up offset 1m")]
    [InlineData("up + 1")]
    [InlineData("up{a=\"1\",a=\"2\"}")]
    [InlineData("up{")]
    public void What_selects_more_is_no_series(string text) =>
        Assert.NotNull(Assert.Throws<PromQLException>(() => SeriesNotation.Labels(text)).Offset);

    [Theory]
    [InlineData("1.5", 1.5)]
    [InlineData("-.inf", double.NegativeInfinity)]
    [InlineData(".Inf", double.PositiveInfinity)]
    [InlineData("+Inf", double.PositiveInfinity)]
    [InlineData(".nan", double.NaN)]
    [InlineData("1x3", null)]
    [InlineData("", null)]
    public void A_number_is_read_as_YAML_and_Prometheus_write_it(string text, double? expected) =>
        Assert.Equal(expected, SeriesNotation.Number(text));
}
