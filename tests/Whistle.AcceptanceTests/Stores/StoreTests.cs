using System.Text.Json;

using Whistle.Actions.Protocol;
using Whistle.Alerting.Deciding;
using Whistle.Alerting.Outbox;
using Whistle.Alerting.Stores;
using Whistle.Alerting.Tickets;
using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Agents;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;
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
    private protected static readonly Sender Node = new(new NodeId("t", "c", "n"));
    static readonly Labels Labels =
        Labels.Of(("tenant", "t"), ("cluster", "c"), ("node", "n"), ("mountpoint", "/data"), ("alertname", "Filling"));

    static readonly Signal Firing = new()
    {
        Rule = "group\nrule",
        Name = "Filling",
        Labels = Labels,
        Element = Labels,
        Annotations = [new("summary", "The disk fills – \"soon\"")],
        Value = 0.1,
        Condition =
            new(SignalState.Firing, Now.AddHours(-1), Now) { FiringSince = Now.AddMinutes(-30), Paused = TimeSpan.FromSeconds(1.5) },
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

    private protected static readonly Run Proposed = new()
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

    private protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

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
    public async Task Signals_come_back_as_they_were_and_events_tell_how_they_ended()
    {
        var store = new SignalStore(Database);
        await store.SaveAsync("group", Now, [Firing], [new(Firing, null, Now)], Cancellation);
        await store.SaveAsync("group", Now.AddMinutes(1), [Firing with { Value = double.NaN }], [], Cancellation);

        var kept = Assert.Single(await store.LoadAsync(Cancellation));
        Assert.Equal((Firing.Labels, Firing.Condition, double.NaN), (kept.Labels, kept.Condition, kept.Value));
        Assert.Equal(Firing.Annotations, kept.Annotations);
        Assert.Equal(Now.AddMinutes(1), (await store.LoadEvaluationsAsync(Cancellation))["group"]);
        var ended = Firing with { Condition = Transition.End(Firing.Condition, SignalEnd.Gone, Now.AddMinutes(2)) };
        await store.SaveAsync("group", Now.AddMinutes(2), [ended], [new(ended, SignalState.Firing, Now.AddMinutes(2))], Cancellation);
        Assert.Empty(await store.LoadAsync(Cancellation));
        Assert.Equal(SignalEnd.Gone, Assert.Single(await store.EndedAsync(Now, Cancellation)).Condition.Reason);
        Assert.Empty(await store.EndedAsync(Now.AddMinutes(3), Cancellation));
    }

    [Fact]
    public async Task An_incident_keeps_its_timeline_and_whoever_took_it_on_last()
    {
        var store = new IncidentStore(Database);
        await store.SaveAsync([new(Disk, [(TimelineKind.Opened, "It opened."), (TimelineKind.Signal, "Filling")])], Now, Cancellation);
        await store.SaveAsync([new(Disk with { Severity = "critical", Reopened = 3, ClearSince = Now }, [])], Now, Cancellation);

        var found = (await store.FindAsync("i1", Cancellation))!;
        Assert.Equal(("critical", 3, Now, null), (found.Severity, found.Reopened, found.ClearSince, found.ClosedAt));
        Assert.Equal((Disk.Subject, Disk.Signals[0]), (found.Subject, found.Signals[0]));
        await store.AppendTimelineAsync("i1", Now, TimelineKind.Gate, "closed", repeats: true, cancellation: Cancellation);
        await store.AppendTimelineAsync("i1", Now, TimelineKind.Gate, "closed", repeats: true, cancellation: Cancellation);
        Assert.Equal(
            ["1 It opened. 1", "2 Filling 1", "3 closed 2"],
            (await store.TimelineAsync("i1", Cancellation)).Select(e => $"{e.Number} {e.Text} {e.Count}"));
        Assert.True(await store.AcknowledgeAsync(new("i1", "ann", Now, Now.AddHours(1)), Cancellation));
        Assert.True(await store.AcknowledgeAsync(new("i1", "bob", Now, Now.AddHours(2)), Cancellation));
        Assert.Equal("bob", (await store.AcknowledgementAsync("i1", Now, Cancellation))!.Author);
        Assert.True(await store.ReleaseAsync("i1", "bob", Now, Cancellation));
        Assert.False(await store.ReleaseAsync("i1", "bob", Now.AddHours(3), Cancellation));
        await store.SaveAsync([new(Disk with { State = IncidentState.Closed, ClosedAt = Now }, [])], Now, Cancellation);
        Assert.False(await store.AcknowledgeAsync(new("i1", "ann", Now, Now.AddHours(1)), Cancellation));
        Assert.Empty(await store.ActiveAsync(Cancellation));
        Assert.Single(await store.SinceAsync(Now, Cancellation));
    }

    [Fact]
    public async Task A_run_has_one_owner_and_a_stale_token_changes_nothing()
    {
        var runs = (await StoresAsync()).Runs;
        Assert.False(await runs.ProposeAsync(Proposed, Book, [new(TimelineKind.Proposed, "again")], Now, Cancellation));

        Assert.Equal(1, await OwnAsync("a", Now));
        Assert.Equal(1, await OwnAsync("a", Now.AddSeconds(20)));
        Assert.Null(await OwnAsync("b", Now.AddSeconds(20)));
        Assert.Equal(2, await OwnAsync("b", Now.AddMinutes(2)));
        Assert.Equal("disk", (await runs.RunbookOfAsync(Proposed, Cancellation))!.Name);
        var running = Proposed with { State = RunState.Running, Issued = 1 };
        Assert.False(await runs.ApplyAsync(
            new(running, [new(TimelineKind.Step, "from a")]) { Offer = Offer }, "a", 1, Now.AddMinutes(2), Cancellation));
        var stale = new RunDecision(running, [new(TimelineKind.Step, "from b before")]) { Offer = Offer };
        Assert.False(await runs.ApplyAsync(stale, "b", 1, Now.AddMinutes(2), Cancellation));
        Assert.True(await runs.ApplyAsync(
            new(running, [new(TimelineKind.Step, "from b")]) { Offer = Offer }, "b", 2, Now.AddMinutes(2), Cancellation));
        Assert.Equal(["proposed", "from b"], (await runs.TimelineAsync("i1-1", Cancellation)).Select(e => e.Text));
        Assert.Equal(["i1"], await runs.WorkedIncidentsAsync(Cancellation));
        Assert.True(
            await runs.ApplyAsync(new(running with { Issued = 2 }, []) { Withdraw = Offer.Id }, "b", 2, Now.AddMinutes(2), Cancellation));
        Assert.False(
            await runs.ApplyAsync(new(running with { Issued = 3 }, []) { Withdraw = Offer.Id }, "b", 2, Now.AddMinutes(2), Cancellation));
        Assert.Equal(2, (await runs.FindAsync("i1-1", Cancellation))!.Issued);
    }

    [Fact]
    public async Task The_latest_approval_and_the_first_cancellation_count()
    {
        var runs = (await StoresAsync()).Runs;
        await runs.ApproveAsync(new("i1-1", "p", "ann", Now, Now.AddHours(1)), Cancellation);
        await runs.ApproveAsync(new("i1-1", "p", "bob", Now, Now.AddHours(2)), Cancellation);
        Assert.True(await runs.CancelAsync(new("i1-1", "ann", "not now", Now), Cancellation));
        Assert.True(await runs.CancelAsync(new("i1-1", "bob", "nor ever", Now), Cancellation));
        Assert.False(await runs.CancelAsync(new("i1-2", "ann", "not now", Now), Cancellation));

        var fleet = await FleetAsync();
        Assert.Equal(("bob", "ann"), (fleet.Approvals[("i1-1", "")].Author, fleet.Cancellations["i1-1"].Author));
        Assert.Equal(1, await OwnAsync("a", Now));
        var ended = Proposed with { State = RunState.Escalated, EndedAt = Now, Reason = "Nothing helped." };
        Assert.True(await runs.ApplyAsync(new(ended, []), "a", 1, Now, Cancellation));
        Assert.Equal(("i1", 1), (Assert.Single(await runs.EscalationsAsync(Now, Cancellation)).IncidentId, (await runs.EscalationsAsync(
            Now, Cancellation))[0].Attempts));
        Assert.Empty(await runs.LiveAsync(Cancellation));
    }

    [Fact]
    public async Task A_yes_to_a_step_is_none_to_the_plan_and_a_task_is_done_once()
    {
        var runs = (await StoresAsync()).Runs;
        Assert.True(await runs.ApproveAsync(new("i1-1", "p", "ann", Now, Now.AddHours(1), "look"), Cancellation));
        Assert.False(await runs.CompleteAsync(new("i1-1", "clean", "ann", "an action is no task", Now), Cancellation));
        Assert.False(await runs.CompleteAsync(new("i1-2", "look", "ann", "no such run", Now), Cancellation));
        Assert.True(await runs.CompleteAsync(new("i1-1", "look", "ann", "seen", Now), Cancellation));
        Assert.True(await runs.CompleteAsync(new("i1-1", "look", "bob", "seen too", Now), Cancellation));

        var fleet = await FleetAsync();
        Assert.Equal([("i1-1", "look")], fleet.Approvals.Keys);
        Assert.Equal(new TaskDone("i1-1", "look", "ann", "seen", Now), fleet.Tasks[("i1-1", "look")]);
        Assert.Equal("look is approved by ann until 2026-01-01 01:00:00Z.", (await runs.TimelineAsync("i1-1", Cancellation))[1].Text);
    }

    [Fact]
    public async Task Windows_freezes_and_storms_are_read_with_the_fleet()
    {
        var (runs, control, _) = await StoresAsync();
        var window = await control.AddAsync(
            new MaintenanceWindow(
                0, "t", "c", "FREQ=WEEKLY;BYDAY=SA,SU", new(2026, 1, 3, 22, 0, 0), TimeSpan.FromHours(4), "Europe/Berlin", "ann", Now),
            Cancellation);
        var freeze = await control.AddAsync(new ChangeFreeze(0, "t", "", "the fair", "ann", Now, Now.AddDays(3)), Cancellation);
        await runs.NoteStormsAsync([new("t", "c"), new("t", "d")], Now.AddMinutes(-1), Cancellation);
        await runs.NoteStormsAsync([new("t", "c")], Now, Cancellation);

        var fleet = await FleetAsync();
        Assert.Equal((window, freeze), (Assert.Single(fleet.Windows), Assert.Single(fleet.Freezes)));
        Assert.Equal(new DateTimeOffset(2026, 1, 3, 21, 0, 0, TimeSpan.Zero), WindowView.Of(fleet.Windows, new("t", "c"), Now).NextAt);
        Assert.Equal((Now, Now.AddMinutes(-1)), (fleet.Storms[new("t", "c")], fleet.Storms[new("t", "d")]));
        Assert.True(await control.EndFreezeAsync(freeze.Id, "ann", Now, Cancellation));
        Assert.False(await control.EndFreezeAsync(freeze.Id, "ann", Now, Cancellation));
        Assert.True(await control.RemoveWindowAsync(window.Id, "ann", Now, Cancellation));
        Assert.False(await control.RemoveWindowAsync(window.Id, "ann", Now, Cancellation));
        Assert.Equal((0, 0), ((await control.FreezesAsync(Now, Cancellation)).Count, (await control.WindowsAsync(Cancellation)).Count));
        Assert.Equal([4, 3, 2, 1], (await control.TimelineAsync(100, Cancellation)).Select(e => e.Number));
    }

    [Fact]
    public async Task Of_two_that_begin_at_a_time_one_gets_the_nodes_only_place()
    {
        var (runs, _, commands) = await RunningAsync();
        var labels = Labels.Of(("tenant", "t"), ("cluster", "c"), ("node", "n"), ("mountpoint", "/var"), ("alertname", "Filling"));
        var firing = Firing with { Labels = labels, Element = labels };
        var incident = Disk with
        {
            Id = "i2",
            Subject = Labels.Of(("node", "n"), ("mountpoint", "/var")),
            Signals = [new(firing.Fingerprint, firing.Name, labels, "warning", Now, null)],
        };
        var second = Proposed with { Id = "i2-1", IncidentId = "i2", Subject = incident.Subject, Labels = labels };
        await new IncidentStore(Database).SaveAsync([new(incident, [])], Now, Cancellation);
        Assert.True(await runs.ProposeAsync(second, Book, [], Now, Cancellation));
        await runs.OwnAsync("a", Now, Cancellation);
        Assert.True(await runs.ApplyAsync(
            new(second with { State = RunState.Running, Issued = 1 }, []) { Offer = Offer with { Id = "i2-1.1", RunId = "i2-1" } }, "a", 1,
            Now, Cancellation));
        var ids = new System.Collections.Concurrent.ConcurrentQueue<string>(
            (await commands.LeaseAsync(Node, Now, Cancellation)).Select(c => c.Id));
        var answers = new System.Collections.Concurrent.ConcurrentBag<BeginAnswer>();
        await SideBySideAsync(2, async database =>
        {
            Assert.True(ids.TryDequeue(out var id));
            answers.Add(
                (await new AgentCommands(database).BeginAsync(Node, id, 1, _ => null, () => (new([Firing, firing]), Now), Cancellation))!);
        });

        Assert.Single(answers, a => a.Granted);
        Assert.Equal("The limit of concurrent runs in the node (1) is reached.", Assert.Single(answers, a => !a.Granted).Reason);
        Assert.Single((await FleetAsync()).AtWork);
        var fleet = await FleetAsync();
        var (winner, _) = fleet.Runs.Single(r => r.Run.Id == fleet.AtWork[0].RunId);
        Assert.True(await runs.ApplyAsync(new(winner with { State = RunState.Failed, EndedAt = Now }, []), "a", 1, Now, Cancellation));
        Assert.Empty((await FleetAsync()).AtWork);
    }

    [Fact]
    public async Task A_command_is_leased_under_rising_tokens_begun_and_ended_once()
    {
        var commands = (await RunningAsync()).Commands;
        Assert.Equal(1, Assert.Single(await commands.LeaseAsync(Node, Now, Cancellation)).Token);
        Assert.Equal(2, Assert.Single(await commands.LeaseAsync(Node, Now, Cancellation)).Token);

        Assert.False((await commands.BeginAsync(Node, Offer.Id, 1, _ => null, () => (Active, Now), Cancellation))!.Granted);
        Assert.True((await commands.BeginAsync(Node, Offer.Id, 2, _ => null, () => (Active, Now), Cancellation))!.Granted);
        Assert.True((await commands.BeginAsync(Node, Offer.Id, 2, _ => null, () => (Active, Now), Cancellation))!.Granted);
        Assert.True(await commands.FinishAsync(Node, Offer.Id, new(1, CommandOutcome.Failed, "stale", null), Cancellation));
        Assert.Equal(CommandState.Begun, (await new CommandStore(Database).FindAsync(Offer.Id, Cancellation))!.State);
        var output = JsonDocument.Parse("""{"freed": 1}""").RootElement;
        Assert.True(await commands.FinishAsync(Node, Offer.Id, new(2, CommandOutcome.Succeeded, "a\0b \uD800", output), Cancellation));
        Assert.True(await commands.FinishAsync(Node, Offer.Id, new(2, CommandOutcome.Failed, "late", null), Cancellation));
        var done = (await new CommandStore(Database).FindAsync(Offer.Id, Cancellation))!;
        Assert.Equal(
            (CommandState.Done, CommandOutcome.Succeeded, output.GetRawText(), 60),
            (done.State, done.Outcome, done.Output, done.TimeoutSeconds));
        Assert.StartsWith("a", done.Summary, StringComparison.Ordinal);
        Assert.Empty(await commands.LeaseAsync(Node, Now, Cancellation));
        Assert.Null(await commands.BeginAsync(
            new Sender(new NodeId("t", "c", "other")), Offer.Id, 2, _ => null, () => (Active, Now), Cancellation));
    }

    [Fact]
    public async Task What_a_person_forbids_is_denied_at_begin()
    {
        var (_, control, commands) = await RunningAsync();
        await commands.LeaseAsync(Node, Now, Cancellation);
        await control.SetAsync(new KillSwitch(true, "stop", "ann", Now), Cancellation);

        Assert.Contains(
            "kill switch", (await commands.BeginAsync(Node, Offer.Id, 1, _ => null, () => (Active, Now), Cancellation))!.Reason,
            StringComparison.Ordinal);
        Assert.Equal(CommandState.Denied, (await new CommandStore(Database).FindAsync(Offer.Id, Cancellation))!.State);
    }

    [Fact]
    public async Task Control_keeps_the_latest_of_each_and_a_line_for_every_change()
    {
        var control = new ControlStore(Database);
        await control.SetAsync(new KillSwitch(true, "stop", "ann", Now), Cancellation);
        await control.SetAsync(new KillSwitch(false, "go", "bob", Now), Cancellation);
        await control.SetAsync(new ModeEntry("", "t", "c", RunbookMode.Observe, "ann", Now), Cancellation);
        await control.SetAsync(new ModeEntry("", "t", "c", RunbookMode.Automatic, "ann", Now), Cancellation);
        await control.SetAsync(new ModeEntry("Zebra", "t", "c", RunbookMode.Off, "ann", Now), Cancellation);
        await control.SetAsync(new ModeEntry("apple", "t", "c", RunbookMode.Off, "ann", Now), Cancellation);
        var pause = await control.AddAsync(new Pause(0, "t", "", "", "", "why", "ann", Now, Now.AddHours(1)), Cancellation);

        Assert.Equal(
            (false, "bob"), ((await control.KillSwitchAsync(Cancellation)).On, (await control.KillSwitchAsync(Cancellation)).Author));
        // By their bytes, as ordinal comparison has it.
        Assert.Equal(
            [": Automatic", "Zebra: Off", "apple: Off"], (await control.ModesAsync(Cancellation)).Select(m => $"{m.Runbook}: {m.Mode}"));
        Assert.Equal(pause, Assert.Single(await control.PausesAsync(Now, Cancellation)));
        Assert.True(await control.EndPauseAsync(pause.Id, "ann", Now.AddMinutes(1), Cancellation));
        Assert.False(await control.EndPauseAsync(pause.Id, "ann", Now.AddMinutes(1), Cancellation));
        Assert.Empty(await control.PausesAsync(Now.AddMinutes(1), Cancellation));
        Assert.Equal([8, 7, 6, 5, 4, 3, 2, 1], (await control.TimelineAsync(100, Cancellation)).Select(e => e.Number));
        Assert.Equal(2, (await control.TimelineAsync(2, Cancellation)).Count);
    }

    [Fact]
    public async Task Alerting_tells_nothing_twice_and_no_end_of_what_was_never_told()
    {
        var store = new AlertingStore(Database);
        var outbox = new OutboxStore(Database);
        var page = new Decision.Page(1, Severity.Critical, new PageReason.AcknowledgementEnded());
        await store.SaveAsync(Disk, AlertState.New with { Pages = 1 }, [page], Now, async t =>
        {
            await OutboxStore.AddAsync(t, "pd", new("i1/1", "trigger", "i1", "{}"), Now, Cancellation);
            await OutboxStore.AddAsync(t, "pd", new("i1/1", "trigger", "i1", "{}"), Now, Cancellation);
            await OutboxStore.AddAsync(t, "pd", new("i2/1", "trigger", null, "{}"), Now, Cancellation);
            await AlertingStore.AddDigestLineAsync(t, "i1", "it was", Now, Cancellation);
        }, Cancellation);
        var first = (await outbox.NextAsync("pd", Now, cancellation: Cancellation))!;
        var maybe = Assert.NotNull(await outbox.BeginAsync(first, Cancellation));
        Assert.False(maybe);
        await outbox.EndAsync(first, new Delivery.Delivered(), maybe, null, Now, Cancellation);
        await store.SaveAsync(Disk, AlertState.New with { Pages = 2 }, [], Now, async t =>
        {
            await OutboxStore.AddAsync(t, "pd", new("i1/1", "resolve", "i1", "{}", Ends: "trigger"), Now, Cancellation);
            await OutboxStore.AddAsync(t, "pd", new("i2/1", "resolve", null, "{}", Ends: "trigger"), Now, Cancellation);
        }, Cancellation);

        Assert.Equal(
            ["resolve overtaken", "resolve pending", "trigger overtaken", "trigger sent"],
            (await outbox.ListAsync(null, null, 10, Cancellation)).Select(n => $"{n.Action} {n.State.Word()}"));
        Assert.Equal(["resolve"], (await outbox.ListAsync(NotificationState.Pending, "i1", 10, Cancellation)).Select(n => n.Action));
        Assert.Equal((1, 2), (await outbox.PendingAsync("pd", Cancellation), (await store.FindAsync("i1", Cancellation))!.Pages));
        await outbox.SetAsideAsync((await outbox.NextAsync("pd", Now, cancellation: Cancellation))!, Now.AddMinutes(1), Cancellation);
        Assert.Null(await outbox.NextAsync("pd", Now, cancellation: Cancellation));
        var lines = new List<string>();
        Task Take(StateTransaction transaction, long first, IReadOnlyList<string> taken)
        {
            lines.AddRange(taken);
            return Task.CompletedTask;
        }

        await store.TakeDigestAsync(Now, 10, Take, Cancellation);
        await store.TakeDigestAsync(Now, 10, Take, Cancellation);
        Assert.Single(lines);
        Assert.Null(await store.WatermarkAsync(Cancellation));
        foreach (var at in new[] { Now, Now.AddDays(1) })
        {
            await store.AdvanceAsync(at, Cancellation);
            await store.DropAsync(at, (transaction, kept) => OutboxStore.DropAsync(transaction, kept, Cancellation), Cancellation);
        }

        Assert.Equal(Now.AddDays(1), await store.WatermarkAsync(Cancellation));
        Assert.Empty(await store.DecisionsAsync("i1", Cancellation));
        Assert.Single(await outbox.ListAsync(null, null, 10, Cancellation));
    }

    [Fact]
    public async Task A_ticket_is_one_an_incident_and_keeps_every_step()
    {
        var tickets = new TicketStore(Database, TimeProvider.System);
        var repair = new Repair
        {
            Id = "i1-1",
            Runbook = "disk",
            State = RepairState.GaveUp,
            StartedAt = Now,
            Summary = "nothing helped",
            LargestDirectories = [new("/data", 1L << 40)],
        };
        for (var i = 0; i < 2; i++)
            await InWriteAsync(async t => await TicketStore.OpenAsync(t, Disk, repair, Now, Cancellation));

        var ticket = Assert.Single(await tickets.ListAsync(cancellation: Cancellation));
        Assert.Equal((1, 1L << 40), (ticket.Id, ticket.LargestDirectories[0].Bytes));
        Assert.Null((await tickets.CommentAsync(1, "bob", "all of May", Cancellation)).Refusal);
        await InWriteAsync(async t => await TicketStore.ResolveAsync(t, "i1", Now, Cancellation));
        Assert.Null((await tickets.MoveAsync(1, TicketState.Closed, "ann", null, Cancellation)).Refusal);
        Assert.Equal(
            ["1 opened", "2 state", "3 comment", "4 state", "5 state"],
            (await tickets.TimelineAsync(1, Cancellation)).Select(e => $"{e.Number} {e.Kind.Word()}"));
        await InWriteAsync(async t => await TicketStore.OpenAsync(t, Disk, repair, Now, Cancellation));
        Assert.Equal([2, 1], (await tickets.ListAsync(incident: "i1", cancellation: Cancellation)).Select(t => t.Id));
        Assert.Equal([1], (await tickets.ListAsync(TicketState.Closed, cancellation: Cancellation)).Select(t => t.Id));
    }

    [Fact]
    public async Task Credentials_are_known_until_they_are_revoked()
    {
        var credentials = new Credentials(Database, TimeProvider.System);
        var (node, collector) = (
            await credentials.EnrollAsync(new("t", "c"), "n", Cancellation),
            await credentials.EnrollAsync(new("t", "c"), null, Cancellation));

        Assert.Equal(("n", null), ((await credentials.AuthenticateAsync(node, Cancellation))!.Node, (await credentials.AuthenticateAsync(
            collector, Cancellation))!.Node));
        Assert.Equal("n", Assert.Single(await credentials.AgentsAsync(Cancellation)).NodeId.Node);
        Assert.Equal(1, await credentials.RevokeAsync(new("t", "c"), null, Cancellation));
        Assert.Null(await credentials.AuthenticateAsync(collector, Cancellation));
        Assert.NotNull(await credentials.AuthenticateAsync(node, Cancellation));
        Assert.Equal(0, await credentials.RevokeAsync(new("t", "c"), null, Cancellation));
    }

    [Fact]
    public async Task The_register_keeps_tenants_clusters_and_archived_nodes_and_credentials_end()
    {
        var credentials = new Credentials(Database, TimeProvider.System);
        var (register, cluster, next) = (credentials.Register, new ClusterId("acme", "c"), AccessToken.New(AccessToken.OfSender));
        var token = await credentials.EnrollAsync(cluster, "n", Cancellation);
        await register.ChangeTenantAsync(
            "acme", new("ACME", ["ann"], "words", new Dictionary<string, string> { ["zone"] = "eu" }), Cancellation);
        await register.SetLimitsAsync("acme", new(5, 6, 7, 8, 9_000_000_000, 10), Cancellation);
        await register.ArchiveClusterAsync(cluster, true, "ann", Cancellation);
        await register.ArchiveNodeAsync(cluster.Node("n"), "ann", Cancellation);

        var again = new Credentials(Database, TimeProvider.System);
        var tenant = Assert.Single(await again.Register.TenantsAsync(Cancellation));
        Assert.Equal(("ACME", "ann", "words", "eu"), (
            tenant.Entry.Name, tenant.Entry.Contacts[0], tenant.Entry.Notes, tenant.Entry.Labels["zone"]));
        Assert.Equal(new TenantLimits(5, 6, 7, 8, 9_000_000_000, 10), tenant.Limits);
        Assert.True(Assert.Single(await again.Register.ClustersAsync(Cancellation)).History.IsArchived);
        Assert.Null(await again.AuthenticateAsync(token, Cancellation));
        await again.Register.ArchiveClusterAsync(cluster, false, "ann", Cancellation);
        Assert.Null(await again.AuthenticateAsync(token, Cancellation));
        Assert.Equal(RegisterOutcome.Done, await again.Register.UnarchiveNodeAsync(cluster.Node("n"), Cancellation));

        again.Sightings.Note(cluster.Node("n"), "whistle-agent/1.0", "0");
        await again.Sightings.WriteAsync(Cancellation);
        Assert.Equal(1, await again.RotateAsync(cluster, null, Cancellation));
        Assert.True(Assert.Single(await again.NodesAsync(Cancellation)).IsRenewalDue);
        Assert.IsType<RenewOutcome.Renewed>(await again.RenewAsync(token, next, Cancellation));
        Assert.NotNull(await again.AuthenticateAsync(next, Cancellation));
        Assert.Null(await again.AuthenticateAsync(token, Cancellation));
        var node = Assert.Single(await again.NodesAsync(Cancellation));
        Assert.Equal(("1.0", true, false), (node.Sighting!.Version, node.Sighting.IsClockWrong, node.IsRenewalDue));
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
    private protected async Task<(RunStore Runs, ControlStore Control, AgentCommands Commands)> StoresAsync()
    {
        await new IncidentStore(Database).SaveAsync([new(Disk, [(TimelineKind.Opened, "It opened.")])], Now, Cancellation);
        var (runs, control) = (new RunStore(Database), new ControlStore(Database));
        Assert.True(await runs.ProposeAsync(Proposed, Book, [new(TimelineKind.Proposed, "proposed")], Now, Cancellation));
        return (runs, control, new AgentCommands(Database));
    }

    // All gates are open, and the command is on offer.
    private protected async Task<(RunStore Runs, ControlStore Control, AgentCommands Commands)> RunningAsync()
    {
        var stores = await StoresAsync();
        await stores.Control.SetAsync(new ModeEntry("", "t", "c", RunbookMode.Automatic, "ann", Now), Cancellation);
        Assert.Equal(1, await OwnAsync("a", Now));
        Assert.True(await stores.Runs.ApplyAsync(
            new(Proposed with { State = RunState.Running, Issued = 1 }, []) { Offer = Offer }, "a", 1, Now, Cancellation));
        return stores;
    }

    // Under which the owner holds the run, once it has asked; null where another does.
    private protected async Task<long?> OwnAsync(string owner, DateTimeOffset now, StateDatabase? database = null)
    {
        await new RunStore(database ?? Database).OwnAsync(owner, now, Cancellation);
        await using var connection = await (database ?? Database).OpenAsync(Cancellation);
        return Assert.Single(await RunStore.LiveAsync(connection, owner, "i1-1", [], Cancellation)).Token;
    }

    private protected async Task<FleetState> FleetAsync()
    {
        await using var connection = await Database.OpenAsync(Cancellation);
        await using var picture = await connection.BeginReadAsync(Cancellation);
        return await FleetState.ReadAsync(connection, Now, owner: "a", cancellation: Cancellation);
    }

    private protected async Task InWriteAsync(Func<StateTransaction, Task> work)
    {
        await using var connection = await Database.OpenAsync(Cancellation);
        await using var transaction = await connection.BeginWriteAsync(Cancellation);
        await work(transaction);
        await transaction.CommitAsync(Cancellation);
    }

    async Task SideBySideAsync(int count, Func<StateDatabase, Task> work)
    {
        using var barrier = new Barrier(count);
        await Task.WhenAll(Enumerable.Range(0, count).Select(_ => Task.Factory.StartNew(
            async () =>
            {
                var database = Again();
                barrier.SignalAndWait(Cancellation);
                await work(database);
                if (database != Database)
                    database.Dispose();
            },
            Cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap()));
    }
}
