using Whistle.Remediation.Runs;

namespace Whistle.Remediation.Gates;

/// <summary>One question on the road to a mutation.</summary>
/// <param name="Undoing">Asked too where a run takes back what it changed: that neither waits for evidence nor for a window.</param>
sealed record Gate(GateName Name, Func<GateSnapshot, GateAnswer> Ask, bool Undoing = false);

/// <summary>
/// The gates in their order. Whatever changes something has passed them all, when it was planned and again when it began.
/// </summary>
static class GatePipeline
{
    public static readonly IReadOnlyList<Gate> Gates =
    [
        new(GateName.KillSwitch, PeopleGates.KillSwitch, Undoing: true),
        new(GateName.Cancelled, PeopleGates.Cancelled),
        new(GateName.Mode, PeopleGates.Mode),
        new(GateName.Pause, PeopleGates.Pause, Undoing: true),
        new(GateName.Inhibited, EvidenceGates.Inhibited),
        new(GateName.Evidence, EvidenceGates.Evidence),
        new(GateName.Fresh, EvidenceGates.Fresh),
        new(GateName.Window, PeopleGates.Window),
        new(GateName.Exclusive, BudgetGates.Exclusive),
        new(GateName.Concurrency, BudgetGates.Concurrency),
        new(GateName.BlastRadius, ClusterGates.BlastRadius),
        new(GateName.Quorum, ClusterGates.Quorum, Undoing: true),
        new(GateName.WorkloadSafety, ClusterGates.WorkloadSafety),
        new(GateName.CoolDown, BudgetGates.CoolDown),
        new(GateName.Flapping, EvidenceGates.Flapping),
    ];

    internal static readonly TimeSpan Soon = TimeSpan.FromMinutes(15);

    /// <summary>What only a person changes; the pass after the change sees it.</summary>
    internal static readonly TimeSpan WhenChanged = TimeSpan.FromMinutes(30);

    /// <summary>Null where every gate allows.</summary>
    public static Refusal? FirstRefusal(GateSnapshot snapshot, bool undoing = false)
    {
        foreach (var gate in Gates)
        {
            if ((!undoing || gate.Undoing) && gate.Ask(snapshot) is { Reason: { } reason } answer)
                return new(gate.Name, reason, answer.RetryAfter, answer.NeedsApproval);
        }

        return null;
    }

    /// <summary>Every gate's answer, for people who want to see the whole road.</summary>
    public static IReadOnlyList<GateReply> AskAll(GateSnapshot snapshot) =>
        [.. Gates.Select(g => (g.Name, Answer: g.Ask(snapshot))).Select(g => new GateReply(
            g.Name.Word(), g.Answer.Reason?.Text, g.Answer.Allows ? null : snapshot.Now + g.Answer.RetryAfter, g.Answer.NeedsApproval,
            g.Answer.NotAsked))];

    /// <summary>Every gate's answer in one line, the same while the answers are.</summary>
    public static string Summary(GateSnapshot snapshot)
    {
        var replies = AskAll(snapshot);
        string Names(Func<GateReply, bool> which) =>
            string.Join(", ", replies.Where(which).Select(r => r.Name)) is { Length: > 0 } names ? names : "none";
        return $"Yes: {Names(r => r.Reason is null && r.NotAsked is null)}. No: {Names(r => r.Reason is not null)}. "
            + $"Not asked: {Names(r => r.NotAsked is not null)}.";
    }

    internal static string Clock(DateTimeOffset at) => $"{at:yyyy-MM-dd HH:mm:ss}Z";
}
