using System.Data.Common;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Inventory;
using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Incidents;

/// <summary>
/// Incidents and their timelines. What changes an incident writes its timeline in the same transaction; the stages
/// downstream add their entries through <see cref="AppendAsync"/> inside theirs.
/// </summary>
public sealed class IncidentStore
{
    const string Schema =
        """
        CREATE TABLE incidents (
            id TEXT PRIMARY KEY, tenant TEXT NOT NULL, cluster TEXT NOT NULL, subject TEXT NOT NULL, title TEXT NOT NULL,
            severity TEXT NOT NULL, state TEXT NOT NULL, opened_at INTEGER NOT NULL, closed_at INTEGER, clear_since INTEGER,
            reopened INTEGER NOT NULL, signals TEXT NOT NULL) WITHOUT ROWID;
        CREATE INDEX incidents_closed ON incidents (closed_at);
        CREATE TABLE incident_timeline (
            incident TEXT NOT NULL REFERENCES incidents (id), number INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
            text TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (incident, number)) WITHOUT ROWID;
        """;

    const string AcknowledgementTable =
        "CREATE TABLE acknowledgements (incident TEXT PRIMARY KEY REFERENCES incidents (id), author TEXT NOT NULL, at INTEGER NOT NULL, "
        + "until_at INTEGER NOT NULL) WITHOUT ROWID;";

    const string Onsets = "ALTER TABLE incidents ADD COLUMN onsets TEXT NOT NULL DEFAULT '';";

    // What every pass asks of the open ones stands in their index.
    const string Revision =
        """
        ALTER TABLE incidents ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX incidents_open ON incidents (opened_at, id, revision, tenant, cluster, closed_at) WHERE closed_at IS NULL;
        DROP INDEX incidents_closed;
        CREATE INDEX incidents_closed ON incidents (closed_at, opened_at, id, revision) WHERE closed_at IS NOT NULL;
        """;

    // The column keeps its first name: a migration that has run never changes.
    const string Inhibits = "ALTER TABLE incidents ADD COLUMN hides TEXT NOT NULL DEFAULT '';";

    const string Keys = "SELECT id, revision FROM incidents";

    const string Restore = "Restore a backup with `whistle backup restore`, or stop the server and repair or delete the row.";

    static readonly RevisedRows<Incident> Rows = new(
        "incidents",
        "r.tenant, r.cluster, r.subject, r.title, r.severity, r.state, r.opened_at, r.closed_at, r.clear_since, r.reopened, r.signals, "
        + "r.onsets, r.hides",
        Read, $"the incident is skipped: nobody is paged for it, no repair of it begins, and what still fires opens another. {Restore}");

    static readonly RowReader Entries = new("incident_timeline", $"the entry is not shown. {Restore}");

    static readonly RowReader Taken = new("acknowledgements", "the acknowledgement is lost. Acknowledge the incident again.");

    public static readonly StateSchema Tables = new("incidents", Schema, AcknowledgementTable, Onsets, Revision, Inhibits);

    readonly StateDatabase _database;

    public IncidentStore(StateDatabase database)
    {
        _database = database;
        database.Add(Tables);
    }

    /// <summary>All that are not closed, the oldest first.</summary>
    public async Task<IReadOnlyList<Incident>> ActiveAsync(CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await ActiveAsync(connection, cancellation: cancellation);
    }

    /// <summary>
    /// As <see cref="ActiveAsync(CancellationToken)"/>, inside the caller's transaction; of one cluster where it is given.
    /// </summary>
    public static async Task<IReadOnlyList<Incident>> ActiveAsync(
        StateConnection connection, ClusterId? of = null, CancellationToken cancellation = default) => of is { } cluster
        ? await Rows.QueryAsync(
            connection, $"{Keys} WHERE closed_at IS NULL AND tenant = $tenant AND cluster = $cluster ORDER BY opened_at, id", cancellation,
            ("$tenant", cluster.Tenant), ("$cluster", cluster.Cluster))
        : await Rows.QueryAsync(connection, $"{Keys} WHERE closed_at IS NULL ORDER BY opened_at, id", cancellation);

    /// <summary>All that were not closed at some time since then, the oldest first.</summary>
    public async Task<IReadOnlyList<Incident>> SinceAsync(DateTimeOffset since, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await Rows.QueryAsync(
            connection,
            """
            SELECT id, revision FROM (
                SELECT id, revision, opened_at FROM incidents WHERE closed_at IS NULL UNION ALL
                SELECT id, revision, opened_at FROM incidents WHERE closed_at >= $since) i ORDER BY opened_at, id
            """,
            cancellation, ("$since", since));
    }

    public async Task<Incident?> FindAsync(string id, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await FindAsync(connection, id, cancellation);
    }

    /// <summary>As <see cref="FindAsync(string, CancellationToken)"/>, inside the caller's transaction.</summary>
    public static async Task<Incident?> FindAsync(StateConnection connection, string id, CancellationToken cancellation) =>
        await Rows.QueryAsync(connection, $"{Keys} WHERE id = $id", cancellation, ("$id", id)) is [var found] ? found : null;

    /// <summary>The oldest entry first.</summary>
    public async Task<IReadOnlyList<TimelineEntry>> TimelineAsync(string id, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await Entries.QueryAsync(
            connection,
            "SELECT incident, number, at, kind, text, count, incident || ' ' || number FROM incident_timeline WHERE "
            + "incident = $id ORDER BY number",
            r => new TimelineEntry(
                r.GetString(0), r.GetInt64(1), r.Instant(2), TimelineKinds.Parse(r.GetString(3)), r.GetString(4), r.GetInt32(5)),
            cancellation, ("$id", id));
    }

    /// <summary>Adds an entry in a transaction of its own.</summary>
    public async Task AppendTimelineAsync(
        string id, DateTimeOffset at, TimelineKind kind, string text, bool repeats = false, CancellationToken cancellation = default)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        if (await FindAsync(connection, id, cancellation) is not { } of)
            return;
        await using var transaction = await connection.BeginWriteAsync(Scope(of), cancellation);
        await AppendAsync(connection, id, at, kind, text, repeats, cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Adds an entry inside the caller's transaction.</summary>
    /// <param name="repeats">Where the latest entry of this kind says the same, it is counted up instead.</param>
    public static async Task AppendAsync(
        StateConnection connection, string id, DateTimeOffset at, TimelineKind kind, string text, bool repeats = false,
        CancellationToken cancellation = default)
    {
        const string latest =
            """
            UPDATE incident_timeline SET count = count + 1 WHERE incident = $id AND text = $text AND number =
                (SELECT max(number) FROM incident_timeline WHERE incident = $id AND kind = $kind)
            """;
        if (repeats && await connection.ExecuteAsync(latest, cancellation, ("$id", id), ("$text", text), ("$kind", kind.Word())) > 0)
            return;
        await connection.ExecuteAsync(
            """
            INSERT INTO incident_timeline SELECT $id, coalesce(max(number), 0) + 1, $at, $kind, $text, 1
                FROM incident_timeline WHERE incident = $id
            """,
            cancellation, ("$id", id), ("$at", at), ("$kind", kind.Word()), ("$text", text));
    }

    /// <summary>Takes the incident on, or takes it over from another. False where it is closed or not there.</summary>
    public async Task<bool> AcknowledgeAsync(Acknowledgement acknowledgement, CancellationToken cancellation) =>
        await WhileOpenAsync(acknowledgement.IncidentId, async connection =>
        {
            await connection.ExecuteAsync(
                """
                INSERT INTO acknowledgements VALUES ($incident, $author, $at, $until)
                ON CONFLICT (incident) DO UPDATE SET author = excluded.author, at = excluded.at, until_at = excluded.until_at
                """, cancellation, ("$incident", acknowledgement.IncidentId), ("$author", acknowledgement.Author),
                ("$at", acknowledgement.At), ("$until", acknowledgement.Until));
            await AppendAsync(
                connection, acknowledgement.IncidentId, acknowledgement.At, TimelineKind.Acknowledged,
                $"Acknowledged by {acknowledgement.Author} until {acknowledgement.Until:yyyy-MM-dd HH:mm:ss}Z. Nobody is paged until then.",
                cancellation: cancellation);
            return true;
        }, cancellation);

    /// <summary>Ends the acknowledgement, so that pages and repairs go on. False where there is none.</summary>
    public async Task<bool> ReleaseAsync(string id, string author, DateTimeOffset now, CancellationToken cancellation) =>
        await WhileOpenAsync(id, async connection =>
        {
            if (await connection.ExecuteAsync(
                "DELETE FROM acknowledgements WHERE incident = $incident AND until_at > $now", cancellation, ("$incident", id),
                ("$now", now)) == 0)
                return false;
            await AppendAsync(
                connection, id, now, TimelineKind.Acknowledged, $"Released by {author}. Pages and repairs resume.",
                cancellation: cancellation);
            return true;
        }, cancellation);

    /// <summary>The one that holds now; null where there is none.</summary>
    public async Task<Acknowledgement?> AcknowledgementAsync(string id, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await AcknowledgementAsync(connection, id, now, cancellation);
    }

    /// <summary>
    /// As <see cref="AcknowledgementAsync(string, DateTimeOffset, CancellationToken)"/>, inside the caller's transaction.
    /// </summary>
    public static async Task<Acknowledgement?> AcknowledgementAsync(
        StateConnection connection, string id, DateTimeOffset now, CancellationToken cancellation) =>
        (await Taken.QueryAsync(
            connection,
            "SELECT incident, author, at, until_at, incident FROM acknowledgements WHERE incident = $incident AND until_at > $now",
            r => new Acknowledgement(r.GetString(0), r.GetString(1), r.Instant(2), r.Instant(3)), cancellation, ("$incident", id),
            ("$now", now))).FirstOrDefault();

    /// <summary>All that hold now.</summary>
    public async Task<IReadOnlyList<Acknowledgement>> AllAcknowledgementsAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await AcknowledgementsAsync(connection, now, cancellation);
    }

    /// <summary>As <see cref="AllAcknowledgementsAsync"/>, inside the caller's transaction.</summary>
    public static async Task<IReadOnlyList<Acknowledgement>> AcknowledgementsAsync(
        StateConnection connection, DateTimeOffset now, CancellationToken cancellation) =>
        await Taken.QueryAsync(
            connection, "SELECT incident, author, at, until_at, incident FROM acknowledgements WHERE until_at > $now",
            r => new Acknowledgement(r.GetString(0), r.GetString(1), r.Instant(2), r.Instant(3)), cancellation, ("$now", now));

    // An incident never leaves its cluster.
    static StateScope Scope(Incident incident) => incident.ClusterId.Scope;

    async Task<bool> WhileOpenAsync(string id, Func<StateConnection, Task<bool>> change, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        if (await FindAsync(connection, id, cancellation) is not { } of)
            return false;
        await using var transaction = await connection.BeginWriteAsync(Scope(of), cancellation);
        if (await FindAsync(connection, id, cancellation) is not { ClosedAt: null } || !await change(connection))
            return false;
        await transaction.CommitAsync(cancellation);
        return true;
    }

    internal async Task SaveAsync(IReadOnlyList<IncidentChange> changes, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(
            [.. changes.Select(c => Scope(c.Incident)).Distinct()], cancellation);
        foreach (var change in changes)
        {
            await UpsertAsync(connection, change.Incident, cancellation);
            foreach (var (kind, text) in change.Entries)
                await AppendAsync(connection, change.Incident.Id, now, kind, text, cancellation: cancellation);
        }

        await transaction.CommitAsync(cancellation);
    }

    static async Task UpsertAsync(StateConnection connection, Incident incident, CancellationToken cancellation) =>
        await connection.ExecuteAsync(
            """
            INSERT INTO incidents VALUES ($id, $tenant, $cluster, $subject, $title, $severity, $state, $opened, $closed,
                $clear, $reopened, $signals, $onsets, $revision, $hides)
            ON CONFLICT (id) DO UPDATE SET title = excluded.title, severity = excluded.severity, state = excluded.state,
                closed_at = excluded.closed_at,
                clear_since = excluded.clear_since, reopened = excluded.reopened, signals = excluded.signals, onsets = excluded.onsets,
                revision = excluded.revision,
                hides = excluded.hides
            """, cancellation, ("$id", incident.Id), ("$tenant", incident.Tenant), ("$cluster", incident.Cluster),
            ("$subject", Json(incident.Subject)), ("$title", incident.Title), ("$severity", incident.Severity), ("$state", incident.State),
            ("$opened", incident.OpenedAt), ("$revision", StateSql.NewRevision()), ("$closed", incident.ClosedAt),
            ("$clear", incident.ClearSince), ("$reopened", incident.Reopened),
            ("$onsets", string.Join(' ', incident.Onsets.Select(o => o.ToUnixTimeMilliseconds()))),
            ("$hides", string.Join('\n', incident.Inhibits)),
            ("$signals", JsonSerializer.Serialize([.. incident.Signals.Select(ToRow)], IncidentJson.Default.ListSignalRow)));

    static Incident Read(DbDataReader reader) => new()
    {
        Id = reader.GetString(0),
        Tenant = reader.GetString(2),
        Cluster = reader.GetString(3),
        Subject = FromJson(reader.GetString(4)),
        Title = reader.GetString(5),
        Severity = reader.GetString(6),
        State = reader.Named<IncidentState>(7),
        OpenedAt = reader.Instant(8),
        ClosedAt = reader.OptionalInstant(9),
        ClearSince = reader.OptionalInstant(10),
        Reopened = reader.GetInt32(11),
        Onsets = [.. reader.GetString(13).Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(o => DateTimeOffset.FromUnixTimeMilliseconds(long.Parse(o, CultureInfo.InvariantCulture)))],
        Inhibits = reader.GetString(14).Split('\n', StringSplitOptions.RemoveEmptyEntries),
        Signals = [.. JsonSerializer.Deserialize(reader.GetString(12), IncidentJson.Default.ListSignalRow)!.Select(FromRow)],
    };

    static SignalRow ToRow(IncidentSignal signal) => new(
        Hex(signal.Fingerprint), signal.Name, ToRow(signal.Labels), signal.Severity, signal.Since.ToUnixTimeMilliseconds(),
        signal.ClearedAt?.ToUnixTimeMilliseconds(), signal.Unknown, signal.QuietSince?.ToUnixTimeMilliseconds(),
        signal.InhibitedBy is { } by ? new(Hex(by.Fingerprint), by.Name, ToRow(by.Labels)) : null);

    static IncidentSignal FromRow(SignalRow row) => new(
        FromHex(row.Fingerprint), row.Name, ToLabels(row.Labels), row.Severity,
        DateTimeOffset.FromUnixTimeMilliseconds(row.Since), Instant(row.ClearedAt), row.Unknown, Instant(row.QuietSince),
        row.InhibitedBy is { } by ? new(FromHex(by.Fingerprint), by.Name, ToLabels(by.Labels)) : null);

    static DateTimeOffset? Instant(long? milliseconds) => milliseconds is { } at ? DateTimeOffset.FromUnixTimeMilliseconds(at) : null;

    static string Hex(ulong fingerprint) => fingerprint.ToString("x16");

    static ulong FromHex(string fingerprint) => ulong.Parse(fingerprint, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    static Dictionary<string, string> ToRow(Labels labels) => labels.ToDictionary(l => l.Name, l => l.Value);

    static string Json(Labels labels) =>
        JsonSerializer.Serialize(ToRow(labels), IncidentJson.Default.DictionaryStringString);

    static Labels FromJson(string json) => ToLabels(JsonSerializer.Deserialize(json, IncidentJson.Default.DictionaryStringString)!);

    static Labels ToLabels(Dictionary<string, string> labels) => Labels.From(labels.Select(p => new Label(p.Key, p.Value)));
}

sealed record SignalRow(
    string Fingerprint, string Name, Dictionary<string, string> Labels, string Severity, long Since, long? ClearedAt, bool Unknown,
    long? QuietSince, InhibitorRow? InhibitedBy = null);

sealed record InhibitorRow(string Fingerprint, string Name, Dictionary<string, string> Labels);

[JsonSerializable(typeof(List<SignalRow>))]
[JsonSerializable(typeof(Dictionary<string, string>))]
sealed partial class IncidentJson : JsonSerializerContext;
