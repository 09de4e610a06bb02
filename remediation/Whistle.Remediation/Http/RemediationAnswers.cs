using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Protocol;
using Whistle.Detectors.Http;
using Whistle.Incidents;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

namespace Whistle.Remediation.Http;

/// <summary>
/// A signal of an incident. It is active while it has not cleared; unknown means that its source does not report; quietSince, that it has
/// cleared and is only kept firing by its rule; inhibitedBy, what inhibits it, so that it pages nobody and starts no repair.
/// </summary>
sealed record IncidentSignalAnswer(
    string Name, string Severity, IReadOnlyDictionary<string, string> Labels, DateTimeOffset Since, DateTimeOffset? ClearedAt, bool Unknown,
    DateTimeOffset? QuietSince, InhibitorAnswer? InhibitedBy);

/// <summary>One line of a timeline, never edited. A repeated refusal for one reason is one line with a count.</summary>
sealed record TimelineAnswer(long Number, DateTimeOffset At, string Kind, string Text, int Count);

/// <summary>Signals that belong together. Timeline and runs are null in lists.</summary>
/// <param name="Subject">What it is about, such as node and mountpoint.</param>
/// <param name="ClearSince">Since when all its signals are clear.</param>
/// <param name="Reopened">How often it came back.</param>
/// <param name="Inhibits">The names of the alerts that its signals have inhibited.</param>
/// <param name="Hides">The old name of inhibits, until version 2.0.</param>
sealed record IncidentAnswer(
    string Id, string Tenant, string Cluster, IReadOnlyDictionary<string, string> Subject, string Title, string Severity,
    IncidentState State, DateTimeOffset OpenedAt, DateTimeOffset? ClosedAt, DateTimeOffset? ClearSince, int Reopened,
    IReadOnlyList<string> Inhibits, IReadOnlyList<string> Hides, IReadOnlyList<IncidentSignalAnswer> Signals,
    IReadOnlyList<TimelineAnswer>? Timeline, IReadOnlyList<RunAnswer>? Runs);

/// <summary>What one step came to. The output is the action's own report.</summary>
sealed record StepAnswer(string Step, string Action, CommandOutcome Outcome, string Summary, JsonElement? Output, DateTimeOffset At);

/// <summary>One attempt of a runbook on what an incident is about. Its timeline is null in lists.</summary>
/// <param name="Reason">Why it waits, or how it ended.</param>
/// <param name="PlanHash">What an approval names.</param>
/// <param name="Explanation">One sentence: why nothing happens now, and when that is looked at again.</param>
sealed record RunAnswer(
    string Id, string Incident, string Runbook, string RunbookHash, string Tenant, string Cluster, string Node,
    IReadOnlyDictionary<string, string> Subject, RunState State, string Reason, DateTimeOffset Since, DateTimeOffset? RetryAt, int Attempt,
    string PlanHash, DateTimeOffset CreatedAt, DateTimeOffset? EndedAt, string Explanation, IReadOnlyList<StepAnswer> Steps,
    IReadOnlyList<TimelineAnswer>? Timeline);

/// <summary>Why nothing happens now, and when that is looked at again.</summary>
/// <param name="Gates">What every gate says to the steps that are left, in the order in which they are asked; empty where the run has ended
/// or no signals are known.</param>
sealed record ExplanationAnswer(string Run, RunState State, string Explanation, DateTimeOffset? RetryAt, IReadOnlyList<GateReply> Gates);

/// <summary>Approves the plan of that hash, and no other.</summary>
/// <param name="For">How long it is valid, such as 1h, the default.</param>
/// <param name="Step">A step that needs its own approval; the plan if not given.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record ApprovalRequest(string PlanHash, string? For = null, string? Step = null);

/// <summary>A person has done what a step asked of them.</summary>
/// <param name="Note">What was done; it is recorded.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record TaskRequest(string Note);

/// <summary>Acknowledges an incident: nobody is paged for it until then.</summary>
/// <param name="For">How long, such as 30m.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record AcknowledgementRequest(string For);

/// <summary>Cancels a run.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record CancellationRequest(string Reason);

/// <summary>Pauses the repairs that it names; without a name, all.</summary>
/// <param name="For">Such as 2h; every pause ends.</param>
/// <param name="Force">Accepts names that do not exist yet.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record PauseRequest(
    string Reason, string For, string? Tenant = null, string? Cluster = null, string? Node = null, string? Runbook = null,
    bool Force = false);

/// <summary>While it is on, no repair starts anywhere.</summary>
/// <param name="Reason">Needed to turn it off.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record KillSwitchRequest(bool On, string? Reason = null);

/// <summary>A runbook's mode. Without a name, it applies to all.</summary>
/// <param name="Force">Accepts names that do not exist yet.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record ModeRequest(RunbookMode Mode, string? Runbook = null, string? Tenant = null, string? Cluster = null, bool Force = false);

/// <summary>What somebody set. An empty name means all.</summary>
sealed record ModeAnswer(string Runbook, string Tenant, string Cluster, RunbookMode Mode, string Author, DateTimeOffset At);

/// <summary>A runbook in force.</summary>
/// <param name="Mode">Its file's; what is set for runbooks and clusters may be stricter.</param>
sealed record RunbookAnswer(string Name, string Summary, string File, string Hash, RunbookMode Mode);
