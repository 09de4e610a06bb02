using System.Data.Common;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Detectors.Incidents;
using Whistle.Ingest;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Telemetry;

namespace Whistle.Remediation.Runs;

/// <summary>
/// Runs, their timelines and their commands. A run's change, its lines here and on the incident's timeline, and the command
/// that it offers or takes back are one transaction, which a stale owner's fencing token makes void.
/// </summary>
public sealed class RunStore
{
    internal const string Schema =
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

    const string Cancellations =
        "CREATE TABLE cancellations (run TEXT PRIMARY KEY REFERENCES runs (id), author TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;";

    const string OpenCommands =
        """
        DROP INDEX commands_node;
        CREATE INDEX commands_open ON commands (tenant, cluster, node) WHERE state IN ('Offered', 'Leased', 'Begun');
        """;

    static readonly TimeSpan OwnedFor = TimeSpan.FromSeconds(30);

    readonly StateDatabase _database;

    public RunStore(StateDatabase database)
    {
        _database = database;
        database.Migrate("remediation", Schema, Cancellations, OpenCommands);
    }

    /// <summary>All that had not ended at some time since then, the oldest first.</summary>
    public IReadOnlyList<Run> Since(DateTimeOffset since)
    {
        using var connection = _database.Open();
        return connection.Query("SELECT body FROM runs WHERE ended_at IS NULL OR ended_at >= $since ORDER BY created_at, id", Read, ("$since", since));
    }

    public IReadOnlyList<Run> OfIncident(string incident)
    {
        using var connection = _database.Open();
        return connection.Query("SELECT body FROM runs WHERE incident = $incident ORDER BY created_at, id", Read, ("$incident", incident));
    }

    public Run? Find(string id)
    {
        using var connection = _database.Open();
        return Find(connection, id);
    }

    /// <summary>The oldest entry first.</summary>
    public IReadOnlyList<RunEntry> Timeline(string id)
    {
        using var connection = _database.Open();
        return connection.Query(
            "SELECT run, number, at, kind, text, count FROM run_timeline WHERE run = $id ORDER BY number",
            r => new RunEntry(r.GetString(0), r.GetInt64(1), r.Instant(2), r.GetString(3), r.GetString(4), r.GetInt32(5)), ("$id", id));
    }

    /// <summary>The incidents that a run works on: what <see cref="IncidentsEnvironment.Worked"/> asks for.</summary>
    public IReadOnlySet<string> WorkedIncidents()
    {
        using var connection = _database.Open();
        return connection.Query(
            "SELECT DISTINCT incident FROM runs WHERE ended_at IS NULL AND state IN ('Running', 'Verifying')", r => r.GetString(0)).ToHashSet();
    }

    /// <summary>Repairs that gave up since then, the oldest first.</summary>
    public IReadOnlyList<Escalation> Escalations(DateTimeOffset since)
    {
        using var connection = _database.Open();
        using var picture = connection.BeginRead();
        return [.. connection.Query(
            "SELECT body FROM runs WHERE state = 'Escalated' AND ended_at >= $since ORDER BY ended_at, id", Read, ("$since", since)).Select(r => ToEscalation(connection, r))];
    }

    /// <summary>A yes to the plan of that hash, which the gates ask for in mode approve.</summary>
    public void Approve(Approval approval)
    {
        using var connection = _database.Open();
        using var transaction = connection.BeginWrite();
        connection.Execute(
            """
            INSERT INTO approvals VALUES ($run, $hash, $author, $at, $until)
            ON CONFLICT (run) DO UPDATE SET plan_hash = excluded.plan_hash, author = excluded.author, at = excluded.at, until_at = excluded.until_at
            """,
            ("$run", approval.RunId), ("$hash", approval.PlanHash), ("$author", approval.Author), ("$at", approval.At), ("$until", approval.Until));
        if (Find(connection, approval.RunId) is { } run)
            Append(connection, run, new("approval", $"Approved by {approval.Author} until {approval.Until:yyyy-MM-dd HH:mm:ss}Z."), approval.At);
        transaction.Commit();
    }

    /// <summary>Calls a run off at its next step's boundary. False where it has ended or is not there.</summary>
    public bool Cancel(Cancellation cancellation)
    {
        using var connection = _database.Open();
        using var transaction = connection.BeginWrite();
        if (Find(connection, cancellation.RunId) is not { EndedAt: null } run)
            return false;
        var added = connection.Execute(
            "INSERT INTO cancellations VALUES ($run, $author, $reason, $at) ON CONFLICT DO NOTHING",
            ("$run", cancellation.RunId), ("$author", cancellation.Author), ("$reason", cancellation.Reason), ("$at", cancellation.At)) > 0;
        if (added)
            Append(connection, run, new("cancel", $"{cancellation.Author} calls it off: {cancellation.Reason}"), cancellation.At);
        transaction.Commit();
        return true;
    }

    internal StateDatabase Database => _database;

    internal IReadOnlyList<Run> Live()
    {
        using var connection = _database.Open();
        return connection.Query("SELECT body FROM runs WHERE ended_at IS NULL ORDER BY created_at, id", Read);
    }

    /// <summary>False where the run exists already: whoever proposed it first has it.</summary>
    internal bool Propose(Run run, IReadOnlyList<RunNote> notes, DateTimeOffset now)
    {
        using var connection = _database.Open();
        using var transaction = connection.BeginWrite();
        var added = connection.Execute(
            """
            INSERT INTO runs VALUES ($id, $incident, $tenant, $cluster, $node, $runbook, $state, $ended, $created, $body, '', 0, 0)
            ON CONFLICT DO NOTHING
            """,
            ("$id", run.Id), ("$incident", run.IncidentId), ("$tenant", run.Tenant), ("$cluster", run.Cluster), ("$node", run.Node),
            ("$runbook", run.Runbook), ("$state", run.State), ("$ended", run.EndedAt), ("$created", run.CreatedAt), ("$body", Json(run))) > 0;
        if (added)
            AppendAll(connection, run, notes, now);
        transaction.Commit();
        return added;
    }

    /// <summary>Takes or renews the run's lease. Returns the fencing token, or null while another process holds it.</summary>
    internal long? Own(string id, string owner, DateTimeOffset now)
    {
        using var connection = _database.Open();
        var held = connection.Query(
            "SELECT token FROM runs WHERE id = $id AND owner = $owner AND owned_until > $soon", r => (long?)r.GetInt64(0),
            ("$id", id), ("$owner", owner), ("$soon", now + (OwnedFor / 2)));
        if (held.Count > 0)
            return held[0];
        using var transaction = connection.BeginWrite();
        var token = connection.Query(
            """
            UPDATE runs SET token = CASE WHEN owner = $owner THEN token ELSE token + 1 END, owner = $owner, owned_until = $until
            WHERE id = $id AND (owner = $owner OR owned_until <= $now) RETURNING token
            """,
            r => (long?)r.GetInt64(0), ("$id", id), ("$owner", owner), ("$now", now), ("$until", now + OwnedFor)).FirstOrDefault();
        transaction.Commit();
        return token;
    }

    /// <summary>Makes a decision durable, whole or not at all. False where the token is stale or the command to be taken back has begun.</summary>
    internal bool Apply(RunDecision decision, string owner, long token, DateTimeOffset now)
    {
        using var connection = _database.Open();
        using var transaction = connection.BeginWrite();
        var run = decision.Run;
        if (connection.Execute(
            "UPDATE runs SET state = $state, ended_at = $ended, body = $body WHERE id = $id AND owner = $owner AND token = $token AND ended_at IS NULL",
            ("$state", run.State), ("$ended", run.EndedAt), ("$body", Json(run)), ("$id", run.Id), ("$owner", owner), ("$token", token)) == 0)
            return false;
        if (decision.Withdraw is { } withdrawn && !CommandStore.Withdraw(connection, withdrawn))
            return false;
        if (decision.Offer is { } offer)
            CommandStore.Insert(connection, offer);
        AppendAll(connection, run, decision.Notes, now);
        transaction.Commit();
        return true;
    }

    internal static Run? Find(DbConnection connection, string id) =>
        connection.Query("SELECT body FROM runs WHERE id = $id", Read, ("$id", id)).FirstOrDefault();

    internal static Approval? FindApproval(DbConnection connection, string run) => connection.Query(
        "SELECT run, plan_hash, author, at, until_at FROM approvals WHERE run = $run",
        r => new Approval(r.GetString(0), r.GetString(1), r.GetString(2), r.Instant(3), r.Instant(4)), ("$run", run)).FirstOrDefault();

    internal static Cancellation? FindCancellation(DbConnection connection, string run) => connection.Query(
        "SELECT run, author, reason, at FROM cancellations WHERE run = $run",
        r => new Cancellation(r.GetString(0), r.GetString(1), r.GetString(2), r.Instant(3)), ("$run", run)).FirstOrDefault();

    internal static IReadOnlyList<Run> AtWork(DbConnection connection) =>
        connection.Query("SELECT body FROM runs WHERE ended_at IS NULL AND state IN ('Running', 'Verifying')", Read);

    /// <summary>Attempts of the same runbook that ended: in the same incident, or on the same target within the last day.</summary>
    internal static IReadOnlyList<Run> Earlier(DbConnection connection, Run run, DateTimeOffset now) =>
        [.. connection.Query(
            """
            SELECT body FROM runs WHERE runbook = $runbook AND id <> $id AND ended_at IS NOT NULL
                AND (incident = $incident OR (tenant = $tenant AND cluster = $cluster AND node = $node AND ended_at > $since))
            """,
            Read,
            ("$runbook", run.Runbook), ("$id", run.Id), ("$incident", run.IncidentId), ("$tenant", run.Tenant), ("$cluster", run.Cluster),
            ("$node", run.Node), ("$since", now - TimeSpan.FromDays(1))).Where(r => r.IsAttempt && r.HasTarget(run))];

    internal static void Append(DbConnection connection, Run run, RunNote note, DateTimeOffset now)
    {
        const string latest =
            """
            UPDATE run_timeline SET count = count + 1 WHERE run = $run AND text = $text AND number =
                (SELECT max(number) FROM run_timeline WHERE run = $run AND kind = $kind)
            """;
        if (!note.Repeats || connection.Execute(latest, ("$run", run.Id), ("$text", note.Text), ("$kind", note.Kind)) == 0)
        {
            connection.Execute(
                "INSERT INTO run_timeline SELECT $run, coalesce(max(number), 0) + 1, $at, $kind, $text, 1 FROM run_timeline WHERE run = $run",
                ("$run", run.Id), ("$at", now), ("$kind", note.Kind), ("$text", note.Text));
        }

        IncidentStore.Append(connection, run.IncidentId, now, note.Kind, $"{run.Runbook}, attempt {run.Attempt}: {note.Text}", note.Repeats);
    }

    static void AppendAll(DbConnection connection, Run run, IReadOnlyList<RunNote> notes, DateTimeOffset now)
    {
        foreach (var note in notes)
            Append(connection, run, note, now);
    }

    static Escalation ToEscalation(DbConnection connection, Run run)
    {
        var runbook = RunbookSet.Parse(run.RunbookText);
        string[] wanted = [.. runbook?.PageAttaches ?? [], .. runbook?.TicketAttaches ?? []];
        var attempts = connection.Query(
            "SELECT body FROM runs WHERE incident = $incident AND runbook = $runbook ORDER BY created_at DESC, id DESC", Read,
            ("$incident", run.IncidentId), ("$runbook", run.Runbook)).Where(r => r.IsAttempt).ToList();
        var reports = attempts.SelectMany(r => r.Reports.Reverse()).Where(r => r.Output is not null && wanted.Contains(r.Step)).DistinctBy(r => r.Step);
        return new(
            run.Id, run.IncidentId, run.Runbook, run.EndedAt!.Value, run.Reason, attempts.Count, [.. reports], runbook?.PageAttaches ?? [],
            runbook?.TicketAttaches ?? []);
    }

    static Run Read(DbDataReader reader) => JsonSerializer.Deserialize(reader.GetString(0), RunJson.Default.Run)!;

    static string Json(Run run) => JsonSerializer.Serialize(run, RunJson.Default.Run);
}

[JsonSourceGenerationOptions(UseStringEnumConverter = true, Converters = [typeof(LabelsConverter)])]
[JsonSerializable(typeof(Run))]
sealed partial class RunJson : JsonSerializerContext;

sealed class LabelsConverter : JsonConverter<Labels>
{
    public override Labels Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var labels = new List<Label>();
        while (reader.Read() && reader.TokenType is JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            labels.Add(new(name, reader.GetString()!));
        }

        return Labels.From(labels);
    }

    public override void Write(Utf8JsonWriter writer, Labels value, JsonSerializerOptions options)
    {
        writer.WriteStartObject();
        foreach (var (name, text) in value)
            writer.WriteString(name, text);
        writer.WriteEndObject();
    }
}
