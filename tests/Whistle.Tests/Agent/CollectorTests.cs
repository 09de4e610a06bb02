using Microsoft.Extensions.Time.Testing;

using Whistle.Agent.Linux;
using Whistle.Agent.Reporting;
using Whistle.Agent.Sources;

using Xunit;

namespace Whistle.Tests.Agent;

public sealed class CollectorTests : IDisposable
{
    readonly HostFixture _host = new();

    public void Dispose() => _host.Dispose();

    [Fact]
    public void Cpu_ticks_become_seconds_and_unknown_lines_are_skipped()
    {
        _host.Write("stat", "cpu  1 2 3\ncpu0 100 0 250 1000\ncpux 1 2\n\ncpu12 7 1 2 3 4 5 6 8 9 10 11 12\ncpu3 nonsense\nintr 5\n");

        Assert.Equal(
            [
                "node_cpu_guest_seconds_total{cpu=\"12\",mode=\"nice\"} 0.1",
                "node_cpu_guest_seconds_total{cpu=\"12\",mode=\"user\"} 0.09",
                "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 10",
                "node_cpu_seconds_total{cpu=\"0\",mode=\"nice\"} 0",
                "node_cpu_seconds_total{cpu=\"0\",mode=\"system\"} 2.5",
                "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 1",
                "node_cpu_seconds_total{cpu=\"12\",mode=\"idle\"} 0.03",
                "node_cpu_seconds_total{cpu=\"12\",mode=\"iowait\"} 0.04",
                "node_cpu_seconds_total{cpu=\"12\",mode=\"irq\"} 0.05",
                "node_cpu_seconds_total{cpu=\"12\",mode=\"nice\"} 0.01",
                "node_cpu_seconds_total{cpu=\"12\",mode=\"softirq\"} 0.06",
                "node_cpu_seconds_total{cpu=\"12\",mode=\"steal\"} 0.08",
                "node_cpu_seconds_total{cpu=\"12\",mode=\"system\"} 0.02",
                "node_cpu_seconds_total{cpu=\"12\",mode=\"user\"} 0.07",
            ],
            Reports.Of(new CpuCollector(_host.Files)).Lines());
    }

    [Fact]
    public void Idle_time_that_steps_back_a_little_stands_still_and_a_replaced_processor_starts_anew()
    {
        var report = Reports.Of(new CpuCollector(_host.Files));
        string Idle(string ticks)
        {
            _host.Write("stat", $"cpu0 0 0 0 {ticks}\n");
            return report.Lines().Single(l => l.Contains("idle", StringComparison.Ordinal)).Split(' ')[1];
        }

        Assert.Equal("10", Idle("1000"));
        Assert.Equal("10", Idle("995"));
        Assert.Equal("10.5", Idle("1050"));
        Assert.Equal("2", Idle("200"));
    }

    [Fact]
    public void Memory_is_in_bytes_where_the_kernel_gives_kB()
    {
        _host.Write("meminfo", "MemTotal:  2 kB\nActive(anon):   1 kB\nHugePages_Total:   7\nodd line\nBroken: x kB\n:\n");

        Assert.Equal(
            ["node_memory_Active_anon_bytes 1024", "node_memory_HugePages_Total 7", "node_memory_MemTotal_bytes 2048"],
            Reports.Of(new MeminfoCollector(_host.Files)).Lines());
    }

    [Fact]
    public void Disks_are_shown_without_their_partitions_and_with_as_many_columns_as_the_kernel_has()
    {
        _host.Write("diskstats",
            "   8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n   8 1 sda1 1 1 1 1\n 7 0 loop0 1 1\n 259 0 nvme0n1 3 0 4\n"
            + "259 1 nvme0n1p1 1\nrubbish\n");

        Assert.Equal(
            [
                "node_disk_discard_time_seconds_total{device=\"sda\"} 0.015",
                "node_disk_discarded_sectors_total{device=\"sda\"} 14",
                "node_disk_discards_completed_total{device=\"sda\"} 12",
                "node_disk_discards_merged_total{device=\"sda\"} 13",
                "node_disk_flush_requests_time_seconds_total{device=\"sda\"} 0.017",
                "node_disk_flush_requests_total{device=\"sda\"} 16",
                "node_disk_io_now{device=\"sda\"} 9",
                "node_disk_io_time_seconds_total{device=\"sda\"} 0.01",
                "node_disk_io_time_weighted_seconds_total{device=\"sda\"} 0.011",
                "node_disk_read_bytes_total{device=\"nvme0n1\"} 2048",
                "node_disk_read_bytes_total{device=\"sda\"} 1536",
                "node_disk_read_time_seconds_total{device=\"sda\"} 0.004",
                "node_disk_reads_completed_total{device=\"nvme0n1\"} 3",
                "node_disk_reads_completed_total{device=\"sda\"} 1",
                "node_disk_reads_merged_total{device=\"nvme0n1\"} 0",
                "node_disk_reads_merged_total{device=\"sda\"} 2",
                "node_disk_write_time_seconds_total{device=\"sda\"} 0.008",
                "node_disk_writes_completed_total{device=\"sda\"} 5",
                "node_disk_writes_merged_total{device=\"sda\"} 6",
                "node_disk_written_bytes_total{device=\"sda\"} 3584",
            ],
            Reports.Of(new DiskstatsCollector(_host.Files)).Lines());
    }

    [Fact]
    public void Network_counters_are_read_also_where_no_blank_follows_the_name_and_where_the_name_holds_a_colon()
    {
        _host.Write("net/dev", "Inter-| Receive | Transmit\n face |bytes packets|bytes\n  eth0:11 2 3\neth0:1: 4\n");
        _host.Write("class/net/eth0/operstate", "up\n");
        _host.Write("class/net/lo/operstate", "unknown\n");
        Directory.CreateDirectory(Path.Join(_host.Folder, "class/net/vanishing"));

        Assert.Equal(
            [
                "node_network_receive_bytes_total{device=\"eth0\"} 11",
                "node_network_receive_bytes_total{device=\"eth0:1\"} 4",
                "node_network_receive_errs_total{device=\"eth0\"} 3",
                "node_network_receive_packets_total{device=\"eth0\"} 2",
                "node_network_up{device=\"eth0\"} 1",
                "node_network_up{device=\"lo\"} 0",
            ],
            Reports.Of(new NetdevCollector(_host.Files), new NetclassCollector(_host.Files)).Lines());
    }

    [Fact]
    public void The_rest_of_the_kernel_is_read_under_the_names_of_node_exporter()
    {
        _host.Write("loadavg", "0.5 1.25 2 1/234 5678\n");
        _host.Write("pressure/cpu", "some avg10=1.00 total=2500000\nfull avg10=0.00 total=7\n");
        _host.Write("pressure/io", "some total=1\nfull avg10=0 total=500000\n");
        _host.Write("pressure/memory", "odd total=9\nsome\n");
        _host.Write("stat", "cpu 1\nintr 77 1 2 3\nctxt 5\nbtime 1700000000\nprocesses 9\nprocs_running 2\nprocs_blocked 1\nsoftirq 4\n");
        var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_250));

        Assert.Equal(
            [
                "node_boot_time_seconds 1700000000", "node_context_switches_total 5", "node_forks_total 9", "node_intr_total 77",
                "node_load1 0.5", "node_load15 2", "node_load5 1.25",
                "node_pressure_cpu_waiting_seconds_total 2.5", "node_pressure_io_stalled_seconds_total 0.5",
                "node_pressure_io_waiting_seconds_total 1E-06", "node_procs_blocked 1", "node_procs_running 2",
                "node_time_seconds 1700000000.25",
            ],
            Reports.Of(
                new LoadavgCollector(_host.Files), new PressureCollector(_host.Files), new StatCollector(_host.Files),
                new TimeCollector(time))
                .Lines());
    }

    [Fact]
    public void File_systems_are_those_that_node_exporter_shows_named_as_the_host_names_them()
    {
        _host.Write("1/mounts",
            "/dev/sda1 /host ext4 rw,relatime 0 0\n/dev/sdb /host/mnt/a\\040b xfs ro,noatime 0 0\nproc /host/proc proc rw 0 0\n"
            + "/dev/sdc /host/dev/x ext4 rw 0 0\n/dev/sdd /hostile ext4 rw 0 0\nshort line\n/dev/sda1 /host ext4 rw 0 0\n");
        var asked = new List<string>();
        var probe = Probe(path =>
        {
            asked.Add(path);
            return path.EndsWith('b') ? throw new IOException("dead") : new Usage(100, 50, 40, 10, 5);
        });

        var lines = Reports.Of(new FilesystemCollector(_host.Files, "/host", probe)).Lines();

        Assert.Equal(["/host/", "/host/mnt/a b", "/host/hostile", "/host/"], asked);
        Assert.Equal(
            [
                "node_filesystem_avail_bytes{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"} 40",
                "node_filesystem_device_error{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"} 0",
                "node_filesystem_files_free{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"} 5",
                "node_filesystem_files{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"} 10",
                "node_filesystem_free_bytes{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"} 50",
                "node_filesystem_readonly{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"} 0",
                "node_filesystem_size_bytes{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"} 100",
            ],
            lines.Where(l => l.Contains("sda1", StringComparison.Ordinal)));
        Assert.Equal(
            [
                "node_filesystem_device_error{device=\"/dev/sdb\",fstype=\"xfs\",mountpoint=\"/mnt/a b\"} 1",
                "node_filesystem_readonly{device=\"/dev/sdb\",fstype=\"xfs\",mountpoint=\"/mnt/a b\"} 1",
            ],
            lines.Where(l => l.Contains("sdb", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_mount_that_hangs_fails_alone_is_not_asked_again_and_recovers_when_its_call_returns()
    {
        _host.Write("1/mounts", "server:/x /x nfs4 rw 0 0\n/dev/sda / ext4 rw 0 0\nserver:/y /y nfs4 rw 0 0\n");
        using var release = new ManualResetEventSlim(true);
        var calls = 0;
        var probe = Probe(path =>
        {
            if (path == "/x")
            {
                Interlocked.Increment(ref calls);
                release.Wait();
            }

            return new Usage(1, 1, 1, 1, 1);
        });
        var report = Reports.Of(new FilesystemCollector(_host.Files, "/", probe));
        Assert.Equal(["0", "0", "0"], Errors());

        release.Reset();
        Assert.Equal(["0", "1", "0"], Errors());
        // Neither gone nor known: no marker for the sizes of the mount that hangs.
        Assert.DoesNotContain(report.Lines(), line => line.EndsWith("stale", StringComparison.Ordinal));
        Assert.Equal(["0", "1", "0"], Errors());
        Assert.Equal(2, calls);

        release.Set();
        Assert.True(SpinWait.SpinUntil(() => Errors().SequenceEqual(["0", "0", "0"]), TimeSpan.FromSeconds(30)));

        string[] Errors() =>
            [.. report.Lines().Where(l => l.StartsWith("node_filesystem_device_error", StringComparison.Ordinal))
                .Select(l => l.Split(' ')[1])];
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n\n\0\n")]
    [InlineData("cpu0\ncpu99999999999999999999 1\nA(: 1 kB\n:: :\n")]
    [InlineData("1 2 3 4e400 -1 NaN : : :\ntotal=\nsome total=\n")]
    public void Odd_content_crashes_no_collector(string content)
    {
        // A report would take any exception for a host that has nothing to read, so the collectors are called themselves.
        foreach (var path in new[]
        {
            "stat", "meminfo", "diskstats", "net/dev", "loadavg", "pressure/cpu", "pressure/io", "pressure/memory", "1/mounts",
            "class/net/eth0/operstate",
        })
            _host.Write(path, content);

        var sources = HostSources.Of(new() { Buffer = new() { Folder = "unused" }, ProcPath = _host.Folder, SysPath = _host.Folder });
        Assert.All(sources, s => Assert.True(Record.Exception(() => Read(s)) is null or NoDataException, s.Description.Name));
    }

    static void Read(IReportSource source)
    {
        var series = new SeriesSet();
        series.Begin();
        source.Collect(series);
    }

    static MountProbe Probe(Func<string, Usage> ask) => new(ask, patience: TimeSpan.FromSeconds(1.5), budget: TimeSpan.FromSeconds(15));
}
