using System.Text.Json;

using Whistle.Alerting.Tickets;
using Whistle.Incidents;
using Whistle.Remediation.Runs;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// From a prediction to a proven repair, or to the right person: a real disk, the shipped rules and runbook; only the clock is not real.
/// </summary>
public sealed class RepairTests(ITestOutputHelper output)
{
    static readonly TimeSpan PageDeadline = TimeSpan.FromMinutes(15);

    [Fact(Timeout = 600_000)]
    public async Task A_disk_that_can_be_cleaned_is_predicted_cleaned_and_closed_before_anybody_is_paged()
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var node = await RepairTimeline.StartAsync(cleanable: true, cancellation);
        await node.SetModeAsync("automatic", cancellation);
        await node.FillUntilPredictedAsync(cancellation);
        var used = node.Disk.Used;
        await node.UntilAsync(async () => (await node.IncidentAsync()).State is IncidentState.Closed, PageDeadline, cancellation);
        await node.MinutesAsync(65, cancellation);
        await ShowAsync(node);

        Assert.Equal(RunState.Succeeded, Assert.Single(await node.RunsAsync()).State);
        Assert.True(node.Disk.Used < used - 0.15, $"{used:P0} were used before, {node.Disk.Used:P0} now");
        var incident = await node.IncidentAsync();
        Assert.True(incident.ClosedAt - incident.OpenedAt < PageDeadline);
        Assert.Empty(node.PagerDuty.Events);
        var change = Assert.Single(node.PagerDuty.Changes).GetProperty("payload");
        Assert.Contains("Deleted", change.GetProperty("summary").GetString(), StringComparison.Ordinal);
        var mail = Assert.Single(await node.Smtp.MessagesAsync(1, cancellation));
        Assert.Contains("Subject: [digest] 1 incident that needed nobody", mail);
        Assert.Empty(await node.Node.Server.Alerting.Tickets.ListAsync(cancellation: cancellation));
        AssertInOrder(
            await node.TimelineAsync(), "opened: ", "signal: NodeFilesystemSpaceFillingUp (warning) has been firing", "proposed: ",
            "plan: node-disk-filling, attempt 1: Step 1, measure", "plan: node-disk-filling, attempt 1: Step 2, clean",
            "plan: node-disk-filling, attempt 1: Step 3, vacuum", "gate: node-disk-filling, attempt 1: evidence", "measure succeeded",
            "clean: disk.clean-paths", "clean succeeded: Deleted", "verify: ", "signal: NodeFilesystemSpaceFillingUp (warning) cleared at",
            "ended: node-disk-filling, attempt 1: Succeeded", "change: ", "closed: ", "digest: ");
    }

    [Theory(Timeout = 600_000)]
    [InlineData(0, "Nothing was changed")]
    [InlineData(1 << 20, "Not proven within 3 min")]
    public async Task A_disk_that_cannot_be_cleaned_is_tried_twice_then_paged_with_a_ticket_and_ends_when_somebody_empties_it(
        long cleanableBytes, string firstFailure)
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var node = await RepairTimeline.StartAsync(cleanable: false, cancellation);
        await node.SetModeAsync("automatic", cancellation);
        if (cleanableBytes > 0)
            LoopDisk.Append(Path.Combine(node.Spool, "old.log"), cleanableBytes);
        await node.FillUntilPredictedAsync(cancellation);
        await node.UntilAsync(() => Task.FromResult(!node.PagerDuty.Events.IsEmpty), PageDeadline, cancellation);

        var runs = await node.RunsAsync();
        Assert.Equal([RunState.Failed, RunState.Escalated], runs.Select(r => r.State));
        var cooled = runs[1].Reports[0].At - runs[0].EndedAt;
        Assert.True(cooled >= TimeSpan.FromMinutes(5), $"it cooled down for {cooled}");
        var incident = await node.IncidentAsync();
        Assert.Equal($"trigger {incident.Id}/1 error", Line(Assert.Single(node.PagerDuty.Events)));
        var ticket = Assert.Single(await node.Node.Server.Alerting.Tickets.ListAsync(cancellation: cancellation));
        Assert.Equal(node.Data, ticket.LargestDirectories[0].Path);

        // Time for a third attempt, with a cool-down twice as long.
        await node.SecondsAsync(12 * 60, cancellation);
        Assert.Equal(2, (await node.RunsAsync()).Count);
        Assert.Single(node.PagerDuty.Events);

        node.Fills = false;
        Directory.Delete(node.Data, recursive: true);
        await node.UntilAsync(
            async () => (await node.IncidentAsync()).State is IncidentState.Closed, TimeSpan.FromMinutes(10), cancellation);
        await node.SecondsAsync(2, cancellation);
        await ShowAsync(node);

        incident = await node.IncidentAsync();
        Assert.Equal([$"trigger {incident.Id}/1 error", $"resolve {incident.Id}/1"], node.PagerDuty.Events.Select(Line));
        // Where nothing could be changed there is nothing to tell as a change.
        Assert.Equal(cleanableBytes > 0 ? 1 : 0, node.PagerDuty.Changes.Count);
        Assert.Equal(2, (await node.RunsAsync()).Count);
        Assert.Equal(
            TicketState.Resolved, Assert.Single(await node.Node.Server.Alerting.Tickets.ListAsync(cancellation: cancellation)).State);
        var mails = await node.Smtp.MessagesAsync(4, cancellation);
        Assert.Contains(mails, m => m.Any(l => l.Contains($"{node.Data}", StringComparison.Ordinal)));
        AssertInOrder(
            await node.TimelineAsync(), $"attempt 1: Failed: {firstFailure}", "attempt 2: cool-down: Cooling down until",
            "attempt 2: Escalated: Nothing was changed", "page: Page 1 with severity error", "closed: ", "resolve: Page 1 resolved");
    }

    [Fact(Timeout = 600_000)]
    public async Task A_disk_that_is_suddenly_almost_full_is_cleaned_before_a_critical_incident_pages()
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var node = await RepairTimeline.StartAsync(cleanable: true, cancellation);
        await node.SetModeAsync("automatic", cancellation);
        node.Fills = false;
        await node.SecondsAsync(60, cancellation);
        LoopDisk.Append(Path.Combine(node.Spool, "burst.log"), (long)(node.Disk.Drive.TotalSize * (0.93 - node.Disk.Used)));
        await node.UntilAsync(
            async () => (await node.IncidentsAsync()).Any(i => i.Severity == "critical"), TimeSpan.FromMinutes(4), cancellation);
        await node.UntilAsync(
            async () => (await node.IncidentAsync()).State is IncidentState.Closed, TimeSpan.FromMinutes(10), cancellation);
        await ShowAsync(node);

        Assert.Equal(RunState.Succeeded, Assert.Single(await node.RunsAsync()).State);
        Assert.Empty(node.PagerDuty.Events);
        Assert.Single(node.PagerDuty.Changes);
        AssertInOrder(
            await node.TimelineAsync(), "clean succeeded: Deleted", "state: All signals have cleared",
            "hold: Page held: all its signals cleared at", "closed: ");
    }

    [Fact(Timeout = 600_000)]
    public async Task In_mode_observe_the_whole_plan_is_shown_and_not_a_byte_is_touched()
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var node = await RepairTimeline.StartAsync(cleanable: true, cancellation);
        await node.FillUntilPredictedAsync(cancellation);
        node.Fills = false;
        var before = node.Files();
        await node.UntilAsync(() => Task.FromResult(!node.PagerDuty.Events.IsEmpty), PageDeadline + TimeSpan.FromMinutes(1), cancellation);
        await ShowAsync(node);

        Assert.Equal(before, node.Files());
        var run = Assert.Single(await node.RunsAsync());
        Assert.Equal((RunState.Waiting, 0), (run.State, run.Issued));
        AssertInOrder(
            await node.TimelineAsync(),
            "plan: node-disk-filling, attempt 1: Step 1, measure: disk.largest-directories "
                + $$"""{"mountPoint":"{{node.Disk.Folder}}","count":20}, at most 120 s, only reads.""",
            $$"""Step 2, clean: disk.clean-paths {"mountPoint":"{{node.Disk.Folder}}"}""", "Step 3, vacuum: disk.vacuum-journal",
            "gate: node-disk-filling, attempt 1: mode: The mode is observe", "page: Page 1 with severity warning");
        Assert.Contains(
            "The mode is observe", await node.Node.Server.Remediation.ExplainAsync(run.Id, TestContext.Current.CancellationToken),
            StringComparison.Ordinal);
        Assert.Empty(node.PagerDuty.Changes);
    }

    [Theory(Timeout = 600_000)]
    [InlineData("pause", "Paused by operator until")]
    [InlineData("kill switch", "The kill switch is on")]
    [InlineData("policy revoked", "does not exist, so nothing may be changed on this node")]
    [InlineData("policy narrowed", "was changed during the run")]
    public async Task What_comes_between_lease_and_mutation_leaves_the_disk_as_it_is_and_says_why(string what, string reason)
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var node = await RepairTimeline.StartAsync(cleanable: true, cancellation);
        await node.SetModeAsync("automatic", cancellation);
        await node.FillUntilPredictedAsync(cancellation);
        node.Fills = false;
        var before = node.Files();
        node.BetweenLeaseAndMutation = () => what switch
        {
            "pause" => node.PostAsync("pauses", new { node = "n1", reason = "we work on it", @for = "1h" }, cancellation),
            "kill switch" => node.SetKillSwitchAsync(cancellation),
            "policy revoked" => Task.Run(() => File.Delete(node.PolicyFile)),
            _ => File.WriteAllTextAsync(
                node.PolicyFile,
                $$"""
                {
                  "acceptUnseenProcesses": true,
                  "cleanPaths": [ { "root": "{{node.Spool}}", "patterns": ["*.tmp"], "minimumAge": "7d" } ]
                }
                """),
        };
        await node.UntilAsync(
            async () => (await node.TimelineAsync()).Any(l => l.Contains(reason, StringComparison.Ordinal)), TimeSpan.FromMinutes(3),
            cancellation);
        await node.SecondsAsync(60, cancellation);
        await ShowAsync(node);

        Assert.Equal(before, node.Files());
    }

    async Task ShowAsync(RepairTimeline node)
    {
        foreach (var line in await node.TimelineAsync())
            output.WriteLine(line);
    }

    static void AssertInOrder(IReadOnlyList<string> timeline, params string[] parts)
    {
        var at = 0;
        foreach (var part in parts)
        {
            while (at < timeline.Count && !timeline[at].Contains(part, StringComparison.Ordinal))
                at++;
            Assert.True(at < timeline.Count, $"\"{part}\" is not where it should be in\n{string.Join('\n', timeline)}");
        }
    }

    static string Line(JsonElement e) =>
        $"{e.GetProperty("event_action")} {e.GetProperty("dedup_key")} {(e.TryGetProperty("payload", out var payload)
            ? payload.GetProperty("severity") : "")}".Trim();
}
