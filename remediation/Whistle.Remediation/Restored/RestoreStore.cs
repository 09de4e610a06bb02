using Whistle.Actions.Protocol;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;

namespace Whistle.Remediation.Restored;

/// <summary>
/// Learns from the agents what they did between the backup and the restore. A run that lives in the state is not gone on with where one of its
/// commands was carried out since: that counts as indeterminate, and the signals tell whether it helped.
/// </summary>
static class RestoreStore
{
    public const string Tables =
        """
        CREATE TABLE restored_nodes (
            generation TEXT NOT NULL, tenant TEXT NOT NULL, cluster TEXT NOT NULL, node TEXT NOT NULL, heard_at INTEGER NOT NULL, known_since INTEGER NOT NULL,
            checksum INTEGER NOT NULL, PRIMARY KEY (generation, tenant, cluster, node)) WITHOUT ROWID;
        CREATE TABLE restored_commands (
            generation TEXT NOT NULL, tenant TEXT NOT NULL, cluster TEXT NOT NULL, node TEXT NOT NULL, id TEXT NOT NULL, run TEXT NOT NULL, incident TEXT NOT NULL,
            action TEXT NOT NULL, at INTEGER NOT NULL, outcome TEXT NOT NULL, summary TEXT NOT NULL, began INTEGER NOT NULL,
            PRIMARY KEY (generation, tenant, cluster, node, id)) WITHOUT ROWID;
        """;

    // More than an agent or a server can have drawn since any backup.
    const long Beyond = 1_000_000;

    // As many as an agent's journal holds.
    const int MostOfNode = 10_000;

    // More than any id of a command or name of an action has.
    const int LongestName = 256;
    const int LongestSummary = 300;
    const int MostNamed = 10;

    // A row lets its node be repaired again.
    static readonly CheckedTable Nodes = new(
        "restored_nodes", ["generation", "tenant", "cluster", "node"], ["generation", "tenant", "cluster", "node", "heard_at", "known_since"]);

    /// <summary>What was given out before the restore is void from now on, whatever numbers it has.</summary>
    public static async Task BeginAsync(StateConnection connection, string generation, DateTimeOffset backupAt, DateTimeOffset now, CancellationToken cancellation)
    {
        await Lineage.BeginAsync(connection, generation, backupAt, now, cancellation);
        foreach (var command in await CommandStore.AllOpenAsync(connection, cancellation))
            await CommandStore.SaveAsync(connection, command with { Token = command.Token + Beyond }, cancellation);
        await connection.ExecuteAsync("UPDATE runs SET token = token + $beyond WHERE ended_at IS NULL", cancellation, ("$beyond", Beyond));
    }

    /// <summary>The nodes whose agents have told, with since when they remember.</summary>
    public static async Task<Dictionary<NodeId, DateTimeOffset>> HeardAsync(
        StateConnection connection, Lineage lineage, CancellationToken cancellation) => (await connection.QueryAsync(
        $"SELECT {Nodes.Columns()} FROM restored_nodes WHERE generation = $generation",
        r => Nodes.Holds(r) ? (Node: new NodeId(r.GetString(1), r.GetString(2), r.GetString(3)), Since: r.Instant(5)) : default,
        cancellation, ("$generation", lineage.Generation))).Where(n => n.Node != default).ToDictionary(n => n.Node, n => n.Since);

    /// <summary>The generation under which the node's agent is to tell what it remembers; null where it has, or nothing was restored.</summary>
    public static async Task<string?> AskedAsync(StateConnection connection, Sender sender, CancellationToken cancellation)
    {
        var lineage = await Lineage.ReadAsync(connection, cancellation);
        return lineage.IsRestored && !(await connection.QueryAsync(
            $"SELECT {Nodes.Columns()} FROM restored_nodes WHERE generation = $generation AND tenant = $tenant AND cluster = $cluster AND node = $node", r => Nodes.Holds(r),
            cancellation,
            ("$generation", lineage.Generation), ("$tenant", sender.Tenant), ("$cluster", sender.Cluster), ("$node", sender.Node))).Contains(true) ? lineage.Generation : null;
    }

    /// <summary>Takes a part of what an agent remembers. False where it was asked for by another generation, or is more than a journal holds.</summary>
    public static async Task<bool> HearAsync(StateConnection connection, Sender sender, JournalReport report, DateTimeOffset now, CancellationToken cancellation)
    {
        if ((await Lineage.ReadAsync(connection, cancellation)).Generation != report.Generation || report.Generation.Length == 0 || !report.Commands.All(Fits))
            return false;
        var fresh = new List<JournalEntry>();
        foreach (var entry in report.Commands)
        {
            if (!await IsKnownAsync(connection, sender, report.Generation, entry.Id, cancellation))
                fresh.Add(entry with { Summary = Cut(entry.Summary) });
        }

        if (await KeptAsync(connection, sender, report.Generation, cancellation) + fresh.Count > MostOfNode)
            return false;
        foreach (var entry in fresh)
            await KeepAsync(connection, sender, report.Generation, entry, cancellation);
        foreach (var run in fresh.GroupBy(e => RunOf(e.Id)))
            await FollowAsync(connection, sender, run.Key, [.. run], now, cancellation);
        if (!report.More)
        {
            var since = DateTimeOffset.FromUnixTimeMilliseconds(Math.Clamp(report.KnownSince, 0, now.ToUnixTimeMilliseconds()));
            await connection.ExecuteAsync(
                """
                INSERT INTO restored_nodes VALUES ($generation, $tenant, $cluster, $node, $now, $since, $checksum)
                ON CONFLICT (generation, tenant, cluster, node) DO UPDATE SET heard_at = excluded.heard_at, known_since = excluded.known_since, checksum = excluded.checksum
                """,
                cancellation,
                ("$generation", report.Generation), ("$tenant", sender.Tenant), ("$cluster", sender.Cluster), ("$node", sender.Node), ("$now", now), ("$since", since),
                ("$checksum", Nodes.Of(report.Generation, sender.Tenant, sender.Cluster, sender.Node, now, since)));
        }

        return true;
    }

    // The state has its end: it is older than the backup, or was told a moment ago.
    static async Task<bool> IsKnownAsync(StateConnection connection, Sender sender, string generation, string id, CancellationToken cancellation) => (await connection.QueryAsync(
        """
        SELECT 1 FROM commands WHERE id = $id AND (state = 'Done' OR tenant <> $tenant OR cluster <> $cluster OR node <> $node) UNION ALL
        SELECT 1 FROM restored_commands WHERE generation = $generation AND tenant = $tenant AND cluster = $cluster AND node = $node AND id = $id
        """,
        _ => true, cancellation, ("$id", id), ("$tenant", sender.Tenant), ("$cluster", sender.Cluster), ("$node", sender.Node), ("$generation", generation))).Count > 0;

    static bool Fits(JournalEntry entry) => entry is
        { Id.Length: > 0 and <= LongestName, Action.Length: > 0 and <= LongestName, Step: null or { Length: <= LongestName }, Summary: not null };

    static string Cut(string summary) => summary.Length <= LongestSummary ? summary : summary[..LongestSummary];

    static async Task<long> KeptAsync(StateConnection connection, Sender sender, string generation, CancellationToken cancellation) => (await connection.QueryAsync(
        "SELECT count(*) FROM restored_commands WHERE generation = $generation AND tenant = $tenant AND cluster = $cluster AND node = $node", r => r.GetInt64(0),
        cancellation,
        ("$generation", generation), ("$tenant", sender.Tenant), ("$cluster", sender.Cluster), ("$node", sender.Node))).Single();

    static async Task KeepAsync(StateConnection connection, Sender sender, string generation, JournalEntry entry, CancellationToken cancellation) => await connection.ExecuteAsync(
        """
        INSERT INTO restored_commands VALUES ($generation, $tenant, $cluster, $node, $id, $run, $incident, $action, $at, $outcome, $summary, $began)
        ON CONFLICT (generation, tenant, cluster, node, id) DO NOTHING
        """,
        cancellation,
        ("$generation", generation), ("$tenant", sender.Tenant), ("$cluster", sender.Cluster), ("$node", sender.Node), ("$id", entry.Id), ("$run", RunOf(entry.Id)),
        ("$incident", IncidentOf(entry.Id)), ("$action", entry.Action), ("$at", entry.At), ("$outcome", entry.Outcome), ("$summary", entry.Summary),
        ("$began", HasBegun(entry) ? 1 : 0));

    static async Task FollowAsync(StateConnection connection, Sender sender, string id, IReadOnlyList<JournalEntry> entries, DateTimeOffset now, CancellationToken cancellation)
    {
        foreach (var entry in entries)
            await EndAsync(connection, entry, cancellation);
        var begun = entries.Where(HasBegun).ToList();
        if (begun.Count == 0)
            return;
        if (await RunStore.FindAsync(connection, id, cancellation) is not { } run)
        {
            if (await IncidentStore.FindAsync(connection, IncidentOf(id), cancellation) is { } incident && incident.ClusterId == sender.ClusterId)
                await IncidentStore.AppendAsync(connection, incident.Id, now, "restored", $"After the backup {sender.Node} was repaired by run {id}, which this state does not know ({Actions(begun)}). Nobody knows whether it helped; it counts as an attempt.", cancellation: cancellation);
        }
        else if (run.EndedAt is null && run.ClusterId == sender.ClusterId)
        {
            await RunStore.OverruleAsync(connection, RunEngine.Lost(run, await RunStore.RunbookOfAsync(connection, run, cancellation), begun, now), now, cancellation);
        }
    }

    // A command that changed nothing has the end that its agent tells; of one that may have, the signals tell.
    static async Task EndAsync(StateConnection connection, JournalEntry entry, CancellationToken cancellation)
    {
        if (await CommandStore.FindAsync(connection, entry.Id, cancellation) is not { } command || command.State is CommandState.Done)
            return;
        if (HasBegun(entry))
        {
            await CommandStore.SaveAsync(connection, command with
            {
                State = CommandState.Done,
                Outcome = CommandOutcome.Indeterminate,
                Summary = entry.Summary,
                BegunAt = command.BegunAt ?? DateTimeOffset.FromUnixTimeMilliseconds(entry.At),
            }, cancellation);
        }
        else if (command.State is CommandState.Offered or CommandState.Leased or CommandState.Begun)
        {
            await CommandStore.SaveAsync(connection, command with { State = CommandState.Done, Outcome = entry.Outcome, Summary = entry.Summary }, cancellation);
        }
    }

    // Journals of earlier releases do not say whether the permit was given.
    static bool HasBegun(JournalEntry entry) =>
        entry.Began ?? (entry.Outcome is not CommandOutcome.Refused && !ActionCatalogue.TraitsOf(entry.Action, _ => null).ReadOnly);

    static string Actions(IEnumerable<JournalEntry> entries) => string.Join(", ", entries.Select(e => e.Action).Distinct().Take(MostNamed));

    static string RunOf(string command) => command.LastIndexOf('.') is > 0 and var dot ? command[..dot] : command;

    static string IncidentOf(string command) => command.IndexOf('-', StringComparison.Ordinal) is > 0 and var dash ? command[..dash] : "";
}
