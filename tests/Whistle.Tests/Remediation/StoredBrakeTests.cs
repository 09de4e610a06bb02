using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Remediation;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.State;
using Whistle.State.Health;

using Xunit;

namespace Whistle.Tests.Remediation;

/// <summary>Rows that an older version or a hand in the database left behind.</summary>
public sealed class StoredBrakeTests
{
    const string Runbook =
        """
        name: disk
        summary: Restart a service
        answers: [{ signal: Filling }]
        mode: automatic
        gates: { window: required }
        steps: [{ name: clean, action: disk.clean-paths, parameters: { mountPoint: "${mountpoint}" } }]
        verify: { within: 5m, for: 1m }
        """;

    public static TheoryData<string, string> BadWindows => new()
    {
        { "'FREQ=SECONDLY', '2026-01-01T00:00:00', 14400, 'UTC'", "too often" },
        { "'FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;INTERVAL=0', '2026-01-01T00:00:00', 14400, 'UTC'", "INTERVAL=0" },
        { "'FREQ=HOURLY', '0001-01-01T00:00:00', 14400, 'UTC'", "not in the years" },
        { "'FREQ=DAILY', '2026-01-01T00:00:00', 14400, 'CEST'", "not exactly a name" },
        { "'FREQ=DAILY', '2026-01-01T00:00:00', 14400, ''", "not exactly a name" },
        { "'FREQ=DAILY', 'tonight', 14400, 'UTC'", "cannot be read" },
        { "'FREQ=DAILY', '2026-01-01T00:00:00', 'long', 'UTC'", "cannot be read" },
        { "'FREQ=DAILY', '2026-01-01T00:00:00', 9223372036854775807, 'UTC'", "cannot be read" },
        { "'FREQ=DAILY', '2026-01-01T00:00:00', 99999999, 'UTC'", "from 5m to 7d" },
        { "'FREQ=DAILY', x'00ff', 14400, 'UTC'", "cannot be read" },
    };

    [Fact]
    public async Task A_change_in_the_midst_of_a_look_is_not_taken_for_damage()
    {
        using var bench = new RemediationBench();
        await bench.Control.SetAsync(new KillSwitch(false, "looked at", "ann", bench.Now), TestContext.Current.CancellationToken);
        var changes = Task.Run(async () =>
        {
            for (var i = 0; i < 300; i++)
                await bench.Control.SetAsync(
                    new KillSwitch(false, $"looked at {i}", "ann", bench.Now), TestContext.Current.CancellationToken);
        }, TestContext.Current.CancellationToken);

        while (!changes.IsCompleted)
            Assert.Equal((false, 1, 0), (
                (await bench.Control.KillSwitchAsync(TestContext.Current.CancellationToken)).On,
                (await bench.Control.ModesAsync(TestContext.Current.CancellationToken)).Count,
                (await bench.Control.ReadAsync(TestContext.Current.CancellationToken)).Faults.Count));
        await changes;
    }

    [Theory]
    [MemberData(nameof(BadWindows))]
    public async Task A_window_that_cannot_be_evaluated_is_closed_is_reported_and_can_be_removed(string columns, string reason)
    {
        using var bench = new RemediationBench();
        File.WriteAllText(bench.RunbookFile, Runbook);
        var board = new HealthBoard(bench.Clock);
        using var host = new RemediationHost(bench.Environment with { Health = board }, bench.Clock, NullLogger<RemediationHost>.Instance);
        Assert.Empty(host.Reload().Errors);
        Assert.Empty(bench.Host.Reload().Errors);
        bench.Fire();
        await bench.PassAsync();
        await StoreAsync(bench, "INSERT INTO windows (tenant, cluster, recurrence, start, seconds, time_zone, author, at) "
            + $"VALUES ('', '', {columns}, 'eve', 0)");

        await host.AdvanceAsync(bench.Now, TestContext.Current.CancellationToken);
        await host.AdvanceAsync(bench.Now.AddMinutes(2), TestContext.Current.CancellationToken);

        var problem = Assert.Single(board.Problems());
        Assert.Equal(("remediation", "maintenance window 1", HealthState.Degraded), (problem.Component, problem.Subject, problem.State));
        Assert.Contains(reason, problem.Reason, StringComparison.Ordinal);
        Assert.Contains("whistle windows remove 1", problem.Reason, StringComparison.Ordinal);
        var view = WindowView.OfKnown(await bench.Control.WindowsAsync(TestContext.Current.CancellationToken), new("t", "c"), bench.Now);
        Assert.Equal((null, null), (view.OpenUntil, view.NextAt));
        Assert.Contains(reason, view.Problem, StringComparison.Ordinal);
        var id = Assert.Single(await bench.Runs.SinceAsync(RemediationBench.Start, TestContext.Current.CancellationToken)).Id;
        Assert.Contains(
            await host.AskGatesAsync(id, TestContext.Current.CancellationToken),
            g => g.Name == "window" && g.Reason!.Contains(reason, StringComparison.Ordinal));

        Assert.True(await bench.Control.RemoveWindowAsync(1, "ann", bench.Now, TestContext.Current.CancellationToken));
        await host.AdvanceAsync(bench.Now.AddMinutes(3), TestContext.Current.CancellationToken);
        Assert.Empty(board.Problems());
    }

    [Theory]
    [InlineData("0, 'never'")]
    [InlineData("'now', 0")]
    [InlineData("0, 9223372036854775807")]
    [InlineData("0, 1.5")]
    public async Task A_freeze_that_cannot_be_read_holds_is_reported_and_can_be_ended(string times)
    {
        using var bench = new RemediationBench();
        var board = new HealthBoard(bench.Clock);
        using var host = new RemediationHost(bench.Environment with { Health = board }, bench.Clock, NullLogger<RemediationHost>.Instance);
        await StoreAsync(
            bench,
            $"INSERT INTO freezes (tenant, cluster, reason, author, from_at, until_at) VALUES ('t', 'other', 'the fair', 'eve', {times})");

        await host.AdvanceAsync(bench.Now, TestContext.Current.CancellationToken);

        var freeze = Assert.Single(await bench.Control.FreezesAsync(bench.Now, TestContext.Current.CancellationToken));
        Assert.True(freeze.Covers(new("t", "c"), bench.Now.AddYears(100)));
        Assert.Contains("whistle freezes end 1", Assert.Single(board.Problems()).Reason, StringComparison.Ordinal);
        var snapshot = GateFacts.Read("action node.reboot") with { Freeze = freeze };
        Assert.Contains("cannot be read", PeopleGates.Window(snapshot).Reason!.Text, StringComparison.Ordinal);

        Assert.True(await bench.Control.EndFreezeAsync(1, "ann", bench.Now, TestContext.Current.CancellationToken));
        await host.AdvanceAsync(bench.Now, TestContext.Current.CancellationToken);
        Assert.Empty(await bench.Control.FreezesAsync(bench.Now, TestContext.Current.CancellationToken));
        Assert.Empty(board.Problems());
    }

    [Fact]
    public void A_transaction_asks_about_windows_and_works_out_none()
    {
        var now = RemediationBench.Start;
        var window = new MaintenanceWindow(
            77, "", "", "FREQ=DAILY", new(2026, 1, 1, 0, 0, 0), TimeSpan.FromHours(4), "UTC", Guid.NewGuid().ToString(), now);

        var before = WindowView.OfKnown([window], new("t", "c"), now);
        Assert.Contains("has just been set", before.Problem, StringComparison.Ordinal);
        Assert.Null(WindowOpenings.Known(window, now));

        WindowOpenings.Prepare([window], now);
        Assert.Equal(now.AddHours(4), WindowView.OfKnown([window], new("t", "c"), now).OpenUntil);
        Assert.Equal(now.AddDays(1), WindowView.OfKnown([window], new("t", "c"), now.AddHours(5)).NextAt);
    }

    static async Task StoreAsync(RemediationBench bench, string sql)
    {
        await using var connection = await bench.Runs.Database.OpenAsync(TestContext.Current.CancellationToken);
        await using var transaction = await connection.BeginWriteAsync(TestContext.Current.CancellationToken);
        await connection.ExecuteAsync(sql, TestContext.Current.CancellationToken);
        // As the migration of an older version's rows does.
        await ControlTables.SealAsync(connection, TestContext.Current.CancellationToken);
        await connection.ExecuteAsync(
            "INSERT INTO control_timeline (at, author, text, revision) VALUES (0, 'eve', 'by hand', $revision)",
            TestContext.Current.CancellationToken, ("$revision", StateSql.NewRevision()));
        await transaction.CommitAsync(TestContext.Current.CancellationToken);
    }
}
