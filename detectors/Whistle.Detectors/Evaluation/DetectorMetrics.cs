using Prometheus;

namespace Whistle.Detectors.Evaluation;

/// <summary>What the stage says about itself on <c>/metrics</c>.</summary>
sealed class DetectorMetrics
{
    public DetectorMetrics(IMetricFactory factory)
    {
        Evaluations = factory.CreateCounter("whistle_rule_evaluations_total", "Rule evaluations.", ["rule_group"]);
        Failures = factory.CreateCounter("whistle_rule_evaluation_failures_total", "Rule evaluations that failed.", ["rule_group"]);
        Overruns = factory.CreateCounter(
            "whistle_rule_group_overruns_total", "Evaluations skipped because the previous one took too long.", ["rule_group"]);
        Duration = factory.CreateHistogram(
            "whistle_rule_group_duration_seconds", "Duration of a group's evaluation.", new HistogramConfiguration
            {
                LabelNames = ["rule_group"],
                Buckets = Histogram.ExponentialBuckets(0.001, 4, 9),
            });
        Signals = factory.CreateGauge("whistle_signals", "Active signals.", ["state"]);
        InhibitedSignals = factory.CreateGauge("whistle_signals_inhibited", "Active signals that another one inhibits.");
        Reloads = factory.CreateCounter("whistle_rule_reloads_total", "Loads of the rule files.", ["result"]);
    }

    public Counter Evaluations { get; }

    public Counter Failures { get; }

    public Counter Overruns { get; }

    public Histogram Duration { get; }

    public Gauge Signals { get; }

    public Gauge InhibitedSignals { get; }

    public Counter Reloads { get; }
}
