using Whistle.Detectors.Signals;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>A real disk, real bytes, the real agent and server, the rules as shipped; only the clock is not real.</summary>
public sealed class DiskPredictionTests(ITestOutputHelper output)
{
    const string FillingUp = "NodeFilesystemSpaceFillingUp";

    static readonly TimeSpan QuarterMinute = TimeSpan.FromSeconds(15);
    static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact(Timeout = 600_000)]
    public async Task The_critical_prediction_fires_before_80_percent_used_and_4_hours_before_full()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var disk = LoopDisk.Mount(256);
        await using var node = await NodeTimeline.StartAsync(disk, cancellation);
        disk.FillTo(0.45);
        await node.StepAsync(QuarterMinute, cancellation);
        (DateTimeOffset At, double Used)? warned = null, predicted = null;
        DateTimeOffset? usersFull = null;

        // 4.4 % of the size an hour, until not even root can write.
        for (var full = false; !full;)
        {
            full = !disk.Write((long)(disk.Drive.TotalSize * 0.044 * QuarterMinute / TimeSpan.FromHours(1)));
            await node.StepAsync(QuarterMinute, cancellation);
            if (node.Find(FillingUp, "warning", disk) is { State: SignalState.Firing })
                warned ??= (node.Now, disk.Used);
            if (node.Find(FillingUp, "critical", disk) is { State: SignalState.Firing })
                predicted ??= (node.Now, disk.Used);
            if (disk.Drive.AvailableFreeSpace == 0)
                usersFull ??= node.Now;
        }

        output.WriteLine($"warning at {warned}, critical at {predicted}, full for users at {usersFull}, for root at {node.Now}");
        Assert.True(warned?.At < predicted?.At);
        Assert.InRange(predicted!.Value.Used, 0, 0.80);
        Assert.True(usersFull - predicted.Value.At >= TimeSpan.FromHours(4), $"{usersFull - predicted.Value.At} before full");
        Assert.NotNull(node.Find("NodeFilesystemAlmostOutOfSpace", "critical", disk));
    }

    [Fact(Timeout = 600_000)]
    public async Task The_signals_of_an_unmounted_disk_end_as_gone()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var disk = LoopDisk.Mount(64);
        await using var node = await NodeTimeline.StartAsync(disk, cancellation);
        disk.FillTo(0.45);
        await node.RunAsync(TimeSpan.FromHours(6.8), Minute, cancellation, () =>
        {
            disk.Write((long)(disk.Drive.TotalSize * 0.044 * Minute / TimeSpan.FromHours(1)));
            return Task.CompletedTask;
        });
        // The six hours of samples behind the forecast stay; it must still end.
        Assert.Equal(SignalState.Firing, node.Find(FillingUp, "critical", disk)?.State);

        disk.Unmount();
        await node.RunAsync(2 * Minute, QuarterMinute, cancellation);
        Assert.All(node.SignalsOf(disk), s => Assert.True(s.IsKept));
        await node.RunAsync(5 * Minute, QuarterMinute, cancellation);

        Assert.Empty(node.SignalsOf(disk));
        Assert.NotEmpty(await node.EndedOfAsync(disk));
        Assert.All(await node.EndedOfAsync(disk), s => Assert.Equal(SignalEnd.Gone, s.Condition.Reason));
    }

    [Fact(Timeout = 900_000)]
    public async Task A_disk_whose_log_is_rotated_raises_nothing_in_two_days()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var disk = LoopDisk.Mount(64);
        await using var node = await NodeTimeline.StartAsync(disk, cancellation);
        disk.FillTo(0.55);
        var hours = 0.0;

        // From 55 % to 85 % used in four hours, then the log is rotated away, twelve times.
        await node.RunAsync(TimeSpan.FromDays(2), Minute, cancellation, () =>
        {
            hours += Minute.TotalHours;
            if (hours >= 4)
            {
                hours = 0;
                disk.Rotate();
            }

            disk.Log((long)(disk.Drive.TotalSize * 0.30 * Minute / TimeSpan.FromHours(4)));
            Assert.DoesNotContain(node.SignalsOf(disk), s => s.State == SignalState.Firing);
            return Task.CompletedTask;
        });

        Assert.Empty(node.SignalsOf(disk));
        Assert.DoesNotContain(await node.EndedOfAsync(disk), s => s.Condition.FiringSince is not null);
    }

    [Theory(Timeout = 600_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task While_nothing_is_heard_of_a_node_its_signals_are_unknown_and_their_clocks_stand_still(bool agentRunsOn)
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var disk = LoopDisk.Mount(64);
        await using var node = await NodeTimeline.StartAsync(disk, cancellation);
        disk.FillTo(0.96);
        await node.RunAsync(3 * Minute, QuarterMinute, cancellation);
        var before = node.Find("NodeFilesystemAlmostOutOfSpace", "warning", disk);
        Assert.Equal(SignalState.Pending, before?.State);
        Assert.Equal(SignalState.Firing, node.Find("NodeFilesystemAlmostOutOfSpace", "critical", disk)?.State);

        // Half an hour of silence: six times what the warning waits for.
        node.AgentRuns = agentRunsOn;
        node.NetworkWorks = false;
        await node.RunAsync(30 * Minute, QuarterMinute, cancellation);

        Assert.Equal(2, node.SignalsOf(disk).Count);
        Assert.All(node.SignalsOf(disk), s => Assert.Equal(SignalState.Unknown, s.State));
        Assert.Empty(await node.EndedOfAsync(disk));
        var silent = Assert.Single(node.Server.Rules.Signals, s => s.Name == "NodeSilent");
        Assert.Equal(("n1", SignalState.Firing), (silent.Labels["node"], silent.State));

        // It returns, with its backlog where it has one. The warning had three of its five minutes.
        (node.AgentRuns, node.NetworkWorks) = (true, true);
        await node.RunAsync(Minute, QuarterMinute, cancellation);
        Assert.Equal(SignalState.Pending, node.Find("NodeFilesystemAlmostOutOfSpace", "warning", disk)?.State);
        Assert.Equal(SignalState.Firing, node.Find("NodeFilesystemAlmostOutOfSpace", "critical", disk)?.State);
        await node.RunAsync(3 * Minute, QuarterMinute, cancellation);

        Assert.Equal(SignalState.Firing, node.Find("NodeFilesystemAlmostOutOfSpace", "warning", disk)?.State);
        Assert.DoesNotContain(node.Server.Rules.Signals, s => s.Name == "NodeSilent");
    }
}
