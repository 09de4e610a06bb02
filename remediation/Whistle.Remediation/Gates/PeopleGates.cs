using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

using static Whistle.Remediation.Gates.GatePipeline;

namespace Whistle.Remediation.Gates;

/// <summary>What people have said: stop, not now, only when asked, only at night.</summary>
static class PeopleGates
{
    public static GateAnswer KillSwitch(GateSnapshot s) =>
        s.Kill.On ? new(new GateReason.KillSwitchOn(), WhenChanged) : GateAnswer.Allow;

    public static GateAnswer Cancelled(GateSnapshot s) =>
        s.Cancellation is { } cancellation ? new(new GateReason.CancelledBy(cancellation), Soon) : GateAnswer.Allow;

    public static GateAnswer Mode(GateSnapshot s) => s.Mode switch
    {
        RunbookMode.Off => new(new GateReason.ModeIsOff(s.ModeFrom), WhenChanged),
        RunbookMode.Observe => new(new GateReason.ModeIsObserve(s.ModeFrom), WhenChanged),
        RunbookMode.Approve => Approved(s, s.Approval),
        RunbookMode.Automatic => GateAnswer.Allow,
        _ => throw new InvalidOperationException($"Unknown mode {s.Mode}."),
    };

    /// <summary>Whether there is an approval, for this plan, that has not ended.</summary>
    public static GateAnswer Approved(GateSnapshot s, Approval? given)
    {
        if (given is not { } approval)
            return new(new GateReason.NotApproved(), WhenChanged, NeedsApproval: true);
        if (approval.PlanHash != s.Run.PlanHash)
            return new(new GateReason.ApprovedOtherPlan(approval), WhenChanged, NeedsApproval: true);
        return s.Now >= approval.Until
            ? new(new GateReason.ApprovalEnded(approval), WhenChanged, NeedsApproval: true)
            : GateAnswer.Allow;
    }

    // A server that was restored knows neither what was done since the backup nor who has paused what.
    public static GateAnswer Pause(GateSnapshot s) => (s.Restore is { } hold ? RestoreGate.Ask(hold, s) : null) ?? Paused(s);

    static GateAnswer Paused(GateSnapshot s) =>
        s.Pauses.Where(p => p.Covers(s.Run.NodeId, s.Runbook.Name, s.Now)).MaxBy(p => p.Until) is { } pause
            ? new(new GateReason.Paused(pause), pause.Until - s.Now)
            : Acknowledged(s);

    // Whoever works on an incident is not to find a node drained under their hands. What the run took down it may bring back.
    static GateAnswer Acknowledged(GateSnapshot s) =>
        s.Acknowledgement is { } taken && s.Traits.Disruptive
            ? new(new GateReason.Acknowledged(taken), taken.Until - s.Now)
            : GateAnswer.Allow;

    public static GateAnswer Window(GateSnapshot s)
    {
        var rule = s.Runbook.Gates.Window;
        var waits = rule is WindowRule.Required || (rule is WindowRule.Auto && s.Traits.TakesNodeDown);
        if (!waits && !s.Traits.Disruptive)
            return GateAnswer.Skip;
        // A node under way may finish; the next waits.
        if (s.Run.Reports.Any(r => r.Changed))
            return GateAnswer.Allow;
        if (s.Freeze is { Unreadable: { } why, Id: var id })
            return new(new GateReason.FreezeUnreadable(id, why), WhenChanged);
        if (s.Freeze is { } freeze)
            return new(new GateReason.Frozen(freeze), freeze.Until - s.Now);
        if (!waits || s.Window.OpenUntil > s.Now)
            return GateAnswer.Allow;
        return s.Window.NextAt is { } next
            ? new(new GateReason.WindowClosed(next), next - s.Now)
            : s.Window.Problem is { } problem ? new(new GateReason.WindowUnknown(problem), Soon)
            : new(new GateReason.NoWindow(s.Run.Cluster), WhenChanged);
    }
}
