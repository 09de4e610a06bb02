using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.State;
using Whistle.Telemetry;
using Whistle.Tests.Detectors;

using Xunit;

namespace Whistle.Tests.Incidents;

public sealed class IncidentTests : IDisposable
{
    static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-incidents-").FullName;
    readonly List<Signal> _active = [];
    readonly List<Signal> _ended = [];
    readonly HashSet<string> _worked = [];
    SignalList? _given;
    readonly StateDatabase _database;
    readonly IncidentStore _store;
    readonly IncidentsHost _host;
    DateTimeOffset _now = Start;

    public IncidentTests()
    {
        _database = new(Path.Combine(_folder, "state.db"));
        _store = new(_database);
        _host = new(
            new()
            {
                Signals = () => _given ?? [.. _active],
                Ended = (_, _) => Task.FromResult<IReadOnlyList<Signal>>(_ended),
                Worked = _ => Task.FromResult<IReadOnlySet<string>>(_worked),
                Store = _store,
                Metrics = Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry()),
            },
            TimeProvider.System,
            NullLogger<IncidentsHost>.Instance);
    }

    public void Dispose()
    {
        _host.Dispose();
        _database.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task What_begins_everywhere_in_a_cluster_at_once_is_one_incident_and_all_that_follows_belongs_to_it()
    {
        for (var i = 0; i < 300; i++)
            Fire("Filling", i == 7 ? "critical" : "warning", $"/{i}");
        await PassAsync(0);
        Fire("Filling", "warning", "/late");
        await PassAsync(1);

        var storm = Assert.Single(await _store.ActiveAsync(TestContext.Current.CancellationToken));
        Assert.True(storm.IsStorm);
        Assert.Equal(("critical", 100), (storm.Severity, storm.Signals.Count));
        Assert.StartsWith("Much of c is in trouble at once: 300 signals", storm.Title);
        Assert.InRange((await _store.TimelineAsync(storm.Id, TestContext.Current.CancellationToken)).Count, 1, 3);

        _active.Clear();
        await PassAsync(2);
        await PassAsync(8);
        Assert.Empty(await _store.ActiveAsync(TestContext.Current.CancellationToken));
        Fire("Filling", "warning", "/a");
        await PassAsync(9);
        Assert.False(Assert.Single(await _store.ActiveAsync(TestContext.Current.CancellationToken)).IsStorm);
    }

    [Fact]
    public async Task A_copy_of_the_signals_is_as_good_as_the_list_and_a_new_version_is_seen()
    {
        Fire("Filling", "warning", "/a");
        var (source, original, copy) = (Guid.NewGuid(), new CountedSignals([.. _active]), new CountedSignals([.. _active]));
        _given = new(new(source, 1), original);
        await PassAsync(0);
        _given = new(new(source, 1), copy);
        await PassAsync(1);
        Assert.NotEqual(0, original.Reads);
        Assert.Equal(0, copy.Reads);

        Fire("Filling", "warning", "/b");
        _given = new(new(source, 2), [.. _active]);
        await PassAsync(2);
        Assert.Equal(2, (await _store.ActiveAsync(TestContext.Current.CancellationToken)).Count);

        // The number of another process says nothing of this one's.
        _given = new(new(Guid.NewGuid(), 2), []);
        await PassAsync(3);
        await PassAsync(9);
        Assert.Empty(await _store.ActiveAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Warning_and_critical_of_one_disk_are_one_incident_and_a_silent_node_is_its_own()
    {
        Fire("Filling", "warning", "/a");
        Fire("Filling", "critical", "/a");
        Fire("Filling", "warning", "/b");
        Fire("NodeSilent", "critical", "");
        await PassAsync(0);

        Assert.Equal(3, (await _store.ActiveAsync(TestContext.Current.CancellationToken)).Count);
        var disk = (await _store.ActiveAsync(TestContext.Current.CancellationToken)).Single(i => i.Subject["mountpoint"] == "/a");
        Assert.Equal(("critical", 2, "Filling critical"), (disk.Severity, disk.Signals.Count, disk.Title));
        Assert.Equal(disk.Signals[0], (await _store.FindAsync(disk.Id, TestContext.Current.CancellationToken))!.Signals[0]);
    }

    [Fact]
    public async Task It_recovers_closes_and_a_relapse_within_the_hour_is_the_same_incident()
    {
        Fire("Filling", "warning", "/a");
        await PassAsync(0);
        var id = Assert.Single(await _store.ActiveAsync(TestContext.Current.CancellationToken)).Id;
        _worked.Add(id);
        await PassAsync(1);
        Assert.Equal(IncidentState.Mitigating, (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.State);
        End(SignalEnd.Cleared);
        await PassAsync(1);
        Assert.Equal(IncidentState.Recovering, (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.State);
        await PassAsync(4.9);
        Assert.NotEmpty(await _store.ActiveAsync(TestContext.Current.CancellationToken));
        await PassAsync(0.1);
        Assert.Equal(IncidentState.Closed, (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.State);

        Fire("Filling", "warning", "/a");
        await PassAsync(59);
        Assert.Equal((1, IncidentState.Mitigating), (
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.Reopened,
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.State));
        End(SignalEnd.Gone);
        await PassAsync(1);
        Assert.Equal(IncidentState.Closed, (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.State);

        Fire("Filling", "warning", "/a");
        await PassAsync(61);
        Assert.NotEqual(id, Assert.Single(await _store.ActiveAsync(TestContext.Current.CancellationToken)).Id);
        Assert.Equal(
            ["opened", "signal", "state", "signal", "state", "closed", "reopened", "signal", "state", "signal", "closed"],
            (await _store.TimelineAsync(id, TestContext.Current.CancellationToken)).Select(e => e.Kind.Word()));
    }

    [Fact]
    public async Task An_unknown_signal_keeps_it_open_and_one_that_never_fired_opens_nothing()
    {
        Fire("Filling", "warning", "/a");
        await PassAsync(0);
        _active[0] = _active[0] with { Condition = _active[0].Condition with { State = SignalState.Unknown, Before = SignalState.Firing } };
        var never = Signal("Other", "warning", "/b");
        _active.Add(never with { Condition = never.Condition with { State = SignalState.Unknown, Before = SignalState.Pending } });
        await PassAsync(120);

        var incident = Assert.Single(await _store.ActiveAsync(TestContext.Current.CancellationToken));
        Assert.True(Assert.Single(incident.Signals).Unknown);
        Assert.Equal(IncidentState.Open, incident.State);
    }

    [Fact]
    public async Task A_signal_that_is_only_kept_firing_recovers_the_incident_and_its_end_closes_it()
    {
        Fire("Filling", "warning", "/a");
        await PassAsync(0);
        var id = Assert.Single(await _store.ActiveAsync(TestContext.Current.CancellationToken)).Id;
        Keep();
        await PassAsync(1);
        var incident = (await _store.FindAsync(id, TestContext.Current.CancellationToken))!;
        Assert.Equal((IncidentState.Recovering, _now), (incident.State, incident.ClearSince));
        Assert.Equal((true, null), (incident.Signals[0].IsClear, incident.Signals[0].ClearedAt));
        // Both clocks run side by side, and the longer one decides.
        await PassAsync(9);
        Assert.Equal(IncidentState.Recovering, (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.State);
        End(SignalEnd.Cleared);
        await PassAsync(0.1);
        Assert.Equal(IncidentState.Closed, (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.State);
    }

    [Fact]
    public async Task A_signal_that_is_kept_firing_and_holds_again_or_becomes_unknown_is_not_clear_and_one_alone_opens_nothing()
    {
        Fire("Filling", "warning", "/a");
        await PassAsync(0);
        var id = Assert.Single(await _store.ActiveAsync(TestContext.Current.CancellationToken)).Id;
        Keep();
        await PassAsync(1);
        _active[0] = _active[0] with { Condition = _active[0].Condition with { State = SignalState.Unknown, Before = SignalState.Firing } };
        await PassAsync(1);
        Assert.Equal((IncidentState.Open, false, null), (
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.State,
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.Signals[0].IsClear,
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.ClearSince));
        _active[0] = _active[0] with { Condition = _active[0].Condition with { State = SignalState.Firing, KeepSince = null } };
        await PassAsync(1);
        Assert.Equal((IncidentState.Open, false), (
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.State,
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.Signals[0].Unknown));

        Fire("Filling", "warning", "/b");
        _active[1] = _active[1] with { Condition = _active[1].Condition with { KeepSince = _now } };
        await PassAsync(1);
        Assert.Single(await _store.ActiveAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task An_acknowledgement_ends_by_itself_by_hand_and_with_the_incident()
    {
        Fire("Filling", "warning", "/a");
        await PassAsync(0);
        var id = Assert.Single(await _store.ActiveAsync(TestContext.Current.CancellationToken)).Id;
        Assert.True(await _store.AcknowledgeAsync(new(id, "ann", _now, _now.AddMinutes(30)), TestContext.Current.CancellationToken));
        Assert.Equal("ann", (await _store.AcknowledgementAsync(id, _now.AddMinutes(29), TestContext.Current.CancellationToken))?.Author);
        Assert.Null(await _store.AcknowledgementAsync(id, _now.AddMinutes(30), TestContext.Current.CancellationToken));
        Assert.True(await _store.AcknowledgeAsync(new(id, "bob", _now, _now.AddMinutes(30)), TestContext.Current.CancellationToken));
        Assert.True(await _store.ReleaseAsync(id, "bob", _now, TestContext.Current.CancellationToken));
        Assert.False(await _store.ReleaseAsync(id, "bob", _now, TestContext.Current.CancellationToken));
        Assert.Null(await _store.AcknowledgementAsync(id, _now, TestContext.Current.CancellationToken));
        Assert.Equal(
            3, (await _store.TimelineAsync(id, TestContext.Current.CancellationToken)).Count(e => e.Kind is TimelineKind.Acknowledged));
        End(SignalEnd.Gone);
        await PassAsync(1);
        Assert.False(await _store.AcknowledgeAsync(new(id, "ann", _now, _now.AddMinutes(30)), TestContext.Current.CancellationToken));
        Assert.False(await _store.AcknowledgeAsync(new("none", "ann", _now, _now.AddMinutes(30)), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task What_is_so_already_writes_nothing_and_a_repeated_entry_is_counted()
    {
        Fire("Filling", "warning", "/a");
        await PassAsync(0);
        var id = Assert.Single(await _store.ActiveAsync(TestContext.Current.CancellationToken)).Id;
        await PassAsync(1);
        Assert.Equal(2, (await _store.TimelineAsync(id, TestContext.Current.CancellationToken)).Count);
        for (var i = 0; i < 3; i++)
            await _store.AppendTimelineAsync(
                id, _now, TimelineKind.Gate, "paused", repeats: true, cancellation: TestContext.Current.CancellationToken);
        await _store.AppendTimelineAsync(
            id, _now, TimelineKind.Gate, "cooling", repeats: true, cancellation: TestContext.Current.CancellationToken);
        await _store.AppendTimelineAsync(
            id, _now, TimelineKind.Gate, "paused", repeats: true, cancellation: TestContext.Current.CancellationToken);

        Assert.Equal(
            [(3, "paused"), (1, "cooling"), (1, "paused")],
            (await _store.TimelineAsync(id, TestContext.Current.CancellationToken)).Skip(2).Select(e => (e.Count, e.Text)));
    }

    [Fact]
    public async Task What_another_signal_explains_opens_nothing_until_that_ends_and_its_cause_tells_it()
    {
        Fire("NodeSilent", "critical", "");
        Fire("Filling", "warning", "/a");
        Fire("Filling", "critical", "/b");
        Inhibit(1);
        Inhibit(2);
        await PassAsync(0);
        await PassAsync(30);

        var silent = Assert.Single(await _store.ActiveAsync(TestContext.Current.CancellationToken));
        Assert.Equal(["Filling"], silent.Inhibits);
        Assert.Equal("Inhibits Filling (2 times). While it fires, nobody is paged for that and no repair of it starts.", Assert.Single(
            await _store.TimelineAsync(silent.Id, TestContext.Current.CancellationToken), e => e.Kind is TimelineKind.Inhibited).Text);

        _active.RemoveAt(0);
        Show();
        await PassAsync(1);
        Assert.Equal(3, (await _store.ActiveAsync(TestContext.Current.CancellationToken)).Count);
        Assert.All(
            (await _store.ActiveAsync(TestContext.Current.CancellationToken)).Skip(1),
            i => Assert.Equal((_now, IncidentState.Open, null), (i.OpenedAt, i.State, i.InhibitedBy)));
    }

    [Fact]
    public async Task What_an_incident_holds_already_stays_with_its_cause_and_both_ends_are_told_once()
    {
        Fire("Filling", "warning", "/a");
        Fire("Filling", "critical", "/a");
        await PassAsync(0);
        var id = Assert.Single(await _store.ActiveAsync(TestContext.Current.CancellationToken)).Id;
        Fire("NodeSilent", "critical", "");
        Inhibit(0);
        await PassAsync(1);
        Assert.Equal(("NodeSilent (node n)", null), (
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.Signals[0].InhibitedBy!.ToString(),
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.InhibitedBy));

        Inhibit(1);
        await PassAsync(1);
        await PassAsync(1);
        Assert.Equal((IncidentState.Open, "NodeSilent (node n)"), (
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.State,
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.InhibitedBy));

        _active.RemoveAt(2);
        Show();
        await PassAsync(1);
        await PassAsync(1);
        Assert.Null((await _store.FindAsync(id, TestContext.Current.CancellationToken))!.InhibitedBy);
        Assert.Equal(
            [
                "Filling (warning) is inhibited by NodeSilent (node n). While that fires, nobody is paged for it and no repair starts.",
                "Filling (critical) is inhibited by NodeSilent (node n). While that fires, nobody is paged for it and no repair starts.",
                "Filling (warning) is no longer inhibited by NodeSilent (node n).",
                "Filling (critical) is no longer inhibited by NodeSilent (node n).",
            ],
            (await _store.TimelineAsync(id, TestContext.Current.CancellationToken)).Where(e => e.Kind is TimelineKind.Inhibited)
                .Select(e => e.Text));
    }

    [Fact]
    public async Task What_is_inhibited_reopens_nothing_joins_nothing_and_closes_as_ever()
    {
        Fire("Filling", "warning", "/a");
        await PassAsync(0);
        var id = Assert.Single(await _store.ActiveAsync(TestContext.Current.CancellationToken)).Id;
        Fire("NodeSilent", "critical", "");
        Fire("AlmostFull", "critical", "/a");
        Inhibit(0);
        Inhibit(2);
        await PassAsync(1);
        Assert.Equal(("warning", 1), (
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.Severity,
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.Signals.Count));
        _active.RemoveAt(0);
        await PassAsync(1);
        Assert.Null(Assert.Single((await _store.FindAsync(id, TestContext.Current.CancellationToken))!.Signals).InhibitedBy);
        await PassAsync(6);
        Assert.Equal(IncidentState.Closed, (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.State);

        Fire("Filling", "warning", "/a");
        Inhibit(2);
        await PassAsync(1);
        Assert.Equal(IncidentState.Closed, (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.State);

        _active.RemoveAt(0);
        Show();
        await PassAsync(1);
        Assert.Equal((IncidentState.Open, 1, 2), (
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.State,
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.Reopened,
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.Signals.Count(s => !s.IsClear)));
    }

    [Fact]
    public async Task What_is_about_the_same_as_its_cause_is_in_its_incident_which_is_not_clear_before_both_are()
    {
        Fire("NodeSilent", "warning", "");
        Fire("NotReady", "critical", "");
        Inhibit(1);
        await PassAsync(0);
        var id = Assert.Single(await _store.ActiveAsync(TestContext.Current.CancellationToken)).Id;
        Assert.Equal(("warning", null, 2, 0), (
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.Severity,
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.InhibitedBy,
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.Signals.Count,
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.Inhibits.Count));
        Keep();
        await PassAsync(1);
        Assert.Equal((IncidentState.Open, null), (
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.State,
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.InhibitedBy));
        _active.RemoveAt(0);
        Show();
        await PassAsync(1);
        Assert.Equal(("critical", IncidentState.Open), (
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.Severity,
            (await _store.FindAsync(id, TestContext.Current.CancellationToken))!.State));
    }

    [Fact]
    public async Task In_a_storm_what_is_inhibited_is_marked_beside_its_cause_and_reported_in_one_line()
    {
        for (var i = 0; i < 300; i++)
            Fire("Filling", "warning", $"/{i}");
        await PassAsync(0);
        var storm = Assert.Single(await _store.ActiveAsync(TestContext.Current.CancellationToken));
        Fire("NodeSilent", "critical", "");
        for (var i = 0; i < 300; i++)
            Inhibit(i);
        await PassAsync(1);

        Assert.True(storm.IsStorm);
        storm = Assert.Single(await _store.ActiveAsync(TestContext.Current.CancellationToken));
        Assert.Equal((100, null), (storm.Signals.Count(s => s.InhibitedBy is not null), storm.InhibitedBy));
        Assert.InRange((await _store.TimelineAsync(storm.Id, TestContext.Current.CancellationToken)).Count, 2, 3);
    }

    async Task PassAsync(double minutes)
    {
        _now += TimeSpan.FromMinutes(minutes);
        await _host.ReconcileAsync(_now, TestContext.Current.CancellationToken);
    }

    void Fire(string name, string severity, string mountpoint) => _active.Add(Signal(name, severity, mountpoint));

    Signal Signal(string name, string severity, string mountpoint)
    {
        var labels = Labels.Of(
            ("tenant", "t"), ("cluster", "c"), ("node", "n"), ("mountpoint", mountpoint), ("alertname", name), ("severity", severity));
        return new()
        {
            Rule = "r",
            Name = name,
            Labels = labels,
            Element = labels,
            Annotations = [new("summary", $"{name} {severity}")],
            Condition = new(SignalState.Firing, _now, _now) { FiringSince = _now },
        };
    }

    void Inhibit(int index) =>
        _active[index] = _active[index] with { InhibitedBy = Inhibitor.Of(_active.Single(s => s.Name == "NodeSilent")) };

    void Show()
    {
        for (var i = 0; i < _active.Count; i++)
            _active[i] = _active[i] with { InhibitedBy = null };
    }

    void Keep() => _active[0] = _active[0] with { Condition = _active[0].Condition with { KeepSince = _now } };

    void End(SignalEnd reason)
    {
        _ended.InsertRange(0, _active.Select(s => s with { Condition = Transition.End(s.Condition, reason, _now) }));
        _active.Clear();
    }
}
