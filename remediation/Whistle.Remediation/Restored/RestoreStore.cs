using Whistle.Actions.Protocol;
using Whistle.Inventory;
using Whistle.State;

namespace Whistle.Remediation.Restored;

/// <summary>The rows of what agents say that they did between the backup and the restore.</summary>
static class RestoreStore
{
    // A row lets its node be repaired again.
    static readonly CheckedTable Nodes = new(
        "restored_nodes", ["generation", "tenant", "cluster", "node"],
        ["generation", "tenant", "cluster", "node", "heard_at", "known_since"]);

    /// <summary>The nodes whose agents have reported, and since when each remembers.</summary>
    public static async Task<Dictionary<NodeId, DateTimeOffset>> ReportedAsync(
        StateConnection connection, Lineage lineage, CancellationToken cancellation) => (await connection.QueryAsync(
        $"SELECT {Nodes.Columns()} FROM restored_nodes WHERE generation = $generation",
        r => Nodes.Holds(r) ? (Node: new NodeId(r.GetString(1), r.GetString(2), r.GetString(3)), Since: r.Instant(5)) : default,
        cancellation, ("$generation", lineage.Generation))).Where(n => n.Node != default).ToDictionary(n => n.Node, n => n.Since);

    /// <summary>
    /// The generation under which the node's agent is to tell what it remembers; null where it has, or nothing was restored.
    /// </summary>
    public static async Task<string?> JournalWantedAsync(StateConnection connection, Sender sender, CancellationToken cancellation)
    {
        var lineage = await Lineage.ReadAsync(connection, cancellation);
        return lineage.IsRestored && !(await connection.QueryAsync(
            $"SELECT {Nodes.Columns()} FROM restored_nodes WHERE generation = $generation AND tenant = $tenant AND cluster = $cluster "
            + "AND node = $node",
            r => Nodes.Holds(r), cancellation, ("$generation", lineage.Generation), ("$tenant", sender.Tenant),
            ("$cluster", sender.Cluster), ("$node", sender.Node))).Contains(true) ? lineage.Generation : null;
    }

    /// <summary>The node's agent has reported all that it knows, and remembers the time since then.</summary>
    public static async Task MarkReportedAsync(
        StateConnection connection, Sender sender, string generation, DateTimeOffset now, DateTimeOffset since,
        CancellationToken cancellation) =>
        await connection.ExecuteAsync(
            """
            INSERT INTO restored_nodes VALUES ($generation, $tenant, $cluster, $node, $now, $since, $checksum)
            ON CONFLICT (generation, tenant, cluster, node) DO UPDATE
            SET heard_at = excluded.heard_at, known_since = excluded.known_since, checksum = excluded.checksum
            """,
            cancellation,
            ("$generation", generation), ("$tenant", sender.Tenant), ("$cluster", sender.Cluster), ("$node", sender.Node), ("$now", now),
            ("$since", since), ("$checksum", Nodes.Of(generation, sender.Tenant, sender.Cluster, sender.Node, now, since)));

    /// <summary>The state has the command's end: it is older than the backup, or was reported a moment ago.</summary>
    public static async Task<bool> IsKnownAsync(
        StateConnection connection, Sender sender, string generation, string id, CancellationToken cancellation) =>
        (await connection.QueryAsync(
            """
            SELECT 1 FROM commands WHERE id = $id AND (state = 'Done' OR tenant <> $tenant OR cluster <> $cluster OR node <> $node)
            UNION ALL
            SELECT 1 FROM restored_commands WHERE generation = $generation AND tenant = $tenant AND cluster = $cluster AND node = $node
                AND id = $id
            """, _ => true, cancellation, ("$id", id), ("$tenant", sender.Tenant), ("$cluster", sender.Cluster), ("$node", sender.Node),
            ("$generation", generation))).Count > 0;

    public static async Task<long> KeptAsync(
        StateConnection connection, Sender sender, string generation, CancellationToken cancellation) =>
        (await connection.QueryAsync(
            "SELECT count(*) FROM restored_commands WHERE generation = $generation AND tenant = $tenant AND cluster = $cluster "
            + "AND node = $node", r => r.GetInt64(0),
            cancellation,
            ("$generation", generation), ("$tenant", sender.Tenant), ("$cluster", sender.Cluster), ("$node", sender.Node))).Single();

    public static async Task KeepAsync(
        StateConnection connection, Sender sender, string generation, JournalEntry entry, string run, string incident, bool hasBegun,
        CancellationToken cancellation) =>
        await connection.ExecuteAsync(
            """
            INSERT INTO restored_commands
                VALUES ($generation, $tenant, $cluster, $node, $id, $run, $incident, $action, $at, $outcome, $summary, $began)
            ON CONFLICT (generation, tenant, cluster, node, id) DO NOTHING
            """, cancellation, ("$generation", generation), ("$tenant", sender.Tenant), ("$cluster", sender.Cluster),
            ("$node", sender.Node), ("$id", entry.Id), ("$run", run), ("$incident", incident), ("$action", entry.Action), ("$at", entry.At),
            ("$outcome", entry.Outcome), ("$summary", entry.Summary), ("$began", hasBegun ? 1 : 0));
}
