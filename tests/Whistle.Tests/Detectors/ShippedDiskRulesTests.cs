using Whistle.Detectors.Signals;

using Xunit;

namespace Whistle.Tests.Detectors;

/// <summary>
/// The shipped rules on modelled disks, all of them mounted on one node. A model gives the used share in percent (size less free)
/// after a number of hours; with 5 % reserved, as on ext4, nothing is available from 95 %.
/// </summary>
public sealed class ShippedDiskRulesTests
{
    const string Filling = "NodeFilesystemSpaceFillingUp";
    const string AlmostOut = "NodeFilesystemAlmostOutOfSpace";

    /// <summary>Used at which the critical forecast must have fired, hours to full that it and the warning must leave.</summary>
    sealed record Fill(
        string Name, Func<double, double> Used, double CriticalBy, double CriticalLeft, double WarningLeft, double Noise = 0);

    static readonly Fill[] Fills =
    [
        new("2 % an hour", h => 40 + (2 * h), 87, 4, 17),
        new("4.4 % an hour", h => 20 + (4.4 * h), 80, 4, 8),
        new("4.4 % an hour, noisy", h => 20 + (4.4 * h), 80, 4, 8, 0.3),
        new("4.4 % an hour from half full", h => 50 + (4.4 * h), 80, 4, 4),
        new("4.4 % an hour after twelve quiet hours", h => 55 + (4.4 * Math.Max(0, h - 12)), 80, 4, 6),
        new("4.4 % an hour after a step", h => (h > 8 ? 55 : 30) + (4.4 * Math.Max(0, h - 8)), 80, 4, 6),
        new("2 % an hour after a step", h => (h > 8 ? 60 : 30) + (2 * Math.Max(0, h - 8)), 87, 4, 14),
        new("1 % an hour", h => 72 + h, 92, 4, 16),
        // A fifth of the disk is less than four hours away at these, so the level of the critical forecast binds.
        new("8 % an hour", h => 10 + (8 * h), 80, 2, 4),
        new("accelerating", h => 40 + (0.25 * h * h), 80, 2, 6),
        new("4.4 % an hour with rotated logs on it", h => 20 + (4.4 * h) + (2 * (h % 1)), 80, 3.7, 8),
    ];

    [Fact]
    public async Task A_filling_disk_is_told_in_time()
    {
        var first = await FirstFiringsAsync([.. Fills.Select(f => (f.Name, f.Used, f.Noise))], 24);
        var wrong = new List<string>();
        foreach (var fill in Fills)
        {
            var critical = first.GetValueOrDefault((fill.Name, Filling, "critical"), double.MaxValue);
            var warning = first.GetValueOrDefault((fill.Name, Filling, "warning"), double.MaxValue);
            var full = Enumerable.Range(0, 60 * 60).Select(m => m / 60.0).First(h => fill.Used(h) >= 95);
            TestContext.Current.TestOutputHelper?.WriteLine(
                $"{fill.Name}: warning {full - warning:0.0} h, critical {full - critical:0.0} h before full at "
                + $"{(critical > 99 ? 0 : fill.Used(critical)):0.0} % used");
            if (critical > full || fill.Used(critical) > fill.CriticalBy || full - critical < fill.CriticalLeft
                || full - warning < fill.WarningLeft)
                wrong.Add(fill.Name);
        }

        Assert.Empty(wrong);
    }

    [Fact]
    public async Task A_disk_that_is_emptied_again_and_again_raises_nothing()
    {
        var disks = new List<(string, Func<double, double>, double)>();
        foreach (var (period, low, high, noise) in new[]
        {
            (1.0, 40.0, 88.0, 0.0), (1, 83, 88, 0.2), (1.7, 60, 88, 0), (2.4, 68, 88, 0.3), (3, 30, 88, 0), (3, 83, 88, 0.2),
            (3.1, 78, 88, 0.5), (4, 68, 88, 0), (5, 10, 88, 0), (5, 68, 88, 0.3), (5, 83, 88, 0), (24, 60, 70, 0.2), (24, 83, 88, 0),
            (24, 50, 65, 0),
        })
        {
            disks.Add(($"every {period} h from {low} to {high}, noise {noise}", h => low + ((high - low) * (h / period % 1)), noise));
            if (period is 5 or 3)
                disks.Add(
                    ($"the same, {period} h from {low}, begun midway", h => low + ((high - low) * (((h / period) + 0.37) % 1)), noise));
        }

        // Every fourth rotation is left out.
        foreach (var period in new[] { 1.0, 3.0 })
            disks.Add(($"missed, {period} h", h => 48 + (20 * (h / period % 1)) + ((int)(h / period) % 4 == 3 ? 20 : 0), 0.1));
        disks.Add(("quiet and nearly full", _ => 89, 0.2));

        Assert.Empty(await FirstFiringsAsync(disks, 30));
    }

    [Fact]
    public async Task A_full_disk_is_told_whatever_the_trend_unless_it_is_read_only()
    {
        using var bench = new RulesBench();
        await bench.LoadAsync();
        for (var minute = 0; minute < 8; minute++)
        {
            bench.Report("filesystem");
            bench.Disk(93, "/full");
            bench.Disk(93, "/inodes", inodes: true);
            bench.Disk(93, "/image", readOnly: true);
            await bench.StepAsync();
        }

        Assert.Equal(
            [
                "NodeFilesystemAlmostOutOfFiles critical /inodes", "NodeFilesystemAlmostOutOfFiles warning /inodes",
                $"{AlmostOut} critical /full", $"{AlmostOut} warning /full",
            ],
            bench.Host.Signals.Where(s => s.State is SignalState.Firing)
                .Select(s => $"{s.Name} {s.Labels["severity"]} {s.Labels["mountpoint"]}").Order());
        var annotations = bench.Host.Signals.First(s => s.Labels["mountpoint"] == "/full").Annotations.ToDictionary(
            a => a.Name, a => a.Value);
        Assert.Equal("/full (/dev/sdb1) on n1 has only 2% of its space left.", annotations["description"]);
        Assert.Equal($"docs/runbooks/{AlmostOut}.md", annotations["runbook_url"]);
    }

    /// <summary>Hours until each alert first fires, by disk, alert and severity.</summary>
    static async Task<Dictionary<(string Disk, string Alert, string Severity), double>> FirstFiringsAsync(
        IReadOnlyList<(string Name, Func<double, double> Used, double Noise)> disks, int hours)
    {
        using var bench = new RulesBench();
        await bench.LoadAsync();
        var random = new Random(1);
        var first = new Dictionary<(string, string, string), double>();
        while (bench.Minute < hours * 60)
        {
            var hour = bench.Minute / 60.0;
            bench.Report("filesystem");
            foreach (var (name, used, noise) in disks)
                bench.Disk(used(hour) + (noise * Gauss(random)), name);
            // Two minutes: every other slot is left out, which the clocks allow for and which halves the work twice.
            await bench.StepAsync(TimeSpan.FromMinutes(2));
            foreach (var signal in bench.Host.Signals.Where(s => s.State is SignalState.Firing))
                first.TryAdd((signal.Labels["mountpoint"], signal.Name, signal.Labels["severity"]), hour);
        }

        return first;
    }

    // Cut off at two deviations, so that noise alone never reaches the level alerts.
    static double Gauss(Random random) => Math.Clamp(
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()), -2, 2);
}
