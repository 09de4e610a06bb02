using Whistle.Actions.Policy;
using Whistle.Agent.Reporting;
using Whistle.Telemetry;

namespace Whistle.Demo;

/// <summary>Who a simulated node is, and what is on it.</summary>
sealed record NodeSpec(string Cluster, string Name, int Cores, long Memory, DateTimeOffset BootedAt, IReadOnlyList<DiskModel> Disks)
{
    public const string Tenant = "default";

    /// <summary>For all that is random about it.</summary>
    public required int Seed { get; init; }

    /// <summary>What its owner lets the agent change. Held in memory: no file of this machine has a say, and none is changed.</summary>
    public NodePolicy Policy { get; init; } = new();

    /// <summary>From then on nothing is heard of it.</summary>
    public DateTimeOffset? SilentFrom { get; init; }

    /// <summary>It has a part in the script, so its history is filled in by the minute.</summary>
    public bool IsScripted { get; init; }
}

/// <summary>
/// What a node's collectors see, as a function of time: any instant can be asked for, in any order and step. Names and labels are
/// node_exporter's, a part of what the agent reports of a real host. Not thread-safe.
/// </summary>
sealed class NodeModel
{
    const double ClockTicks = 100;

    readonly NodeSpec _spec;
    readonly double[] _phases;
    readonly double _busy;
    readonly string[] _cpus;

    public NodeModel(NodeSpec spec)
    {
        var random = new Random(spec.Seed);
        _spec = spec;
        _phases = [.. Enumerable.Range(0, 8).Select(_ => Math.Tau * random.NextDouble())];
        _busy = 0.12 + (0.4 * random.NextDouble());
        _cpus = [.. Enumerable.Range(0, spec.Cores).Select(i => $"{i}")];
        Collectors =
        [
            new Collector("cpu", Cpu), new Collector("diskstats", Diskstats), new Collector("filesystem", Filesystems),
            new Collector("loadavg", Load), new Collector("meminfo", Memory), new Collector("netdev", Network),
            new Collector("pressure", Pressure), new Collector("stat", Stat),
            new Collector("time", s => s.Add("node_time_seconds", UnixSeconds)), new Collector("timex", Timex),
            new Collector("uname", Uname),
        ];
    }

    public IReadOnlyList<IReportSource> Collectors { get; }

    /// <summary>The instant that the collectors see.</summary>
    public DateTimeOffset Now { get; set; }

    double Uptime => (Now - _spec.BootedAt).TotalSeconds;

    double UnixSeconds => (Now - DateTimeOffset.UnixEpoch).TotalSeconds;

    void Cpu(SeriesSet series)
    {
        for (var cpu = 0; cpu < _cpus.Length; cpu++)
        {
            var busy = Total(_busy, 0.5, minutes: 37, _phases[0] + (0.2 * cpu));
            Add("user", 0.70 * busy);
            Add("system", 0.25 * busy);
            Add("iowait", 0.05 * busy);
            Add("idle", Math.Max(Uptime - busy, 0));

            void Add(string mode, double seconds) =>
                series.Add(
                    "node_cpu_seconds_total", Math.Floor(seconds * ClockTicks) / ClockTicks, new Label("cpu", _cpus[cpu]),
                    new Label("mode", mode));
        }
    }

    void Load(SeriesSet series)
    {
        var load = _spec.Cores * (_busy + (0.5 * _busy * Wave(37, _phases[0])));
        series.Add("node_load1", Math.Round(load * (1 + (0.15 * Wave(3, _phases[1]))), 2));
        series.Add("node_load5", Math.Round(load * (1 + (0.05 * Wave(11, _phases[1]))), 2));
        series.Add("node_load15", Math.Round(load, 2));
    }

    void Memory(SeriesSet series)
    {
        var available = _spec.Memory * (0.42 + (0.08 * Wave(90, _phases[2])) + (0.01 * Wave(4, _phases[3])));
        series.Add("node_memory_MemTotal_bytes", _spec.Memory);
        series.Add("node_memory_MemAvailable_bytes", Pages(available));
        series.Add("node_memory_MemFree_bytes", Pages(0.3 * available));
        series.Add("node_memory_Cached_bytes", Pages(0.6 * available));
        series.Add("node_memory_Buffers_bytes", Pages(0.02 * available));
        series.Add("node_memory_SwapTotal_bytes", 0);
        series.Add("node_memory_SwapFree_bytes", 0);
    }

    void Filesystems(SeriesSet series)
    {
        foreach (var disk in _spec.Disks)
        {
            ReadOnlySpan<Label> labels = [new("device", disk.Device), new("fstype", disk.Type), new("mountpoint", disk.Mountpoint)];
            series.Add("node_filesystem_device_error", 0, labels);
            series.Add("node_filesystem_readonly", 0, labels);
            series.Add("node_filesystem_size_bytes", disk.Size, labels);
            series.Add("node_filesystem_free_bytes", Pages(disk.FreeAt(Now)), labels);
            series.Add("node_filesystem_avail_bytes", Pages(disk.AvailableAt(Now)), labels);
            series.Add("node_filesystem_files", disk.Inodes, labels);
            series.Add("node_filesystem_files_free", disk.FreeInodesAt(Now), labels);
        }
    }

    void Diskstats(SeriesSet series)
    {
        series.Add("node_disk_read_bytes_total", Whole(Total(2.2e6, 0.6, 19, _phases[4])), "device", "nvme0n1");
        series.Add("node_disk_written_bytes_total", Whole(Total(7.5e6, 0.6, 23, _phases[5])), "device", "nvme0n1");
        series.Add("node_disk_io_time_seconds_total", Math.Round(Total(0.04, 0.6, 23, _phases[5]), 3), "device", "nvme0n1");
    }

    void Network(SeriesSet series)
    {
        series.Add("node_network_receive_bytes_total", Whole(Total(1.8e7, 0.7, 29, _phases[6])), "device", "eth0");
        series.Add("node_network_transmit_bytes_total", Whole(Total(1.1e7, 0.7, 29, _phases[7])), "device", "eth0");
    }

    void Pressure(SeriesSet series)
    {
        series.Add("node_pressure_cpu_waiting_seconds_total", Math.Round(Total(0.05 * _busy, 0.8, 37, _phases[0]), 6));
        series.Add("node_pressure_io_waiting_seconds_total", Math.Round(Total(0.01, 0.8, 23, _phases[5]), 6));
        series.Add("node_pressure_memory_waiting_seconds_total", 0);
    }

    void Stat(SeriesSet series)
    {
        series.Add("node_boot_time_seconds", (_spec.BootedAt - DateTimeOffset.UnixEpoch).TotalSeconds);
        series.Add("node_context_switches_total", Whole(Total(9000, 0.5, 37, _phases[0])));
        series.Add("node_procs_running", 1 + Math.Round(_spec.Cores * _busy));
        series.Add("node_procs_blocked", 0);
    }

    void Timex(SeriesSet series)
    {
        series.Add("node_timex_sync_status", 1);
        series.Add("node_timex_offset_seconds", Math.Round(2e-4 * Wave(41, _phases[3]), 9));
    }

    void Uname(SeriesSet series) => series.Add(
        "node_uname_info", 1, new Label("domainname", "(none)"), new Label("machine", "x86_64"), new Label("nodename", _spec.Name),
        new Label("release", "6.1.0-28-amd64"), new Label("sysname", "Linux"),
        new Label("version", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1"));

    double Wave(double minutes, double phase) => Math.Sin((Math.Tau * UnixSeconds / (60 * minutes)) + phase);

    /// <summary>What has come together since the boot at a rate that swings around its mean; it never steps back.</summary>
    /// <param name="rate">A second.</param>
    /// <param name="swing">Below 1: part of the rate.</param>
    double Total(double rate, double swing, double minutes, double phase)
    {
        var frequency = Math.Tau / (60 * minutes);
        return rate * (Uptime + (swing / frequency * (Math.Cos(phase) - Math.Cos((frequency * Uptime) + phase))));
    }

    static double Whole(double value) => Math.Floor(Math.Max(value, 0));

    static double Pages(double bytes) => Math.Floor(bytes / 4096) * 4096;

    sealed class Collector(string name, Action<SeriesSet> collect) : IReportSource
    {
        public SourceDescription Description { get; } = new() { Name = name, Sends = ["node_*"], Timeout = Timeout.InfiniteTimeSpan };

        public void Collect(SeriesSet series) => collect(series);
    }
}
