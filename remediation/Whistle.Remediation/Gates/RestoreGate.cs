using Whistle.Remediation.Restored;

namespace Whistle.Remediation.Gates;

/// <summary>Holds runs back while it is not known what was done between a backup and its restore.</summary>
static class RestoreGate
{
    /// <summary>
    /// How long the other nodes of a cluster wait for an agent that may be gone: longer than one that works needs to come back.
    /// </summary>
    static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    /// <summary>Why the run is held back; the same sentence while it is.</summary>
    public static GateAnswer? Ask(RestoreBlock block, GateSnapshot s)
    {
        var (lineage, unheard) = (block.Lineage, block.Unheard);
        if (lineage.IsDamaged)
            return new(new GateReason.LineageDamaged(), GatePipeline.WhenChanged);
        if (unheard.Count == 0)
            return null;
        if (unheard.Contains(s.Run.Node))
            return new(new GateReason.AgentNotHeard(lineage, s.Run.Node), GatePipeline.Soon);
        // Any of them may have carried it out for this node.
        if (s.Traits.ViaControlPlane)
            return new(new GateReason.ControlPlaneNotHeard(lineage, s.Run.Cluster), GatePipeline.Soon);
        var until = lineage.RestoredAt + Patience;
        return s.Now < until
            ? new(new GateReason.ClusterNotHeard(lineage, s.Run.Cluster, until), until - s.Now)
            : null;
    }
}
