namespace Whistle.Fixtures;

/// <summary>
/// What a node exporter says about a server with 8 CPUs, under its names and labels. On the sick node everything that is watched is wrong.
/// </summary>
sealed class NodeExporterSeries(Target target, bool sick)
{
    /// <summary>Series of one node.</summary>
    public const int Count = 507;

    const int Cpus = 8;
    const double Gibibyte = 1 << 30;

    static readonly string[] MemoryMoving =
    [
        "MemFree", "Buffers", "Cached", "Active", "Inactive", "Active_anon", "Inactive_anon", "Active_file", "Inactive_file", "AnonPages",
        "Mapped", "Shmem", "Slab", "SReclaimable", "SUnreclaim", "KernelStack", "PageTables", "Dirty", "Writeback", "Committed_AS",
        "KReclaimable", "Percpu",
    ];

    static readonly string[] MemoryStill =
    [
        "SwapTotal", "SwapFree", "SwapCached", "Unevictable", "Mlocked", "NFS_Unstable", "Bounce", "WritebackTmp", "VmallocUsed",
        "VmallocChunk", "HardwareCorrupted", "AnonHugePages", "HugePages_Total", "HugePages_Free", "HugePages_Rsvd", "HugePages_Surp",
    ];

    static readonly string[] DiskMoving =
        ["reads_completed_total", "read_bytes_total", "writes_completed_total", "writes_merged_total", "written_bytes_total"];

    static readonly string[] DiskSeconds = ["read_time_seconds_total", "write_time_seconds_total", "io_time_seconds_total"];

    static readonly string[] DiskStill =
        ["reads_merged_total", "io_now", "discards_completed_total", "discards_merged_total", "discarded_sectors_total", "info"];

    static readonly string[] NetworkStill =
    [
        "receive_fifo_total", "receive_frame_total", "receive_multicast_total", "transmit_fifo_total", "transmit_colls_total",
        "transmit_carrier_total", "mtu_bytes", "speed_bytes", "carrier", "carrier_changes_total", "flags", "iface_id",
        "transmit_queue_length",
    ];

    static readonly string[] NetstatMoving =
    [
        "Tcp_InSegs", "Tcp_OutSegs", "Tcp_ActiveOpens", "Tcp_PassiveOpens", "Tcp_RetransSegs", "Udp_InDatagrams", "Udp_OutDatagrams",
        "IpExt_InOctets", "IpExt_OutOctets",
    ];

    static readonly string[] NetstatStill =
    [
        "Tcp_InErrs", "Tcp_OutRsts", "Udp_InErrors", "Udp_NoPorts", "TcpExt_ListenDrops", "TcpExt_ListenOverflows",
        "TcpExt_SyncookiesSent",
    ];

    static readonly string[] Collectors =
    [
        "arp", "bonding", "conntrack", "cpu", "cpufreq", "diskstats", "edac", "filefd", "filesystem", "hwmon", "loadavg", "mdadm",
        "meminfo", "netclass", "netdev", "netstat", "nvme", "os", "pressure", "schedstat", "sockstat", "softnet", "stat", "systemd",
        "textfile", "time", "timex", "uname", "vmstat",
    ];

    static readonly string[] Units = ["chronyd.service", "containerd.service", "kubelet.service", "nfs-client.service", "sshd.service"];

    static readonly string[] UnitStates = ["activating", "active", "deactivating", "failed", "inactive"];

    /// <summary>The exporter's series and its <c>up</c>.</summary>
    public static void Add(List<FixtureSeries> series, uint seed, int node, bool sick) =>
        AddMetrics(series, seed, node, sick).Still("up", 1);

    /// <summary>The <see cref="Count"/> series without <c>up</c>.</summary>
    public static Target AddMetrics(List<FixtureSeries> series, uint seed, int node, bool sick)
    {
        var target = new Target(
            series, seed, ("job", "node-exporter"), ("namespace", "monitoring"), ("pod", Workloads.ExporterPod(node)),
            ("container", "node-exporter"), ("service", "node-exporter"), ("endpoint", "https"),
            ("instance", KubernetesFixture.NodeName(node)));
        var before = series.Count;
        new NodeExporterSeries(target, sick).Add();
        for (var sensor = 1; series.Count < before + Count; sensor++)
            target.Wavers("node_hwmon_temp_celsius", 48, ("chip", "platform_coretemp_0"), ("sensor", $"temp{sensor}"));
        if (series.Count != before + Count)
            throw new InvalidOperationException($"A node has {series.Count - before} series, more than the {Count} that it should have.");
        return target;
    }

    void Add()
    {
        Processors();
        Memory();
        Disks();
        FileSystems();
        Network();
        Services();
        Clock();
        Rest();
    }

    void Processors()
    {
        (string Mode, double Seconds)[] modes = sick
            ? [("idle", 0.1), ("user", 14.6), ("system", 0.2), ("iowait", 0.1)]
            : [("idle", 11.2), ("user", 2.5), ("system", 1.0), ("iowait", 0.3)];
        for (var cpu = 0; cpu < Cpus; cpu++)
        {
            var label = ("cpu", $"{cpu}");
            foreach (var (mode, seconds) in modes)
                target.Seconds("node_cpu_seconds_total", seconds, label, ("mode", mode));
            foreach (var mode in new[] { "irq", "nice", "softirq", "steal" })
                target.Still("node_cpu_seconds_total", 0, label, ("mode", mode));
            foreach (var mode in new[] { "nice", "user" })
                target.Still("node_cpu_guest_seconds_total", 0, label, ("mode", mode));
            target.Seconds("node_schedstat_running_seconds_total", 3.8, label);
            target.Counts("node_schedstat_timeslices_total", 24_000, label);
            target.Counts("node_softnet_processed_total", 9_000, label);
            target.Still("node_softnet_dropped_total", 0, label);
            target.Pages("node_cpu_scaling_frequency_hertz", 2.4e9, label);
        }
    }

    void Memory()
    {
        target.Still("node_memory_MemTotal_bytes", 32 * Gibibyte);
        target.Pages("node_memory_MemAvailable_bytes", (sick ? 1.5 : 20) * Gibibyte);
        foreach (var name in MemoryMoving)
            target.Pages($"node_memory_{name}_bytes", Gibibyte);
        foreach (var name in MemoryStill)
            target.Still($"node_memory_{name}_bytes", 0);
        target.Counts("node_vmstat_pgmajfault", sick ? 12_000 : 3);
        foreach (var name in new[] { "pgfault", "pgpgin", "pgpgout" })
            target.Counts($"node_vmstat_{name}", 70_000);
        foreach (var name in new[] { "pswpin", "pswpout", "oom_kill" })
            target.Still($"node_vmstat_{name}", 0);
    }

    void Disks()
    {
        foreach (var device in new[] { "nvme0n1", "sda", "dm-0" })
        {
            foreach (var name in DiskMoving)
                target.Counts($"node_disk_{name}", name.Contains("byte", StringComparison.Ordinal) ? 3e7 : 900, ("device", device));
            foreach (var name in DiskSeconds)
                target.Seconds($"node_disk_{name}", 0.7, ("device", device));
            target.Seconds("node_disk_io_time_weighted_seconds_total", sick && device == "sda" ? 240 : 1.2, ("device", device));
            foreach (var name in DiskStill)
                target.Still($"node_disk_{name}", name == "info" ? 1 : 0, ("device", device));
        }

        var (active, failed) = sick ? (1, 1) : (2, 0);
        foreach (var (state, disks) in new[] { ("active", active), ("failed", failed), ("recovering", 0), ("spare", 0) })
            target.Still("node_md_disks", disks, ("device", "md0"), ("state", state));
        target.Still("node_md_disks_required", 2, ("device", "md0"));
        target.Still("node_md_blocks", 1e9, ("device", "md0"));
        target.Still("node_md_blocks_synced", 1e9, ("device", "md0"));
    }

    void FileSystems()
    {
        const double Size = 200 * Gibibyte, Files = 12e6;
        foreach (var mount in new[] { "/", "/boot", "/var/lib/containerd", "/var/lib/data" })
        {
            (string, string)[] labels = [("device", "/dev/mapper/vg0"), ("fstype", "ext4"), ("mountpoint", mount)];
            var full = sick && mount == "/var/lib/data";
            foreach (var name in new[] { "avail_bytes", "free_bytes" })
                target.Add(
                    full ? Behaviour.Draining : Behaviour.PagesGauge, $"node_filesystem_{name}", Size * (full ? 0.025 : 0.6), labels);
            target.Add(full ? Behaviour.Draining : Behaviour.Constant, "node_filesystem_files_free", Files * (full ? 0.025 : 0.9), labels);
            target.Still("node_filesystem_size_bytes", Size, labels);
            target.Still("node_filesystem_files", Files, labels);
            target.Still("node_filesystem_readonly", 0, labels);
            target.Still("node_filesystem_device_error", 0, labels);
        }
    }

    void Network()
    {
        foreach (var device in new[] { "lo", "eth0", "eth1", "bond0" })
        {
            var label = ("device", device);
            foreach (var direction in new[] { "receive", "transmit" })
            {
                target.Counts($"node_network_{direction}_bytes_total", 4e7, label);
                target.Counts($"node_network_{direction}_packets_total", 40_000, label);
                target.Counts($"node_network_{direction}_errs_total", sick && device == "eth1" ? 1_500 : 0, label);
                target.Counts($"node_network_{direction}_drop_total", 0.2, label);
            }

            target.Add(sick && device == "eth1" ? Behaviour.Flapping : Behaviour.Constant, "node_network_up", 1, label);
            foreach (var name in NetworkStill)
                target.Still($"node_network_{name}", name == "carrier" ? 1 : 0, label);
        }

        target.Still("node_bonding_slaves", 2, ("master", "bond0"));
        target.Still("node_bonding_active", sick ? 1 : 2, ("master", "bond0"));
        target.Still("node_nf_conntrack_entries", sick ? 90_000 : 20_000);
        target.Still("node_nf_conntrack_entries_limit", 100_000);
        foreach (var name in NetstatMoving)
            target.Counts($"node_netstat_{name}", 12_000);
        foreach (var name in NetstatStill)
            target.Still($"node_netstat_{name}", 0);
    }

    void Services()
    {
        foreach (var unit in Units)
        {
            var failed = sick && unit.StartsWith("nfs", StringComparison.Ordinal);
            target.States("node_systemd_unit_state", "state", UnitStates, failed ? "failed" : "active", ("name", unit), ("type", "simple"));
            target.Counts("node_systemd_service_restart_total", failed ? 0.25 : 0, ("name", unit));
        }
    }

    void Clock()
    {
        target.Still("node_timex_offset_seconds", sick ? 0.06 : 0.0002);
        target.Still("node_timex_sync_status", sick ? 0 : 1);
        target.Still("node_timex_maxerror_seconds", sick ? 16 : 0.02);
        target.Wavers("node_timex_frequency_adjustment_ratio", 1);
        target.Still("node_timex_status", sick ? 64 : 0);
        target.Still("node_timex_tick_seconds", 0.01);
        target.Seconds("node_time_seconds", 15);
        target.Still("node_boot_time_seconds", 1.7e9);
    }

    void Rest()
    {
        foreach (var collector in Collectors)
        {
            target.Wavers("node_scrape_collector_duration_seconds", 0.004, ("collector", collector));
            target.Still("node_scrape_collector_success", 1, ("collector", collector));
        }

        foreach (var name in new[] { "load1", "load5", "load15" })
            target.Wavers($"node_{name}", sick ? 40 : 2);
        foreach (var name in new[] { "context_switches_total", "intr_total", "forks_total" })
            target.Counts($"node_{name}", 50_000);
        foreach (var resource in new[] { "cpu", "io", "memory" })
            target.Seconds($"node_pressure_{resource}_waiting_seconds_total", sick ? 6 : 0.1);
        target.Still("node_textfile_scrape_error", sick ? 1 : 0);
        target.Still("node_filefd_allocated", sick ? 980_000 : 9_000);
        target.Still("node_filefd_maximum", 1_000_000);
        target.Still("node_procs_running", 2);
        target.Still("node_procs_blocked", 0);
        target.Still("node_uname_info", 1, ("machine", "x86_64"), ("sysname", "Linux"));
    }
}
