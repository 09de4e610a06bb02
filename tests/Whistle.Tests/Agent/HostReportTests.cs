using Whistle.Agent.Buffering;
using Whistle.Agent.Collectors;

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

    static Action<SeriesSet> Say(params string[] devices) => series =>
    {
        foreach (var device in devices)
            series.Add("m", 1, "device", device);
    };
}
