using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

using Whistle.Agent.Linux;
using Whistle.Agent.Reporting;

namespace Whistle.Agent.Sources;

/// <summary>Requests, bytes and times of each block device, from <c>/proc/diskstats</c>.</summary>
sealed partial class DiskstatsCollector(HostFile proc) : IReportSource
{
    // The kernel counts sectors of this size whatever the device has.
    const double Sector = 512;
    const double Millisecond = 1e-3;

    // In the kernel's order. Old kernels end after 11 or 15 fields.
    static readonly (string Metric, double Unit)[] Columns =
    [
        ("node_disk_reads_completed_total", 1),
        ("node_disk_reads_merged_total", 1),
        ("node_disk_read_bytes_total", Sector),
        ("node_disk_read_time_seconds_total", Millisecond),
        ("node_disk_writes_completed_total", 1),
        ("node_disk_writes_merged_total", 1),
        ("node_disk_written_bytes_total", Sector),
        ("node_disk_write_time_seconds_total", Millisecond),
        ("node_disk_io_now", 1),
        ("node_disk_io_time_seconds_total", Millisecond),
        ("node_disk_io_time_weighted_seconds_total", Millisecond),
        ("node_disk_discards_completed_total", 1),
        ("node_disk_discards_merged_total", 1),
        ("node_disk_discarded_sectors_total", 1),
        ("node_disk_discard_time_seconds_total", Millisecond),
        ("node_disk_flush_requests_total", 1),
        ("node_disk_flush_requests_time_seconds_total", Millisecond),
    ];

    readonly Names _names = new();
    readonly Dictionary<string, bool> _excluded = [];

    public SourceDescription Description { get; } = new() { Name = "diskstats", Sends = [.. Columns.Select(c => c.Metric)] };

    [ModuleInitializer]
    internal static void Add() => HostSources.Add(options => new DiskstatsCollector(new HostFile(options.ProcPath)));

    public void Collect(SeriesSet series)
    {
        var lines = new Lines(proc.Read("diskstats"));
        while (lines.Next(out var line))
        {
            var fields = new Fields(line);
            if (!fields.TryNext(out _) || !fields.TryNext(out _))
                continue;
            var device = _names.Of(fields.Next());
            if (device.Length > 0 && !IsExcluded(device))
                Add(series, device, fields);
        }
    }

    static void Add(SeriesSet series, string device, Fields fields)
    {
        foreach (var (metric, unit) in Columns)
        {
            if (!fields.TryNext(out var value))
                return;
            series.Add(metric, value * unit, "device", device);
        }
    }

    bool IsExcluded(string device)
    {
        if (!_excluded.TryGetValue(device, out var excluded))
            _excluded[device] = excluded = Excluded.IsMatch(device);
        return excluded;
    }

    // node_exporter's default: partitions, and devices that are no disks.
    [GeneratedRegex(@"^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$", RegexOptions.CultureInvariant)]
    static partial Regex Excluded { get; }
}
