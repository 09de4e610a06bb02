using System.Collections.Concurrent;
using System.Data.Common;
using System.Text.Json;

using Whistle.Alerting;
using Whistle.Alerting.Deciding;
using Whistle.Alerting.Outbox;
using Whistle.Alerting.Tickets;
using Whistle.Detectors.Incidents;
using Whistle.Detectors.Signals;
using Whistle.Ingest;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>What every stage asks of the state, the same on every engine.</summary>
public abstract partial class StoreTests : IAsyncLifetime
{
    const string Text =
        """
        name: disk
        summary: Free space
        answers: [{ signal: Filling, labels: { mountpoint: /.* } }]
        mode: automatic
        gates: { sustained: 1m, freshness: 2m, coolDown: 15m, attempts: 2 }
        steps:
          - { name: clean, action: disk.clean-paths, parameters: { mountPoint: "${mountpoint}" }, timeout: 1m }
          - { name: look, task: "Look at ${mountpoint}" }
        verify: { within: 5m, for: 1m }
        """;

    private protected static readonly Runbook Book = RunbookSet.Parse(Text)!;
    private protected static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private protected static readonly Sender Node = new("t", "c", "n");
    static readonly Labels Labels = Labels.Of(("tenant", "t"), ("cluster", "c"), ("node", "n"), ("mountpoint", "/data"), ("alertname", "Filling"));

    static readonly Signal Firing = new()
    {
        Rule = "group\nrule",
        Name = "Filling",
        Labels = Labels,
        Element = Labels,
        Annotations = [new("summary", "The disk fills – \"soon\"")],
        Value = 0.1,
        Condition = new(SignalState.Firing, Now.AddHours(-1), Now) { FiringSince = Now.AddMinutes(-30), Paused = TimeSpan.FromSeconds(1.5) },
    };

    static readonly Incident Disk = new()
    {
        Id = "i1",
        Tenant = "t",
        Cluster = "c",
        Subject = Labels.Of(("node", "n"), ("mountpoint", "/data")),
        Title = "A disk fills",
        Severity = "warning",
        State = IncidentState.Open,
        OpenedAt = Now,
        Signals = [new(Firing.Fingerprint, Firing.Name, Labels, "warning", Now, null)],
    };

    static readonly Run Proposed = new()
    {
        Id = "i1-1",
        IncidentId = "i1",
        Tenant = "t",
        Cluster = "c",
        Node = "n",
        Subject = Disk.Subject,
        Labels = Labels,
        Runbook = "disk",
        RunbookHash = Book.Hash,
        Origin = "disk",
        Answers = ["Filling"],
        PlanHash = "p",
        State = RunState.Proposed,
        Since = Now,
        Attempt = 1,
        CreatedAt = Now,
    };

    private protected static readonly SignalIndex Active = new([Firing]);

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    protected StateDatabase Database { get; private protected set; } = null!;

    public async ValueTask InitializeAsync()
    {
        await PrepareAsync(Cancellation);
        Database = Open();
    }

    public async ValueTask DisposeAsync()
    {
        Database?.Dispose();
        await DropAsync();
        GC.SuppressFinalize(this);
    }

    protected virtual ValueTask PrepareAsync(CancellationToken cancellation) => ValueTask.CompletedTask;

    protected abstract StateDatabase Open();

    /// <summary>The same data, as another process would see them.</summary>
    protected virtual StateDatabase Again() => Open();

    protected virtual ValueTask DropAsync() => ValueTask.CompletedTask;

    [Fact]
    public void Signals_come_back_as_they_were_and_events_tell_how_they_ended()
    {
        var store = new SignalStore(Database);
        store.Save("group", Now, [Firing], [new(Firing, null, Now)]);
        store.Save("group", Now.AddMinutes(1), [Firing with { Value = double.NaN }], []);

        var kept = Assert.Single(store.Load());
        Assert.Equal((Firing.Labels, Firing.Condition, double.NaN), (kept.Labels, kept.Condition, kept.Value));
        Assert.Equal(Firing.Annotations, kept.Annotations);
        Assert.Equal(Now.AddMinutes(1), store.LoadEvaluations()["group"]);
        var ended = Firing with { Condition = Transition.End(Firing.Condition, SignalEnd.Gone, Now.AddMinutes(2)) };
        store.Save("group", Now.AddMinutes(2), [ended], [new(ended, SignalState.Firing, Now.AddMinutes(2))]);
        Assert.Empty(store.Load());
        Assert.Equal(SignalEnd.Gone, Assert.Single(store.Ended(Now)).Condition.Reason);
        Assert.Empty(store.Ended(Now.AddMinutes(3)));
    }

    [Fact]
    public void An_incident_keeps_its_timeline_and_whoever_took_it_on_last()
    {
        var store = new IncidentStore(Database);
        store.Save([new(Disk, [("opened", "It opened."), ("signal", "Filling")])], Now);
        store.Save([new(Disk with { Severity = "critical", Reopened = 3, ClearSince = Now }, [])], Now);

        var found = store.Find("i1")!;
        Assert.Equal(("critical", 3, Now, null), (found.Severity, found.Reopened, found.ClearSince, found.ClosedAt));
        Assert.Equal((Disk.Subject, Disk.Signals[0]), (found.Subject, found.Signals[0]));
        store.AppendTimeline("i1", Now, "gate", "closed", repeats: true);
        store.AppendTimeline("i1", Now, "gate", "closed", repeats: true);
        Assert.Equal(["1 It opened. 1", "2 Filling 1", "3 closed 2"], store.Timeline("i1").Select(e => $"{e.Number} {e.Text} {e.Count}"));
        Assert.True(store.Acknowledge(new("i1", "ann", Now, Now.AddHours(1))));
        Assert.True(store.Acknowledge(new("i1", "bob", Now, Now.AddHours(2))));
        Assert.Equal("bob", store.Acknowledgement("i1", Now)!.Author);
        Assert.True(store.Release("i1", "bob", Now));
        Assert.False(store.Release("i1", "bob", Now.AddHours(3)));
        store.Save([new(Disk with { State = IncidentState.Closed, ClosedAt = Now }, [])], Now);
        Assert.False(store.Acknowledge(new("i1", "ann", Now, Now.AddHours(1))));
        Assert.Empty(store.Active());
        Assert.Single(store.Since(Now));
    }

    [Fact]
    public void A_run_has_one_owner_and_a_stale_token_changes_nothing()
    {
        var runs = Stores().Runs;
        Assert.False(runs.Propose(Proposed, Book, [new("run", "again")], Now));

        Assert.Equal(1, Own("a", Now));
        Assert.Equal(1, Own("a", Now.AddSeconds(20)));
        Assert.Null(Own("b", Now.AddSeconds(20)));
        Assert.Equal(2, Own("b", Now.AddMinutes(2)));
        Assert.Equal("disk", runs.RunbookOf(Proposed)!.Name);
        var running = Proposed with { State = RunState.Running, Issued = 1 };
        Assert.False(runs.Apply(new(running, [new("step", "from a")]) { Offer = Offer }, "a", 1, Now.AddMinutes(2)));
        Assert.False(runs.Apply(new(running, [new("step", "from b before")]) { Offer = Offer }, "b", 1, Now.AddMinutes(2)));
        Assert.True(runs.Apply(new(running, [new("step", "from b")]) { Offer = Offer }, "b", 2, Now.AddMinutes(2)));
        Assert.Equal(["proposed", "from b"], runs.Timeline("i1-1").Select(e => e.Text));
        Assert.Equal(["i1"], runs.WorkedIncidents());
        Assert.True(runs.Apply(new(running with { Issued = 2 }, []) { Withdraw = Offer.Id }, "b", 2, Now.AddMinutes(2)));
        Assert.False(runs.Apply(new(running with { Issued = 3 }, []) { Withdraw = Offer.Id }, "b", 2, Now.AddMinutes(2)));
        Assert.Equal(2, runs.Find("i1-1")!.Issued);
    }

    [Fact]
    public void The_latest_approval_and_the_first_cancellation_count()
    {
        var runs = Stores().Runs;
        runs.Approve(new("i1-1", "p", "ann", Now, Now.AddHours(1)));
        runs.Approve(new("i1-1", "p", "bob", Now, Now.AddHours(2)));
        Assert.True(runs.Cancel(new("i1-1", "ann", "not now", Now)));
        Assert.True(runs.Cancel(new("i1-1", "bob", "nor ever", Now)));
        Assert.False(runs.Cancel(new("i1-2", "ann", "not now", Now)));

        var fleet = Fleet();
        Assert.Equal(("bob", "ann"), (fleet.Approvals[("i1-1", "")].Author, fleet.Cancellations["i1-1"].Author));
        Assert.Equal(1, Own("a", Now));
        var ended = Proposed with { State = RunState.Escalated, EndedAt = Now, Reason = "Nothing helped." };
        Assert.True(runs.Apply(new(ended, []), "a", 1, Now));
        Assert.Equal(("i1", 1), (Assert.Single(runs.Escalations(Now)).IncidentId, runs.Escalations(Now)[0].Attempts));
        Assert.Empty(runs.Live());
    }

    [Fact]
    public void A_yes_to_a_step_is_none_to_the_plan_and_a_task_is_done_once()
    {
        var runs = Stores().Runs;
        Assert.True(runs.Approve(new("i1-1", "p", "ann", Now, Now.AddHours(1), "look")));
        Assert.False(runs.Complete(new("i1-1", "clean", "ann", "an action is no task", Now)));
        Assert.False(runs.Complete(new("i1-2", "look", "ann", "no such run", Now)));
        Assert.True(runs.Complete(new("i1-1", "look", "ann", "seen", Now)));
        Assert.True(runs.Complete(new("i1-1", "look", "bob", "seen too", Now)));

        var fleet = Fleet();
        Assert.Equal([("i1-1", "look")], fleet.Approvals.Keys);
        Assert.Equal(new TaskDone("i1-1", "look", "ann", "seen", Now), fleet.Tasks[("i1-1", "look")]);
        Assert.Equal("look is approved by ann until 2026-01-01 01:00:00Z.", runs.Timeline("i1-1")[1].Text);
    }

    [Fact]
    public void Windows_freezes_and_storms_are_read_with_the_fleet()
    {
        var (runs, control, _) = Stores();
        var window = control.Add(new MaintenanceWindow(0, "t", "c", "FREQ=WEEKLY;BYDAY=SA,SU", new(2026, 1, 3, 22, 0, 0), TimeSpan.FromHours(4), "Europe/Berlin", "ann", Now));
        var freeze = control.Add(new ChangeFreeze(0, "t", "", "the fair", "ann", Now, Now.AddDays(3)));
        runs.NoteStorms([("t", "c"), ("t", "d")], Now.AddMinutes(-1));
        runs.NoteStorms([("t", "c")], Now);

        var fleet = Fleet();
        Assert.Equal((window, freeze), (Assert.Single(fleet.Windows), Assert.Single(fleet.Freezes)));
        Assert.Equal(new DateTimeOffset(2026, 1, 3, 21, 0, 0, TimeSpan.Zero), WindowView.Of(fleet.Windows, "t", "c", Now).NextAt);
        Assert.Equal((Now, Now.AddMinutes(-1)), (fleet.Storms[("t", "c")], fleet.Storms[("t", "d")]));
        Assert.True(control.EndFreeze(freeze.Id, "ann", Now));
        Assert.False(control.EndFreeze(freeze.Id, "ann", Now));
        Assert.True(control.RemoveWindow(window.Id, "ann", Now));
        Assert.False(control.RemoveWindow(window.Id, "ann", Now));
        Assert.Equal((0, 0), (control.Freezes(Now).Count, control.Windows().Count));
        Assert.Equal([4, 3, 2, 1], control.Timeline(100).Select(e => e.Number));
    }

    [Fact]
    public async Task Of_two_that_begin_at_a_time_one_gets_the_nodes_only_place()
    {
        var (runs, _, commands) = Running();
        var labels = Labels.Of(("tenant", "t"), ("cluster", "c"), ("node", "n"), ("mountpoint", "/var"), ("alertname", "Filling"));
        var firing = Firing with { Labels = labels, Element = labels };
        var incident = Disk with { Id = "i2", Subject = Labels.Of(("node", "n"), ("mountpoint", "/var")), Signals = [new(firing.Fingerprint, firing.Name, labels, "warning", Now, null)] };
        var second = Proposed with { Id = "i2-1", IncidentId = "i2", Subject = incident.Subject, Labels = labels };
        new IncidentStore(Database).Save([new(incident, [])], Now);
        Assert.True(runs.Propose(second, Book, [], Now));
        runs.Own("a", Now);
        Assert.True(runs.Apply(new(second with { State = RunState.Running, Issued = 1 }, []) { Offer = Offer with { Id = "i2-1.1", RunId = "i2-1" } }, "a", 1, Now));
        var ids = new System.Collections.Concurrent.ConcurrentQueue<string>(commands.Lease(Node, Now).Select(c => c.Id));
        var answers = new System.Collections.Concurrent.ConcurrentBag<BeginAnswer>();
        await SideBySideAsync(2, database =>
        {
            Assert.True(ids.TryDequeue(out var id));
            answers.Add(new CommandStore(database).Begin(Node, id, 1, (_, _) => null, () => (new([Firing, firing]), Now))!);
        });

        Assert.Single(answers, a => a.Granted);
        Assert.Equal("The limit of concurrent runs in the node (1) is reached.", Assert.Single(answers, a => !a.Granted).Reason);
        Assert.Single(Fleet().AtWork);
        var (winner, _) = Fleet().Runs.Single(r => r.Run.Id == Fleet().AtWork[0].RunId);
        Assert.True(runs.Apply(new(winner with { State = RunState.Failed, EndedAt = Now }, []), "a", 1, Now));
        Assert.Empty(Fleet().AtWork);
    }

    [Fact]
    public void A_command_is_leased_under_rising_tokens_begun_and_ended_once()
    {
        var commands = Running().Commands;
        Assert.Equal(1, Assert.Single(commands.Lease(Node, Now)).Token);
        Assert.Equal(2, Assert.Single(commands.Lease(Node, Now)).Token);

        Assert.False(commands.Begin(Node, Offer.Id, 1, (_, _) => null, () => (Active, Now))!.Granted);
        Assert.True(commands.Begin(Node, Offer.Id, 2, (_, _) => null, () => (Active, Now))!.Granted);
        Assert.True(commands.Begin(Node, Offer.Id, 2, (_, _) => null, () => (Active, Now))!.Granted);
        Assert.True(commands.Finish(Node, Offer.Id, new(1, CommandOutcome.Failed, "stale", null)));
        Assert.Equal(CommandState.Begun, commands.Find(Offer.Id)!.State);
        var output = JsonDocument.Parse("""{"freed": 1}""").RootElement;
        Assert.True(commands.Finish(Node, Offer.Id, new(2, CommandOutcome.Succeeded, "a\0b \uD800", output)));
        Assert.True(commands.Finish(Node, Offer.Id, new(2, CommandOutcome.Failed, "late", null)));
        var done = commands.Find(Offer.Id)!;
        Assert.Equal((CommandState.Done, CommandOutcome.Succeeded, output.GetRawText(), 60), (done.State, done.Outcome, done.Output, done.TimeoutSeconds));
        Assert.StartsWith("a", done.Summary, StringComparison.Ordinal);
        Assert.Empty(commands.Lease(Node, Now));
        Assert.Null(commands.Begin(new Sender("t", "c", "other"), Offer.Id, 2, (_, _) => null, () => (Active, Now)));
    }

    [Fact]
    public void What_a_person_forbids_is_denied_at_begin()
    {
        var (_, control, commands) = Running();
        commands.Lease(Node, Now);
        control.Set(new KillSwitch(true, "stop", "ann", Now));

        Assert.Contains("kill switch", commands.Begin(Node, Offer.Id, 1, (_, _) => null, () => (Active, Now))!.Reason, StringComparison.Ordinal);
        Assert.Equal(CommandState.Denied, commands.Find(Offer.Id)!.State);
    }

    [Fact]
    public void Control_keeps_the_latest_of_each_and_a_line_for_every_change()
    {
        var control = new ControlStore(Database);
        control.Set(new KillSwitch(true, "stop", "ann", Now));
        control.Set(new KillSwitch(false, "go", "bob", Now));
        control.Set(new ModeEntry("", "t", "c", RunbookMode.Observe, "ann", Now));
        control.Set(new ModeEntry("", "t", "c", RunbookMode.Automatic, "ann", Now));
        control.Set(new ModeEntry("Zebra", "t", "c", RunbookMode.Off, "ann", Now));
        control.Set(new ModeEntry("apple", "t", "c", RunbookMode.Off, "ann", Now));
        var pause = control.Add(new Pause(0, "t", "", "", "", "why", "ann", Now, Now.AddHours(1)));

        Assert.Equal((false, "bob"), (control.KillSwitch().On, control.KillSwitch().Author));
        // By their bytes, as ordinal comparison has it.
        Assert.Equal([": Automatic", "Zebra: Off", "apple: Off"], control.Modes().Select(m => $"{m.Runbook}: {m.Mode}"));
        Assert.Equal(pause, Assert.Single(control.Pauses(Now)));
        Assert.True(control.EndPause(pause.Id, "ann", Now.AddMinutes(1)));
        Assert.False(control.EndPause(pause.Id, "ann", Now.AddMinutes(1)));
        Assert.Empty(control.Pauses(Now.AddMinutes(1)));
        Assert.Equal([8, 7, 6, 5, 4, 3, 2, 1], control.Timeline(100).Select(e => e.Number));
        Assert.Equal(2, control.Timeline(2).Count);
    }

    [Fact]
    public void Alerting_tells_nothing_twice_and_no_end_of_what_was_never_told()
    {
        var store = new AlertingStore(Database);
        var outbox = new OutboxStore(Database);
        store.Save("i1", AlertState.New with { Pages = 1 }, [new Decision.Page(1, "critical", "it lasts")], Now, t =>
        {
            OutboxStore.Add(t, "pd", "i1/1", "trigger", "i1", "{}", Now);
            OutboxStore.Add(t, "pd", "i1/1", "trigger", "i1", "{}", Now);
            OutboxStore.Add(t, "pd", "i2/1", "trigger", null, "{}", Now);
            AlertingStore.AddDigestLine(t, "i1", "it was", Now);
        });
        var first = outbox.Next("pd", Now)!;
        Assert.True(outbox.Begin(first, out var maybe));
        Assert.False(maybe);
        outbox.End(first, new Delivery.Delivered(), maybe, null, Now);
        store.Save("i1", AlertState.New with { Pages = 2 }, [], Now, t =>
        {
            OutboxStore.AddEnd(t, "pd", "i1/1", "trigger", "resolve", "i1", "{}", Now);
            OutboxStore.AddEnd(t, "pd", "i2/1", "trigger", "resolve", null, "{}", Now);
        });

        Assert.Equal(
            ["resolve overtaken", "resolve pending", "trigger overtaken", "trigger sent"], outbox.List(null, null, 10).Select(n => $"{n.Action} {n.State}"));
        Assert.Equal(["resolve"], outbox.List("pending", "i1", 10).Select(n => n.Action));
        Assert.Equal((1, 2), (outbox.Pending("pd"), store.Find("i1")!.Pages));
        outbox.SetAside(outbox.Next("pd", Now)!, Now.AddMinutes(1));
        Assert.Null(outbox.Next("pd", Now));
        var lines = new List<string>();
        store.TakeDigest(Now, 10, (_, _, l) => lines.AddRange(l));
        store.TakeDigest(Now, 10, (_, _, l) => lines.AddRange(l));
        Assert.Single(lines);
        Assert.Null(store.Watermark());
        store.Advance(Now, Now);
        store.Advance(Now.AddDays(1), Now.AddDays(1));
        Assert.Equal(Now.AddDays(1), store.Watermark());
        Assert.Empty(store.Decisions("i1"));
        Assert.Single(outbox.List(null, null, 10));
    }

    [Fact]
    public void A_ticket_is_one_an_incident_and_keeps_every_step()
    {
        var tickets = new TicketStore(Database, TimeProvider.System);
        var repair = new Repair { Id = "i1-1", Runbook = "disk", State = RepairState.GaveUp, StartedAt = Now, Summary = "nothing helped", LargestDirectories = [new("/data", 1L << 40)] };
        for (var i = 0; i < 2; i++)
            InWrite(t => TicketStore.Open(t, Disk, repair, Now));

        var ticket = Assert.Single(tickets.List());
        Assert.Equal((1, 1L << 40), (ticket.Id, ticket.LargestDirectories[0].Bytes));
        Assert.Null(tickets.Comment(1, "bob", "all of May").Refusal);
        InWrite(t => TicketStore.Resolve(t, "i1", Now));
        Assert.Null(tickets.Move(1, TicketState.Closed, "ann", null).Refusal);
        Assert.Equal(["1 opened", "2 state", "3 comment", "4 state", "5 state"], tickets.Timeline(1).Select(e => $"{e.Number} {e.Kind}"));
        InWrite(t => TicketStore.Open(t, Disk, repair, Now));
        Assert.Equal([2, 1], tickets.List(incident: "i1").Select(t => t.Id));
        Assert.Equal([1], tickets.List(TicketState.Closed).Select(t => t.Id));
    }

    [Fact]
    public void Credentials_are_known_until_they_are_revoked()
    {
        var credentials = new Credentials(Database, TimeProvider.System);
        var (node, collector) = (credentials.Enroll("t", "c", "n"), credentials.Enroll("t", "c", null));

        Assert.Equal(("n", null), (credentials.Authenticate(node)!.Node, credentials.Authenticate(collector)!.Node));
        Assert.Equal("n", Assert.Single(credentials.Agents()).Node);
        Assert.Equal(1, credentials.Revoke("t", "c", null));
        Assert.Null(credentials.Authenticate(collector));
        Assert.NotNull(credentials.Authenticate(node));
        Assert.Equal(0, credentials.Revoke("t", "c", null));
    }

    [Fact]
    public async Task Migrations_run_once_however_many_start_at_a_time()
    {
        await SideBySideAsync(4, database =>
        {
            database.Migrate("mine", "CREATE TABLE mine (id INTEGER PRIMARY KEY, text TEXT NOT NULL)", "INSERT INTO mine (text) VALUES ('once')");
            Assert.Empty(new ControlStore(database).Timeline(1));
        });
        Database.Migrate("mine", "CREATE TABLE mine (id INTEGER PRIMARY KEY, text TEXT NOT NULL)", "INSERT INTO mine (text) VALUES ('once')");

        using var connection = Database.Open();
        Assert.Equal(["1 once"], connection.Query("SELECT id, text FROM mine", r => $"{r.GetInt32(0)} {r.GetString(1)}"));
    }

    [Fact]
    public async Task Of_owners_that_race_one_wins_and_of_lines_none_is_lost()
    {
        Stores();
        var tokens = new ConcurrentBag<long>();
        await SideBySideAsync(4, database =>
        {
            if (Own(Guid.NewGuid().ToString(), Now, database) is { } token)
                tokens.Add(token);
            var incidents = new IncidentStore(database);
            for (var i = 0; i < 10; i++)
                incidents.AppendTimeline("i1", Now, "note", "a line");
        });

        Assert.Equal([1L], tokens);
        Assert.Equal(Enumerable.Range(1, 42).Select(n => (long)n), new IncidentStore(Database).Timeline("i1").Select(e => e.Number));
    }

    [Fact]
    public async Task A_kill_switch_that_races_a_begin_comes_before_it_or_after()
    {
        Running().Commands.Lease(Node, Now);
        BeginAnswer? answer = null;
        await Task.WhenAll(
            Task.Run(() => new ControlStore(Database).Set(new KillSwitch(true, "stop", "ann", Now)), Cancellation),
            Task.Run(() => answer = new CommandStore(Database).Begin(Node, Offer.Id, 1, (_, _) => null, () => (Active, Now)), Cancellation));

        Assert.Equal(answer!.Granted ? CommandState.Begun : CommandState.Denied, new CommandStore(Database).Find(Offer.Id)!.State);
    }

    [Fact]
    public async Task Whoever_reads_and_writes_waits_for_the_writer_before()
    {
        Stores();
        var other = Task.CompletedTask;
        using (var connection = Database.Open())
        using (var transaction = connection.BeginWrite())
        {
            RunStore.Append(connection, Proposed, new("note", "first"), Now);
            other = Task.Run(() => new RunStore(Database).Cancel(new("i1-1", "ann", "second", Now)), Cancellation);
            transaction.Commit();
        }

        await other;
        Assert.Equal(["1 proposed", "2 first", "3 Cancelled by ann: second"], new RunStore(Database).Timeline("i1-1").Select(e => $"{e.Number} {e.Text}"));
    }

    [Theory]
    [InlineData(StateMoment.BeforeBegin, 0)]
    [InlineData(StateMoment.BeforeCommit, 0)]
    [InlineData(StateMoment.AfterCommit, 1)]
    internal void A_fault_loses_what_was_not_committed_and_nothing_else(StateMoment at, int kept)
    {
        var incidents = new IncidentStore(Database);
        var credentials = new Credentials(Database, TimeProvider.System);
        Database.Fault = moment =>
        {
            if (moment == at)
                throw new TimeoutException();
        };

        Assert.Throws<TimeoutException>(() => incidents.Save([new(Disk, [("opened", "")])], Now));
        Assert.Throws<TimeoutException>(() => credentials.Enroll("t", "c", "n"));
        Database.Fault = null;
        Assert.Equal((kept, kept, kept), (incidents.Active().Count, incidents.Timeline("i1").Count, credentials.Agents().Count));
        incidents.Save([new(Disk, [("opened", "")])], Now);
        Assert.Equal(kept + 1, incidents.Timeline("i1").Count);
    }

    [Fact]
    public void Before_it_begins_another_may_write()
    {
        var incidents = new IncidentStore(Database);
        var moments = new List<StateMoment>();
        var isInside = false;
        Database.Fault = moment =>
        {
            moments.Add(moment);
            if (moment != StateMoment.BeforeBegin || isInside)
                return;
            isInside = true;
            incidents.Save([new(Disk, [("opened", "inside")])], Now);
        };
        incidents.Save([new(Disk, [("signal", "outside")])], Now);

        Assert.Equal(["inside", "outside"], incidents.Timeline("i1").Select(e => e.Text));
        Assert.Equal(
            [StateMoment.BeforeBegin, StateMoment.BeforeBegin, StateMoment.BeforeCommit, StateMoment.AfterCommit, StateMoment.BeforeCommit, StateMoment.AfterCommit],
            moments);
    }

    [Fact]
    public void A_transaction_that_only_reads_cannot_write()
    {
        new IncidentStore(Database).Save([new(Disk, [])], Now);
        using var connection = Database.Open();
        using var picture = connection.BeginRead();

        Assert.NotNull(IncidentStore.Find(connection, "i1"));
        Assert.Throws<InvalidOperationException>(() => IncidentStore.Append(connection, "i1", Now, "note", ""));
    }

    [Fact]
    public void A_connection_given_back_in_the_middle_leaves_nothing_behind()
    {
        new IncidentStore(Database).Save([new(Disk, [])], Now);
        using (var connection = Database.Open())
        {
            connection.BeginWrite();
            connection.Execute("UPDATE incidents SET title = $title", ("$title", "half"));
        }

        Assert.Equal(Disk.Title, new IncidentStore(Database).Find("i1")!.Title);
    }

    private protected static Command Offer => new()
    {
        Id = "i1-1.1",
        RunId = "i1-1",
        Tenant = "t",
        Cluster = "c",
        Node = "n",
        Step = "clean",
        Action = "disk.clean-paths",
        Parameters = "{}",
        DryRun = false,
        TimeoutSeconds = 60,
        OfferedAt = Now,
    };

    // An incident with a run that is proposed.
    private protected (RunStore Runs, ControlStore Control, CommandStore Commands) Stores()
    {
        new IncidentStore(Database).Save([new(Disk, [("opened", "It opened.")])], Now);
        var (runs, control) = (new RunStore(Database), new ControlStore(Database));
        Assert.True(runs.Propose(Proposed, Book, [new("run", "proposed")], Now));
        return (runs, control, new CommandStore(Database));
    }

    // All gates are open, and the command is on offer.
    private protected (RunStore Runs, ControlStore Control, CommandStore Commands) Running()
    {
        var stores = Stores();
        stores.Control.Set(new ModeEntry("", "t", "c", RunbookMode.Automatic, "ann", Now));
        Assert.Equal(1, Own("a", Now));
        Assert.True(stores.Runs.Apply(new(Proposed with { State = RunState.Running, Issued = 1 }, []) { Offer = Offer }, "a", 1, Now));
        return stores;
    }

    // Under which the owner holds the run, once it has asked; null where another does.
    long? Own(string owner, DateTimeOffset now, StateDatabase? database = null)
    {
        new RunStore(database ?? Database).Own(owner, now);
        using var connection = (database ?? Database).Open();
        return Assert.Single(RunStore.Live(connection, owner, "i1-1", [])).Token;
    }

    private protected FleetState Fleet()
    {
        using var connection = Database.Open();
        using var picture = connection.BeginRead();
        return FleetState.Read(connection, Now, owner: "a");
    }

    private protected void InWrite(Action<DbTransaction> work)
    {
        using var connection = Database.Open();
        using var transaction = connection.BeginWrite();
        work(transaction);
        transaction.Commit();
    }

    async Task SideBySideAsync(int count, Action<StateDatabase> work)
    {
        using var barrier = new Barrier(count);
        await Task.WhenAll(Enumerable.Range(0, count).Select(_ => Task.Factory.StartNew(
            () =>
            {
                var database = Again();
                barrier.SignalAndWait(Cancellation);
                work(database);
                if (database != Database)
                    database.Dispose();
            },
            Cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
    }
}
