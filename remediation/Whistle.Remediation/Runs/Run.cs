using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Protocol;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Commands;
using Whistle.Telemetry;

namespace Whistle.Remediation.Runs;

public enum RunState
{
    Proposed,

    /// <summary>A gate said "not now"; <see cref="Run.Reason"/> says why.</summary>
    Waiting,
    AwaitingApproval,
    Running,
    Verifying,
    Succeeded,
    Failed,
    RolledBack,
    Escalated,
    Cancelled,
}

/// <summary>What one step came to. <paramref name="Output"/> is the action's own report.</summary>
public sealed record StepReport(string Step, string Action, CommandOutcome Outcome, string Summary, JsonElement? Output, DateTimeOffset At)
{
    /// <summary>
    /// A permit was given, so it may have changed something. Never after a dry run, or where there was nothing to change.
    /// </summary>
    public bool Changed { get; init; }

    /// <summary>It took back what the step of this name had changed.</summary>
    public bool Undo { get; init; }
}

/// <summary>A run on its way back.</summary>
/// <param name="Steps">What is still to be taken back, in this order.</param>
/// <param name="As">How the run ends when that is done.</param>
/// <param name="Reason">Why it ends so.</param>
/// <param name="Issued">The command for the first of the steps is on its way, or done and not yet proven.</param>
/// <param name="Tries">How often the first of the steps was tried.</param>
/// <param name="Faults">What could not be taken back.</param>
public sealed record Undoing(
    IReadOnlyList<string> Steps, RunState As, string Reason, bool Issued = false, int Tries = 0, DateTimeOffset? DoneAt = null,
    IReadOnlyList<string>? Faults = null);

/// <summary>
/// One attempt of a runbook on what an incident is about. Changed only by the owner of its lease, together with its timeline.
/// </summary>
public sealed record Run
{
    public required string Id { get; init; }

    public required string IncidentId { get; init; }

    public required string Tenant { get; init; }

    public required string Cluster { get; init; }

    public required string Node { get; init; }

    [JsonIgnore]
    public NodeId NodeId => new(Tenant, Cluster, Node);

    [JsonIgnore]
    public ClusterId ClusterId => new(Tenant, Cluster);

    /// <summary>As the incident's.</summary>
    public required Labels Subject { get; init; }

    /// <summary>Of the signal that it answers; parameters come from them.</summary>
    public required Labels Labels { get; init; }

    /// <summary>The name of the runbook.</summary>
    public required string Runbook { get; init; }

    /// <summary>The version that the run began with and keeps.</summary>
    public required string RunbookHash { get; init; }

    /// <summary>The runbook whose ladder this run is on; its own where it is the first rung.</summary>
    public required string Origin { get; init; }

    /// <summary>The signals that the origin answers, by name.</summary>
    public required IReadOnlyList<string> Answers { get; init; }

    /// <summary>The rungs that follow when this one is used up, without people.</summary>
    public IReadOnlyList<string> Rungs { get; init; } = [];

    /// <summary>Over the rendered commands: what an approval is given for.</summary>
    public required string PlanHash { get; init; }

    public required RunState State { get; init; }

    /// <summary>One sentence: why it waits, or how it ended.</summary>
    public string Reason { get; init; } = "";

    /// <summary>Who cancelled it, where a person did: then this runbook does not begin again by itself in this incident.</summary>
    public string? CancelledBy { get; init; }

    /// <summary>Since when it is in this state for this reason.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>When a waiting run's refusal is counted again at the latest; the gates are asked at every pass.</summary>
    public DateTimeOffset? RetryAt { get; init; }

    /// <summary>Counts from 1 within the incident.</summary>
    public required int Attempt { get; init; }

    /// <summary>It was the last attempt of its rung: what follows is the next rung, or people.</summary>
    public bool UsedUp { get; init; }

    /// <summary>The index of the step that is to be done or under way.</summary>
    public int Step { get; init; }

    /// <summary>While it waits in the midst of its plan: since when.</summary>
    public DateTimeOffset? StalledSince { get; init; }

    /// <summary>While it takes back what it changed.</summary>
    public Undoing? Undoing { get; init; }

    /// <summary>How many commands it has issued; a withdrawn one is followed by another.</summary>
    public int Issued { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? EndedAt { get; init; }

    public DateTimeOffset? VerifyingSince { get; init; }

    /// <summary>While verifying: since when all signals are clear.</summary>
    public DateTimeOffset? ClearSince { get; init; }

    public IReadOnlyList<StepReport> Reports { get; init; } = [];

    public bool IsAtWork => State is RunState.Running or RunState.Verifying;

    /// <summary>It counts as an attempt: it was not merely cancelled.</summary>
    public bool IsAttempt => State is RunState.Succeeded or RunState.Failed or RunState.RolledBack or RunState.Escalated;

    /// <summary>
    /// The generation of the state that issued the latest command: a state that was restored may not know all that were issued before.
    /// </summary>
    public string Generation { get; init; } = "";

    internal string CommandId => Generation.Length == 0 ? $"{Id}.{Issued}" : $"{Id}.{Issued}-{Generation}";

    /// <summary>
    /// Stands for the run's command whose row is damaged: it may have begun, so it is never given out, and the run verifies.
    /// </summary>
    internal Command DamagedCommand() => new()
    {
        Id = CommandId,
        RunId = Id,
        Tenant = Tenant,
        Cluster = Cluster,
        Node = Node,
        Step = "",
        Action = "",
        Parameters = "{}",
        DryRun = false,
        TimeoutSeconds = 0,
        OfferedAt = Since,
        State = CommandState.Done,
        Outcome = CommandOutcome.Indeterminate,
        Summary = "Its row in the state is damaged or missing; whether it ran is not known.",
    };

    internal bool HasTarget(Run other) => NodeId == other.NodeId && Subject.Equals(other.Subject);
}

/// <param name="Token">Under which its owner, who asked, may change it; null where another owns it.</param>
sealed record OwnedRun(Run Run, long? Token);

/// <summary>What of a run matters to those that follow it.</summary>
/// <param name="Rungs">Where its rung is used up: what is left of the ladder; null where it is not.</param>
sealed record RunSummary(
    string Id, string IncidentId, NodeId NodeId, Labels Subject, string Runbook, string Origin, RunState State, DateTimeOffset? EndedAt,
    bool Cancelled, IReadOnlyList<string>? Rungs)
{
    public bool IsAttempt => State is RunState.Succeeded or RunState.Failed or RunState.RolledBack or RunState.Escalated;
}

/// <summary>A person calls a run off. What has begun on the node is waited for; nothing new begins.</summary>
public sealed record Cancellation(string RunId, string Author, string Reason, DateTimeOffset At);

/// <summary>One line of a run's timeline, never edited. A repeated refusal for one reason is one entry with a count.</summary>
public sealed record RunEntry(string RunId, long Number, DateTimeOffset At, TimelineKind Kind, string Text, int Count);

/// <summary>A repair that gave up and hands over to people.</summary>
/// <param name="Evidence">What the runbook's page and ticket attach, the latest report of each named step in any attempt of the
/// incident.</param>
public sealed record Escalation(
    string RunId, string IncidentId, string Runbook, DateTimeOffset At, string Reason, int Attempts, IReadOnlyList<StepReport> Evidence,
    IReadOnlyList<string> PageAttaches, IReadOnlyList<string> TicketAttaches);

/// <summary>A person has done what a step asked of them.</summary>
public sealed record TaskDone(string RunId, string Step, string Author, string Note, DateTimeOffset At);
