using Prometheus;

namespace Whistle.Alerting;

/// <summary>What the stage says about itself on <c>/metrics</c>.</summary>
sealed class AlertingMetrics
{
    public AlertingMetrics(IMetricFactory factory)
    {
        Decisions = factory.CreateCounter(
            "whistle_alerting_decisions_total", "What alerting decided: page, hold, resolve, change, ticket, digest…", ["kind"]);
        Deliveries = factory.CreateCounter(
            "whistle_alerting_deliveries_total", "Attempts to deliver, by how they ended: delivered, retried, failed.",
            ["channel", "result"]);
        Duration = factory.CreateHistogram(
            "whistle_alerting_delivery_seconds", "Duration of an attempt to deliver.", new HistogramConfiguration
            {
                LabelNames = ["channel"],
                Buckets = Histogram.ExponentialBuckets(0.01, 3, 9),
            });
        Pending = factory.CreateGauge("whistle_alerting_outbox_pending", "Notifications that wait to be sent.", ["channel"]);
        PassFailures = factory.CreateCounter("whistle_alerting_pass_failures_total", "Passes over the incidents that failed.");
        LastPass = factory.CreateGauge("whistle_alerting_last_pass_timestamp_seconds", "When the incidents were last looked at.");
    }

    public Counter Decisions { get; }

    public Counter Deliveries { get; }

    public Histogram Duration { get; }

    public Gauge Pending { get; }

    public Counter PassFailures { get; }

    public Gauge LastPass { get; }
}
