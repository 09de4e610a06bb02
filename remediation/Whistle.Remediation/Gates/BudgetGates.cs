using Whistle.Remediation.Runs;

using static Whistle.Remediation.Gates.GatePipeline;

namespace Whistle.Remediation.Gates;

/// <summary>How much may go on at a time, and how soon again.</summary>
static class BudgetGates
{
    public static GateAnswer Exclusive(GateSnapshot s) => s.BudgetFault is { } fault
        ? new(new GateReason.RunsUnknown(fault), Soon)
        : s.AtWork.FirstOrDefault(
            r => r.IsOn(s.Run) && (r.Subject.Equals(s.Run.Subject) || r.Disruptive || s.Traits.Disruptive)) is { } other
            ? new(new GateReason.Occupied(other, other.Subject.Equals(s.Run.Subject)), Soon)
            : GateAnswer.Allow;

    public static GateAnswer Concurrency(GateSnapshot s)
    {
        if (s.Traits.Disruptive && ClusterGates.Known(s, out _, out _) is { } unknown)
            return unknown;
        var node = s.Cluster?.Find(s.Run.Node);
        if ((s.Traits.Disruptive || s.Traits.StopsVoter) && node is { ControlPlane: true }
            && s.AtWork.FirstOrDefault(r =>
                r.ControlPlane && r.Disruptive && r.NodeId.ClusterId == s.Run.ClusterId && r.Node != s.Run.Node) is { } other)
            return new(new GateReason.ControlPlaneOccupied(other), Soon);
        foreach (var (scope, most) in s.Runbook.Gates.MaxConcurrent)
        {
            if (s.AtWork.Count(r => IsIn(scope, r, s.Run, node?.Zone)) >= most)
                return new(new GateReason.TooManyRuns(scope, most), Soon);
        }

        return GateAnswer.Allow;
    }

    public static GateAnswer CoolDown(GateSnapshot s)
    {
        if (s.Earlier.Count == 0)
            return GateAnswer.Allow;
        var count = Attempts(s);
        // A run that is under way has its attempt; only a new one needs another.
        if (count >= s.Runbook.Gates.Attempts)
            return new(new GateReason.AttemptsUsedUp(s.Runbook.Gates.Attempts), WhenChanged);
        var wait = s.Runbook.Gates.CoolDown * Math.Pow(s.Runbook.Gates.BackOff, Math.Max(count, 1) - 1);
        var until = s.Earlier.Max(r => r.EndedAt) + wait;
        return s.Now >= until ? GateAnswer.Allow : new(new GateReason.CoolingDown(until), until - s.Now);
    }

    /// <summary>An incident that comes back within the hour is the same, so its count goes on.</summary>
    public static int Attempts(GateSnapshot s) => s.Earlier.Count(r => r.IncidentId == s.Run.IncidentId);

    static bool IsIn(string scope, Reservation other, Run run, string? zone) => scope switch
    {
        "fleet" => true,
        "tenant" => other.NodeId.Tenant == run.Tenant,
        "cluster" => other.NodeId.ClusterId == run.ClusterId,
        "zone" => other.NodeId.ClusterId == run.ClusterId && zone is { Length: > 0 } && other.Zone == zone,
        "node" => other.IsOn(run),
        _ => throw new InvalidOperationException($"Unknown scope {scope}."),
    };
}
