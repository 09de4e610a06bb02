using Whistle.Remediation.Restored;

namespace Whistle.Remediation.Gates;

/// <summary>Holds runs back while it is not known what was done between a backup and its restore.</summary>
static class RestoreGate
{
    /// <summary>So long the others of a cluster wait for an agent that may be away for good: longer than any that works takes to come back.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    const string MakeItTell = "See that it runs, is of this release and may reach the server, or revoke its token if it is gone for good.";

    /// <summary>Why the run is held back; the same sentence while it is.</summary>
    public static GateAnswer? Ask(RestoreHold hold, GateSnapshot s)
    {
        var (lineage, unheard) = (hold.Lineage, hold.Unheard);
        if (lineage.IsDamaged)
            return new("The row that says whether this state was restored is damaged, so what was done before is unknown. Restore a backup with `whistle backup restore`.", GatePipeline.WhenChanged);
        if (unheard.Count == 0)
            return null;
        var restored = lineage.BackupAt > DateTimeOffset.UnixEpoch ? $"This server was restored from the backup of {GatePipeline.Clock(lineage.BackupAt)}" : "This server continues with an older state";
        if (unheard.Contains(s.Run.Node))
            return new($"{restored}, and the agent of {s.Run.Node} has not reported yet what it did since. {MakeItTell}", GatePipeline.Soon);
        // Any of them may have carried it out for this node.
        if (s.Traits.ViaControlPlane)
            return new($"{restored}, and not all agents of {s.Run.Cluster} have reported yet what they did since, which may be this. {MakeItTell}", GatePipeline.Soon);
        var until = lineage.RestoredAt + Patience;
        return s.Now < until
            ? new($"{restored}, and not all agents of {s.Run.Cluster} have reported yet what they did since. Waiting for them until {GatePipeline.Clock(until)}.", until - s.Now)
            : null;
    }
}
