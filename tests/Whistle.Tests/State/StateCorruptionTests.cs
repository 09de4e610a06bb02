using System.Globalization;
using System.Text.Json;

using Whistle.Incidents;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.State;

/// <summary>
/// Damage anywhere in the files of a stopped or killed server: the start is refused, or what the gates ask is answered as before or as the
/// strictest would. What was set stands in this test's own books.
/// </summary>
public sealed class StateCorruptionTests(ITestOutputHelper output) : IDisposable
{
    const int Seeds = 150;

    static readonly DateTimeOffset Now = new(2026, 1, 3, 22, 30, 0, TimeSpan.Zero);

    static readonly Runbook Book = RunbookSet.Parse(
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
        """)!;

    readonly List<StateFolder> _folders = [];

    public void Dispose()
    {
        foreach (var folder in _folders)
            folder.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Damage_never_permits_what_was_forbidden(bool killSwitch)
    {
        var (stopped, killed) = await SceneAsync(killSwitch);
        foreach (var whole in new[] { stopped, killed })
        {
            var (error, fleet) = await AskAsync(whole.Copy());
            Assert.Null(error);
            Assert.Null(Wrong(fleet!, killSwitch));
            Assert.Empty(fleet!.Faults);
            Assert.Equal((1, 2, 1), (fleet.Approvals.Count, fleet.Commands.Count, fleet.AtWork.Count));
        }

        var (first, seeds) = (Number("WHISTLE_TEST_SEED", 0), Number("WHISTLE_TEST_SEEDS", Seeds));
        var (refused, closed) = (0, 0);
        for (var seed = first; seed < first + seeds; seed++)
        {
            using var folder = (seed % 2 == 0 ? stopped : killed).Copy();
            var what = Harm(folder, new Random(seed));
            var (error, fleet) = await AskAsync(folder);
            Assert.True(error is null or StateException, $"Seed {seed} ({what}): {error}");
            refused += error is null ? 0 : 1;
            if (fleet is null)
                continue;
            Assert.True(Wrong(fleet, killSwitch) is not { } wrong, $"Seed {seed} ({what}): {Wrong(fleet, killSwitch)}");
            closed += fleet.Faults.Count > 0 ? 1 : 0;
        }

        output.WriteLine(
            $"Of {seeds} damaged states from seed {first} on, {refused} were refused and {closed} were read with something held back.");
        // A few seeds alone may well all be of one kind.
        if (seeds < Seeds)
            return;
        Assert.InRange(refused, seeds / 10, seeds - 1);
        Assert.True(closed > 0, "No damage was left to the checksums of rows.");
    }

    static int Number(string variable, int usual) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : usual;

    // What was set last, against what is answered.
    static string? Wrong(FleetState fleet, bool killSwitch)
    {
        if (killSwitch && !fleet.Kill.On)
            return "the kill switch is off";
        foreach (var (cluster, set) in new[]
        {
            ("auto", RunbookMode.Automatic), ("ask", RunbookMode.Approve), ("watch", RunbookMode.Observe), ("off", RunbookMode.Off),
            ("new", RunbookMode.Observe),
        })
        {
            if (ControlStore.ModeOf(fleet.Modes, Book, new("t", cluster)).Mode is var mode && mode != set && mode != RunbookMode.Off)
                return $"the mode of {cluster} is {mode}, it was {set}";
        }

        if (!fleet.Pauses.Any(p => p.Covers(new("t", "auto", "paused"), "disk", Now)))
            return "the pause is lost";
        if (fleet.Freezes.FirstOrDefault(f => f.Covers(new("t", "ask"), Now)) is null)
            return "the freeze is lost";
        // Open on Saturdays from 22:00 for an hour, and it is a Saturday; in no other cluster.
        if (WindowView.Of(fleet.Windows, new("t", "auto"), Now).OpenUntil is { } until && until != Now.AddMinutes(30))
            return $"the window is open until {until}";
        if (WindowView.Of(fleet.Windows, new("t", "watch"), Now).OpenUntil is not null
            && !fleet.Freezes.Any(f => f.Covers(new("t", "watch"), Now)))
            return "a window is open that nobody set";
        if (fleet.Approvals.Values.FirstOrDefault(a => a != Said.Approval) is { } approval)
            return $"there is an approval that nobody gave: {approval}";
        if (fleet.Tasks.Values.FirstOrDefault(t => t != Said.Task) is { } task)
            return $"there is a task that nobody did: {task}";
        if (!fleet.Cancellations.ContainsKey("run-2") && !fleet.Kill.On && fleet.Runs.Any(r => r.Run.Id == "run-2"))
            return "the cancellation is lost";
        if (fleet.BudgetFault is null
            && !(fleet.AtWork is [{ RunId: "run-1", Node: "n1", Zone: "z", Disruptive: true, ControlPlane: false }]))
            return "a reservation is lost or is another";
        foreach (var (run, _) in fleet.Runs)
        {
            if (!Said.Bodies.TryGetValue(run.Id, out var body) || body != JsonSerializer.Serialize(run, RunJson.Default.Run))
                return $"the run {run.Id} is another: {run}";
        }

        foreach (var command in fleet.Commands.Values)
        {
            if (command.Id == "run-1.1" ? command.State is not CommandState.Begun : command.State is not CommandState.Offered)
                return $"the command {command.Id} is {command.State}";
            if (command.Parameters != """{"mountPoint":"/data"}""" || !command.DryRun || command.Action != "disk.clean-paths"
                || command.Node != "n1")
                return $"the command {command.Id} is another: {command}";
        }

        return null;
    }

    static class Said
    {
        public static readonly Approval Approval = new("run-1", "plan-1", "ann", Now, Now.AddHours(1));
        public static readonly TaskDone Task = new("run-1", "look", "bob", "seen", Now);
        public static readonly Dictionary<string, string> Bodies = [];
    }

    static async Task<(Exception? Error, FleetState? Fleet)> AskAsync(StateFolder folder)
    {
        try
        {
            using var state = new StateDatabase(folder.File, new StateOpening { HasHistory = true });
            await state.UpgradeAsync(
                [IncidentStore.Tables, RunStore.Tables, ControlStore.Tables], _ => { }, TestContext.Current.CancellationToken);
            await using var connection = await state.OpenAsync(TestContext.Current.CancellationToken);
            await using var picture = await connection.BeginReadAsync(TestContext.Current.CancellationToken);
            return (null, await FleetState.ReadAsync(connection, Now, owner: "a", cancellation: TestContext.Current.CancellationToken));
        }
        catch (Exception e)
        {
            return (e, null);
        }
    }

    static string Harm(StateFolder folder, Random random)
    {
        string[] files = File.Exists(folder.Log) ? [folder.File, folder.Log, folder.Log] : [folder.File];
        var path = files[random.Next(files.Length)];
        using var file = new FileStream(path, FileMode.Open);
        var kind = random.Next(10);
        var times = kind < 7 ? random.Next(1, 6) : 1;
        for (var i = 0; i < times; i++)
        {
            var at = random.NextInt64(file.Length);
            var length = kind switch { < 4 => 1, < 7 => random.Next(1, 40), 7 => 512, 8 => 4096, _ => 0 };
            at = kind >= 7 ? at / Math.Max(length, 1) * Math.Max(length, 1) : at;
            if (length == 0)
            {
                file.SetLength(at);
                break;
            }

            length = (int)Math.Min(length, file.Length - at);
            var bytes = new byte[length];
            file.Position = at;
            file.ReadExactly(bytes);
            for (var b = 0; b < length; b++)
                bytes[b] = random.Next(3) switch { 0 => 0, 1 => (byte)(bytes[b] ^ (1 << random.Next(8))), _ => (byte)random.Next(256) };
            file.Position = at;
            file.Write(bytes);
        }

        return $"{Path.GetFileName(path)}, kind {kind}, {times} times";
    }

    async Task<(StateFolder Stopped, StateFolder Killed)> SceneAsync(bool killSwitch)
    {
        var folder = Keep(new StateFolder());
        using (var state = new StateDatabase(folder.File))
        {
            await state.UpgradeAsync(
                [IncidentStore.Tables, RunStore.Tables, ControlStore.Tables], _ => { }, TestContext.Current.CancellationToken);
            // What is taken back later would permit more than it should if it came to light again.
            var control = new ControlStore(state);
            await control.SetAsync(new KillSwitch(false, "go", "ann", Now), TestContext.Current.CancellationToken);
            foreach (var cluster in new[] { "auto", "ask", "watch", "off" })
                await control.SetAsync(
                    new ModeEntry("", "t", cluster, RunbookMode.Automatic, "ann", Now), TestContext.Current.CancellationToken);
            await RunsAsync(state);
        }

        using (var state = new StateDatabase(folder.File))
        {
            var control = new ControlStore(state);
            await control.SetAsync(new ModeEntry("", "t", "ask", RunbookMode.Approve, "ann", Now), TestContext.Current.CancellationToken);
            await control.SetAsync(new ModeEntry("", "t", "watch", RunbookMode.Observe, "ann", Now), TestContext.Current.CancellationToken);
            await control.SetAsync(new ModeEntry("", "t", "off", RunbookMode.Off, "ann", Now), TestContext.Current.CancellationToken);
            await control.AddAsync(
                new Pause(0, "t", "auto", "paused", "", "new disk", "ann", Now, Now.AddDays(2)), TestContext.Current.CancellationToken);
            await control.AddAsync(
                new ChangeFreeze(0, "t", "ask", "the fair", "ann", Now, Now.AddDays(3)), TestContext.Current.CancellationToken);
            await control.AddAsync(
                new MaintenanceWindow(
                    0, "t", "auto", "FREQ=WEEKLY;BYDAY=SA", new(2026, 1, 3, 22, 0, 0), TimeSpan.FromHours(1), "UTC", "ann", Now),
                TestContext.Current.CancellationToken);
            Assert.True(
                await new RunStore(state).CancelAsync(new("run-2", "ann", "not this one", Now), TestContext.Current.CancellationToken));
            if (killSwitch)
                await control.SetAsync(new KillSwitch(true, "stop", "ann", Now), TestContext.Current.CancellationToken);
            return (StoppedAfter(folder, state), _folders[1]);
        }
    }

    // The one as killed while the state is open, the other after it was closed.
    StateFolder StoppedAfter(StateFolder folder, StateDatabase state)
    {
        Keep(folder.Copy());
        state.Dispose();
        return Keep(folder.Copy());
    }

    static async Task RunsAsync(StateDatabase state)
    {
        await new IncidentStore(state).SaveAsync(
            [new(Incident, [(TimelineKind.Opened, "It opened.")])], Now, TestContext.Current.CancellationToken);
        var runs = new RunStore(state);
        foreach (var id in new[] { "run-1", "run-2" })
            Assert.True(await runs.ProposeAsync(
                Run(id), Book, [new(TimelineKind.Proposed, "proposed")], Now, TestContext.Current.CancellationToken));
        await runs.OwnAsync("a", Now, TestContext.Current.CancellationToken);
        foreach (var id in new[] { "run-1", "run-2" })
        {
            var running = Run(id) with { State = RunState.Running, Issued = 1 };
            Assert.True(await runs.ApplyAsync(new(running, []) { Offer = Offer(id) }, "a", 1, Now, TestContext.Current.CancellationToken));
            Said.Bodies[id] = JsonSerializer.Serialize(running, RunJson.Default.Run);
        }

        Assert.True(await runs.ApproveAsync(Said.Approval, TestContext.Current.CancellationToken));
        Assert.True(await runs.CompleteAsync(Said.Task, TestContext.Current.CancellationToken));
        await using var connection = await state.OpenAsync(TestContext.Current.CancellationToken);
        await using var transaction = await connection.BeginWriteAsync(TestContext.Current.CancellationToken);
        await RunTables.ReserveAsync(
            connection, new("run-1", "disk", new("t", "auto", "n1"), "z", Incident.Subject, Disruptive: true, ControlPlane: false),
            TestContext.Current.CancellationToken);
        await CommandStore.SaveAsync(
            connection, Offer("run-1") with { State = CommandState.Begun, Token = 1, BegunAt = Now },
            TestContext.Current.CancellationToken);
        await transaction.CommitAsync(TestContext.Current.CancellationToken);
    }

    static readonly Incident Incident = new()
    {
        Id = "incident",
        Tenant = "t",
        Cluster = "auto",
        Subject = Labels.Of(("node", "n1"), ("mountpoint", "/data")),
        Title = "A disk fills",
        Severity = "warning",
        State = IncidentState.Open,
        OpenedAt = Now,
        Signals = [],
    };

    static Run Run(string id) => new()
    {
        Id = id,
        IncidentId = "incident",
        Tenant = "t",
        Cluster = "auto",
        Node = "n1",
        Subject = Incident.Subject,
        Labels = Incident.Subject,
        Runbook = "disk",
        RunbookHash = Book.Hash,
        Origin = "disk",
        Answers = ["Filling"],
        PlanHash = "plan-1",
        State = RunState.Proposed,
        Since = Now,
        Attempt = 1,
        CreatedAt = Now,
    };

    static Command Offer(string run) => new()
    {
        Id = $"{run}.1",
        RunId = run,
        Tenant = "t",
        Cluster = "auto",
        Node = "n1",
        Step = "clean",
        Action = "disk.clean-paths",
        Parameters = """{"mountPoint":"/data"}""",
        DryRun = true,
        TimeoutSeconds = 60,
        OfferedAt = Now,
    };

    StateFolder Keep(StateFolder folder)
    {
        _folders.Add(folder);
        return folder;
    }
}
