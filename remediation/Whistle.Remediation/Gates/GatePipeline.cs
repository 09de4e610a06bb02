using Whistle.Detectors.Signals;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

namespace Whistle.Remediation.Gates;

/// <summary>One question on the road to a mutation.</summary>
sealed record Gate(string Name, Func<GateSnapshot, GateAnswer> Ask);

/// <summary>The gates in their order. Whatever changes something on a node has passed them all, when it was planned and again when it began.</summary>
static class GatePipeline
{
    static readonly TimeSpan Soon = TimeSpan.FromMinutes(1);

    public static readonly IReadOnlyList<Gate> Gates =
    [
        new("kill-switch", KillSwitch),
        new("cancelled", Cancelled),
        new("mode", Mode),
        new("pause", Pause),
        new("evidence", Evidence),
        new("fresh", Fresh),
        new("window", s => OnlyNodeLocal(s, "maintenance windows and change freezes")),
        new("exclusive", Exclusive),
        new("concurrency", Concurrency),
        new("blast-radius", s => OnlyNodeLocal(s, "the blast radius")),
        new("quorum", s => OnlyNodeLocal(s, "quorum")),
        new("workload-safety", s => OnlyNodeLocal(s, "disruption budgets")),
        new("cool-down", CoolDown),
        new("flapping", s => OnlyNodeLocal(s, "flapping")),
    ];

    /// <summary>Null where every gate allows.</summary>
    public static Refusal? FirstRefusal(GateSnapshot snapshot)
    {
        foreach (var gate in Gates)
        {
            if (gate.Ask(snapshot) is { Reason: { } reason } answer)
                return new(gate.Name, reason, answer.RetryAfter, answer.NeedsApproval);
        }

        return null;
    }

    /// <summary>Every gate's answer, for people who want to see the whole road.</summary>
    public static IReadOnlyList<GateReply> AskAll(GateSnapshot snapshot) =>
        [.. Gates.Select(g => (g.Name, Answer: g.Ask(snapshot))).Select(g => new GateReply(
            g.Name, g.Answer.Reason, g.Answer.Allows ? null : snapshot.Now + g.Answer.RetryAfter, g.Answer.NeedsApproval, g.Answer.NotAsked))];

    static GateAnswer KillSwitch(GateSnapshot s) =>
        s.Kill.On ? new($"The kill switch is on since {Clock(s.Kill.Since)} ({s.Kill.Author}: {s.Kill.Reason}).", Soon) : GateAnswer.Allow;

    static GateAnswer Cancelled(GateSnapshot s) =>
        s.Cancellation is { } cancellation ? new($"{cancellation.Author} calls it off: {cancellation.Reason}", Soon) : GateAnswer.Allow;

    static GateAnswer Mode(GateSnapshot s) => s.Mode switch
    {
        RunbookMode.Off => new($"The mode is off ({s.ModeFrom}).", Soon),
        RunbookMode.Observe => new($"The mode is observe ({s.ModeFrom}): the plan is shown and nothing is sent; turn it to approve or automatic to let it act.", Soon),
        RunbookMode.Approve => Approval(s),
        RunbookMode.Automatic => GateAnswer.Allow,
        _ => throw new InvalidOperationException($"Unknown mode {s.Mode}."),
    };

    static GateAnswer Approval(GateSnapshot s)
    {
        if (s.Approval is not { } approval)
            return new("The plan waits for somebody's approval.", Soon, NeedsApproval: true);
        if (approval.PlanHash != s.Run.PlanHash)
            return new($"The approval by {approval.Author} is for another plan; approve this one.", Soon, NeedsApproval: true);
        return s.Now >= approval.Until
            ? new($"The approval by {approval.Author} ended at {Clock(approval.Until)}; approve the plan again.", Soon, NeedsApproval: true)
            : GateAnswer.Allow;
    }

    static GateAnswer Pause(GateSnapshot s) =>
        s.Pauses.Where(p => p.Holds(s.Run.Tenant, s.Run.Cluster, s.Run.Node, s.Runbook.Name, s.Now)).MaxBy(p => p.Until) is { } pause
            ? new($"Paused by {pause.Author} until {Clock(pause.Until)}: {pause.Reason}.", pause.Until - s.Now)
            : Acknowledged(s);

    // Whoever works on an incident is not to find a node drained under their hands.
    static GateAnswer Acknowledged(GateSnapshot s) =>
        s.Acknowledgement is { } taken && s.Runbook.Steps.Any(step => !step.Traits.NodeLocal)
            ? new($"{taken.Author} has taken the incident on until {Clock(taken.Until)}.", taken.Until - s.Now)
            : GateAnswer.Allow;

    static GateAnswer Evidence(GateSnapshot s)
    {
        if (s.Signals.FirstOrDefault(x => x.State is SignalState.Unknown) is { } unknown)
            return new($"{unknown.Name} is unknown: its source does not report, and nothing is repaired on a guess.", Soon);
        var firing = s.Signals.Where(x => x.State is SignalState.Firing).ToList();
        if (firing.Count == 0)
            return new("No signal that this runbook answers is firing.", Soon);
        // Warning and critical of one alert say the same thing twice.
        if (firing.DistinctBy(x => x.Name).Count() >= 2)
            return GateAnswer.Allow;
        var sustained = firing.Min(x => x.Condition.FiringSince ?? s.Now) + s.Runbook.Gates.Sustained;
        return s.Now >= sustained
            ? GateAnswer.Allow
            : new($"{firing[0].Name} is alone and must have fired until {Clock(sustained)}.", sustained - s.Now);
    }

    static GateAnswer Fresh(GateSnapshot s) =>
        s.Signals.Where(x => x.State is SignalState.Firing).MinBy(x => x.Condition.LastEvaluation) is { } oldest
            && s.Now - oldest.Condition.LastEvaluation > s.Runbook.Gates.Freshness
            ? new($"{oldest.Name} was last evaluated at {Clock(oldest.Condition.LastEvaluation)}, which is too long ago to act on.", Soon)
            : GateAnswer.Allow;

    static GateAnswer Exclusive(GateSnapshot s) =>
        s.AtWork.FirstOrDefault(r => r.HasTarget(s.Run)) is { } other
            ? new($"Run {other.Id} of {other.Runbook} is at work on the same target.", Soon)
            : GateAnswer.Allow;

    static GateAnswer Concurrency(GateSnapshot s)
    {
        foreach (var (scope, most) in s.Runbook.Gates.MaxConcurrent)
        {
            if (s.AtWork.Count(r => IsIn(scope, r, s.Run)) >= most)
                return new($"As many runs as may be ({most}) are at work in the {scope}.", Soon);
        }

        return GateAnswer.Allow;
    }

    static bool IsIn(string scope, Run other, Run run) => scope switch
    {
        "fleet" => true,
        "tenant" => other.Tenant == run.Tenant,
        "cluster" => other.Tenant == run.Tenant && other.Cluster == run.Cluster,
        "node" => other.Tenant == run.Tenant && other.Cluster == run.Cluster && other.Node == run.Node,
        _ => throw new InvalidOperationException($"Unknown scope {scope}."),
    };

    static GateAnswer CoolDown(GateSnapshot s)
    {
        if (s.Earlier.Count == 0)
            return GateAnswer.Allow;
        var count = Attempts(s);
        if (count >= s.Runbook.Gates.Attempts)
            return new($"All {s.Runbook.Gates.Attempts} attempts in this incident are used up.", TimeSpan.FromHours(1));
        var wait = s.Runbook.Gates.CoolDown * Math.Pow(s.Runbook.Gates.BackOff, Math.Max(count, 1) - 1);
        var until = s.Earlier.Max(r => r.EndedAt!.Value) + wait;
        return s.Now >= until ? GateAnswer.Allow : new($"It cools down until {Clock(until)} after the attempt before.", until - s.Now);
    }

    // An incident that comes back within the hour is the same, so its count goes on.
    static int Attempts(GateSnapshot s) => s.Earlier.Count(r => r.IncidentId == s.Run.IncidentId);

    // Not built yet: what they would ask about does not arise from work on a node's own files; anything else is not let through.
    static GateAnswer OnlyNodeLocal(GateSnapshot s, string about) =>
        s.Runbook.Steps.FirstOrDefault(step => !step.Traits.NodeLocal) is { } step
            ? new($"The gate about {about} is not built yet, and {step.Action} needs it.", TimeSpan.FromHours(1))
            : GateAnswer.Allow with { NotAsked = "not asked for this action" };

    static string Clock(DateTimeOffset at) => $"{at:yyyy-MM-dd HH:mm:ss}Z";
}
