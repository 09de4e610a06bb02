using Whistle.Inventory;

using static Whistle.Remediation.Gates.GatePipeline;

namespace Whistle.Remediation.Gates;

/// <summary>What the rest of the cluster must bear.</summary>
static class ClusterGates
{
    public static GateAnswer BlastRadius(GateSnapshot s)
    {
        if (!s.Traits.Disruptive)
            return GateAnswer.Skip;
        if (Known(s, out var cluster, out var target) is { } unknown)
            return unknown;
        if (Storm(s, cluster, target) is { } storm)
            return new(new GateReason.Storm(storm), Soon);
        // A run that has changed something goes on to its end; only what is new waits.
        var calm = s.StormAt + s.Runbook.Gates.StormCoolDown;
        if (calm > s.Now && !s.Run.Reports.Any(r => r.Changed))
            return new(new GateReason.AfterStorm(s.Run.Cluster, calm.Value), calm.Value - s.Now);
        return s.Traits.TakesNodeDown && target.Ready && Last(cluster, target) is { } last
            ? new(new GateReason.LastNode(target.Name, last), Soon)
            : GateAnswer.Allow;
    }

    /// <summary>In words, why so much is in trouble that the cause is elsewhere; null where it is not.</summary>
    public static string? Storm(GateSnapshot s, ClusterFacts cluster, NodeFacts target)
    {
        var numbers = s.Runbook.Gates;
        return Storm("cluster", [.. cluster.Nodes], s.Troubled, numbers.BlastNodes, numbers.BlastPercent)
            ?? (target.Zone.Length > 0
                ? Storm(
                    $"zone {target.Zone}", [.. cluster.Nodes.Where(n => n.Zone == target.Zone)], s.Troubled, numbers.BlastNodes,
                    numbers.BlastPercent) : null);
    }

    /// <summary>As above, for one group of nodes.</summary>
    public static string? Storm(string group, IReadOnlyList<NodeFacts> nodes, IReadOnlySet<string> troubled, int most, int percent)
    {
        var count = nodes.Count(n => !n.Ready || troubled.Contains(n.Name));
        return count > most
            && count * 100L > (long)percent * nodes.Count ? $"{count} of {nodes.Count} nodes in the {group} are in trouble" : null;
    }

    static string? Last(ClusterFacts cluster, NodeFacts target)
    {
        if (!cluster.Nodes.Any(n => n.Ready && n.Name != target.Name))
            return "cluster";
        return target.ControlPlane && !cluster.Nodes.Any(n => n.Ready && n.ControlPlane && n.Name != target.Name) ? "control plane" : null;
    }

    /// <summary>With the target counted as down, the other voters must be a majority of what etcd has after the step.</summary>
    public static GateAnswer Quorum(GateSnapshot s)
    {
        if (!s.Traits.StopsVoter)
            return GateAnswer.Skip;
        if (Known(s, out var cluster, out var target) is { } unknown)
            return unknown;
        var own = cluster.Members.FirstOrDefault(m => m.Node == target.Name);
        if (own is null && !target.ControlPlane)
            return GateAnswer.Skip;
        if (cluster.Members.Count == 0)
            return new(new GateReason.MembersUnknown(s.Run.Cluster), Soon);
        if (cluster.Members.FirstOrDefault(m => m.Learner) is { } learner)
            return new(new GateReason.HasLearner(learner.Name), Soon);
        // A control plane of its own, with etcd on other machines.
        if (own is null)
        {
            return cluster.Members.FirstOrDefault(m => m.Node.Length == 0) is { } homeless
                ? new(new GateReason.MemberOnUnknownNode(homeless.Name, target.Name), Soon) : GateAnswer.Skip;
        }

        var voters = cluster.Members.Count;
        var after = s.Traits.ReplacesVoter ? voters - 1 : voters;
        var others = cluster.Members.Count(m => m.Node != target.Name && m.Healthy);
        if (others < (after / 2) + 1)
            return new(new GateReason.QuorumLost(own.Name, others, voters, (after / 2) + 1), Soon);
        return own.Healthy && s.Traits.TakesNodeDown && others < voters - 1
            ? new(new GateReason.OtherVotersUnhealthy(own.Name, voters - 1 - others), Soon)
            : GateAnswer.Allow;
    }

    public static GateAnswer WorkloadSafety(GateSnapshot s)
    {
        if (!s.Traits.TakesNodeDown)
            return GateAnswer.Skip;
        if (Known(s, out var cluster, out var target) is { } unknown)
            return unknown;
        var blocking = cluster.Budgets.Where(b => b.Allowed <= 0 && b.Nodes.Contains(target.Name)).Select(b => $"{b.Namespace}/{b.Name}")
            .Order(StringComparer.Ordinal).ToList();
        return blocking.Count > 0
            ? new(new GateReason.EvictionBlocked(blocking, target.Name), Soon)
            : GateAnswer.Allow;
    }

    /// <summary>Null where the run's node is known.</summary>
    public static GateAnswer? Known(GateSnapshot s, out ClusterFacts cluster, out NodeFacts target)
    {
        (cluster, target) = (s.Cluster!, s.Cluster?.Find(s.Run.Node)!);
        return target is not null ? null : new GateAnswer(new GateReason.NodeUnknown(s.Run.Cluster, s.Run.Node), Soon);
    }
}
