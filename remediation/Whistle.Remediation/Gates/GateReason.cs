using Whistle.Incidents;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runs;
using Whistle.State;

using static Whistle.Remediation.Gates.GatePipeline;

namespace Whistle.Remediation.Gates;

/// <summary>Why a gate refuses.</summary>
/// <param name="Text">
/// One sentence for people, made here and nowhere else. It is the same while the cause is the same, so that repetitions can be counted.
/// </param>
abstract record GateReason(string Text)
{
    // Who turned it on, and why, is said where the switch is, not once more for each run.
    public sealed record KillSwitchOn() : GateReason("The kill switch is on.");

    public sealed record CancelledBy(Cancellation Cancellation) : GateReason($"{Cancellation.Author} cancelled it: {Cancellation.Reason}");

    public sealed record ModeIsOff(string From) : GateReason($"The mode is off ({From}).");

    public sealed record ModeIsObserve(string From) : GateReason(
        $"The mode is observe ({From}): the plan is shown and nothing is sent. Set approve or automatic to let it act.");

    public sealed record NotApproved() : GateReason("The plan is waiting for approval.");

    public sealed record ApprovedOtherPlan(Approval Approval) : GateReason(
        $"The approval by {Approval.Author} is for another plan; approve this one.");

    public sealed record ApprovalEnded(Approval Approval) : GateReason(
        $"The approval by {Approval.Author} ended at {Clock(Approval.Until)}; approve the plan again.");

    public sealed record Paused(Pause Pause) : GateReason($"Paused by {Pause.Author} until {Clock(Pause.Until)}: {Pause.Reason}.");

    public sealed record Acknowledged(Acknowledgement By) : GateReason($"Acknowledged by {By.Author} until {Clock(By.Until)}.");

    public sealed record FreezeUnreadable(long Id, string Why) : GateReason(
        $"Change freeze {Id} cannot be read, so it applies: {Why}. End it with `whistle freezes end {Id}`.");

    public sealed record Frozen(ChangeFreeze Freeze) : GateReason(
        $"Changes are frozen by {Freeze.Author} until {Clock(Freeze.Until)}: {Freeze.Reason}.");

    public sealed record WindowClosed(DateTimeOffset OpensAt) : GateReason($"The next maintenance window opens at {Clock(OpensAt)}.");

    public sealed record WindowUnknown(string Problem) : GateReason(Problem);

    public sealed record NoWindow(string Cluster) : GateReason(
        $"{Cluster} has no coming maintenance window. Add one with `whistle windows add`.");

    public sealed record Inhibited(IReadOnlyList<string> By) : GateReason(
        $"Its signals are inhibited by {string.Join(", ", By)}. It starts if they still fire once that has cleared.");

    public sealed record SignalUnknown(string Signal) : GateReason(
        $"{Signal} is unknown because its source does not report. Nothing is repaired on a guess.");

    public sealed record TelemetryLate(string Cluster, DateTimeOffset Newest) : GateReason(
        $"The telemetry of {Cluster} is late: its newest report is from {Clock(Newest)}.");

    public sealed record NothingFires() : GateReason("No signal that this runbook handles is firing.");

    public sealed record NotSustained(string Signal, DateTimeOffset Until) : GateReason(
        $"{Signal} is the only signal and must keep firing until {Clock(Until)}.");

    public sealed record EvaluatedLongAgo(string Signal, DateTimeOffset At) : GateReason(
        $"{Signal} was last evaluated at {Clock(At)}, too long ago to act on.");

    public sealed record IsFlapping(int Onsets, TimeSpan Within, DateTimeOffset Until) : GateReason(
        $"Flapping: it started {Onsets} times within {Within.TotalMinutes:0.#} min. Repairs wait until {Clock(Until)}.");

    public sealed record RunsUnknown(string Fault) : GateReason($"The runs under way are unknown: {Fault}");

    public sealed record Occupied(Reservation Other, bool SameTarget) : GateReason(
        $"Run {Other.RunId} of {Other.Runbook} is already working on the same {(SameTarget ? "target" : "node")}.");

    public sealed record ControlPlaneOccupied(Reservation Other) : GateReason(
        $"Run {Other.RunId} is working on {Other.Node}. Only one control-plane node of a cluster is touched at a time.");

    public sealed record TooManyRuns(string Scope, int Most)
        : GateReason($"The limit of concurrent runs in the {Scope} ({Most}) is reached.");

    public sealed record AttemptsUsedUp(int Attempts) : GateReason($"All {Attempts} attempts in this incident are used up.");

    public sealed record CoolingDown(DateTimeOffset Until) : GateReason($"Cooling down until {Clock(Until)} after the previous attempt.");

    public sealed record Storm(string What) : GateReason(
        $"{What}; the cause is elsewhere, so nothing is repaired node by node and people are paged.");

    public sealed record AfterStorm(string Cluster, DateTimeOffset Until) : GateReason(
        $"After the storm nothing new starts in {Cluster} until {Clock(Until)}.");

    public sealed record LastNode(string Node, string Of) : GateReason($"{Node} is the last node of the {Of} that is well.");

    public sealed record MembersUnknown(string Cluster) : GateReason(
        $"The members of etcd in {Cluster} are not known, so nothing that could stop one is done.");

    public sealed record HasLearner(string Member) : GateReason(
        $"etcd has the learner {Member}; nothing else is changed until it votes or is removed.");

    public sealed record MemberOnUnknownNode(string Member, string Node) : GateReason(
        $"etcd has the member {Member} on a node that is not known, which may be {Node}.");

    public sealed record QuorumLost(string Member, int Healthy, int Voters, int Needed) : GateReason(
        $"Without {Member}, {Healthy} of etcd's {Voters} voters are healthy, and {Needed} are needed.");

    public sealed record OtherVotersUnhealthy(string Member, int Unhealthy) : GateReason(
        $"{Member} is a healthy voter. It may only go down while all others are healthy, and {Unhealthy} of them are not.");

    public sealed record EvictionBlocked(IReadOnlyList<string> Budgets, string Node) : GateReason(
        $"{string.Join(", ", Budgets.Take(3))}{(Budgets.Count > 3 ? $" and {Budgets.Count - 3} more" : "")} "
        + $"would let no pod of {Node} be evicted now.");

    public sealed record NodeUnknown(string Cluster, string Node) : GateReason(
        $"What is known of {Cluster} does not have {Node}; see that the cluster's telemetry arrives.");

    public sealed record NoExecutor(Run Run) : GateReason(
        $"{Run.Cluster} has no other healthy control-plane node than {Run.Node} that could do it.");

    public sealed record RunMovedOn() : GateReason("The run of this command no longer waits for it.");

    public sealed record IncidentUnknown() : GateReason("The incident of this command's run is not known.");

    public sealed record LineageDamaged() : GateReason(
        "The row that says whether this state was restored is damaged, so what was done before is unknown. "
        + "Restore a backup with `whistle backup restore`.");

    public sealed record AgentNotHeard(Lineage Lineage, string Node) : GateReason(
        $"{Restored(Lineage)}, and the agent of {Node} has not reported yet what it did since. {MakeItReport}");

    public sealed record ControlPlaneNotHeard(Lineage Lineage, string Cluster) : GateReason(
        $"{Restored(Lineage)}, and not all agents of {Cluster} have reported yet what they did since, which may be this. {MakeItReport}");

    public sealed record ClusterNotHeard(Lineage Lineage, string Cluster, DateTimeOffset Until) : GateReason(
        $"{Restored(Lineage)}, and not all agents of {Cluster} have reported yet what they did since. "
        + $"Waiting for them until {Clock(Until)}.");

    static string Restored(Lineage lineage) => lineage.BackupAt > DateTimeOffset.UnixEpoch
        ? $"This server was restored from the backup of {Clock(lineage.BackupAt)}" : "This server continues with an older state";

    const string MakeItReport =
        "See that it runs, is of this release and may reach the server, or revoke its token if it is gone for good.";
}
