using Whistle.Inventory;
using Whistle.Telemetry;

namespace Whistle.BrowserTests;

/// <summary>A disk of a node that reports, of 100 GiB, with what else its node says.</summary>
sealed class Disk(NodeId node, string mountpoint, double used)
{
    const double Size = 100.0 * 1024 * 1024 * 1024;

    public NodeId Node => node;

    public string Mountpoint => mountpoint;

    public double Used { get; set; } = used;

    /// <summary>Of the size.</summary>
    public double GainAnHour { get; init; }

    /// <summary>Some is cleaned away by the runbook; what is left then.</summary>
    public double? Cleaned { get; init; }

    public void Grow(TimeSpan time) => Used = Math.Min(0.995, Used + (GainAnHour * time.TotalHours));

    public IEnumerable<TimeSeries> Series(IReadOnlyList<DateTimeOffset> times)
    {
        var last = times[^1];
        double UsedAt(DateTimeOffset at) =>
            Math.Clamp(Used - (GainAnHour * (last - at).TotalHours) + (0.002 * Math.Sin(at.ToUnixTimeSeconds() / 400.0)), 0.01, 0.995);
        yield return Of("node_filesystem_size_bytes", times, _ => Size, true);
        yield return Of("node_filesystem_avail_bytes", times, t => Size * (1 - UsedAt(t)), true);
        yield return Of("node_filesystem_files", times, _ => 1e6, true);
        yield return Of("node_filesystem_files_free", times, _ => 9e5, true);
        yield return Of("node_filesystem_readonly", times, _ => 0, true);
        yield return Of("node_memory_MemTotal_bytes", times, _ => 16e9);
        yield return Of("node_memory_MemAvailable_bytes", times, t => 9e9 + (1e9 * Math.Sin(t.ToUnixTimeSeconds() / 3000.0)));
        yield return Of("node_load1", times, t => 1.2 + Math.Sin(t.ToUnixTimeSeconds() / 700.0));
        yield return Of("node_boot_time_seconds", times, _ => 1_771_300_000);
        yield return Of("node_cpu_seconds_total", times, t => 0.7 * t.ToUnixTimeSeconds(), more: [("mode", "idle"), ("cpu", "0")]);
        yield return Of("node_scrape_collector_success", times, _ => 1, more: [("collector", "filesystem")]);
        yield return Of("whistle_agent_interval_seconds", times, _ => 15);
        // As the gateway proves that they came from the node's own agent.
        yield return Of("whistle_agent_collector_success", times, _ => 1, more: [("collector", "filesystem")]);
        yield return Of("whistle_agent_report_interval_seconds", times, _ => 15);
    }

    TimeSeries Of(
        string metric, IReadOnlyList<DateTimeOffset> times, Func<DateTimeOffset, double> value, bool isDisk = false,
        params (string, string)[] more)
    {
        (string, string)[] disk = isDisk ? [("device", "/dev/sdb1"), ("fstype", "ext4"), ("mountpoint", mountpoint)] : [];
        return new(
            Labels.OfMetric(metric, [("tenant", node.Tenant), ("cluster", node.Cluster), ("node", node.Node), .. disk, .. more]),
            [.. times.Select(t => new Sample(t.ToUnixTimeMilliseconds(), value(t)))]);
    }
}
