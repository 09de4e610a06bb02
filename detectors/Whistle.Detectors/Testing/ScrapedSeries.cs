using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors.Testing;

/// <summary>
/// What says in a test whether a source is well: the series as they are, but a target that the test gives no <c>up</c> at all counts as
/// scraped at the test's interval, as promtool has it.
/// </summary>
sealed class ScrapedSeries(MemorySeries series, RuleTest test) : ISeriesSource
{
    public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation)
    {
        var ofUp = matchers.Any(m => m is { Name: Labels.MetricName, Operator: MatchOperator.Equal, Value: "up" });
        if (!ofUp || test.Series.Any(s => matchers.All(m => m.IsMatch(s.Labels))))
            return series.SelectAsync(matchers, minTime, maxTime, cancellation);
        var up = Labels.From(matchers.Select(m => new Label(m.Name, m.Value)));
        return new([new(up, [maxTime - (long)test.Interval.TotalMilliseconds, maxTime], [1, 1])]);
    }
}
