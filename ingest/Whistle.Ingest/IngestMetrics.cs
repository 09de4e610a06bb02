using System.Text.Json;

using Prometheus;

using Whistle.Telemetry;

namespace Whistle.Ingest;

/// <summary>What the stage says about itself on <c>/metrics</c>.</summary>
public sealed class IngestMetrics(CollectorRegistry registry)
{
    readonly MetricFactory _metrics = Metrics.WithCustomRegistry(registry);

    internal Counter Requests => field ??= _metrics.CreateCounter(
        "whistle_ingest_requests_total", "Remote-write requests by the status code of their answer.", "code");

    internal Counter Samples => field ??= _metrics.CreateCounter(
        "whistle_ingest_samples_total", "Samples that became durable.");

    internal Counter Rejected => field ??= _metrics.CreateCounter(
        "whistle_ingest_rejected_requests_total", "Requests refused as a whole, by reason.", "reason");

    internal Counter Dropped => field ??= _metrics.CreateCounter(
        "whistle_ingest_dropped_samples_total", "Samples not stored, by reason.", "reason");

    internal Counter Renamed => field ??= _metrics.CreateCounter(
        "whistle_ingest_renamed_samples_total", "Samples of metrics that only the server may record; a sender's are stored as exported_….");

    internal Counter Late => field ??= _metrics.CreateCounter(
        "whistle_ingest_late_samples_total", "Samples that came out of order and were stored.");

    internal Counter Unstored => field ??= _metrics.CreateCounter(
        "whistle_ingest_unstored_samples_total",
        "Samples that the server itself recorded while the store accepted none; only the head has them.");

    internal Counter HoursDropped => field ??= _metrics.CreateCounter(
        "whistle_store_hours_dropped_total", "Hours of telemetry that were dropped early because the disk was full.");

    internal Histogram CommitSeconds => field ??= _metrics.CreateHistogram(
        "whistle_store_commit_seconds", "Time to make a batch durable.",
        new HistogramConfiguration { Buckets = Histogram.ExponentialBuckets(0.001, 2, 14) });

    internal Counter DeadLetters => field ??= _metrics.CreateCounter(
        "whistle_log_dead_letters_total", "Records of the log that could not be decoded and were put aside.");

    internal Counter LostRecords => field ??= _metrics.CreateCounter(
        "whistle_log_lost_records_total", "Records that the log dropped before the store took them.");

    internal Gauge LogLag => field ??= _metrics.CreateGauge(
        "whistle_log_lag_records", "Records of a partition that are in the log and not yet in the store.", "partition");

    internal Counter LogRecords => field ??= _metrics.CreateCounter(
        "whistle_log_records_total", "Records that were read from the log.");

    internal Counter StoreFailures => field ??= _metrics.CreateCounter(
        "whistle_store_failures_total", "Batches and maintenance that the store rejected.", "operation");

    internal Counter Histograms => field ??= _metrics.CreateCounter(
        "whistle_ingest_skipped_histograms_total", "Native histograms in requests, which were skipped; Whistle stores float samples.");

    internal Gauge SeriesLimitUsed => field ??= _metrics.CreateGauge(
        "whistle_tenant_series_limit_used_ratio",
        "How much of a series limit a tenant uses, once half of it is used; by the reason for which samples are dropped past it.",
        "tenant", "limit");

    internal Gauge HeadSeries => field ??= _metrics.CreateGauge("whistle_head_series", "Series in the head.");
}

static class RefusalReasons
{
    public static string ToMetricLabel(this RemoteWriteErrorReason reason) =>
        JsonNamingPolicy.SnakeCaseLower.ConvertName(reason.ToString());
}
