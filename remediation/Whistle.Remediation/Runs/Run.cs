using System.Text.Json;

using Whistle.Remediation.Runbooks;
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
    /// <summary>A permit was given, so it may have changed something. Never after a dry run, or where there was nothing to change.</summary>
    public bool Changed { get; init; }
}

/// <summary>One attempt of a runbook on what an incident is about. Changed only by the owner of its lease, together with its timeline.</summary>
public sealed record Run
{
    public required string Id { get; init; }

    public required string IncidentId { get; init; }

    public required string Tenant { get; init; }

    public required string Cluster { get; init; }

    public required string Node { get; init; }

    /// <summary>As the incident's.</summary>
    public required Labels Subject { get; init; }

    /// <summary>Of the signal that it answers; parameters come from them.</summary>
    public required Labels Labels { get; init; }

    /// <summary>The name of the runbook. Hash and text are those that the run began with.</summary>
    public required string Runbook { get; init; }

    public required string RunbookHash { get; init; }

    public required string RunbookText { get; init; }

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

    /// <summary>The index of the step that is to be done or under way.</summary>
    public int Step { get; init; }

    /// <summary>How many commands it has issued; a withdrawn one is followed by another.</summary>
    public int Issued { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? EndedAt { get; init; }

    public DateTimeOffset? VerifyingSince { get; init; }

    /// <summary>While verifying: since when all signals are clear.</summary>
    public DateTimeOffset? ClearSince { get; init; }

    public IReadOnlyList<StepReport> Reports { get; init; } = [];

    public bool IsAtWork => State is RunState.Running or RunState.Verifying;

    /// <summary>It counts as an attempt: it was not merely called off.</summary>
    public bool IsAttempt => State is RunState.Succeeded or RunState.Failed or RunState.RolledBack or RunState.Escalated;

    internal string CommandId => $"{Id}.{Issued}";

    internal bool HasTarget(Run other) => Tenant == other.Tenant && Cluster == other.Cluster && Node == other.Node && Subject.Equals(other.Subject);
}

/// <summary>A person calls a run off. What has begun on the node is waited for; nothing new begins.</summary>
public sealed record Cancellation(string RunId, string Author, string Reason, DateTimeOffset At);

/// <summary>One line of a run's timeline, never edited. A repeated refusal for one reason is one entry with a count.</summary>
public sealed record RunEntry(string RunId, long Number, DateTimeOffset At, string Kind, string Text, int Count);

/// <summary>A repair that gave up and hands over to people.</summary>
/// <param name="Evidence">What the runbook's page and ticket attach, the latest report of each named step in any attempt of the incident.</param>
public sealed record Escalation(
    string RunId, string IncidentId, string Runbook, DateTimeOffset At, string Reason, int Attempts, IReadOnlyList<StepReport> Evidence,
    IReadOnlyList<string> PageAttaches, IReadOnlyList<string> TicketAttaches);

/// <summary>A step of a run's plan, with its parameters as the node gets them (JSON).</summary>
/// <param name="OnlyReads">It changes nothing, by its nature or because it is a dry run.</param>
public sealed record PlanStep(string Name, string Action, string Parameters, TimeSpan Timeout, bool OnlyReads)
{
    /// <summary>The plan that the run's hash is over; empty where none could be made, or this release cannot read the runbook.</summary>
    public static IReadOnlyList<PlanStep> Of(Run run)
    {
        if (run.PlanHash.Length == 0 || Gates.GateReader.RunbookOf(run) is not { } runbook)
            return [];
        return [.. Rendering.Plan(runbook, run.Labels).Steps.Select(p => new PlanStep(
            p.Step.Name, p.Step.Action, p.Parameters, p.Step.Timeout, p.Step.Traits.ReadOnly || p.Step.DryRun))];
    }
}

/// <summary>What a runbook makes of one signal: the commands, rendered.</summary>
sealed record Plan(string Hash, IReadOnlyList<PlannedStep> Steps);

sealed record PlannedStep(RunbookStep Step, string Parameters);
