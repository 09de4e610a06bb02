using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors.Evaluation;

/// <summary>
/// What says of nodes whether they report, as only their own agents can have said it: a cluster's collector, too, may send the series of
/// a node_exporter under a node's name. All else is read as it is.
/// </summary>
sealed class OwnReports(ISeriesSource series) : ISeriesSource
{
    public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation) =>
        series.SelectAsync([.. matchers.Select(Own)], minTime, maxTime, cancellation);

    static LabelMatcher Own(LabelMatcher matcher) => matcher switch
    {
        { Name: Labels.MetricName, Operator: MatchOperator.Equal, Value: ReservedMetrics.CollectorSuccess } =>
            Named(ReservedMetrics.OwnCollectorSuccess),
        { Name: Labels.MetricName, Operator: MatchOperator.Equal, Value: ReservedMetrics.AgentInterval } =>
            Named(ReservedMetrics.OwnInterval),
        _ => matcher,
    };

    static LabelMatcher Named(string metric) => new(Labels.MetricName, MatchOperator.Equal, metric);
}
