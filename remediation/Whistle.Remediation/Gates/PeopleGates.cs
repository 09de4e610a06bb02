using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

using static Whistle.Remediation.Gates.GatePipeline;

namespace Whistle.Remediation.Gates;

/// <summary>What people have said: stop, not now, only when asked, only at night.</summary>
static class PeopleGates
{
    // Who turned it on, and why, is said where the switch is, not once more for each run.
    public static GateAnswer KillSwitch(GateSnapshot s) =>
        s.Kill.On ? new("The kill switch is on.", WhenChanged) : GateAnswer.Allow;

    public static GateAnswer Cancelled(GateSnapshot s) =>
        s.Cancellation is { } cancellation ? new($"{cancellation.Author} cancelled it: {cancellation.Reason}", Soon) : GateAnswer.Allow;

    public static GateAnswer Mode(GateSnapshot s) => s.Mode switch
    {
        RunbookMode.Off => new($"The mode is off ({s.ModeFrom}).", WhenChanged),
        RunbookMode.Observe => new($"The mode is observe ({s.ModeFrom}): the plan is shown and nothing is sent. Set approve or automatic to let it act.", WhenChanged),
        RunbookMode.Approve => Approved(s, s.Approval, "The plan is waiting for approval."),
        RunbookMode.Automatic => GateAnswer.Allow,
        _ => throw new InvalidOperationException($"Unknown mode {s.Mode}."),
    };

    /// <summary>Whether there is an approval, for this plan, that has not ended.</summary>
    public static GateAnswer Approved(GateSnapshot s, Approval? given, string missing)
    {
        if (given is not { } approval)
            return new(missing, WhenChanged, NeedsApproval: true);
        if (approval.PlanHash != s.Run.PlanHash)
            return new($"The approval by {approval.Author} is for another plan; approve this one.", WhenChanged, NeedsApproval: true);
        return s.Now >= approval.Until
            ? new($"The approval by {approval.Author} ended at {Clock(approval.Until)}; approve the plan again.", WhenChanged, NeedsApproval: true)
            : GateAnswer.Allow;
    }

    // A server that was restored knows neither what was done since the backup nor who has paused what.
    public static GateAnswer Pause(GateSnapshot s) => (s.Restore is { } hold ? RestoreGate.Ask(hold, s) : null) ?? Paused(s);

    static GateAnswer Paused(GateSnapshot s) =>
        s.Pauses.Where(p => p.Holds(s.Run.NodeId, s.Runbook.Name, s.Now)).MaxBy(p => p.Until) is { } pause
            ? new($"Paused by {pause.Author} until {Clock(pause.Until)}: {pause.Reason}.", pause.Until - s.Now)
            : Acknowledged(s);

    // Whoever works on an incident is not to find a node drained under their hands. What the run took down it may bring back.
    static GateAnswer Acknowledged(GateSnapshot s) =>
        s.Acknowledgement is { } taken && s.Traits.Disruptive
            ? new($"Acknowledged by {taken.Author} until {Clock(taken.Until)}.", taken.Until - s.Now)
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
            return new($"Change freeze {id} cannot be read, so it applies: {why}. End it with `whistle freezes end {id}`.", WhenChanged);
        if (s.Freeze is { } freeze)
            return new($"Changes are frozen by {freeze.Author} until {Clock(freeze.Until)}: {freeze.Reason}.", freeze.Until - s.Now);
        if (!waits || s.Window.OpenUntil > s.Now)
            return GateAnswer.Allow;
        return s.Window.NextAt is { } next
            ? new($"The next maintenance window opens at {Clock(next)}.", next - s.Now)
            : s.Window.Problem is { } problem ? new(problem, Soon)
            : new($"{s.Run.Cluster} has no coming maintenance window. Add one with `whistle windows add`.", WhenChanged);
    }
}
