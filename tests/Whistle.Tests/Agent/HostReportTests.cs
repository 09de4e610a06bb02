using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Whistle.Agent.Buffering;
using Whistle.Agent.Reporting;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Agent;

public sealed class HostReportTests
{
    [Fact]
    public void A_series_that_vanished_gets_one_staleness_marker()
    {
        var disks = new ScriptedCollector("disks", Say("a", "b"));
        var report = Reports.Of(disks);
        report.Lines();

        disks.Script = Say("a");
        Assert.Equal(["m{device=\"a\"} 1", "m{device=\"b\"} stale"], report.Lines());
        Assert.Equal(["m{device=\"a\"} 1"], report.Lines());
        disks.Script = Say("a", "b");
        Assert.Equal(["m{device=\"a\"} 1", "m{device=\"b\"} 1"], report.Lines());
    }

    [Fact]
    public void A_collector_that_fails_is_unknown_so_its_series_get_no_marker_and_the_others_go_on()
    {
        var disks = new ScriptedCollector("disks", Say("a", "b"));
        var report = Reports.Of(disks, new ScriptedCollector("other", series => series.Add("fine", 2)));
        report.Lines();

        disks.Script = series =>
        {
            Say("a", "new")(series);
            throw new IOException("half way");
        };
        Assert.Equal(["fine 2"], report.Lines());
        Assert.Equal(0, report.Success("disks"));
        Assert.Equal(1, report.Success("other"));

        // What vanished during the failure is told at the next success; what was seen only in a failure never was.
        disks.Script = Say("b");
        Assert.Equal(["fine 2", "m{device=\"a\"} stale", "m{device=\"b\"} 1"], report.Lines());
        Assert.Equal(1, report.Success("disks"));
    }

    [Fact]
    public void What_vanished_while_the_agent_was_down_gets_its_marker_after_the_restart()
    {
        using var disk = new HostFixture();
        var report = Reports.Of(new ScriptedCollector("disks", Say("a", "b")));
        report.Lines();
        new KnownSeries(disk.Folder, report).Save();

        var failing = new ScriptedCollector("disks", _ => throw new IOException("not yet"));
        var restarted = Reports.Of(failing, new ScriptedCollector("other", Say("z")));
        new KnownSeries(disk.Folder, restarted).Load();
        Assert.Equal(["m{device=\"z\"} 1"], restarted.Lines());
        failing.Script = Say("b");
        Assert.Equal(["m{device=\"a\"} stale", "m{device=\"b\"} 1", "m{device=\"z\"} 1"], restarted.Lines());

        File.WriteAllBytes(Path.Join(disk.Folder, "series"), [.. File.ReadAllBytes(Path.Join(disk.Folder, "series")).SkipLast(1)]);
        var damaged = Reports.Of(new ScriptedCollector("disks", Say("b")));
        new KnownSeries(disk.Folder, damaged).Load();
        Assert.Equal(["m{device=\"b\"} 1"], damaged.Lines());
    }

    [Fact]
    public void The_text_format_groups_families_and_escapes_labels()
    {
        var output = new StringWriter();
        var report = Reports.Of(new ScriptedCollector("c", series =>
        {
            series.Add("z_total", double.PositiveInfinity, "path", "a\"b\\c\nd");
            series.Add("a", 0.5);
        }));

        TextFormat.Write(report.Collect(1, _ => { }).Where(s => !s.Labels.Name.StartsWith("node_", StringComparison.Ordinal)), output);

        Assert.Equal(
            "# TYPE a gauge\na{instance=\"h1\",job=\"node-exporter\"} 0.5\n# TYPE z_total counter\n"
            + "z_total{instance=\"h1\",job=\"node-exporter\",path=\"a\\\"b\\\\c\\nd\"} +Inf\n",
            output.ToString());
    }

    [Fact]
    public void A_source_of_another_job_has_its_own_job_and_instance_and_so_has_what_is_said_of_it()
    {
        var kubelet = new SourceDescription { Name = "kubelet", Job = "kubelet", Instance = "127.0.0.1:10250", Sends = ["*"] };
        var report = Reports.Of(new ScriptedCollector("cpu", Say("a")), new ScriptedCollector("", Say("b")) { Description = kubelet })
            .Collect(1000, series => series.Add("whistle_agent_info", 1));

        Assert.Equal(
            [
                "m a h1 node-exporter", "m b 127.0.0.1:10250 kubelet", "node_scrape_collector_success cpu h1 node-exporter",
                "node_scrape_collector_success kubelet 127.0.0.1:10250 kubelet", "whistle_agent_info  h1 whistle-agent",
            ],
            report.Select(s => s.Labels).Where(l => !l.Name.EndsWith("_duration_seconds", StringComparison.Ordinal))
                .Select(l => $"{l.Name} {l["device"]}{l["collector"]} {l["instance"]} {l["job"]}")
                .Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_source_with_an_interval_of_its_own_is_read_once_in_each_and_says_so()
    {
        var slow = new SourceDescription { Name = "slow", Sends = ["*"], Interval = TimeSpan.FromMinutes(1) };
        var (reads, silent) = (0, false);
        var source = new ScriptedCollector("", series => Say(silent ? [] : [$"{reads++}"])(series)) { Description = slow };
        var report = Reports.Of(source, new ScriptedCollector("cpu", _ => { }));

        // Reports at 7 s, 22 s, 37 s… of each minute, as the agent's grid has them.
        var sent = Enumerable.Range(0, 9).Select(i => Of(report, 7 + (15 * i))).ToList();
        Assert.Equal(["0", "", "", "", "stale 1", "", "", "", "stale 2"], sent.Select(s => s.Devices));
        Assert.Equal([60, 60, 60], sent.SelectMany(s => s.Intervals));
        // Between two reads nothing is said of it, and nothing counts as vanished.
        Assert.Equal(["cpu slow", "cpu", "cpu", "cpu"], sent.Take(4).Select(s => s.Collectors));
        silent = true;
        Assert.Equal(["", "", "", "stale"], Enumerable.Range(9, 4).Select(i => Of(report, 7 + (15 * i)).Devices));
    }

    [Fact]
    public async Task A_source_that_hangs_fails_alone_is_not_read_again_before_it_returns_and_its_late_answer_is_not_sent()
    {
        using var host = new HostFixture();
        using var release = new ManualResetEventSlim();
        var (time, reads, started) = (new FakeTimeProvider(), 0, new SemaphoreSlim(0));
        var hanging = new ScriptedCollector("", Read) { Description = new() { Name = "hangs", Sends = ["*"] } };
        var report = new HostReport([hanging, new ScriptedCollector("other", Say("z"))], "h1", time, NullLogger.Instance);
        release.Set();
        Assert.Equal(["m{device=\"1\"} 1", "m{device=\"z\"} 1"], report.Lines());
        new KnownSeries(host.Folder, report).Save();
        var known = File.ReadAllBytes(Path.Join(host.Folder, "series"));

        release.Reset();
        var passes = Task.Run(() => report.Lines());
        Assert.True(await started.WaitAsync(TimeSpan.FromSeconds(30)) && await started.WaitAsync(TimeSpan.FromSeconds(30)));
        // The time-out may begin after its thread did.
        while (!passes.IsCompleted)
        {
            time.Advance(TimeSpan.FromSeconds(10));
            await Task.Yield();
        }

        Assert.Equal(["m{device=\"z\"} 1"], await passes);
        Assert.Equal(["m{device=\"z\"} 1"], report.Lines());
        Assert.Equal((0, 1, 2), (report.Success("hangs"), report.Success("other"), reads));
        new KnownSeries(host.Folder, report).Save();
        Assert.Equal(known, File.ReadAllBytes(Path.Join(host.Folder, "series")));

        release.Set();
        Assert.True(SpinWait.SpinUntil(() => report.Success("hangs") == 1, TimeSpan.FromSeconds(30)));
        Assert.Equal(3, reads);
        Assert.Contains("m{device=\"4\"} 1", report.Lines());

        void Read(SeriesSet series)
        {
            var read = Interlocked.Increment(ref reads);
            Say($"{read}")(series);
            started.Release();
            release.Wait();
        }
    }

    static (string Devices, string Collectors, IEnumerable<double> Intervals) Of(HostReport report, int second)
    {
        var series = report.Collect(second * 1000, _ => { }).ToLookup(s => s.Labels.Name, s => (s.Labels, s.Samples[0].Value));
        return (
            string.Join(' ', series["m"].Select(s => StaleMarker.Is(s.Value) ? "stale" : s.Labels["device"]).OrderDescending()),
            string.Join(' ', series["node_scrape_collector_success"].Select(s => s.Labels["collector"]).Order()),
            [.. series["whistle_agent_interval_seconds"].Select(s => s.Value)]);
    }

    static Action<SeriesSet> Say(params string[] devices) => series =>
    {
        foreach (var device in devices)
            series.Add("m", 1, "device", device);
    };
}
