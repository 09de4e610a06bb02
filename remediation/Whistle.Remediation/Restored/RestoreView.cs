using Whistle.Inventory;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;

namespace Whistle.Remediation.Restored;

/// <summary>A command that an agent has begun, and of whose run the restored state knows nothing.</summary>
/// <param name="NodeId">Whose agent carried it out.</param>
/// <param name="Incident">As its id says; the state may not know that either.</param>
sealed record LostCommand(NodeId NodeId, string Run, string Incident, string Action)
{
    // What a control-plane node's agent does is about another node of the cluster, and the journal does not say which.
    public bool Concerns(Run run) => NodeId.ClusterId == run.ClusterId
        && (NodeId.Node == run.Node || Incident == run.IncidentId || ActionCatalogue.TraitsOf(Action, _ => null).ViaControlPlane);
}

/// <summary>What a restored state has heard of the time between the backup and the restore.</summary>
/// <param name="Unheard">Nodes whose agents have not reported yet what they did.</param>
/// <param name="Forgetful">Nodes whose agents remember only a part of that time.</param>
sealed record RestoreView(
    Lineage Lineage, IReadOnlySet<NodeId> Unheard, IReadOnlySet<NodeId> Forgetful, IReadOnlyList<LostCommand> Lost)
{
    static readonly IReadOnlySet<NodeId> Nobody = new HashSet<NodeId>();

    public static async Task<RestoreView> ReadAsync(StateConnection connection, CancellationToken cancellation)
    {
        var lineage = await Lineage.ReadAsync(connection, cancellation);
        if (!lineage.IsRestored)
            return new(lineage, Nobody, Nobody, []);
        var heard = await RestoreStore.ReportedAsync(connection, lineage, cancellation);
        return new(
            lineage,
            (await connection.QueryAsync(
                "SELECT DISTINCT tenant, cluster, node FROM credentials WHERE node IS NOT NULL AND revoked_at IS NULL",
                r => new NodeId(r.GetString(0), r.GetString(1), r.GetString(2)), cancellation))
                .Except(heard.Keys).ToHashSet(),
            heard.Where(n => n.Value > lineage.BackupAt).Select(n => n.Key).ToHashSet(),
            await connection.QueryAsync(
                """
                SELECT tenant, cluster, node, run, incident, action FROM restored_commands l
                WHERE generation = $generation AND began = 1 AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = l.run)
                """,
                r => new LostCommand(new(r.GetString(0), r.GetString(1), r.GetString(2)), r.GetString(3), r.GetString(4), r.GetString(5)),
                cancellation, ("$generation", lineage.Generation)));
    }

    /// <summary>What stands for the attempts that the state has lost: they ended before the restore, nobody knows how.</summary>
    public IEnumerable<EarlierRun> Earlier(Run run)
    {
        foreach (var lost in Lost.Where(l => l.Concerns(run)).DistinctBy(l => l.Run))
            yield return new(lost.Run, lost.Incident, Lineage.RestoredAt);
        if (Forgetful.Contains(run.NodeId))
            yield return new("", "", Lineage.RestoredAt);
    }

    /// <summary>What holds runs in the cluster back; null where nothing does.</summary>
    public RestoreBlock? BlockOn(ClusterId cluster)
    {
        if (!Lineage.IsRestored)
            return null;
        var nodes = Unheard.Where(u => u.ClusterId == cluster).Select(u => u.Node).ToHashSet();
        return new(Lineage, nodes);
    }
}

/// <summary>A cluster of which not all is known since the restore.</summary>
/// <param name="Unheard">Its nodes whose agents have not reported yet what they did.</param>
sealed record RestoreBlock(Lineage Lineage, IReadOnlySet<string> Unheard);
