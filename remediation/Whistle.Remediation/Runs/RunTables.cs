using Whistle.Inventory;
using Whistle.Remediation.Commands;
using Whistle.State;

namespace Whistle.Remediation.Runs;

/// <summary>The tables of runs, their commands and what people say to them.</summary>
static class RunTables
{
    const string Runs =
        """
        CREATE TABLE runs (

        """
        + "    id TEXT PRIMARY KEY, incident TEXT NOT NULL, tenant TEXT NOT NULL, cluster TEXT NOT NULL, node TEXT NOT NULL, "
        + "runbook TEXT NOT NULL,\n"
        + """
            state TEXT NOT NULL, ended_at INTEGER, created_at INTEGER NOT NULL, body TEXT NOT NULL,
            owner TEXT NOT NULL, token INTEGER NOT NULL, owned_until INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX runs_incident ON runs (incident);
        CREATE INDEX runs_ended ON runs (ended_at);
        CREATE TABLE run_timeline (
            run TEXT NOT NULL REFERENCES runs (id), number INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
            count INTEGER NOT NULL, PRIMARY KEY (run, number)) WITHOUT ROWID;

        """
        + "CREATE TABLE approvals (run TEXT PRIMARY KEY, plan_hash TEXT NOT NULL, author TEXT NOT NULL, at INTEGER NOT NULL, "
        + "until_at INTEGER NOT NULL) WITHOUT ROWID;\n"
        + """
        CREATE TABLE commands (
            id TEXT PRIMARY KEY, run TEXT NOT NULL REFERENCES runs (id), tenant TEXT NOT NULL, cluster TEXT NOT NULL, node TEXT NOT NULL,
            step TEXT NOT NULL, action TEXT NOT NULL, parameters TEXT NOT NULL, dry_run INTEGER NOT NULL, timeout_seconds INTEGER NOT NULL,
            offered_at INTEGER NOT NULL, state TEXT NOT NULL, token INTEGER NOT NULL, leased_until INTEGER, begun_at INTEGER, reason TEXT,
            outcome TEXT, summary TEXT, output TEXT) WITHOUT ROWID;
        CREATE INDEX commands_node ON commands (tenant, cluster, node) WHERE state IN ('Offered', 'Leased');
        """;

    const string Cancellations =
        "CREATE TABLE cancellations (run TEXT PRIMARY KEY REFERENCES runs (id), author TEXT NOT NULL, reason TEXT NOT NULL, "
        + "at INTEGER NOT NULL) WITHOUT ROWID;";

    const string OpenCommands =
        """
        DROP INDEX commands_node;
        CREATE INDEX commands_open ON commands (tenant, cluster, node) WHERE state IN ('Offered', 'Leased', 'Begun');
        """;

    const string Versions =
        """
        CREATE TABLE runbook_versions (hash TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
        ALTER TABLE runs ADD COLUMN subject TEXT NOT NULL DEFAULT '{}';
        ALTER TABLE runs ADD COLUMN origin TEXT NOT NULL DEFAULT '';
        ALTER TABLE runs ADD COLUMN cancelled INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE runs ADD COLUMN rungs TEXT;
        ALTER TABLE commands ADD COLUMN undo INTEGER NOT NULL DEFAULT 0;
        DROP TABLE approvals;
        CREATE TABLE approvals (

        """
        + "    run TEXT NOT NULL REFERENCES runs (id), step TEXT NOT NULL, plan_hash TEXT NOT NULL, author TEXT NOT NULL, "
        + "at INTEGER NOT NULL, until_at INTEGER NOT NULL,\n"
        + """
            PRIMARY KEY (run, step)) WITHOUT ROWID;
        CREATE TABLE tasks_done (

        """
        + "    run TEXT NOT NULL REFERENCES runs (id), step TEXT NOT NULL, author TEXT NOT NULL, note TEXT NOT NULL, "
        + "at INTEGER NOT NULL, PRIMARY KEY (run, step)) WITHOUT ROWID;\n"
        + """
        CREATE TABLE reservations (

        """
        + "    run TEXT PRIMARY KEY REFERENCES runs (id), runbook TEXT NOT NULL, tenant TEXT NOT NULL, cluster TEXT NOT NULL, "
        + "zone TEXT NOT NULL, node TEXT NOT NULL,\n"
        + """
            subject TEXT NOT NULL, disruptive INTEGER NOT NULL, control_plane INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE run_owners (owner TEXT PRIMARY KEY, until_at INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE storms (tenant TEXT NOT NULL, cluster TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (tenant, cluster)) WITHOUT ROWID;
        CREATE INDEX runs_live ON runs (id) WHERE ended_at IS NULL;
        CREATE INDEX runs_target ON runs (tenant, cluster, node, runbook, ended_at);
        CREATE INDEX commands_run ON commands (run);
        """;

    // What every pass asks of the live runs stands in their index, so that it reads no bodies.
    const string Revision =
        """
        ALTER TABLE runs ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
        DROP INDEX runs_live;

        """
        + "CREATE INDEX runs_live ON runs (created_at, id, revision, owner, token, incident, tenant, cluster, node, runbook, state, "
        + "ended_at) WHERE ended_at IS NULL;\n"
        + """
        DROP INDEX runs_ended;
        CREATE INDEX runs_ended ON runs (ended_at, created_at, id, revision) WHERE ended_at IS NOT NULL;
        DROP INDEX runs_incident;
        CREATE INDEX runs_incident ON runs (incident, created_at, id, revision);
        DROP INDEX runs_target;
        CREATE INDEX runs_target ON runs (tenant, cluster, node, runbook, ended_at, id, revision);
        """;

    const string Checksums =
        """
        ALTER TABLE runs ADD COLUMN checksum INTEGER;
        ALTER TABLE runs ADD COLUMN summary_checksum INTEGER;
        ALTER TABLE approvals ADD COLUMN checksum INTEGER;
        ALTER TABLE tasks_done ADD COLUMN checksum INTEGER;
        ALTER TABLE cancellations ADD COLUMN checksum INTEGER;
        ALTER TABLE reservations ADD COLUMN checksum INTEGER;
        ALTER TABLE commands ADD COLUMN checksum INTEGER;
        """;

    // What agents say that they did between a backup and the restore.
    const string Restored =
        """
        CREATE TABLE restored_nodes (

        """
        + "    generation TEXT NOT NULL, tenant TEXT NOT NULL, cluster TEXT NOT NULL, node TEXT NOT NULL, heard_at INTEGER NOT NULL, "
        + "known_since INTEGER NOT NULL,\n"
        + """
            checksum INTEGER NOT NULL, PRIMARY KEY (generation, tenant, cluster, node)) WITHOUT ROWID;
        CREATE TABLE restored_commands (

        """
        + "    generation TEXT NOT NULL, tenant TEXT NOT NULL, cluster TEXT NOT NULL, node TEXT NOT NULL, id TEXT NOT NULL, "
        + "run TEXT NOT NULL, incident TEXT NOT NULL,\n"
        + """
            action TEXT NOT NULL, at INTEGER NOT NULL, outcome TEXT NOT NULL, summary TEXT NOT NULL, began INTEGER NOT NULL,
            PRIMARY KEY (generation, tenant, cluster, node, id)) WITHOUT ROWID;
        """;

    public static readonly CheckedTable Bodies = new("runs", ["id"], ["id", "body"]);

    public static readonly CheckedTable Summaries = new(
        "runs", ["id"],
        ["id", "incident", "tenant", "cluster", "node", "subject", "runbook", "origin", "state", "ended_at", "cancelled", "rungs"],
        "summary_checksum");

    public static readonly CheckedTable Approvals =
        new("approvals", ["run", "step"], ["run", "plan_hash", "author", "at", "until_at", "step"]);

    public static readonly CheckedTable TasksDone = new("tasks_done", ["run", "step"], ["run", "step", "author", "note", "at"]);

    static readonly CheckedTable CheckedCancellations = new("cancellations", ["run"], ["run", "author", "reason", "at"]);

    static readonly CheckedTable CheckedReservations = new(
        "reservations", ["run"], ["run", "runbook", "tenant", "cluster", "zone", "node", "subject", "disruptive", "control_plane"]);

    /// <summary>Sealed: one that is lost would let its run go on.</summary>
    public static readonly SealedTable<Cancellation> SealedCancellations = new(
        CheckedCancellations, r => new(r.GetString(0), r.GetString(1), r.GetString(2), r.Instant(3)));

    /// <summary>Sealed: one that is lost would leave its place to others.</summary>
    public static readonly SealedTable<Reservation> SealedReservations = new(
        CheckedReservations,
        r => new(
            r.GetString(0), r.GetString(1), new(r.GetString(2), r.GetString(3), r.GetString(5)), r.GetString(4),
            RunStore.ToLabels(r.GetString(6)), r.GetInt64(7) != 0, r.GetInt64(8) != 0));

    public static readonly StateSchema Schema =
        new("remediation", Runs, Cancellations, OpenCommands, Versions, Revision, new StateScript(Checksums, FillAsync), Restored);

    /// <summary>Takes the run's place in every budget; it keeps the one it has.</summary>
    public static async Task ReserveAsync(StateConnection connection, Reservation place, CancellationToken cancellation)
    {
        var ((tenant, cluster, node), zone) = (place.NodeId, place.Zone);
        object?[] values =
        [
            place.RunId, place.Runbook, tenant, cluster, zone, node, RunStore.Json(place.Subject),
            place.Disruptive ? 1 : 0, place.ControlPlane ? 1 : 0,
        ];
        var checksum = CheckedReservations.Of(values);
        if (await connection.ExecuteAsync(
            """
            INSERT INTO reservations (run, runbook, tenant, cluster, zone, node, subject, disruptive, control_plane, checksum)
            VALUES ($run, $runbook, $tenant, $cluster, $zone, $node, $subject, $disruptive, $control, $checksum)
            ON CONFLICT (run) DO NOTHING
            """, cancellation, ("$run", values[0]), ("$runbook", values[1]), ("$tenant", values[2]), ("$cluster", values[3]),
            ("$zone", values[4]), ("$node", values[5]), ("$subject", values[6]), ("$disruptive", values[7]), ("$control", values[8]),
            ("$checksum", checksum)) > 0)
            await StateSeals.AddAsync(connection, "reservations", Part(place.NodeId.ClusterId), 1, checksum, cancellation);
    }

    public static async Task ReleaseAsync(StateConnection connection, string run, CancellationToken cancellation)
    {
        var released = await connection.QueryAsync(
            "DELETE FROM reservations WHERE run = $run RETURNING tenant, cluster, checksum",
            r => (Part: Part(new(r.GetString(0), r.GetString(1))), Checksum: r.IsDBNull(2) ? 0 : r.GetInt64(2)),
            cancellation, ("$run", run));
        foreach (var (part, checksum) in released)
            await StateSeals.AddAsync(connection, "reservations", part, -1, checksum, cancellation);
    }

    /// <summary>False where the run has one.</summary>
    public static async Task<bool> InsertAsync(StateConnection connection, Run run, Cancellation cancelled, CancellationToken cancellation)
    {
        var checksum = CheckedCancellations.Of(cancelled.RunId, cancelled.Author, cancelled.Reason, cancelled.At);
        var added = await connection.ExecuteAsync(
            "INSERT INTO cancellations (run, author, reason, at, checksum) VALUES ($run, $author, $reason, $at, $checksum) "
            + "ON CONFLICT (run) DO NOTHING",
            cancellation, ("$run", cancelled.RunId), ("$author", cancelled.Author), ("$reason", cancelled.Reason), ("$at", cancelled.At),
            ("$checksum", checksum)) > 0;
        if (added)
            await StateSeals.AddAsync(connection, "cancellations", Part(run.ClusterId), 1, checksum, cancellation);
        return added;
    }

    static string Part(ClusterId cluster) => $"{cluster.Tenant}\n{cluster.Cluster}";

    // All rows of an older version are taken for what they say.
    static async Task FillAsync(StateConnection connection, CancellationToken cancellation)
    {
        foreach (var table in new[] { Bodies, Summaries, Approvals, TasksDone, CommandStore.Table })
            await table.FillAsync(connection, cancellation);
        await SealedCancellations.SealAsync(connection, cancellation);
        await SealedReservations.SealAsync(connection, cancellation);
    }
}
