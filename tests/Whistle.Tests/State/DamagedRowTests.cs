using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Whistle.Alerting.Deciding;
using Whistle.Alerting.Tickets;
using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runs;
using Whistle.State;
using Whistle.State.Health;
using Whistle.Telemetry;
using Whistle.Tests.Alerting;

using Xunit;

namespace Whistle.Tests.State;

/// <summary>One row that says nothing sensible is skipped and reported; the others are read.</summary>
public sealed class DamagedRowTests : IDisposable
{
    const string TooLate = "9223372036854775807";

    readonly StateFolder _folder = new();
    readonly HealthBoard _health = new(new FakeTimeProvider());
    readonly StateDatabase _state;

    public DamagedRowTests()
    {
        _state = new StateDatabase(_folder.File);
        _state.Watch(_health, NullLogger.Instance);
    }

    public void Dispose()
    {
        _state.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("state = 'Oqen'")]
    [InlineData("state = '99'")]
    [InlineData("subject = '{\"zz'")]
    [InlineData("opened_at = " + TooLate)]
    [InlineData("signals = '[{'")]
    public async Task A_damaged_incident_is_skipped_and_reported_until_it_is_repaired(string damage)
    {
        var store = new IncidentStore(_state);
        await store.SaveAsync(
            [new(Fleet.Incident("i1"), []), new(Fleet.Incident("i2"), [])], Fleet.Start, TestContext.Current.CancellationToken);
        await ExecuteAsync($"UPDATE incidents SET revision = revision + 1000000, {damage} WHERE id = 'i1'");

        for (var pass = 0; pass < 2; pass++)
        {
            Assert.Equal("i2", Assert.Single(await store.ActiveAsync(TestContext.Current.CancellationToken)).Id);
            Assert.Equal("i2", Assert.Single(await store.SinceAsync(Fleet.Start, TestContext.Current.CancellationToken)).Id);
            Assert.Null(await store.FindAsync("i1", TestContext.Current.CancellationToken));
            AssertReported("incidents i1");
        }

        await store.SaveAsync([new(Fleet.Incident("i1"), [])], Fleet.Start, TestContext.Current.CancellationToken);
        await ExecuteAsync("UPDATE incidents SET subject = (SELECT subject FROM incidents WHERE id = 'i2'), opened_at = (SELECT opened_at "
            + "FROM incidents WHERE id = 'i2') WHERE id = 'i1'");
        Assert.Equal(2, (await store.ActiveAsync(TestContext.Current.CancellationToken)).Count);
        Assert.Empty(_health.Problems());
    }

    [Theory]
    [InlineData("labels = '{\"zz'")]
    [InlineData("element = '{\"zz'")]
    [InlineData("state = 'Firimg'")]
    [InlineData("since = " + TooLate)]
    public async Task A_damaged_signal_is_left_out(string damage)
    {
        var store = new SignalStore(_state);
        await store.SaveAsync("g", Fleet.Start, [Signal("a"), Signal("b")], [], TestContext.Current.CancellationToken);
        await ExecuteAsync($"UPDATE signals SET {damage} WHERE name = 'a'");

        Assert.Equal("b", Assert.Single(await store.LoadAsync(TestContext.Current.CancellationToken)).Name);
        AssertReported($"signals a {Signal("a").Fingerprint:x16}");
    }

    [Fact]
    public async Task A_damaged_evaluation_is_left_out()
    {
        var store = new SignalStore(_state);
        await store.SaveAsync("g", Fleet.Start, [], [], TestContext.Current.CancellationToken);
        await store.SaveAsync("h", Fleet.Start, [], [], TestContext.Current.CancellationToken);
        await ExecuteAsync($"UPDATE rule_groups SET last_evaluation = {TooLate} WHERE name = 'g'");

        Assert.Equal("h", Assert.Single(await store.LoadEvaluationsAsync(TestContext.Current.CancellationToken)).Key);
        AssertReported("rule_groups g");
    }

    [Theory]
    [InlineData("enrolled_at = " + TooLate)]
    [InlineData("cluster = 'd'")]
    [InlineData("revoked_at = 1")]
    public async Task A_damaged_credential_is_reported_and_the_others_are_known(string damage)
    {
        var credentials = new Credentials(_state, new FakeTimeProvider(Fleet.Start));
        await credentials.EnrollAsync(new("t", "c"), "n1", TestContext.Current.CancellationToken);
        await credentials.EnrollAsync(new("t", "c"), "n2", TestContext.Current.CancellationToken);
        await credentials.EnrollAsync(new("t", "c"), null, TestContext.Current.CancellationToken);
        await ExecuteAsync($"UPDATE credentials SET {damage} WHERE node = 'n1'");

        Assert.Equal("n2", Assert.Single(await credentials.AgentsAsync(TestContext.Current.CancellationToken)).NodeId.Node);
        Assert.Single(await credentials.CollectorsAsync(TestContext.Current.CancellationToken));
        Assert.Equal(2, (await credentials.SendersAsync(TestContext.Current.CancellationToken)).Count);
        Assert.StartsWith("credentials t/", Assert.Single(_health.Problems()).Subject, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_alerting_state_that_is_damaged_holds_no_other_incident_up()
    {
        using var bench = new AlertingBench();
        bench.Database.Watch(_health, NullLogger.Instance);
        bench.Set(new(Fleet.Incident("i1"), []));
        await bench.PassAsync(TimeSpan.FromSeconds(1));
        await using (var connection = await bench.Database.OpenAsync(TestContext.Current.CancellationToken))
            await connection.ExecuteAsync(
                "UPDATE alerting_incidents SET state = '{\"zz' WHERE incident = 'i1'", TestContext.Current.CancellationToken);
        bench.Set(new(Fleet.Incident("i2"), []));
        await bench.RunAsync(TimeSpan.FromMinutes(10), TimeSpan.FromSeconds(30));

        Assert.Contains("trigger i2/1", bench.PagerDuty.Taken);
        AssertReported("alerting_incidents i1");
        Assert.Empty(bench.Health.Problems());
    }

    [Theory]
    [InlineData("catastrophic")]
    [InlineData("99")]
    public async Task A_severity_that_is_none_damages_the_state_of_its_incident_alone(string severity)
    {
        using var bench = new AlertingBench();
        bench.Database.Watch(_health, NullLogger.Instance);
        bench.Set(new(Fleet.Incident("i1"), []));
        await bench.RunAsync(TimeSpan.FromMinutes(3), TimeSpan.FromSeconds(30));
        await using (var connection = await bench.Database.OpenAsync(TestContext.Current.CancellationToken))
        {
            Assert.Equal(1, await connection.ExecuteAsync(
                $"UPDATE alerting_incidents SET state = replace(state, '\"critical\"', '\"{severity}\"')",
                TestContext.Current.CancellationToken));
        }

        bench.Set(new(Fleet.Incident("i2"), []));
        await bench.RunAsync(TimeSpan.FromMinutes(3), TimeSpan.FromSeconds(30));
        Assert.Equal(["trigger i1/1", "trigger i2/1"], bench.PagerDuty.Taken);
        AssertReported("alerting_incidents i1");
    }

    [Fact]
    public async Task A_notification_in_a_state_that_is_none_is_reported_and_the_others_are_sent()
    {
        using var bench = new AlertingBench();
        bench.Database.Watch(_health, NullLogger.Instance);
        bench.PagerDuty.Answer = FakePagerDuty.Unreachable;
        bench.Set(new(Fleet.Incident("i1"), []));
        bench.Set(new(Fleet.Incident("i2"), []));
        await bench.RunAsync(TimeSpan.FromMinutes(3), TimeSpan.FromSeconds(30));
        await using (var connection = await bench.Database.OpenAsync(TestContext.Current.CancellationToken))
        {
            Assert.Equal(1, await connection.ExecuteAsync(
                "UPDATE alerting_outbox SET state = 'pendign' WHERE channel = 'pagerduty' AND key = 'i1/1'",
                TestContext.Current.CancellationToken));
        }

        bench.PagerDuty.Answer = _ => FakePagerDuty.Status(202);
        await bench.RunAsync(TimeSpan.FromMinutes(20), TimeSpan.FromSeconds(30));
        Assert.Equal(["trigger i2/1"], bench.PagerDuty.Taken);
        Assert.StartsWith("alerting_outbox ", Assert.Single(_health.Problems()).Subject, StringComparison.Ordinal);
        Assert.DoesNotContain(
            await bench.Host.NotificationsAsync(cancellation: TestContext.Current.CancellationToken),
            n => n is { Channel: "pagerduty", Key: "i1/1" });
    }

    [Fact]
    public async Task An_entry_of_a_ticket_of_a_kind_that_is_none_is_not_shown_and_the_others_are()
    {
        using var bench = new AlertingBench();
        bench.Database.Watch(_health, NullLogger.Instance);
        bench.Set(new(Fleet.Incident(), [Fleet.Repair(RepairState.GaveUp, Fleet.Start)]));
        await bench.PassAsync(TimeSpan.FromSeconds(1));
        Assert.Null((await bench.Host.Tickets.CommentAsync(1, "ann", "which models?", TestContext.Current.CancellationToken)).Refusal);
        await using (var connection = await bench.Database.OpenAsync(TestContext.Current.CancellationToken))
            await connection.ExecuteAsync(
                "UPDATE alerting_ticket_entries SET kind = 'remark' WHERE number = 2", TestContext.Current.CancellationToken);

        Assert.Equal(
            TicketEntryKind.Opened, Assert.Single(await bench.Host.Tickets.TimelineAsync(1, TestContext.Current.CancellationToken)).Kind);
        Assert.StartsWith("alerting_ticket_entries ", Assert.Single(_health.Problems()).Subject, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(TooLate)]
    [InlineData("-62135596800000")]
    [InlineData("253402300799999")]
    public async Task Alerting_starts_with_a_watermark_that_is_damaged(string at)
    {
        using var bench = new AlertingBench();
        await bench.PassAsync(TimeSpan.FromSeconds(1));
        await using (var connection = await bench.Database.OpenAsync(TestContext.Current.CancellationToken))
            Assert.Equal(
                1, await connection.ExecuteAsync($"UPDATE alerting_watermark SET at = {at}", TestContext.Current.CancellationToken));

        bench.Start();
        bench.Set(new(Fleet.Incident("i1"), []));
        await bench.RunAsync(TimeSpan.FromMinutes(10), TimeSpan.FromSeconds(30));
        Assert.Contains("trigger i1/1", bench.PagerDuty.Taken);
    }

    [Theory]
    [InlineData("at = " + TooLate)]
    [InlineData("at = 'noon'")]
    public async Task A_damaged_change_of_a_brake_is_not_shown_and_the_others_are(string damage)
    {
        var control = new ControlStore(_state);
        await control.SetAsync(new KillSwitch(true, "a flood", "ann", Fleet.Start), TestContext.Current.CancellationToken);
        await control.SetAsync(new KillSwitch(false, "dry again", "ann", Fleet.Start), TestContext.Current.CancellationToken);
        await ExecuteAsync($"UPDATE control_timeline SET {damage} WHERE number = 1");

        Assert.Equal(2, Assert.Single(await control.TimelineAsync(10, TestContext.Current.CancellationToken)).Number);
        AssertReported("control_timeline 1");
    }

    [Theory]
    [InlineData(TooLate)]
    [InlineData("-1")]
    [InlineData("'noon'")]
    public async Task A_cluster_whose_last_storm_cannot_be_told_is_taken_to_be_in_one(string at)
    {
        var runs = new RunStore(_state);
        _ = (new ControlStore(_state), new IncidentStore(_state));
        await runs.NoteStormsAsync([new("t", "c"), new("t", "d")], Fleet.Start.AddHours(-3), TestContext.Current.CancellationToken);
        await ExecuteAsync($"UPDATE storms SET at = {at} WHERE cluster = 'c'");

        await using var connection = await _state.OpenAsync(TestContext.Current.CancellationToken);
        var fleet = await FleetState.ReadAsync(connection, Fleet.Start, cancellation: TestContext.Current.CancellationToken);
        Assert.Equal((Fleet.Start, Fleet.Start.AddHours(-3)), (fleet.Storms[new("t", "c")], fleet.Storms[new("t", "d")]));
        var fault = Assert.Single(fleet.Faults);
        Assert.Equal("storms", fault.Subject);
        Assert.Contains("t/c", fault.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Whoever_needs_a_row_that_is_damaged_is_told_so()
    {
        await _state.MigrateAsync(
            new StateSchema("blobs", "CREATE TABLE blobs (id INTEGER PRIMARY KEY, at INTEGER NOT NULL)"),
            TestContext.Current.CancellationToken);
        await using var connection = await _state.OpenAsync(TestContext.Current.CancellationToken);
        await connection.ExecuteAsync($"INSERT INTO blobs VALUES (1, {TooLate})", TestContext.Current.CancellationToken);

        await Assert.ThrowsAsync<DamagedRowException>(async () => await connection.QueryAsync(
            "SELECT NULL FROM blobs WHERE id = 1", r => r.GetString(0), TestContext.Current.CancellationToken));
        var error = await Assert.ThrowsAsync<DamagedRowException>(async () => await connection.QueryAsync(
            "SELECT at FROM blobs WHERE id = 1", r => r.Instant(0), TestContext.Current.CancellationToken));
        Assert.Contains("A row of blobs is damaged", error.Message, StringComparison.Ordinal);
        Assert.Equal(
            1, (await connection.QueryAsync("SELECT id FROM blobs", r => r.GetInt64(0), TestContext.Current.CancellationToken)).Single());
    }

    static Signal Signal(string name) => new()
    {
        Rule = $"g\n{name}",
        Name = name,
        Labels = Labels.Of(("alertname", name)),
        Element = Labels.Empty,
        Annotations = [],
        Value = 1,
        Condition = new(SignalState.Firing, Fleet.Start, Fleet.Start),
    };

    async Task ExecuteAsync(string sql)
    {
        await using var connection = await _state.OpenAsync(TestContext.Current.CancellationToken);
        Assert.Equal(1, await connection.ExecuteAsync(sql, TestContext.Current.CancellationToken));
    }

    void AssertReported(string subject)
    {
        var problem = Assert.Single(_health.Problems());
        Assert.Equal(("state", subject, HealthState.Degraded), (problem.Component, problem.Subject, problem.State));
        Assert.Contains("is damaged", problem.Reason, StringComparison.Ordinal);
    }
}
