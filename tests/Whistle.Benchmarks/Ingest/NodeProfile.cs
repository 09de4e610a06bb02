using Whistle.Fixtures;
using Whistle.Telemetry;

namespace Whistle.Benchmarks.Ingest;

/// <summary>
/// What a node exporter 1.5 says about a busy server with 16 CPUs, 6 disks, 12 file systems and 8 interfaces: 1,000 series under its names
/// and labels, with job, instance and one external label. About a third changes from scrape to scrape, most of that counters; the rest
/// (errors that do not happen, sizes, flags, NFS methods never called) stands still. On an idle small machine 28 in 100 change.
/// </summary>
static class NodeProfile
{
    public const int SeriesPerNode = 1000;

    static readonly string[] MemoryMoving =
    [
        "MemFree", "MemAvailable", "Buffers", "Cached", "Active", "Inactive", "Active_anon", "Inactive_anon", "Active_file",
        "Inactive_file", "AnonPages", "Mapped", "Shmem", "Slab", "SReclaimable", "SUnreclaim", "KernelStack", "PageTables", "Dirty",
        "Writeback", "Committed_AS", "KReclaimable", "Percpu", "AnonHugePages",
    ];

    static readonly string[] MemoryStill =
    [
        "MemTotal", "SwapTotal", "SwapFree", "SwapCached", "Unevictable", "Mlocked", "Zswap", "Zswapped", "NFS_Unstable", "Bounce",
        "WritebackTmp", "CommitLimit", "VmallocTotal", "VmallocUsed", "VmallocChunk", "HardwareCorrupted", "ShmemHugePages",
        "ShmemPmdMapped", "FileHugePages", "FilePmdMapped", "HugePages_Total", "HugePages_Free", "HugePages_Rsvd", "HugePages_Surp",
        "Hugepagesize", "Hugetlb",
    ];

    static readonly string[] NetworkStill =
    [
        "receive_errs_total", "receive_drop_total", "receive_fifo_total", "receive_frame_total", "receive_compressed_total",
        "receive_multicast_total", "receive_nohandler_total", "transmit_errs_total", "transmit_drop_total", "transmit_fifo_total",
        "transmit_colls_total", "transmit_carrier_total", "transmit_compressed_total", "up", "mtu_bytes", "speed_bytes", "carrier",
        "carrier_changes_total", "carrier_up_changes_total", "carrier_down_changes_total", "flags", "iface_id", "iface_link", "dormant",
        "transmit_queue_length", "protocol_type", "net_dev_group", "name_assign_type",
    ];

    static readonly string[] DiskMoving =
    [
        "reads_completed_total", "read_bytes_total", "writes_completed_total", "writes_merged_total", "written_bytes_total",
    ];

    static readonly string[] DiskMovingSeconds =
    [
        "read_time_seconds_total", "write_time_seconds_total", "io_time_seconds_total", "io_time_weighted_seconds_total",
    ];

    static readonly string[] DiskStill =
    [
        "reads_merged_total", "io_now", "discards_completed_total", "discards_merged_total", "discarded_sectors_total",
        "discard_time_seconds_total", "flush_requests_total", "flush_requests_time_seconds_total", "info",
    ];

    static readonly string[] NetstatMoving =
    [
        "Tcp_InSegs", "Tcp_OutSegs", "Tcp_ActiveOpens", "Tcp_PassiveOpens", "Tcp_CurrEstab", "Tcp_RetransSegs", "Udp_InDatagrams",
        "Udp_OutDatagrams", "IpExt_InOctets", "IpExt_OutOctets", "Ip_Forwarding", "TcpExt_TCPSynRetrans",
    ];

    static readonly string[] NetstatStill =
    [
        "Tcp_InErrs", "Tcp_OutRsts", "Udp_InErrors", "Udp_NoPorts", "Udp_RcvbufErrors", "Udp_SndbufErrors", "UdpLite_InErrors",
        "Icmp_InErrors", "Icmp_InMsgs", "Icmp_OutMsgs", "Icmp6_InErrors", "Icmp6_InMsgs", "Icmp6_OutMsgs", "Udp6_InErrors", "Udp6_NoPorts",
        "TcpExt_ListenDrops", "TcpExt_ListenOverflows", "TcpExt_SyncookiesFailed", "TcpExt_SyncookiesRecv", "TcpExt_SyncookiesSent",
    ];

    static readonly string[] Collectors =
    [
        "arp", "bcache", "bonding", "btrfs", "conntrack", "cpu", "cpufreq", "diskstats", "dmi", "edac", "entropy", "fibrechannel", "filefd",
        "filesystem", "hwmon", "infiniband", "ipvs", "loadavg", "mdadm", "meminfo", "netclass", "netdev", "netstat", "nfs", "nfsd", "nvme",
        "os", "powersupplyclass", "pressure", "rapl", "schedstat", "selinux", "sockstat", "softnet", "stat", "tapestats", "textfile",
        "thermal_zone", "time", "timex", "udp_queues", "uname", "vmstat", "xfs", "zfs",
    ];

    static readonly string[] NfsMethods =
    [
        "Null", "GetAttr", "SetAttr", "Lookup", "Access", "ReadLink", "Read", "Write", "Create", "MkDir", "SymLink", "MkNod", "Remove",
        "RmDir", "Rename", "Link", "ReadDir", "ReadDirPlus", "FsStat", "FsInfo", "PathConf", "Commit", "Open", "Close", "Lock", "LockT",
        "LockU",
    ];

    /// <param name="node">Its number.</param>
    /// <param name="seed">Of its values.</param>
    public static List<FixtureSeries> Series(int node, uint seed = 1)
    {
        var builder = new Builder(node, seed);
        Processors(builder);
        Memory(builder);
        Disks(builder);
        FileSystems(builder);
        Network(builder);
        Rest(builder);
        for (var i = 0; builder.Series.Count < SeriesPerNode; i++)
            builder.Still(
                "nfs_requests_total", 0, ("method", NfsMethods[i % NfsMethods.Length]), ("proto", $"{2 + (i / NfsMethods.Length)}"));
        return builder.Series[..SeriesPerNode];
    }

    static void Processors(Builder b)
    {
        for (var cpu = 0; cpu < 16; cpu++)
        {
            var label = ("cpu", $"{cpu}");
            foreach (var (mode, share) in new[] { ("idle", 11.0), ("user", 2.5), ("system", 1.0), ("iowait", 0.2), ("softirq", 0.1) })
                b.Seconds("cpu_seconds_total", share, label, ("mode", mode));
            foreach (var mode in new[] { "irq", "nice", "steal" })
                b.Still("cpu_seconds_total", 0, label, ("mode", mode));
            foreach (var mode in new[] { "nice", "user" })
                b.Still("cpu_guest_seconds_total", 0, label, ("mode", mode));
            b.Seconds("schedstat_running_seconds_total", 3.8, label);
            b.Seconds("schedstat_waiting_seconds_total", 0.4, label);
            b.Counts("schedstat_timeslices_total", 24_000, label);
            b.Counts("softnet_processed_total", 9_000, label);
            b.Still("softnet_dropped_total", 0, label);
            b.Still("softnet_times_squeezed_total", 3, label);
            b.Pages("cpu_scaling_frequency_hertz", 2.4e9, label);
            b.Still("cpu_scaling_frequency_min_hertz", 8e8, label);
            b.Still("cpu_scaling_frequency_max_hertz", 3.6e9, label);
        }
    }

    static void Memory(Builder b)
    {
        foreach (var name in MemoryMoving)
            b.Pages($"memory_{name}_bytes", 4e9);
        foreach (var name in MemoryStill)
            b.Still($"memory_{name}_bytes", name.EndsWith("Total", StringComparison.Ordinal) ? 137_438_953_472 : 0);
        foreach (var name in new[] { "pgfault", "pgpgin", "pgpgout" })
            b.Counts($"vmstat_{name}", 70_000);
        foreach (var name in new[] { "pgmajfault", "pswpin", "pswpout", "oom_kill" })
            b.Still($"vmstat_{name}", 0);
    }

    static void Disks(Builder b)
    {
        foreach (var device in new[] { "nvme0n1", "nvme1n1", "sda", "sdb", "dm-0", "dm-1" })
        {
            foreach (var name in DiskMoving)
                b.Counts($"disk_{name}", name.Contains("byte", StringComparison.Ordinal) ? 3e7 : 900, ("device", device));
            foreach (var name in DiskMovingSeconds)
                b.Seconds($"disk_{name}", 0.7, ("device", device));
            foreach (var name in DiskStill)
                b.Still($"disk_{name}", name == "info" ? 1 : 0, ("device", device));
        }
    }

    static void FileSystems(Builder b)
    {
        for (var i = 0; i < 12; i++)
        {
            (string, string)[] labels =
            [
                ("device", i < 6 ? $"/dev/mapper/vg0-lv{i}" : "tmpfs"), ("fstype", i < 6 ? "ext4" : "tmpfs"),
                ("mountpoint", i == 0 ? "/" : $"/var/lib/volume-{i}"),
            ];
            foreach (var name in new[] { "avail_bytes", "free_bytes", "files_free" })
                b.Add(i < 6 ? Behaviour.PagesGauge : Behaviour.Constant, $"filesystem_{name}", 8e10, labels);
            foreach (var name in new[] { "size_bytes", "files", "readonly", "device_error" })
                b.Still($"filesystem_{name}", name is "size_bytes" or "files" ? 2.1e11 : 0, labels);
        }
    }

    static void Network(Builder b)
    {
        foreach (var device in new[] { "lo", "eth0", "eth1", "bond0", "cilium_host", "cilium_net", "docker0", "vxlan0" })
        {
            foreach (var direction in new[] { "receive", "transmit" })
            {
                b.Counts($"network_{direction}_bytes_total", 4e7, ("device", device));
                b.Counts($"network_{direction}_packets_total", 40_000, ("device", device));
            }

            foreach (var name in NetworkStill)
                b.Still($"network_{name}", name is "up" or "carrier" ? 1 : 0, ("device", device));
        }

        foreach (var name in NetstatMoving)
            b.Counts($"netstat_{name}", 12_000);
        foreach (var name in NetstatStill)
            b.Still($"netstat_{name}", 0);
    }

    static void Rest(Builder b)
    {
        foreach (var collector in Collectors)
        {
            b.Wavers("scrape_collector_duration_seconds", 0.004, ("collector", collector));
            b.Still("scrape_collector_success", 1, ("collector", collector));
        }

        foreach (var name in new[] { "load1", "load5", "load15", "timex_offset_seconds", "timex_maxerror_seconds", "time_seconds" })
            b.Wavers(name, 2);
        foreach (var name in new[] { "context_switches_total", "intr_total", "forks_total", "pressure_cpu_waiting_seconds_total" })
            b.Counts(name, 50_000);
        foreach (var name in new[]
        {
            "boot_time_seconds", "entropy_pool_size_bits", "filefd_maximum", "procs_blocked", "timex_status", "timex_tick_seconds",
        })
            b.Still(name, 1);
        for (var sensor = 1; sensor <= 18; sensor++)
            b.Wavers("hwmon_temp_celsius", 48, ("chip", "platform_coretemp_0"), ("sensor", $"temp{sensor}"));
    }

    sealed class Builder(int node, uint seed)
    {
        public List<FixtureSeries> Series { get; } = new(SeriesPerNode);

        public void Still(string name, double value, params (string, string)[] labels) => Add(Behaviour.Constant, name, value, labels);

        public void Counts(string name, double growth, params (string, string)[] labels) => Add(Behaviour.Counter, name, growth, labels);

        public void Seconds(string name, double growth, params (string, string)[] labels) =>
            Add(Behaviour.SecondsCounter, name, growth, labels);

        public void Pages(string name, double level, params (string, string)[] labels) => Add(Behaviour.PagesGauge, name, level, labels);

        public void Wavers(string name, double level, params (string, string)[] labels) => Add(Behaviour.FloatGauge, name, level, labels);

        public void Add(Behaviour behaviour, string name, double level, params (string, string)[] labels) => Series.Add(new FixtureSeries(
            Labels.OfMetric(
                $"node_{name}",
                [.. labels, ("job", "node-exporter"), ("instance", $"node-{node:000}.example.net:9100"), ("datacenter", "fra1")]),
            behaviour,
            level,
            (((seed * 10_007) + (uint)node) * SeriesPerNode) + (uint)Series.Count));
    }
}
