using System.Collections.Concurrent;
using System.Data.Common;
using System.Text.Json;

using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Remediation.Runs;

/// <summary>
/// Runs, their timelines and their commands. A run's change, its lines here and on the incident's timeline, and the command
/// that it offers or takes back are one transaction, which a stale owner's fencing token makes void.
/// </summary>
public sealed partial class RunStore
{
    // More than an agent or a server can have drawn since any backup.
    const long Beyond = 1_000_000;

    const string Keys = "SELECT id, revision FROM runs";

    static readonly ConcurrentDictionary<string, Runbook?> Parsed = new();
    // Null where the row is damaged.
    static readonly RevisedRows<Run?> Rows = new(
        "runs", RunTables.Bodies.Columns("r."), r => RunTables.Bodies.Holds(r, 2)
            && JsonSerializer.Deserialize(r.GetString(3), RunJson.Default.Run) is { } run && run.Id == r.GetString(0) ? run : null);
    static readonly RevisedRows<RunSummary?> Summaries = new(
        "runs", RunTables.Summaries.Columns("r."), r => RunTables.Summaries.Holds(r, 2) ? ReadSummary(r) : null);
    static readonly RowReader Entries = new(
        "run_timeline",
        "the entry is not shown. Restore a backup with `whistle backup restore`, or stop the server and repair or delete the row.");
    static readonly TimeSpan OwnedFor = TimeSpan.FromSeconds(30);

    // A clock may be set back.
    static readonly TimeSpan OneDay = TimeSpan.FromDays(1);

    public static StateSchema Tables => RunTables.Schema;

    readonly StateDatabase _database;

    public RunStore(StateDatabase database)
    {
        _database = database;
        database.Add(RunTables.Schema);
    }

    /// <summary>All that had not ended at some time since then, the oldest first.</summary>
    public async Task<IReadOnlyList<Run>> SinceAsync(DateTimeOffset since, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return Whole(await Rows.QueryAsync(
            connection,
            """
            SELECT id, revision FROM (
                SELECT id, revision, created_at FROM runs WHERE ended_at IS NULL UNION ALL
                SELECT id, revision, created_at FROM runs WHERE ended_at >= $since) r ORDER BY created_at, id
            """,
            cancellation, ("$since", since)));
    }

    public async Task<IReadOnlyList<Run>> OfIncidentAsync(string incident, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return Whole(await Rows.QueryAsync(
            connection, $"{Keys} WHERE incident = $incident ORDER BY created_at, id", cancellation, ("$incident", incident)));
    }

    /// <summary>All runs of the incidents that were not closed at some time since then, the oldest first.</summary>
    public async Task<ILookup<string, Run>> OfIncidentsAsync(DateTimeOffset since, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return Whole(await Rows.QueryAsync(
            connection,
            $"""
            {Keys} WHERE incident IN (SELECT id FROM incidents WHERE closed_at IS NULL
                UNION ALL SELECT id FROM incidents WHERE closed_at >= $since)
            ORDER BY created_at, id
            """,
            cancellation, ("$since", since))).ToLookup(r => r.IncidentId);
    }

    public async Task<Run?> FindAsync(string id, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await FindAsync(connection, id, cancellation);
    }

    /// <summary>The oldest entry first.</summary>
    public async Task<IReadOnlyList<RunEntry>> TimelineAsync(string id, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await Entries.QueryAsync(
            connection, "SELECT run, number, at, kind, text, count, run || ' ' || number FROM run_timeline WHERE run = $id ORDER BY number",
            r => new RunEntry(
                r.GetString(0), r.GetInt64(1), r.Instant(2), TimelineKinds.Parse(r.GetString(3)), r.GetString(4), r.GetInt32(5)),
            cancellation, ("$id", id));
    }

    /// <summary>The incidents that a run works on: what <see cref="IncidentsEnvironment.Worked"/> asks for.</summary>
    public async Task<IReadOnlySet<string>> WorkedIncidentsAsync(CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return (await connection.QueryAsync(
            "SELECT incident FROM runs WHERE ended_at IS NULL AND state IN ('Running', 'Verifying')", r => r.GetString(0),
            cancellation)).ToHashSet();
    }

    /// <summary>Where an incident is open or a run goes on.</summary>
    public async Task<IReadOnlyList<ClusterId>> ClustersAsync(CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await connection.QueryAsync(
            "SELECT tenant, cluster FROM incidents WHERE closed_at IS NULL UNION SELECT tenant, cluster FROM runs WHERE ended_at IS NULL",
            r => new ClusterId(r.GetString(0), r.GetString(1)), cancellation);
    }

    /// <summary>Repairs that gave up since then, the oldest first.</summary>
    public async Task<IReadOnlyList<Escalation>> EscalationsAsync(DateTimeOffset since, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        await using var picture = await connection.BeginReadAsync(cancellation);
        var runs = await Rows.QueryAsync(
            connection, $"{Keys} WHERE state = 'Escalated' AND ended_at >= $since ORDER BY ended_at, id", cancellation, ("$since", since));
        var escalations = new List<Escalation>();
        foreach (var run in Whole(runs))
            escalations.Add(await ToEscalationAsync(connection, run, cancellation));
        return escalations;
    }

    /// <summary>A yes to the plan of that hash, which the gates ask for in mode approve.</summary>
    public async Task<bool> ApproveAsync(Approval approval, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        if (await FindAsync(connection, approval.RunId, cancellation) is not { } of)
            return false;
        await using var transaction = await connection.BeginWriteAsync(Scope(of), cancellation);
        if (await FindAsync(connection, approval.RunId, cancellation) is not { EndedAt: null } run)
            return false;
        await connection.ExecuteAsync(
            """
            INSERT INTO approvals (run, step, plan_hash, author, at, until_at, checksum)
                VALUES ($run, $step, $hash, $author, $at, $until, $checksum)
            ON CONFLICT (run, step) DO UPDATE SET
                plan_hash = excluded.plan_hash, author = excluded.author, at = excluded.at, until_at = excluded.until_at,
                checksum = excluded.checksum
            """, cancellation, ("$run", approval.RunId), ("$step", approval.Step), ("$hash", approval.PlanHash),
            ("$author", approval.Author), ("$at", approval.At), ("$until", approval.Until),
            ("$checksum", RunTables.Approvals.Of(
                approval.RunId, approval.PlanHash, approval.Author, approval.At, approval.Until, approval.Step)));
        await AppendAsync(
            connection, run,
            new(TimelineKind.Approval, $"{(approval.Step.Length > 0 ? $"{approval.Step} is approved" : "Approved")} by {approval.Author} "
                + $"until {approval.Until:yyyy-MM-dd HH:mm:ss}Z."),
            approval.At, cancellation);
        await transaction.CommitAsync(cancellation);
        return true;
    }

    /// <summary>
    /// A person says that they have done what a step asks. False where the run has ended, is not there, or asks nothing of the kind.
    /// </summary>
    public async Task<bool> CompleteAsync(TaskDone done, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        if (await FindAsync(connection, done.RunId, cancellation) is not { } of)
            return false;
        await using var transaction = await connection.BeginWriteAsync(Scope(of), cancellation);
        if (await FindAsync(connection, done.RunId, cancellation) is not { EndedAt: null } run || (await RunbookOfAsync(
            connection, run, cancellation))?.Steps.Any(s => s.Kind is StepKind.Task && s.Name == done.Step) is not true)
            return false;
        await DropDamagedAsync(connection, done, cancellation);
        await connection.ExecuteAsync(
            "INSERT INTO tasks_done (run, step, author, note, at, checksum) VALUES ($run, $step, $author, $note, $at, $checksum) "
            + "ON CONFLICT (run, step) DO NOTHING",
            cancellation, ("$run", done.RunId), ("$step", done.Step), ("$author", done.Author), ("$note", done.Note), ("$at", done.At),
            ("$checksum", RunTables.TasksDone.Of(done.RunId, done.Step, done.Author, done.Note, done.At)));
        await AppendAsync(
            connection, run, new(TimelineKind.Task, $"{done.Author} has done {done.Step}: {done.Note}"), done.At, cancellation);
        await transaction.CommitAsync(cancellation);
        return true;
    }

    static async Task DropDamagedAsync(StateConnection connection, TaskDone done, CancellationToken cancellation)
    {
        const string where = "FROM tasks_done WHERE run = $run AND step = $step";
        if (await connection.QueryAsync(
            $"SELECT {RunTables.TasksDone.Columns()} {where}", r => RunTables.TasksDone.Holds(r), cancellation, ("$run", done.RunId),
            ("$step", done.Step)) is [false])
            await connection.ExecuteAsync($"DELETE {where}", cancellation, ("$run", done.RunId), ("$step", done.Step));
    }

    /// <summary>Calls a run off at its next step's boundary. False where it has ended or is not there.</summary>
    public async Task<bool> CancelAsync(Cancellation cancelled, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        if (await FindAsync(connection, cancelled.RunId, cancellation) is not { } of)
            return false;
        await using var transaction = await connection.BeginWriteAsync([Scope(of), StateScopes.Brakes], cancellation);
        if (await FindAsync(connection, cancelled.RunId, cancellation) is not { EndedAt: null } run)
            return false;
        var added = await RunTables.InsertAsync(connection, run, cancelled, cancellation);
        if (added)
            await AppendAsync(
                connection, run, new(TimelineKind.Cancel, $"Cancelled by {cancelled.Author}: {cancelled.Reason}"), cancelled.At,
                cancellation);
        await transaction.CommitAsync(cancellation);
        return true;
    }

    internal StateDatabase Database => _database;

    /// <summary>What the state descends from.</summary>
    public async Task<Lineage> LineageAsync(CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await Lineage.ReadAsync(connection, cancellation);
    }

    /// <summary>The state was restored from a backup: all agents are to tell what they did since.</summary>
    public async Task BeginGenerationAsync(string generation, DateTimeOffset backupAt, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(cancellation);
        await Lineage.BeginAsync(connection, generation, backupAt, now, cancellation);
        // What was given out before is void from now on, whatever numbers it has.
        foreach (var command in await CommandStore.AllOpenAsync(connection, cancellation))
            await CommandStore.SaveAsync(connection, command with { Token = command.Token + Beyond }, cancellation);
        await connection.ExecuteAsync("UPDATE runs SET token = token + $beyond WHERE ended_at IS NULL", cancellation, ("$beyond", Beyond));
        await transaction.CommitAsync(cancellation);
    }

    internal async Task<IReadOnlyList<Run>> LiveAsync(CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await LiveAsync(connection, cancellation);
    }

    static async Task<IReadOnlyList<Run>> LiveAsync(StateConnection connection, CancellationToken cancellation) =>
        Whole(await LiveRowsAsync(connection, cancellation));

    static async Task<IReadOnlyList<Run?>> LiveRowsAsync(StateConnection connection, CancellationToken cancellation) =>
        await Rows.QueryAsync(connection, $"{Keys} WHERE ended_at IS NULL ORDER BY created_at, id", cancellation);

    static IReadOnlyList<T> Whole<T>(IReadOnlyList<T?> rows)
        where T : class => rows.Contains(null) ? [.. rows.OfType<T>()] : (rows as IReadOnlyList<T>)!;

    /// <summary>The version of the runbook that the run began with; null where this release cannot read it.</summary>
    public async Task<Runbook?> RunbookOfAsync(Run run, CancellationToken cancellation)
    {
        if (Parsed.TryGetValue(run.RunbookHash, out var known))
            return known;
        await using var connection = await _database.OpenAsync(cancellation);
        return await RunbookOfAsync(connection, run, cancellation);
    }

    /// <summary>It goes on once a person says that they have done what its step asks of them.</summary>
    public async Task<bool> AsksPersonAsync(Run run, CancellationToken cancellation) => run is { State: RunState.Running, Undoing: null }
        && await RunbookOfAsync(run, cancellation) is { } runbook && run.Step < runbook.Steps.Count
        && runbook.Steps[run.Step].Kind is StepKind.Task;

    /// <summary>The plan that the run's hash is over; empty where none could be made, or this release cannot read the runbook.</summary>
    public async Task<IReadOnlyList<PlanStep>> PlanOfAsync(Run run, CancellationToken cancellation) =>
        run.PlanHash.Length == 0 || await RunbookOfAsync(run, cancellation) is not { } runbook
            ? [] : [.. Rendering.Plan(runbook, run.Labels).Steps.Select(PlanStep.Of)];

    // A handful of versions are alive at a time.
    internal static async Task<Runbook?> RunbookOfAsync(StateConnection connection, Run run, CancellationToken cancellation)
    {
        if (Parsed.TryGetValue(run.RunbookHash, out var known))
            return known;
        return await connection.QueryAsync(
            "SELECT text FROM runbook_versions WHERE hash = $hash", r => r.GetString(0), cancellation,
            ("$hash", run.RunbookHash)) is [var text]
            ? Parsed.GetOrAdd(run.RunbookHash, static (_, t) => RunbookSet.Parse(t), text) : null;
    }

    /// <summary>False where the run exists already: whoever proposed it first has it.</summary>
    internal async Task<bool> ProposeAsync(
        Run run, Runbook runbook, IReadOnlyList<RunNote> notes, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(Scope(run), cancellation);
        var body = Json(run);
        var added = await connection.ExecuteAsync(
            """
            INSERT INTO runs (id, incident, tenant, cluster, node, runbook, state, ended_at, created_at, body, owner, token, owned_until,
                subject, origin, rungs, revision,
                checksum, summary_checksum)
            VALUES ($id, $incident, $tenant, $cluster, $node, $runbook, $state, $ended, $created, $body, '', 0, 0,
                $subject, $origin, $rungs, $revision, $checksum, $summary)
                ON CONFLICT (id) DO NOTHING
            """,
            cancellation,
            ("$id", run.Id), ("$incident", run.IncidentId), ("$tenant", run.Tenant), ("$cluster", run.Cluster), ("$node", run.Node),
            ("$runbook", run.Runbook), ("$state", run.State), ("$ended", run.EndedAt), ("$created", run.CreatedAt), ("$body", body),
            ("$subject", Json(run.Subject)), ("$origin", run.Origin), ("$rungs", Rungs(run)), ("$revision", StateSql.NewRevision()),
            ("$checksum", BodyChecksum(run, body)), ("$summary", SummaryChecksum(run))) > 0;
        if (added)
        {
            await connection.ExecuteAsync(
                "INSERT INTO runbook_versions (hash, text) VALUES ($hash, $text) ON CONFLICT (hash) DO NOTHING", cancellation,
                ("$hash", runbook.Hash), ("$text", runbook.Text));
            await AppendAllAsync(connection, run, notes, now, cancellation);
        }

        await transaction.CommitAsync(cancellation);
        return added;
    }

    /// <summary>
    /// Renews the owner's lease, which is one for all its runs, and takes the runs that nobody holds. A run that changes hands gets a
    /// higher fencing token, which makes void what its owner before still writes.
    /// </summary>
    internal async Task OwnAsync(string owner, DateTimeOffset now, CancellationToken cancellation)
    {
        const string free =
            """
            ended_at IS NULL AND owner <> $owner
            AND NOT EXISTS (SELECT 1 FROM run_owners o WHERE o.owner = runs.owner AND o.until_at > $now)
            """;
        await using var connection = await _database.OpenAsync(cancellation);
        var kept = (await connection.QueryAsync(
            "SELECT 1 FROM run_owners WHERE owner = $owner AND until_at > $soon", _ => true, cancellation, ("$owner", owner),
            ("$soon", now + (OwnedFor / 2)))).Count > 0;
        // The lease of whoever owns nothing may end.
        if ((await connection.QueryAsync(
            $"SELECT 1 FROM runs WHERE {(kept ? free : "ended_at IS NULL")} LIMIT 1", _ => true, cancellation, ("$owner", owner),
            ("$now", now))).Count == 0)
            return;
        await using var transaction = await connection.BeginWriteAsync(StateScope.Of("run_owners"), cancellation);
        await connection.ExecuteAsync(
            "INSERT INTO run_owners (owner, until_at) VALUES ($owner, $until) ON CONFLICT (owner) DO UPDATE "
            + "SET until_at = excluded.until_at",
            cancellation, ("$owner", owner), ("$until", now + OwnedFor));
        // Long gone, and owner of nothing.
        await connection.ExecuteAsync("DELETE FROM run_owners WHERE until_at < $past", cancellation, ("$past", now - TimeSpan.FromDays(1)));
        await connection.ExecuteAsync(
            $"UPDATE runs SET token = token + 1, owner = $owner WHERE {free}", cancellation, ("$owner", owner), ("$now", now));
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>
    /// Makes a decision durable, whole or not at all. False where the token is stale or the command to be taken back has begun.
    /// </summary>
    internal async Task<bool> ApplyAsync(
        RunDecision decision, string owner, long token, DateTimeOffset now, CancellationToken cancellation) =>
        (await ApplyAsync([(decision, token)], owner, now, cancellation))[0];

    /// <summary>
    /// As <see cref="ApplyAsync(RunDecision, string, long, DateTimeOffset, CancellationToken)"/> for several in one transaction, of which
    /// each stands or falls by itself.
    /// </summary>
    internal async Task<IReadOnlyList<bool>> ApplyAsync(
        IReadOnlyList<(RunDecision Decision, long Token)> decisions, string owner, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(Scopes([.. decisions.Select(d => d.Decision.Run)]), cancellation);
        var applied = new bool[decisions.Count];
        for (var i = 0; i < applied.Length; i++)
        {
            await connection.ExecuteAsync("SAVEPOINT decision", cancellation);
            applied[i] = await WriteAsync(connection, decisions[i].Decision, owner, decisions[i].Token, now, cancellation);
            await connection.ExecuteAsync(applied[i] ? "RELEASE SAVEPOINT decision" : "ROLLBACK TO SAVEPOINT decision", cancellation);
        }

        if (applied.Contains(true))
            await transaction.CommitAsync(cancellation);
        return applied;
    }

    /// <summary>
    /// What was found out elsewhere than in a pass of its owner; a decision that the owner is about to write is void by its token.
    /// </summary>
    internal static async Task OverruleAsync(
        StateConnection connection, RunDecision decision, DateTimeOffset now, CancellationToken cancellation)
    {
        var run = decision.Run;
        var body = Json(run);
        await connection.ExecuteAsync(
            "UPDATE runs SET state = $state, body = $body, token = token + 1, revision = $revision, checksum = $checksum, "
            + "summary_checksum = $summary WHERE id = $id AND ended_at IS NULL",
            cancellation, ("$state", run.State), ("$body", body), ("$revision", StateSql.NewRevision()),
            ("$checksum", BodyChecksum(run, body)), ("$summary", SummaryChecksum(run)), ("$id", run.Id));
        foreach (var open in (await CommandStore.AllOpenAsync(connection, cancellation)).Where(c => c.RunId == run.Id))
            await CommandStore.WithdrawAsync(connection, open.Id, cancellation);
        // It has its place in the budgets until it ends, as it had when the permit was given.
        // What it is about in the cluster is not known here.
        var disruptive = await RunbookOfAsync(connection, run, cancellation) is not { } runbook
            || Rendering.Plan(runbook, run.Labels).From(0).Disruptive;
        await RunTables.ReserveAsync(
            connection, new(run.Id, run.Runbook, run.NodeId, "", run.Subject, disruptive, ControlPlane: false), cancellation);
        await AppendAllAsync(connection, run, decision.Notes, now, cancellation);
    }

    static async Task<bool> WriteAsync(
        StateConnection connection, RunDecision decision, string owner, long token, DateTimeOffset now, CancellationToken cancellation)
    {
        var run = decision.Run;
        var body = Json(run);
        if (await connection.ExecuteAsync(
            """
            UPDATE runs SET state = $state, ended_at = $ended, body = $body, cancelled = $cancelled, rungs = $rungs, revision = $revision,
                checksum = $checksum, summary_checksum = $summary
            WHERE id = $id AND owner = $owner AND token = $token AND ended_at IS NULL
            """, cancellation, ("$state", run.State), ("$ended", run.EndedAt), ("$body", body),
            ("$cancelled", run.CancelledBy is null ? 0 : 1), ("$rungs", Rungs(run)), ("$revision", StateSql.NewRevision()),
            ("$checksum", BodyChecksum(run, body)), ("$summary", SummaryChecksum(run)), ("$id", run.Id), ("$owner", owner),
            ("$token", token)) == 0)
            return false;
        // What is known when it is written counts, not what was when it was decided.
        if (run.State is RunState.Succeeded && await IncidentStore.FindAsync(connection, run.IncidentId, cancellation) is { } incident
            && incident.Signals.Any(s => !s.IsClear))
            return false;
        if (decision.Withdraw is { } withdrawn && !await CommandStore.WithdrawAsync(connection, withdrawn, cancellation))
            return false;
        if (decision.Offer is { } offer)
            await CommandStore.InsertAsync(connection, offer, cancellation);
        // Whoever has changed nothing and waits holds nobody else up.
        if (Releases(run))
            await RunTables.ReleaseAsync(connection, run.Id, cancellation);
        await AppendAllAsync(connection, run, decision.Notes, now, cancellation);
        return true;
    }

    static bool Releases(Run run) =>
        run.EndedAt is not null || (run.State is RunState.Waiting or RunState.AwaitingApproval && !run.Reports.Any(r => r.Changed));

    // A run never leaves its cluster.
    static StateScope Scope(Run run) => run.ClusterId.Scope;

    // Whoever gives a place back changes what a permit counts.
    static IReadOnlyCollection<StateScope> Scopes(IReadOnlyList<Run> runs) =>
        [.. runs.Select(Scope).Distinct(), .. runs.Any(Releases) ? [StateScopes.Budgets.Shared()] : Array.Empty<StateScope>()];

    internal static async Task<Run?> FindAsync(StateConnection connection, string id, CancellationToken cancellation) =>
        await Rows.QueryAsync(connection, $"{Keys} WHERE id = $id", cancellation, ("$id", id)) is [{ } found] ? found : null;

    internal static async Task AppendAsync(
        StateConnection connection, Run run, RunNote note, DateTimeOffset now, CancellationToken cancellation)
    {
        const string latest =
            """
            UPDATE run_timeline SET count = count + 1 WHERE run = $run AND text = $text AND number =
                (SELECT max(number) FROM run_timeline WHERE run = $run AND kind = $kind)
            """;
        if (!note.Repeats || await connection.ExecuteAsync(
            latest, cancellation, ("$run", run.Id), ("$text", note.Text), ("$kind", note.Kind.Word())) == 0)
        {
            await connection.ExecuteAsync(
                "INSERT INTO run_timeline SELECT $run, coalesce(max(number), 0) + 1, $at, $kind, $text, 1 FROM run_timeline "
                + "WHERE run = $run",
                cancellation, ("$run", run.Id), ("$at", now), ("$kind", note.Kind.Word()), ("$text", note.Text));
        }

        await IncidentStore.AppendAsync(
            connection, run.IncidentId, now, note.Kind, $"{run.Runbook}, attempt {run.Attempt}: {note.Text}", note.Repeats, cancellation);
    }

    static async Task AppendAllAsync(
        StateConnection connection, Run run, IReadOnlyList<RunNote> notes, DateTimeOffset now, CancellationToken cancellation)
    {
        foreach (var note in notes)
            await AppendAsync(connection, run, note, now, cancellation);
    }

    static async Task<Escalation> ToEscalationAsync(StateConnection connection, Run run, CancellationToken cancellation)
    {
        var runbook = await RunbookOfAsync(connection, run, cancellation);
        string[] wanted = [.. runbook?.PageAttaches ?? [], .. runbook?.TicketAttaches ?? []];
        var attempts = Whole(await Rows.QueryAsync(
            connection, $"{Keys} WHERE incident = $incident AND runbook = $runbook ORDER BY created_at DESC, id DESC",
            cancellation, ("$incident", run.IncidentId), ("$runbook", run.Runbook))).Where(r => r.IsAttempt).ToList();
        var reports = attempts.SelectMany(r => r.Reports.Reverse()).Where(r => r.Output is not null && wanted.Contains(r.Step))
            .DistinctBy(r => r.Step);
        return new(
            run.Id, run.IncidentId, run.Runbook, run.EndedAt!.Value, run.Reason, attempts.Count, [.. reports], runbook?.PageAttaches ?? [],
            runbook?.TicketAttaches ?? []);
    }

    static RunSummary ReadSummary(DbDataReader r) => new(
        r.GetString(0), r.GetString(3), new(r.GetString(4), r.GetString(5), r.GetString(6)), ToLabels(r.GetString(7)),
        r.GetString(8), r.GetString(9), Enum.Parse<RunState>(r.GetString(10)), r.OptionalInstant(11), r.GetInt64(12) != 0,
        r.OptionalText(13)?.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    static long BodyChecksum(Run run, string body) => RunTables.Bodies.Of(run.Id, body);

    static string? Rungs(Run run) => run.UsedUp ? string.Join(' ', run.Rungs) : null;

    static long SummaryChecksum(Run run) => RunTables.Summaries.Of(
        run.Id, run.IncidentId, run.Tenant, run.Cluster, run.Node, Json(run.Subject), run.Runbook, run.Origin, run.State, run.EndedAt,
        run.CancelledBy is null ? 0 : 1, Rungs(run));

    internal static string Json(Labels labels) => JsonSerializer.Serialize(labels, RunJson.Default.Labels);

    internal static Labels ToLabels(string json) => JsonSerializer.Deserialize(json, RunJson.Default.Labels)!;

    static string Json(Run run) => JsonSerializer.Serialize(run, RunJson.Default.Run);
}
