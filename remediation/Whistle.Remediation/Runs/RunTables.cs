namespace Whistle.Remediation.Runs;

/// <summary>The migrations of runs, their commands and what people say to them, in their order. A released one never changes.</summary>
static class RunTables
{
    public const string Runs =
        """
        CREATE TABLE runs (
            id TEXT PRIMARY KEY, incident TEXT NOT NULL, tenant TEXT NOT NULL, cluster TEXT NOT NULL, node TEXT NOT NULL, runbook TEXT NOT NULL,
            state TEXT NOT NULL, ended_at INTEGER, created_at INTEGER NOT NULL, body TEXT NOT NULL,
            owner TEXT NOT NULL, token INTEGER NOT NULL, owned_until INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX runs_incident ON runs (incident);
        CREATE INDEX runs_ended ON runs (ended_at);
        CREATE TABLE run_timeline (
            run TEXT NOT NULL REFERENCES runs (id), number INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
            count INTEGER NOT NULL, PRIMARY KEY (run, number)) WITHOUT ROWID;
        CREATE TABLE approvals (run TEXT PRIMARY KEY, plan_hash TEXT NOT NULL, author TEXT NOT NULL, at INTEGER NOT NULL, until_at INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE commands (
            id TEXT PRIMARY KEY, run TEXT NOT NULL REFERENCES runs (id), tenant TEXT NOT NULL, cluster TEXT NOT NULL, node TEXT NOT NULL,
            step TEXT NOT NULL, action TEXT NOT NULL, parameters TEXT NOT NULL, dry_run INTEGER NOT NULL, timeout_seconds INTEGER NOT NULL,
            offered_at INTEGER NOT NULL, state TEXT NOT NULL, token INTEGER NOT NULL, leased_until INTEGER, begun_at INTEGER, reason TEXT,
            outcome TEXT, summary TEXT, output TEXT) WITHOUT ROWID;
        CREATE INDEX commands_node ON commands (tenant, cluster, node) WHERE state IN ('Offered', 'Leased');
        """;

    public const string Cancellations =
        "CREATE TABLE cancellations (run TEXT PRIMARY KEY REFERENCES runs (id), author TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;";

    public const string OpenCommands =
        """
        DROP INDEX commands_node;
        CREATE INDEX commands_open ON commands (tenant, cluster, node) WHERE state IN ('Offered', 'Leased', 'Begun');
        """;

    public const string Versions =
        """
        CREATE TABLE runbook_versions (hash TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
        ALTER TABLE runs ADD COLUMN subject TEXT NOT NULL DEFAULT '{}';
        ALTER TABLE runs ADD COLUMN origin TEXT NOT NULL DEFAULT '';
        ALTER TABLE runs ADD COLUMN cancelled INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE runs ADD COLUMN rungs TEXT;
        ALTER TABLE commands ADD COLUMN undo INTEGER NOT NULL DEFAULT 0;
        DROP TABLE approvals;
        CREATE TABLE approvals (
            run TEXT NOT NULL REFERENCES runs (id), step TEXT NOT NULL, plan_hash TEXT NOT NULL, author TEXT NOT NULL, at INTEGER NOT NULL, until_at INTEGER NOT NULL,
            PRIMARY KEY (run, step)) WITHOUT ROWID;
        CREATE TABLE tasks_done (
            run TEXT NOT NULL REFERENCES runs (id), step TEXT NOT NULL, author TEXT NOT NULL, note TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (run, step)) WITHOUT ROWID;
        CREATE TABLE reservations (
            run TEXT PRIMARY KEY REFERENCES runs (id), runbook TEXT NOT NULL, tenant TEXT NOT NULL, cluster TEXT NOT NULL, zone TEXT NOT NULL, node TEXT NOT NULL,
            subject TEXT NOT NULL, disruptive INTEGER NOT NULL, control_plane INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE run_owners (owner TEXT PRIMARY KEY, until_at INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE storms (tenant TEXT NOT NULL, cluster TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (tenant, cluster)) WITHOUT ROWID;
        CREATE INDEX runs_live ON runs (id) WHERE ended_at IS NULL;
        CREATE INDEX runs_target ON runs (tenant, cluster, node, runbook, ended_at);
        CREATE INDEX commands_run ON commands (run);
        """;

    // What every pass asks of the live runs stands in their index, so that it reads no bodies.
    public const string Revision =
        """
        ALTER TABLE runs ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
        DROP INDEX runs_live;
        CREATE INDEX runs_live ON runs (created_at, id, revision, owner, token, incident, tenant, cluster, node, runbook, state, ended_at) WHERE ended_at IS NULL;
        DROP INDEX runs_ended;
        CREATE INDEX runs_ended ON runs (ended_at, created_at, id, revision) WHERE ended_at IS NOT NULL;
        DROP INDEX runs_incident;
        CREATE INDEX runs_incident ON runs (incident, created_at, id, revision);
        DROP INDEX runs_target;
        CREATE INDEX runs_target ON runs (tenant, cluster, node, runbook, ended_at, id, revision);
        """;
}
