using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Whistle.Detectors.Incidents;
using Whistle.Detectors.Signals;
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
    public void A_damaged_incident_is_skipped_and_reported_until_it_is_repaired(string damage)
    {
        var store = new IncidentStore(_state);
        store.Save([new(Fleet.Incident("i1"), []), new(Fleet.Incident("i2"), [])], Fleet.Start);
        Execute($"UPDATE incidents SET revision = revision + 1000000, {damage} WHERE id = 'i1'");

        for (var pass = 0; pass < 2; pass++)
        {
            Assert.Equal("i2", Assert.Single(store.Active()).Id);
            Assert.Equal("i2", Assert.Single(store.Since(Fleet.Start)).Id);
            Assert.Null(store.Find("i1"));
            AssertReported("incidents i1");
        }

        store.Save([new(Fleet.Incident("i1"), [])], Fleet.Start);
        Execute("UPDATE incidents SET subject = (SELECT subject FROM incidents WHERE id = 'i2'), opened_at = (SELECT opened_at FROM incidents WHERE id = 'i2') WHERE id = 'i1'");
        Assert.Equal(2, store.Active().Count);
        Assert.Empty(_health.Problems());
    }

    [Theory]
    [InlineData("labels = '{\"zz'")]
    [InlineData("element = '{\"zz'")]
    [InlineData("state = 'Firimg'")]
    [InlineData("since = " + TooLate)]
    public void A_damaged_signal_is_left_out(string damage)
    {
        var store = new SignalStore(_state);
        store.Save("g", Fleet.Start, [Signal("a"), Signal("b")], []);
        Execute($"UPDATE signals SET {damage} WHERE name = 'a'");

        Assert.Equal("b", Assert.Single(store.Load()).Name);
        AssertReported($"signals a {Signal("a").Fingerprint:x16}");
    }

    [Fact]
    public void A_damaged_evaluation_is_left_out()
    {
        var store = new SignalStore(_state);
        store.Save("g", Fleet.Start, [], []);
        store.Save("h", Fleet.Start, [], []);
        Execute($"UPDATE rule_groups SET last_evaluation = {TooLate} WHERE name = 'g'");

        Assert.Equal("h", Assert.Single(store.LoadEvaluations()).Key);
        AssertReported("rule_groups g");
    }

    [Theory]
    [InlineData("enrolled_at = " + TooLate)]
    [InlineData("cluster = 'd'")]
    [InlineData("revoked_at = 1")]
    public void A_damaged_credential_is_reported_and_the_others_are_known(string damage)
    {
        var credentials = new Credentials(_state, new FakeTimeProvider(Fleet.Start));
        credentials.Enroll("t", "c", "n1");
        credentials.Enroll("t", "c", "n2");
        credentials.Enroll("t", "c", null);
        Execute($"UPDATE credentials SET {damage} WHERE node = 'n1'");

        Assert.Equal("n2", Assert.Single(credentials.Agents()).Node);
        Assert.Single(credentials.Collectors());
        Assert.Equal(2, credentials.Senders().Count);
        Assert.StartsWith("credentials t/", Assert.Single(_health.Problems()).Subject, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_alerting_state_that_is_damaged_holds_no_other_incident_up()
    {
        using var bench = new AlertingBench();
        bench.Database.Watch(_health, NullLogger.Instance);
        bench.Set(new(Fleet.Incident("i1"), []));
        await bench.PassAsync(TimeSpan.FromSeconds(1));
        using (var connection = bench.Database.Open())
            connection.Execute("UPDATE alerting_incidents SET state = '{\"zz' WHERE incident = 'i1'");
        bench.Set(new(Fleet.Incident("i2"), []));
        await bench.RunAsync(TimeSpan.FromMinutes(10), TimeSpan.FromSeconds(30));

        Assert.Contains("trigger i2/1", bench.PagerDuty.Taken);
        AssertReported("alerting_incidents i1");
        Assert.Empty(bench.Health.Problems());
    }

    [Theory]
    [InlineData(TooLate)]
    [InlineData("-62135596800000")]
    [InlineData("253402300799999")]
    public async Task Alerting_starts_with_a_watermark_that_is_damaged(string at)
    {
        using var bench = new AlertingBench();
        await bench.PassAsync(TimeSpan.FromSeconds(1));
        using (var connection = bench.Database.Open())
            Assert.Equal(1, connection.Execute($"UPDATE alerting_watermark SET at = {at}"));

        bench.Start();
        bench.Set(new(Fleet.Incident("i1"), []));
        await bench.RunAsync(TimeSpan.FromMinutes(10), TimeSpan.FromSeconds(30));
        Assert.Contains("trigger i1/1", bench.PagerDuty.Taken);
    }

    [Theory]
    [InlineData("at = " + TooLate)]
    [InlineData("at = 'noon'")]
    public void A_damaged_change_of_a_brake_is_not_shown_and_the_others_are(string damage)
    {
        var control = new ControlStore(_state);
        control.Set(new KillSwitch(true, "a flood", "ann", Fleet.Start));
        control.Set(new KillSwitch(false, "dry again", "ann", Fleet.Start));
        Execute($"UPDATE control_timeline SET {damage} WHERE number = 1");

        Assert.Equal(2, Assert.Single(control.Timeline(10)).Number);
        AssertReported("control_timeline 1");
    }

    [Theory]
    [InlineData(TooLate)]
    [InlineData("-1")]
    [InlineData("'noon'")]
    public void A_cluster_whose_last_storm_cannot_be_told_is_taken_to_be_in_one(string at)
    {
        var runs = new RunStore(_state);
        _ = (new ControlStore(_state), new IncidentStore(_state));
        runs.NoteStorms([("t", "c"), ("t", "d")], Fleet.Start.AddHours(-3));
        Execute($"UPDATE storms SET at = {at} WHERE cluster = 'c'");

        using var connection = _state.Open();
        var fleet = FleetState.Read(connection, Fleet.Start);
        Assert.Equal((Fleet.Start, Fleet.Start.AddHours(-3)), (fleet.Storms[("t", "c")], fleet.Storms[("t", "d")]));
        Assert.Contains("t/c", Assert.Single(fleet.Faults).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Whoever_needs_a_row_that_is_damaged_is_told_so()
    {
        _state.Migrate("blobs", "CREATE TABLE blobs (id INTEGER PRIMARY KEY, at INTEGER NOT NULL)");
        using var connection = _state.Open();
        connection.Execute($"INSERT INTO blobs VALUES (1, {TooLate})");

        Assert.Throws<DamagedRowException>(() => connection.Query("SELECT NULL FROM blobs WHERE id = 1", r => r.GetString(0)));
        var error = Assert.Throws<DamagedRowException>(() => connection.Query("SELECT at FROM blobs WHERE id = 1", r => r.Instant(0)));
        Assert.Contains("A row of blobs is damaged", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, connection.Query("SELECT id FROM blobs", r => r.GetInt64(0)).Single());
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

    void Execute(string sql)
    {
        using var connection = _state.Open();
        Assert.Equal(1, connection.Execute(sql));
    }

    void AssertReported(string subject)
    {
        var problem = Assert.Single(_health.Problems());
        Assert.Equal(("state", subject, HealthState.Degraded), (problem.Component, problem.Subject, problem.State));
        Assert.Contains("is damaged", problem.Reason, StringComparison.Ordinal);
    }
}
