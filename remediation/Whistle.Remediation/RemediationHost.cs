using System.Security.Cryptography;

using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

using Prometheus;

using Whistle.Actions.Protocol;
using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Remediation.Agents;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Control;
using Whistle.Remediation.Engine;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;
using Whistle.State.Health;

namespace Whistle.Remediation;

/// <summary>What remediation reads and where it writes.</summary>
public sealed record RemediationEnvironment
{
    /// <summary>Runbook files and folders of them.</summary>
    public required IReadOnlyList<string> RunbookFiles { get; init; }

    /// <summary>All active signals; null while they are not known.</summary>
    public required Func<SignalList?> Signals { get; init; }

    /// <summary>Whether a PromQL expression holds: it yields something, or a scalar that is not 0.</summary>
    public required Func<string, DateTimeOffset, CancellationToken, ValueTask<bool>> IsTrue { get; init; }

    /// <summary>What is known of a cluster; null where nothing is.</summary>
    public Func<ClusterId, ClusterFacts?> Clusters { get; init; } = _ => null;

    /// <summary>What was known of a cluster at a time, from the telemetry that is kept.</summary>
    public Func<ClusterId, DateTimeOffset, CancellationToken, Task<ClusterFacts?>> ClusterAt { get; init; } =
        (_, _, _) => Task.FromResult<ClusterFacts?>(null);

    /// <summary>Renews what is known of these clusters; asked before every pass.</summary>
    public Func<IReadOnlyCollection<ClusterId>, DateTimeOffset, CancellationToken, ValueTask> RefreshClusters { get; init; } =
        (_, _, _) => ValueTask.CompletedTask;

    /// <summary>For <see cref="IsTrue"/>.</summary>
    public static Func<string, DateTimeOffset, CancellationToken, ValueTask<bool>> IsTrueBy(PromQLEngine engine) =>
        async (expression, at, cancellation) =>
            await engine.InstantAsync(expression, at.ToUnixTimeMilliseconds(), cancellation) switch
            {
                VectorValue vector => vector.Samples.Count > 0,
                ScalarValue scalar => scalar.Value != 0,
                _ => false,
            };

    public required IncidentStore Incidents { get; init; }

    public required RunStore Runs { get; init; }

    public required ControlStore Control { get; init; }

    public required IMetricFactory Metrics { get; init; }

    /// <summary>The senders that are enrolled: together with what incidents and facts of clusters name, what a brake may name.</summary>
    public Func<CancellationToken, Task<IReadOnlyList<EnrolledSender>>> Senders { get; init; } =
        _ => Task.FromResult<IReadOnlyList<EnrolledSender>>([]);

    public BrakeLimits Limits { get; init; } = new();

    /// <summary>Shows brakes that cannot be read, and what of the state is damaged.</summary>
    public HealthBoard Health { get; init; } = new(TimeProvider.System);

    public PassWatch? Watch { get; init; }

    /// <summary>Where several processes could do it; null where there is one.</summary>
    public StateLease? Lease { get; init; }

    /// <summary>False where other processes drive the runs, and this one serves agents alone.</summary>
    public bool DrivesRuns { get; init; } = true;

    /// <summary>
    /// Who holds the leases of runs. Where no second process can be at work on the same state, a fixed name lets a restarted one go on at
    /// once.
    /// </summary>
    public string Owner { get; init; } = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
}

/// <summary>
/// Proposes runs for incidents and drives them, each one arrow a pass. The hosted loop and a test call the same <see cref="AdvanceAsync"/>;
/// whatever it knows is in the database, so another process can go on at any time.
/// </summary>
public sealed class RemediationHost : BackgroundService
{
    const string Component = "remediation";

    static readonly TimeSpan Step = TimeSpan.FromSeconds(1);
    // Decisions that share a transaction, so that a fleet in which all changes does not wait for the disk thousands of times.
    const int Together = 100;

    static readonly TimeSpan StormStep = TimeSpan.FromSeconds(30);

    readonly RemediationEnvironment _environment;
    readonly TimeProvider _time;
    readonly ILogger<RemediationHost> _logger;
    readonly BrakeProblems? _brakeProblems;
    readonly Counter _ended;
    readonly Counter _refusals;

    int _together = Together;
    RunbookSet _runbooks = RunbookSet.Empty;
    IReadOnlyList<StateFault> _faults = [];
    readonly HashSet<string> _unreadable = [];
    Indexed? _indexed;

    public RemediationHost(RemediationEnvironment environment, TimeProvider time, ILogger<RemediationHost> logger)
    {
        _environment = environment;
        _time = time;
        _logger = logger;
        _brakeProblems = environment.Health is { } health ? new BrakeProblems(health, logger) : null;
        Commands = new CommandStore(environment.Runs.Database);
        Agents = new AgentCommands(environment.Runs.Database) { Refused = CountRefusal };
        _ended = environment.Metrics.CreateCounter("whistle_runs_total", "Runs that ended, by how.", ["runbook", "state"]);
        _refusals = environment.Metrics.CreateCounter(
            "whistle_gate_refusals_total", "Refusals by gates: in a pass, those that reached a timeline; and of permits.", ["gate"]);
    }

    /// <summary>The runbooks in force.</summary>
    public RunbookSet Runbooks => Volatile.Read(ref _runbooks);

    internal CommandStore Commands { get; }

    internal AgentCommands Agents { get; }

    internal CommandBell Bell { get; } = new();

    /// <summary>Called with the gate of every refusal that is counted.</summary>
    internal Action<GateName>? GateRefused { get; init; }

    /// <summary>When the latest pass said that something will be due without anything else happening; null where nothing will.</summary>
    internal DateTimeOffset? NextDue { get; private set; }

    /// <summary>
    /// Loads the runbooks. With any error those before stay in force and the errors are the answer. Runs keep the version they began with.
    /// </summary>
    public RunbookLoad Reload()
    {
        var load = RunbookSet.Load(_environment.RunbookFiles);
        if (load.Runbooks is not { } runbooks)
        {
            _logger.RunbooksRefused(string.Join(Environment.NewLine, load.Errors));
            _environment.Health.Report(
                "runbooks", "reload", HealthState.Degraded,
                $"The runbooks before stay in force, for those read last have {load.Errors.Count} errors; the first: {load.Errors[0]}");
            return load;
        }

        Volatile.Write(ref _runbooks, runbooks);
        _environment.Health.Clear("runbooks", "reload");
        _logger.RunbooksLoaded(runbooks.Runbooks.Count);
        return load;
    }

    /// <summary>Puts runbooks in force that were loaded elsewhere.</summary>
    internal void Use(RunbookSet runbooks) => Volatile.Write(ref _runbooks, runbooks);

    /// <summary>Proposes what is missing, then moves every run that this process owns by at most one arrow.</summary>
    public async Task AdvanceAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        if (Signals() is not { } signals)
            return;
        await _environment.RefreshClusters(await _environment.Runs.ClustersAsync(cancellation), now, cancellation);
        await _environment.Runs.OwnAsync(_environment.Owner, now, cancellation);
        var fleet = await ReadAsync(now, cancellation);
        await ReportAsync(fleet.Faults, now, cancellation);
        await NoteStormsAsync(fleet, signals, now, cancellation);
        NextDue = null;
        foreach (var incident in fleet.Incidents.Values.Where(i => i.ClosedAt is null && !i.IsStorm && i.Signals.Any(s => !s.IsClear)))
            await ProposeAsync(incident, fleet, signals, now, cancellation);
        string? failure = null;
        var decided = new List<(RunDecision Decision, long Token)>();
        foreach (var (run, token) in fleet.Runs)
        {
            cancellation.ThrowIfCancellationRequested();
            if (token is null)
                continue;
            try
            {
                if (await DecideAsync(run, fleet, signals, now, cancellation) is { } decision)
                    decided.Add((decision, token.Value));
            }
            catch (Exception e) when (!cancellation.IsCancellationRequested && e is not StateException)
            {
                failure = $"{run.Id}: {e.Message}";
                _logger.RunFailed(e, run.Id);
            }
        }

        failure = await ApplyAsync(decided, now, cancellation) ?? failure;
        if (failure is null)
            _environment.Health.Clear(Component, "runs");
        else
            _environment.Health.Failing(Component, "runs", $"A run cannot be moved on: {failure} The server's log says more.");
    }

    // Each is said once, and again when it is another.
    async Task ReportAsync(IReadOnlyList<StateFault> faults, DateTimeOffset now, CancellationToken cancellation)
    {
        foreach (var fault in faults.Except(_faults))
        {
            _logger.StateDamaged(fault.Reason);
            _environment.Health.Report(StateDatabase.Component, fault.Subject, HealthState.Degraded, fault.Reason);
        }

        foreach (var over in _faults.Select(f => f.Subject).Except(faults.Select(f => f.Subject)))
            _environment.Health.Clear(StateDatabase.Component, over);
        _faults = faults;
        if (faults.Any(f => f.Table is GuardedTable.Cancellations))
        {
            await _environment.Control.SetAsync(
                new KillSwitch(
                    true, "Cancellations in the state are damaged; cancel again what should be, then turn this off.", "whistle", now),
                cancellation);
            await _environment.Runs.ResetCancellationsAsync(cancellation);
        }

        if (faults.Any(f => f.Table is GuardedTable.Reservations))
            await _environment.Runs.ResetReservationsAsync(cancellation);
    }

    // Returns what kept a run where it was.
    async Task<string?> ApplyAsync(List<(RunDecision Decision, long Token)> decided, DateTimeOffset now, CancellationToken cancellation)
    {
        var together = _together;
        _together = Together;
        string? failure = null;
        foreach (var chunk in decided.Chunk(together))
        {
            cancellation.ThrowIfCancellationRequested();
            try
            {
                var applied = await _environment.Runs.ApplyAsync(chunk, _environment.Owner, now, cancellation);
                for (var i = 0; i < chunk.Length; i++)
                {
                    if (applied[i])
                        Announce(chunk[i].Decision);
                    else
                        _logger.RunNotApplied(chunk[i].Decision.Run.Id);
                }
            }
            catch (Exception e) when (!cancellation.IsCancellationRequested && e is not StateException)
            {
                // What became of it is seen at the next pass, where no run is held up by another.
                _together = 1;
                failure = $"{chunk[0].Decision.Run.Id}: {e.Message}";
                _logger.RunFailed(e, string.Join(", ", chunk.Select(c => c.Decision.Run.Id)));
            }
        }

        return failure;
    }

    /// <summary>
    /// Why nothing happens with this run now, and when that is looked at again, in a sentence; null where there is no such run.
    /// </summary>
    public async Task<string?> ExplainAsync(string runId, CancellationToken cancellation) =>
        await _environment.Runs.FindAsync(runId, cancellation) is { } run
            ? Explanation.Of(run, run.Issued > 0 ? await Commands.FindAsync(run.CommandId, cancellation) : null)
            : null;

    /// <summary>
    /// As <see cref="ExplainAsync(string, CancellationToken)"/>, for all runs that have not ended, by their ids; two queries, however many
    /// there are.
    /// </summary>
    public async Task<IReadOnlyDictionary<string, string>> ExplainLiveAsync(CancellationToken cancellation)
    {
        var commands = (await Commands.OfLiveRunsAsync(cancellation)).ToDictionary(c => c.Id);
        return (await _environment.Runs.LiveAsync(cancellation)).ToDictionary(
            r => r.Id, r => Explanation.Of(r, commands.GetValueOrDefault(r.CommandId)));
    }

    /// <summary>
    /// What every gate says to a live run now, in their order; empty where the run has ended or the signals are not known.
    /// </summary>
    public async Task<IReadOnlyList<GateReply>> AskGatesAsync(string runId, CancellationToken cancellation)
    {
        var now = _time.GetUtcNow();
        if (Signals() is not { } signals)
            return [];
        await PrepareWindowsAsync(now, cancellation);
        FleetState fleet;
        Runbook? runbook;
        await using (var connection = await _environment.Runs.Database.OpenAsync(cancellation))
        await using (await connection.BeginReadAsync(cancellation))
        {
            fleet = await FleetState.ReadAsync(connection, now, runId, cancellation: cancellation);
            runbook = fleet.Runs is [{ Run: var found }] ? await RunStore.RunbookOfAsync(connection, found, cancellation) : null;
        }

        return fleet.Runs is [{ Run: var run }] && runbook is not null
            && GateReader.Read(fleet, run, runbook, signals, Cluster(run), now) is { } read
            ? GatePipeline.AskAll(read.Snapshot) : [];
    }

    internal async Task<BeginAnswer?> BeginAsync(Sender sender, string id, long token, CancellationToken cancellation)
    {
        await PrepareWindowsAsync(_time.GetUtcNow(), cancellation);
        return await Agents.BeginAsync(sender, id, token, _environment.Clusters, () => (Signals(), _time.GetUtcNow()), cancellation);
    }

    // Indexed once a version.
    SignalIndex? Signals()
    {
        if (_environment.Signals() is not { } signals)
            return null;
        if (_indexed is not { } indexed || indexed.Version != signals.Version)
            _indexed = indexed = new(signals.Version, new SignalIndex(signals));
        return indexed.Index;
    }

    ClusterFacts? Cluster(Run run) => _environment.Clusters(run.ClusterId);

    // No transaction works out when a window opens: that is done before, as far ahead as is needed.
    async Task<ControlState> PrepareWindowsAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        var control = await _environment.Control.ReadAsync(cancellation);
        WindowOpenings.Prepare(control.Windows, now);
        return control;
    }

    async Task<FleetState> ReadAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        var control = await PrepareWindowsAsync(now, cancellation);
        _brakeProblems?.Note(control, now);
        await using var connection = await _environment.Runs.Database.OpenAsync(cancellation);
        await using var picture = await connection.BeginReadAsync(cancellation);
        return await FleetState.ReadAsync(connection, now, owner: _environment.Owner, cancellation: cancellation);
    }

    // Also where no run is there to ask: what begins right after a storm must know of it.
    async Task NoteStormsAsync(FleetState fleet, SignalIndex signals, DateTimeOffset now, CancellationToken cancellation)
    {
        var usual = new GateNumbers();
        var storms = signals.TroubledClusters(fleet).Where(c =>
            (!fleet.Storms.TryGetValue(c, out var at) || now - at >= StormStep)
            && _environment.Clusters(c) is { } view
            && ClusterGates.Storm(c.Cluster, view.Nodes, signals.Troubled(fleet, c), usual.BlastNodes, usual.BlastPercent) is not null)
            .ToList();
        if (storms.Count > 0)
            await _environment.Runs.NoteStormsAsync(storms, now, cancellation);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(
            _environment.DrivesRuns ? PassesAsync(stoppingToken) : Task.CompletedTask,
            Bell.ListenAsync(_environment.Runs.Database, _time, stoppingToken));

    async Task PassesAsync(CancellationToken stoppingToken)
    {
        var pass = _environment.Watch?.Watch("remediation", Step);
        using var timer = new PeriodicTimer(Step, _time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                pass?.Begin();
                await StateLease.RunAsync(
                    _environment.Lease, () => AdvanceAsync(_time.GetUtcNow(), stoppingToken), stoppingToken);
                pass?.Succeed();
            }
            catch (StateException)
            {
                // The database has said it, once; the pass is tried again.
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                pass?.Fail(e);
                _logger.PassFailed(e);
            }
        }
    }

    /// <summary>Another process may go on at once.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        if (_environment.Lease is { } lease)
            await lease.TryReleaseAsync(cancellationToken);
    }

    async Task ProposeAsync(Incident incident, FleetState fleet, SignalIndex signals, DateTimeOffset now, CancellationToken cancellation)
    {
        List<RunSummary>? before = null;
        foreach (var runbook in Runbooks.Runbooks)
        {
            if (Answered(incident, runbook, signals) is not { } signal
                || ControlStore.ModeOf(fleet.Modes, runbook, incident.ClusterId).Mode is RunbookMode.Off)
                continue;
            before ??= [.. fleet.OfIncident(incident.Id)];
            if (Rung.Of(runbook, before, Runbooks, out var missing) is not { } rung)
            {
                if (missing is not null)
                    _logger.RungMissing(incident.Id, missing);
                continue;
            }

            var (run, notes) = Proposal.Of(incident, rung, signal, before, now, fleet.Restored.Lineage.Suffix);
            if (!await _environment.Runs.ProposeAsync(run, rung.Runbook, notes, now, cancellation))
                continue;
            Due(now);
            before.Add(new(run.Id, run.IncidentId, run.NodeId, run.Subject, run.Runbook, run.Origin, run.State, run.EndedAt, false, null));
            _logger.RunChanged(run.Id, run.Runbook, run.Node, run.State.ToString(), notes[0].Text);
        }
    }

    static Signal? Answered(Incident incident, Runbook runbook, SignalIndex signals) => incident.Signals
        .Where(s => !s.IsClear && s.Labels.Has("node") && runbook.IsAnswerTo(s.Name, s.Labels))
        .Select(s => signals.Find(s.Fingerprint)).FirstOrDefault(s => s is { IsKept: false });

    async Task<RunDecision?> DecideAsync(Run run, FleetState fleet, SignalIndex signals, DateTimeOffset now, CancellationToken cancellation)
    {
        if (await _environment.Runs.RunbookOfAsync(run, cancellation) is not { } runbook
            || GateReader.Read(fleet, run, runbook, signals, Cluster(run), now) is not { } read)
        {
            if (_unreadable.Add(run.Id))
                _logger.RunUnreadable(run.Id);
            return null;
        }

        _unreadable.Remove(run.Id);

        var step = run.Step < read.Plan.Steps.Count ? read.Plan.Steps[run.Step] : null;
        var world = new RunWorld(
            read.Snapshot, read.Incident, run.Issued > 0 ? fleet.Commands.GetValueOrDefault(run.CommandId) ?? run.DamagedCommand() : null,
            read.Plan, await IsTrueAsync(run, runbook, step, now, cancellation))
        {
            StepApproval = step is null ? null : fleet.Approvals.GetValueOrDefault((run.Id, step.Step.Name)),
            Task = step is null ? null : fleet.Tasks.GetValueOrDefault((run.Id, step.Step.Name)),
        };
        var decided = RunEngine.Advance(run, world, now);
        if (RunEngine.DueAt(decided?.Run ?? run, decided?.Offer ?? world.Command, runbook, now) is { } due)
            Due(due);
        // Another attempt or the next rung may follow it.
        if (decided?.Run.EndedAt is not null)
            Due(now);
        return decided;
    }

    void Due(DateTimeOffset at)
    {
        if (!(NextDue <= at))
            NextDue = at;
    }

    void CountRefusal(GateName gate)
    {
        _refusals.WithLabels(gate.Word()).Inc();
        GateRefused?.Invoke(gate);
    }

    void Announce(RunDecision decision)
    {
        var run = decision.Run;
        if (decision.Offer is { } offer)
            Bell.Ring(offer);
        if (run.EndedAt is not null)
            _ended.WithLabels(run.Runbook, run.State.ToString().ToLowerInvariant()).Inc();
        // A run without an executor waits for a node, and no gate has refused it. A permit is counted when it is refused.
        foreach (var gate in decision.Notes.Select(n => n.Gate).OfType<GateName>().Where(g => g is not GateName.Executor))
            CountRefusal(gate);

        _logger.RunChanged(run.Id, run.Runbook, run.Node, run.State.ToString(), string.Join(" ", decision.Notes.Select(n => n.Text)));
    }

    /// <summary>Whether the PromQL holds that the run waits for now; true where none is asked.</summary>
    async ValueTask<bool> IsTrueAsync(Run run, Runbook runbook, PlannedStep? step, DateTimeOffset now, CancellationToken cancellation)
    {
        var values = Rendering.Values(runbook, run.Labels);
        string? Filled(string? expression) => expression is null ? null : Rendering.Expression(expression, values);
        var asked = run switch
        {
            { Undoing: { DoneAt: not null, Steps: [var undone, ..] } } => Filled(runbook.Steps.First(s => s.Name == undone).Undo!.Proof),
            { Undoing: not null } => null,
            { State: RunState.Verifying } => Filled(runbook.Verify.Expression),
            { State: RunState.Running } when step is { Step.Kind: StepKind.Wait } => step.Text,
            _ => null,
        };
        if (asked is null)
            return true;
        try
        {
            return await _environment.IsTrue(asked, now, cancellation);
        }
        catch (PromQLException e)
        {
            _logger.RunFailed(e, run.Id);
            return false;
        }
    }

    sealed record Indexed(SignalVersion Version, SignalIndex Index);
}
