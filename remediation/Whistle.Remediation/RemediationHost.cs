using System.Security.Cryptography;

using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

using Prometheus;

using Whistle.Detectors.Incidents;
using Whistle.Detectors.Signals;
using Whistle.Ingest;
using Whistle.PromQL;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.Telemetry;

namespace Whistle.Remediation;

/// <summary>What remediation reads and where it writes.</summary>
public sealed record RemediationEnvironment
{
    /// <summary>Runbook files and folders of them.</summary>
    public required IReadOnlyList<string> RunbookFiles { get; init; }

    /// <summary>All active signals; null while they are not known.</summary>
    public required Func<IReadOnlyList<Signal>?> Signals { get; init; }

    /// <summary>For the extra condition of a verification.</summary>
    public required PromQLEngine Engine { get; init; }

    public required IncidentStore Incidents { get; init; }

    public required RunStore Runs { get; init; }

    public required ControlStore Control { get; init; }

    public required IMetricFactory Metrics { get; init; }

    /// <summary>
    /// Who holds the leases of runs. Where no second process can be at work on the same state, a fixed name lets a restarted one go on at once.
    /// </summary>
    public string Owner { get; init; } = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
}

/// <summary>
/// Proposes runs for incidents and drives them, each one arrow a pass. The hosted loop and a test call the same <see cref="AdvanceAsync"/>;
/// whatever it knows is in the database, so another process can go on at any time.
/// </summary>
public sealed class RemediationHost : BackgroundService
{
    static readonly TimeSpan Step = TimeSpan.FromSeconds(1);

    readonly RemediationEnvironment _environment;
    readonly TimeProvider _time;
    readonly ILogger<RemediationHost> _logger;
    readonly Counter _ended;
    readonly Counter _refusals;

    RunbookSet _runbooks = RunbookSet.Empty;

    public RemediationHost(RemediationEnvironment environment, TimeProvider time, ILogger<RemediationHost> logger)
    {
        _environment = environment;
        _time = time;
        _logger = logger;
        Commands = new CommandStore(environment.Runs.Database);
        _ended = environment.Metrics.CreateCounter("whistle_runs_total", "Runs that ended, by how.", ["runbook", "state"]);
        _refusals = environment.Metrics.CreateCounter("whistle_gate_refusals_total", "Refusals that reached a timeline.", ["runbook"]);
    }

    /// <summary>The runbooks in force.</summary>
    public RunbookSet Runbooks => Volatile.Read(ref _runbooks);

    internal CommandStore Commands { get; }

    internal CommandBell Bell { get; } = new();

    /// <summary>Loads the runbooks. With any error those before stay in force and the errors are the answer. Runs keep the version they began with.</summary>
    public RunbookLoad Reload()
    {
        var load = RunbookSet.Load(_environment.RunbookFiles);
        if (load.Runbooks is not { } runbooks)
        {
            _logger.RunbooksRefused(string.Join(Environment.NewLine, load.Errors));
            return load;
        }

        Volatile.Write(ref _runbooks, runbooks);
        _logger.RunbooksLoaded(runbooks.Runbooks.Count);
        return load;
    }

    /// <summary>Proposes what is missing, then moves every run by at most one arrow.</summary>
    public async Task AdvanceAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        if (_environment.Signals() is not { } signals)
            return;
        foreach (var incident in _environment.Incidents.Active().Where(i => i.Signals.Any(s => !s.IsClear)))
            Propose(incident, signals, now);
        foreach (var run in _environment.Runs.Live())
        {
            cancellation.ThrowIfCancellationRequested();
            try
            {
                await AdvanceRunAsync(run, signals, now, cancellation);
            }
            catch (Exception e) when (!cancellation.IsCancellationRequested)
            {
                _logger.RunFailed(e, run.Id);
            }
        }
    }

    /// <summary>Why nothing happens with this run now, and when that is looked at again, in a sentence; null where there is no such run.</summary>
    public string? Explain(string runId) => _environment.Runs.Find(runId) is { } run
        ? Explanation.Of(run, run.Issued > 0 ? Commands.Find(run.CommandId) : null)
        : null;

    /// <summary>As <see cref="Explain(string)"/>, for all runs that have not ended, by their ids; two queries, however many there are.</summary>
    public IReadOnlyDictionary<string, string> ExplainLive()
    {
        var commands = Commands.OfLiveRuns().ToDictionary(c => c.Id);
        return _environment.Runs.Live().ToDictionary(r => r.Id, r => Explanation.Of(r, commands.GetValueOrDefault(r.CommandId)));
    }

    /// <summary>What every gate says to a live run now, in their order; empty where the run has ended or the signals are not known.</summary>
    public IReadOnlyList<GateReply> AskGates(string runId)
    {
        if (_environment.Signals() is not { } signals)
            return [];
        using var connection = _environment.Runs.Database.Open();
        using var picture = connection.BeginRead();
        return GateReader.Read(connection, runId, signals, _time.GetUtcNow()) is { } snapshot ? GatePipeline.AskAll(snapshot) : [];
    }

    internal BeginAnswer? Begin(Sender sender, string id, long token) => _environment.Signals() is { } signals
        ? Commands.Begin(sender, id, token, signals, _time.GetUtcNow())
        : new BeginAnswer(false, 0, "The server has just started and knows no signals yet; ask again.");

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Step, _time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await AdvanceAsync(_time.GetUtcNow(), stoppingToken);
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                _logger.PassFailed(e);
            }
        }
    }

    void Propose(Incident incident, IReadOnlyList<Signal> signals, DateTimeOffset now)
    {
        foreach (var runbook in Runbooks.Runbooks)
        {
            var answered = GateReader.SignalsOf(incident, runbook, signals);
            if (answered.FirstOrDefault(s => s.Labels.Has("node")) is not { } signal
                || ControlStore.ModeOf(_environment.Control.Modes(), runbook, incident.Tenant, incident.Cluster).Mode is RunbookMode.Off)
                continue;
            var before = _environment.Runs.OfIncident(incident.Id);
            if (before.Any(r => r.Runbook == runbook.Name && (r.EndedAt is null || r.State is RunState.Escalated || r.CancelledBy is not null)))
                continue;
            var (run, notes) = Proposal.Of(incident, runbook, signal, before, now);
            if (_environment.Runs.Propose(run, notes, now))
                _logger.RunChanged(run.Id, run.Runbook, run.Node, run.State, notes[0].Text);
        }
    }

    async Task AdvanceRunAsync(Run run, IReadOnlyList<Signal> signals, DateTimeOffset now, CancellationToken cancellation)
    {
        if (_environment.Runs.Own(run.Id, _environment.Owner, now) is not { } token)
            return;
        if (await WorldAsync(run.Id, signals, now, cancellation) is not { } world)
        {
            _logger.RunUnreadable(run.Id);
            return;
        }

        // Read again under the lease: what was listed may be an earlier owner's last state.
        if (RunEngine.Advance(world.Gates.Run, world, now) is not { } decision)
            return;
        if (!_environment.Runs.Apply(decision, _environment.Owner, token, now))
        {
            _logger.RunNotApplied(run.Id);
            return;
        }

        Tell(decision);
    }

    void Tell(RunDecision decision)
    {
        var run = decision.Run;
        if (decision.Offer is { } offer)
            Bell.Ring(offer);
        if (run.EndedAt is not null)
            _ended.WithLabels(run.Runbook, run.State.ToString().ToLowerInvariant()).Inc();
        if (decision.Notes.Any(n => n.Kind == "gate"))
            _refusals.WithLabels(run.Runbook).Inc();
        _logger.RunChanged(run.Id, run.Runbook, run.Node, run.State, string.Join(" ", decision.Notes.Select(n => n.Text)));
    }

    async ValueTask<RunWorld?> WorldAsync(string runId, IReadOnlyList<Signal> signals, DateTimeOffset now, CancellationToken cancellation)
    {
        GateSnapshot? gates;
        using (var connection = _environment.Runs.Database.Open())
        using (connection.BeginRead())
            gates = GateReader.Read(connection, runId, signals, now);
        if (gates is null || _environment.Incidents.Find(gates.Run.IncidentId) is not { } incident)
            return null;
        var run = gates.Run;
        var plan = Rendering.Plan(gates.Runbook, run.Labels);
        var condition = run.State is not RunState.Verifying || await HoldsAsync(gates.Runbook, run, now, cancellation);
        return new(gates, incident, run.Issued > 0 ? Commands.Find(run.CommandId) : null, plan, condition);
    }

    async ValueTask<bool> HoldsAsync(Runbook runbook, Run run, DateTimeOffset now, CancellationToken cancellation)
    {
        if (runbook.Verify.Expression is not { } expression)
            return true;
        try
        {
            return await _environment.Engine.InstantAsync(Rendering.Expression(expression, run.Labels), now.ToUnixTimeMilliseconds(), cancellation) switch
            {
                VectorValue vector => vector.Samples.Count > 0,
                ScalarValue scalar => scalar.Value != 0,
                _ => false,
            };
        }
        catch (PromQLException e)
        {
            _logger.RunFailed(e, run.Id);
            return false;
        }
    }
}
