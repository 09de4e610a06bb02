using Whistle.Alerting.Deciding;
using Whistle.Alerting.Outbox;
using Whistle.Alerting.Tickets;
using Whistle.State.Health;

using Xunit;

namespace Whistle.Tests.Alerting;

public sealed class AlertingHostTests : IDisposable
{
    static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    readonly AlertingBench _bench = new();

    public void Dispose() => _bench.Dispose();

    [Fact]
    public async Task A_process_that_dies_after_any_durable_step_ends_in_the_same_place()
    {
        await LiveAsync(_bench);
        Assert.Equal(["trigger i1/1", "change", "trigger i1/2", "resolve i1/1", "resolve i1/2"], _bench.PagerDuty.Taken);
        var mails = _bench.Mail.Mails.ConvertAll(l => (l.MessageId, l.To, l.Text));
        Assert.Equal(2 * 6, mails.Count);

        var steps = 0;
        while (true)
        {
            using var bench = new AlertingBench { CrashAfter = steps++ };
            await LiveAsync(bench);
            Assert.Equal(mails.Order(), bench.Mail.Mails.ConvertAll(l => (l.MessageId, l.To, l.Text)).Distinct().Order());
            Assert.Equal(_bench.PagerDuty.Taken.Distinct(), bench.PagerDuty.Taken.Distinct());
            Assert.InRange(bench.PagerDuty.Taken.Count, _bench.PagerDuty.Taken.Count, _bench.PagerDuty.Taken.Count + 1);
            Assert.InRange(bench.Mail.Mails.Count, mails.Count, mails.Count + 1);
            Assert.Equal(
                TicketState.Resolved,
                Assert.Single(await bench.Host.Tickets.ListAsync(cancellation: TestContext.Current.CancellationToken)).State);
            Assert.Equal(2, (await bench.Host.Tickets.TimelineAsync(1, TestContext.Current.CancellationToken)).Count);
            Assert.Equal(_bench.Notes, bench.Notes);
            Assert.Empty(
                await bench.Host.NotificationsAsync(NotificationState.Pending, cancellation: TestContext.Current.CancellationToken));
            if (bench.CrashAfter >= 0)
                break;
        }

        Assert.InRange(steps, 40, 200);
    }

    [Fact]
    public async Task Who_was_called_is_known_until_it_is_over()
    {
        Assert.Empty(await _bench.Host.PagedAsync(TestContext.Current.CancellationToken));
        _bench.Set(new(Fleet.Incident(), []));
        await _bench.RunAsync(TimeSpan.FromMinutes(5), Second * 5);
        Assert.Equal(["i1"], (await _bench.Host.PagedAsync(TestContext.Current.CancellationToken)).Keys);
        _bench.Set(new(Fleet.Incident().Closed(_bench.Clock.GetUtcNow()), []));
        await _bench.RunAsync(Minute, Second * 5);
        Assert.Empty(await _bench.Host.PagedAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Without_a_channel_no_incident_counts_as_paged_and_health_warns_of_it()
    {
        _bench.HasChannels = false;
        _bench.Start();
        _bench.Set(new(Fleet.Incident(), [Fleet.Repair(RepairState.GaveUp, Fleet.Start)]));
        await _bench.RunAsync(TimeSpan.FromMinutes(5), Second * 5);

        Assert.Empty(await _bench.Host.PagedAsync(TestContext.Current.CancellationToken));
        Assert.Equal(["i1"], (await _bench.Host.UnpagedAsync(TestContext.Current.CancellationToken)).Keys);
        Assert.DoesNotContain("page", _bench.Notes);
        Assert.Contains(_bench.Texts, t => t.Contains("no notification channel is configured", StringComparison.Ordinal));
        Assert.DoesNotContain(_bench.Texts, t => t.Contains("is told", StringComparison.Ordinal));
        var gap = Assert.Single(_bench.Health.Problems());
        Assert.Equal(("alerting", "channels", HealthState.Warning), (gap.Component, gap.Subject, gap.State));
        Assert.StartsWith(NoChannel.Hint, gap.Reason, StringComparison.Ordinal);

        _bench.HasChannels = true;
        _bench.Start();
        await _bench.RunAsync(TimeSpan.FromMinutes(1), Second * 5);
        Assert.Empty(_bench.Health.Problems());
        Assert.Equal("trigger i1/1", Assert.Single(_bench.PagerDuty.Taken, c => c != "change"));
        Assert.Empty(await _bench.Host.UnpagedAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_page_that_was_refused_for_good_is_on_the_board_until_its_incident_is_over()
    {
        _bench.PagerDuty.Answer = _ => FakePagerDuty.Status(400);
        _bench.Set(new(Fleet.Incident(), []));
        await _bench.RunAsync(TimeSpan.FromMinutes(5), Second * 5);
        var problem = Assert.Single(_bench.Health.Problems());
        Assert.Equal(("outbox", "pagerduty refusals", HealthState.Degraded), (problem.Component, problem.Subject, problem.State));
        Assert.Contains("refused trigger i1/1 for good", problem.Reason, StringComparison.Ordinal);

        _bench.PagerDuty.Answer = _ => FakePagerDuty.Status(202);
        _bench.Set(new(Fleet.Incident("i2"), []));
        await _bench.RunAsync(TimeSpan.FromMinutes(10), Second * 5);
        Assert.Equal(["trigger i2/1"], _bench.PagerDuty.Taken);
        Assert.Equal(problem.Reason, Assert.Single(_bench.Health.Problems()).Reason);

        _bench.Start();
        await _bench.PassAsync(Second);
        Assert.Equal(problem.Reason, Assert.Single(_bench.Health.Problems()).Reason);

        _bench.Set(new(Fleet.Incident().Closed(_bench.Clock.GetUtcNow()), []));
        await _bench.RunAsync(TimeSpan.FromMinutes(10), Second * 5);
        Assert.Empty(_bench.Health.Problems());
    }

    [Fact]
    public async Task A_digest_that_was_refused_for_good_is_on_the_board_for_a_day_and_all_of_them_are_counted()
    {
        _bench.Mail.Answer = _ => new Delivery.Final("no such mailbox");
        _bench.Set(new(Fleet.Incident(), [Fleet.Repair(RepairState.Underway, Fleet.Start)]));
        await _bench.PassAsync(Minute);
        _bench.Set(new(Fleet.Incident().Closed(_bench.Clock.GetUtcNow()), [Fleet.Repair(RepairState.Succeeded, Fleet.Start)]));
        await _bench.RunAsync(Minute * 20, Minute);
        var problem = Assert.Single(_bench.Health.Problems());
        Assert.Equal("mail refusals", problem.Subject);
        // One digest each to two people.
        Assert.Contains(" and 1 more for good: no such mailbox", problem.Reason, StringComparison.Ordinal);

        await _bench.RunAsync(TimeSpan.FromHours(23), TimeSpan.FromMinutes(30));
        Assert.Single(_bench.Health.Problems());
        await _bench.RunAsync(TimeSpan.FromHours(2), TimeSpan.FromMinutes(30));
        Assert.Empty(_bench.Health.Problems());
    }

    [Fact]
    public async Task A_channel_that_does_not_deliver_is_on_the_board_until_it_does()
    {
        _bench.PagerDuty.Answer = FakePagerDuty.Unreachable;
        _bench.Set(new(Fleet.Incident(), []));
        await _bench.RunAsync(TimeSpan.FromMinutes(5), Second * 5);
        var problem = Assert.Single(_bench.Health.Problems());
        _bench.PagerDuty.Answer = _ => FakePagerDuty.Status(202);
        _bench.Set(new(Fleet.Incident("i2"), []));
        await _bench.RunAsync(TimeSpan.FromMinutes(10), Second * 5);

        Assert.Equal(("outbox", "pagerduty delivery", HealthState.Degraded), (problem.Component, problem.Subject, problem.State));
        Assert.Contains("does not take trigger i1/1", problem.Reason, StringComparison.Ordinal);
        Assert.Empty(_bench.Health.Problems());
    }

    [Fact]
    public async Task An_incident_that_cannot_be_decided_on_is_on_the_board_and_after_a_minute_failed()
    {
        _bench.Set(new(Fleet.Incident() with { Signals = null! }, []));
        await _bench.RunAsync(TimeSpan.FromMinutes(4), Second * 5);

        var problem = Assert.Single(_bench.Health.Problems());
        Assert.Equal(("alerting", "incidents", HealthState.Failed), (problem.Component, problem.Subject, problem.State));
        Assert.Contains("i1: ", problem.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_waits_for_a_channel_that_is_not_configured_is_on_the_board_until_it_is_sent()
    {
        _bench.PagerDuty.Answer = FakePagerDuty.Unreachable;
        _bench.Set(new(Fleet.Incident(), []));
        await _bench.RunAsync(TimeSpan.FromMinutes(3), Second * 5);
        _bench.HasPagerDuty = false;
        _bench.Start();
        await _bench.RunAsync(Minute, Second * 5);
        var problem = Assert.Single(_bench.Health.Problems());
        Assert.Equal(("outbox", "pagerduty configuration", HealthState.Degraded), (problem.Component, problem.Subject, problem.State));
        Assert.StartsWith(
            "1 notification waits for the channel pagerduty, which is not configured", problem.Reason, StringComparison.Ordinal);

        _bench.HasPagerDuty = true;
        _bench.PagerDuty.Answer = _ => FakePagerDuty.Status(202);
        _bench.Start();
        await _bench.RunAsync(Minute, Second * 5);
        Assert.Empty(_bench.Health.Problems());
        Assert.Equal(["trigger i1/1"], _bench.PagerDuty.Taken);
    }

    [Fact]
    public async Task A_stored_action_that_the_channel_does_not_know_is_not_sent_and_on_the_board()
    {
        _bench.PagerDuty.Answer = FakePagerDuty.Unreachable;
        _bench.Set(new(Fleet.Incident(), []));
        _bench.Set(new(Fleet.Incident("i2"), []));
        await _bench.RunAsync(TimeSpan.FromMinutes(3), Second * 5);
        await using (var connection = await _bench.Database.OpenAsync(TestContext.Current.CancellationToken))
        {
            await connection.ExecuteAsync(
                "UPDATE alerting_outbox SET action = 'tirgger' WHERE channel = 'pagerduty' AND key = 'i2/1'",
                TestContext.Current.CancellationToken);
        }

        _bench.PagerDuty.Answer = _ => FakePagerDuty.Status(202);
        await _bench.RunAsync(Minute * 10, Minute);
        Assert.Equal(["trigger i1/1"], _bench.PagerDuty.Taken);
        Assert.Contains("refused tirgger i2/1 for good", Assert.Single(_bench.Health.Problems()).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_hour_without_network_loses_nothing_and_its_end_brings_no_storm()
    {
        _bench.PagerDuty.Answer = FakePagerDuty.Unreachable;
        for (var i = 0; i < 300; i++)
            _bench.Set(new(Fleet.Incident($"i{i:000}"), []));
        await _bench.RunAsync(TimeSpan.FromMinutes(50), Second * 30);
        // It is over before anybody could be told: neither the page nor its end.
        _bench.Set(new(Fleet.Incident("i000").Closed(_bench.Clock.GetUtcNow()), []));
        await _bench.RunAsync(TimeSpan.FromMinutes(10), Second * 30);
        Assert.InRange(_bench.PagerDuty.Calls.Count, 10, 40);

        _bench.PagerDuty.Answer = _ => FakePagerDuty.Status(202);
        _bench.PagerDuty.Calls.Clear();
        await _bench.RunAsync(TimeSpan.FromMinutes(10), Second);

        Assert.Equal(Enumerable.Range(1, 299).Select(i => $"trigger i{i:000}/1"), _bench.PagerDuty.Taken);
        var calls = _bench.PagerDuty.Calls.ConvertAll(c => c.At);
        Assert.All(calls, at => Assert.InRange(calls.Count(c => c >= at && c < at + Minute), 1, 120));
        Assert.Equal(
            2,
            (await _bench.Host.NotificationsAsync(NotificationState.Overtaken, cancellation: TestContext.Current.CancellationToken)).Count);
        Assert.Empty(await _bench.Host.NotificationsAsync(NotificationState.Pending, cancellation: TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_page_that_may_have_arrived_is_resolved_and_not_sent_again()
    {
        _bench.PagerDuty.Answer = _ => FakePagerDuty.Status(503);
        _bench.Set(new(Fleet.Incident(), []));
        await _bench.RunAsync(Minute * 5, Minute);
        _bench.Set(new(Fleet.Incident().Closed(_bench.Clock.GetUtcNow()), []));
        _bench.PagerDuty.Answer = _ => FakePagerDuty.Status(202);
        await _bench.RunAsync(Minute * 10, Minute);

        Assert.Equal(["resolve i1/1"], _bench.PagerDuty.Taken);
    }

    [Fact]
    public async Task What_is_refused_for_good_is_kept_and_shown_and_stops_nothing()
    {
        _bench.PagerDuty.Answer = call => FakePagerDuty.Status(call == "trigger i1/1" ? 400 : 202);
        _bench.Set(new(Fleet.Incident(), []));
        _bench.Set(new(Fleet.Incident("i2"), []));
        await _bench.RunAsync(Minute * 5, Minute);

        Assert.Equal(["trigger i2/1"], _bench.PagerDuty.Taken);
        var refused = Assert.Single(
            await _bench.Host.NotificationsAsync(NotificationState.Failed, cancellation: TestContext.Current.CancellationToken));
        Assert.Equal(("i1/1", 1), (refused.Key, refused.Attempts));
        Assert.Contains("because", refused.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_page_that_alone_makes_the_other_side_fail_does_not_hold_the_others_for_ever()
    {
        _bench.PagerDuty.Answer = call => FakePagerDuty.Status(call == "trigger i1/1" ? 500 : 202);
        foreach (var id in new[] { "i1", "i2", "i3" })
            _bench.Set(new(Fleet.Incident(id), []));
        await _bench.RunAsync(Minute * 30, Second * 10);

        Assert.Equal(["trigger i2/1", "trigger i3/1"], _bench.PagerDuty.Taken);
        Assert.Equal("i1/1", Assert.Single(
            await _bench.Host.NotificationsAsync(NotificationState.Pending, cancellation: TestContext.Current.CancellationToken)).Key);
    }

    [Fact]
    public async Task What_needed_nobody_comes_in_one_digest()
    {
        foreach (var id in new[] { "i1", "i2" })
            _bench.Set(new(Fleet.Incident(id), [Fleet.Repair(RepairState.Underway, Fleet.Start, id)]));
        await _bench.PassAsync(Minute);
        foreach (var id in new[] { "i1", "i2" })
            _bench.Set(new(Fleet.Incident(id).Closed(_bench.Clock.GetUtcNow()), [Fleet.Repair(RepairState.Succeeded, Fleet.Start, id)]));
        await _bench.RunAsync(Minute * 20, Minute);

        Assert.Equal(["change", "change"], _bench.PagerDuty.Taken);
        Assert.Equal(["dev@example.com", "ops@example.com"], _bench.Mail.Mails.Select(l => l.To).Order());
        Assert.Equal("[digest] 2 incidents that needed nobody", _bench.Mail.Mails[0].Subject);
        Assert.Contains("Repaired by node-disk-filling", _bench.Mail.Mails[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_thread_holds_together_and_telemetry_stays_text()
    {
        var incident = Fleet.Incident(title: "<script>alert(1)</script>\r\nBcc: x@example.com\u202e");
        _bench.Set(new(incident, []));
        await _bench.RunAsync(Minute * 3, Minute);
        _bench.Set(new(incident, [Fleet.Repair(RepairState.GaveUp, _bench.Clock.GetUtcNow())]));
        await _bench.PassAsync(Minute);
        var mails = _bench.Mail.Mails.Where(l => l.To == "ops@example.com").ToList();

        Assert.Equal(["incident.i1.1@example.com", "ticket.1.1@example.com", "incident.i1.2@example.com"], mails.Select(l => l.MessageId));
        Assert.Null(mails[0].InReplyTo);
        Assert.Equal("incident.i1.1@example.com", mails[2].InReplyTo);
        Assert.Equal(["incident.i1.1@example.com"], mails[2].References);
        Assert.All(mails, l => Assert.DoesNotContain("<script>", l.Html, StringComparison.Ordinal));
        Assert.All(mails, l => Assert.DoesNotContain(l.Subject, c => char.IsControl(c) || c == '\u202e'));
        Assert.Contains("5.0 GiB /data/&lt;models&gt;", mails[1].Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_process_that_dies_anywhere_and_comes_back_late_leaves_nothing_open()
    {
        for (var steps = 0; steps < 60; steps++)
        {
            using var bench = new AlertingBench { CrashAfter = steps };
            await LiveAsync(bench, late: true);
            var taken = bench.PagerDuty.Taken;
            foreach (var key in taken.Where(c => c.StartsWith("trigger ", StringComparison.Ordinal))
                .Select(c => c["trigger ".Length..]).Distinct())
                Assert.InRange(taken.IndexOf($"resolve {key}"), taken.LastIndexOf($"trigger {key}") + 1, taken.Count);
            Assert.Empty(
                await bench.Host.NotificationsAsync(NotificationState.Pending, cancellation: TestContext.Current.CancellationToken));
            Assert.Contains("change", taken);
        }
    }

    // Paged, given up, ticketed, closed; the digest of another. Mails go to two people.
    static async Task LiveAsync(AlertingBench bench, bool late = false)
    {
        var incident = Fleet.Incident();
        bench.Set(new(incident, []));
        bench.Set(new(Fleet.Incident("i2", "warning"), []));
        await StepAsync(bench, late);
        bench.Set(new(Fleet.Incident("i2", "warning").Closed(Fleet.Start + Minute), []));
        await StepAsync(bench, late);
        bench.Set(new(incident, [Fleet.Repair(RepairState.GaveUp, Fleet.Start + Minute)]));
        await StepAsync(bench, late);
        bench.Set(new(incident.Closed(Fleet.Start + Minute * 3), [Fleet.Repair(RepairState.GaveUp, Fleet.Start + Minute)]));
        for (var i = 0; i < 14; i++)
            await StepAsync(bench, late);
    }

    static async Task StepAsync(AlertingBench bench, bool late)
    {
        bench.Clock.Advance(Minute);
        while (true)
        {
            try
            {
                await bench.Host.RunOnceAsync(bench.Clock.GetUtcNow(), CancellationToken.None);
                return;
            }
            catch (Crash)
            {
                bench.Start();
                if (late)
                    return;
            }
        }
    }
}
