using Whistle.Actions.Protocol;
using Whistle.Alerting.Tickets;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.Web.Live;
using Whistle.Web.Signals;

namespace Whistle.Web.Incidents;

/// <summary>A run as a card of the incident's page.</summary>
/// <param name="Plan">Empty where none could be made.</param>
/// <param name="Gates">What every gate says now; empty once it has ended.</param>
public sealed record RunCard(Run Run, string? Why, IReadOnlyList<PlanStep> Plan, IReadOnlyList<GateReply> Gates)
{
    /// <summary>Once the steps are done, and while a step is a person's, the gates hold nothing back.</summary>
    public IEnumerable<GateReply> Refusals =>
        Run.State is RunState.Verifying || Task is not null || AskedStep.Length > 0 ? [] : Gates.Where(g => g.Reason is not null);

    /// <summary>What it asks a person to do now; null where it asks for nothing, or for a yes.</summary>
    public PlanStep? Task { get; init; }

    /// <summary>The step whose own yes it waits for; empty where it is the plan's.</summary>
    public string AskedStep =>
        Run.State is RunState.AwaitingApproval && Run.Step < Plan.Count && Plan[Run.Step] is { Action: "approval" } step ? step.Name : "";

    public IReadOnlyList<StepReport> ReportsOf(PlanStep step) => [.. Run.Reports.Where(r => r.Step == step.Name)];

    /// <summary>Where the plan stands: done, rolled back, running, to do, or skipped as it was not needed.</summary>
    public string StateOf(PlanStep step, int index) => ReportsOf(step) switch
    {
        _ when Run.EndedAt is null && Run.Undoing?.Steps.Contains(step.Name) is true =>
            Run.Undoing.Steps[0] == step.Name ? "rolling back" : "to be rolled back",
        [.., { Undo: true } undo] => undo.Outcome is CommandOutcome.Succeeded ? "rolled back" : "not rolled back",
        [.., var report] => report.Outcome.ToString().ToLowerInvariant(),
        _ when Run is { State: RunState.Running, Undoing: null } && index == Run.Step => Task is null ? "running" : "waiting for a person",
        _ => Run.EndedAt is null && Run.Undoing is null && Run.State is not RunState.Verifying ? "to do" : "not needed",
    };
}

/// <summary>All of one incident: how it stands, what was seen, planned, refused and done, and what proves it.</summary>
sealed record IncidentStory
{
    public required IncidentRow Row { get; init; }

    /// <summary>The latest first.</summary>
    public required IReadOnlyList<RunCard> Runs { get; init; }

    /// <summary>The oldest first.</summary>
    public required IReadOnlyList<TimelineEntry> Timeline { get; init; }

    public Ticket? Ticket { get; init; }

    /// <summary>What its active signals say now.</summary>
    public IReadOnlyList<SignalView> Now { get; init; } = [];

    /// <summary>What they inhibit now, the worst first.</summary>
    public IReadOnlyList<SignalView> Inhibited { get; init; } = [];

    public Incident Incident => Row.Incident;

    public RunCard? Waiting => Runs.FirstOrDefault(r => r.Run.State is RunState.AwaitingApproval);

    /// <summary>The run that asks a person to do something.</summary>
    public RunCard? Asking => Runs.FirstOrDefault(r => r.Task is not null);

    public RunCard? Live => Runs.FirstOrDefault(r => r.Run.EndedAt is null);
}

/// <summary>Reads the story of an incident, once a snapshot for all who look at it.</summary>
sealed class StoryReader(RemediationEnvironment environment, RemediationHost host)
{
    readonly SharedReads<string, IncidentStory?> _stories = new();

    /// <summary>Null where there is no such incident, or the viewer may not see it.</summary>
    public async Task<IncidentStory?> ReadAsync(FleetSnapshot snapshot, string id) =>
        await _stories.GetAsync(id, snapshot.Version, () => ReadAsync(snapshot.All, id, CancellationToken.None)) is { } story
            && snapshot.Rights.Sees(story.Incident.ClusterId) ? story : null;

    async Task<IncidentStory?> ReadAsync(FleetSnapshot snapshot, string id, CancellationToken cancellation)
    {
        if ((snapshot.Incidents.FirstOrDefault(i => i.Id == id)
            ?? await environment.Incidents.FindAsync(id, cancellation)) is not { } incident)
            return null;
        var runs = await environment.Runs.OfIncidentAsync(id, cancellation);
        var signals = incident.Signals.Where(s => s.ClearedAt is null).Select(s => s.Fingerprint).ToHashSet();
        var cards = new List<RunCard>();
        foreach (var run in runs.Reverse())
            cards.Add(await CardAsync(snapshot, run, cancellation));
        return new IncidentStory
        {
            Row = IncidentRow.Of(snapshot, incident, runs),
            Runs = cards,
            Timeline = await environment.Incidents.TimelineAsync(id, cancellation),
            Ticket = snapshot.Tickets.FirstOrDefault(t => t.Incident == id),
            Now = [.. snapshot.Signals.Where(s => signals.Contains(s.Fingerprint))],
            Inhibited = [.. snapshot.Signals.Where(s => s.InhibitedBy is { } by && signals.Contains(by.Fingerprint))],
        };
    }

    async Task<RunCard> CardAsync(FleetSnapshot snapshot, Run run, CancellationToken cancellation)
    {
        var plan = await environment.Runs.PlanOfAsync(run, cancellation);
        return new(
            run, snapshot.Explanations.GetValueOrDefault(run.Id), plan,
            run.EndedAt is null ? await host.AskGatesAsync(run.Id, cancellation) : [])
        {
            Task = await environment.Runs.AsksPersonAsync(run, cancellation) ? plan[run.Step] : null,
        };
    }
}

/// <summary>What makes the mode of a run's runbook so in its cluster.</summary>
sealed record ModeWords(RunbookMode Mode, string From)
{
    public static ModeWords Of(FleetSnapshot snapshot, Runbook runbook, ClusterId cluster)
    {
        var (mode, from) = ControlStore.ModeOf(snapshot.Modes, runbook, cluster);
        return new(mode, from);
    }
}
