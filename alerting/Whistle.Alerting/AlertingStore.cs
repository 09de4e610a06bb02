using System.Data.Common;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Alerting.Deciding;
using Whistle.Alerting.Outbox;
using Whistle.Alerting.Tickets;
using Whistle.State;

namespace Whistle.Alerting;

[JsonSerializable(typeof(AlertState))]
sealed partial class AlertStateJson : JsonSerializerContext;

/// <summary>A decision as it is kept, so that anybody can see why they were called, or were not.</summary>
public sealed record KeptDecision(string Incident, DateTimeOffset At, string Kind, string Text);

/// <summary>What alerting remembers: its state of each incident, its decisions, and the lines that wait for a digest.</summary>
sealed class AlertingStore
{
    const string Schema =
        """
        CREATE TABLE alerting_incidents (incident TEXT PRIMARY KEY, state TEXT NOT NULL, settled INTEGER NOT NULL, updated_at INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX alerting_incidents_unsettled ON alerting_incidents (incident) WHERE settled = 0;
        CREATE TABLE alerting_decisions (id INTEGER PRIMARY KEY, incident TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL);
        CREATE INDEX alerting_decisions_incident ON alerting_decisions (incident, id);
        CREATE INDEX alerting_decisions_at ON alerting_decisions (at);
        CREATE TABLE alerting_digest (id INTEGER PRIMARY KEY AUTOINCREMENT, incident TEXT NOT NULL, at INTEGER NOT NULL, text TEXT NOT NULL, sent INTEGER NOT NULL DEFAULT 0);
        CREATE TABLE alerting_watermark ("only" INTEGER PRIMARY KEY CHECK ("only" = 1), at INTEGER NOT NULL);
        """;

    static readonly ParsedTexts<AlertState> States = new(t => JsonSerializer.Deserialize(t, AlertStateJson.Default.AlertState) ?? throw new InvalidDataException("it says nothing"));

    internal const string Incidents = "alerting_incidents";

    static readonly RowReader Held = new(
        Incidents, "it is not known for what people were paged, and nobody is paged for that incident. See to it by hand; then restore a backup with `whistle backup restore`, or stop the server and repair or delete the row.");
    static readonly RowReader Seen = new("alerting_watermark", "incidents that closed within the last 24 hours are looked at again. The row is written again; nothing is to be done.");
    static readonly RowReader Kept = new("alerting_decisions", "that decision is not shown. It is dropped with its age.");
    static readonly RowReader Lines = new("alerting_digest", "that line is not in the digest. It is dropped with its age.");

    internal static readonly StateSchema Tables = new("alerting", Schema + OutboxStore.Schema + TicketStore.Schema);

    readonly StateDatabase _database;

    public AlertingStore(StateDatabase database)
    {
        _database = database;
        Migrate(database);
    }

    public static void Migrate(StateDatabase database) => database.Migrate(Tables);

    /// <summary>The states of incidents that are not settled.</summary>
    public Dictionary<string, AlertState> Unsettled()
    {
        using var connection = _database.Open();
        return Held.Query(connection, "SELECT incident, state, incident FROM alerting_incidents WHERE settled = 0", r => (Id: r.GetString(0), State: State(r.GetString(1))))
            .ToDictionary(s => s.Id, s => s.State);
    }

    /// <summary>The incidents that have a page which is not resolved, with the time of the latest.</summary>
    public IReadOnlyDictionary<string, DateTimeOffset> Paged() =>
        Unsettled().Where(s => s.Value is { PagedAt: not null, OpenPages.Count: > 0 }).ToDictionary(s => s.Key, s => s.Value.PagedAt!.Value);

    /// <summary>The incidents for which a page is due and no channel is there, with the time since when.</summary>
    public IReadOnlyDictionary<string, DateTimeOffset> Unpaged() =>
        Unsettled().Where(s => s.Value.UnpagedSince is not null).ToDictionary(s => s.Key, s => s.Value.UnpagedSince!.Value);

    public AlertState? Find(string incident)
    {
        using var connection = _database.Open();
        return Held.Query(connection, "SELECT state, incident FROM alerting_incidents WHERE incident = $incident", r => State(r.GetString(0)), ("$incident", incident)).FirstOrDefault();
    }

    /// <summary>Up to when every incident that had closed was seen; null at the first start.</summary>
    public DateTimeOffset? Watermark()
    {
        using var connection = _database.Open();
        return Seen.Query(connection, "SELECT at, \"only\" FROM alerting_watermark", r => (DateTimeOffset?)r.Instant(0)).FirstOrDefault();
    }

    /// <summary>Everything in one transaction: <paramref name="apply"/> writes what follows from the decisions.</summary>
    public void Save(string incident, AlertState state, IReadOnlyList<Decision> decisions, DateTimeOffset now, Action<DbTransaction> apply)
    {
        using var connection = _database.Open();
        using var transaction = connection.BeginWrite();
        transaction.Execute(
            """
            INSERT INTO alerting_incidents VALUES ($incident, $state, $settled, $now)
            ON CONFLICT (incident) DO UPDATE SET state = excluded.state, settled = excluded.settled, updated_at = excluded.updated_at
            """,
            ("$incident", incident), ("$state", Text(state)), ("$settled", state.Settled ? 1 : 0), ("$now", now));
        foreach (var decision in decisions)
        {
            transaction.Execute(
                "INSERT INTO alerting_decisions (incident, at, kind, text) VALUES ($incident, $now, $kind, $text)",
                ("$incident", incident), ("$now", now), ("$kind", decision.Kind), ("$text", decision.Text));
        }

        apply(transaction);
        transaction.Commit();
    }

    public static void AddDigestLine(DbTransaction transaction, string incident, string text, DateTimeOffset now) =>
        transaction.Execute("INSERT INTO alerting_digest (incident, at, text) VALUES ($incident, $now, $text)", ("$incident", incident), ("$now", now), ("$text", text));

    /// <summary>Hands over the waiting lines once the oldest is as old as that; marked as sent in the same transaction.</summary>
    public void TakeDigest(DateTimeOffset oldest, int most, Action<DbTransaction, long, IReadOnlyList<string>> send)
    {
        using var connection = _database.Open();
        if (connection.Query("SELECT min(at) FROM alerting_digest WHERE sent = 0", r => r.IsDBNull(0) ? null : (long?)r.GetInt64(0))[0] is not { } first || first > oldest.ToUnixTimeMilliseconds())
            return;
        using var transaction = connection.BeginWrite();
        var lines = Lines.Query(
            connection, "SELECT id, at, text, id FROM alerting_digest WHERE sent = 0 ORDER BY id LIMIT $most",
            r => (Id: r.GetInt64(0), Text: $"{r.Instant(1):u} {r.GetString(2)}"), ("$most", most));
        if (lines is [])
            return;
        send(transaction, lines[0].Id, [.. lines.Select(l => l.Text)]);
        transaction.Execute("UPDATE alerting_digest SET sent = 1 WHERE id <= $last", ("$last", lines[^1].Id));
        transaction.Commit();
    }

    /// <summary>Notes how far the incidents are seen, and drops what is older than <paramref name="kept"/>.</summary>
    public void Advance(DateTimeOffset now, DateTimeOffset kept)
    {
        using var connection = _database.Open();
        using var transaction = connection.BeginWrite();
        transaction.Execute("INSERT INTO alerting_watermark VALUES (1, $now) ON CONFLICT (\"only\") DO UPDATE SET at = excluded.at", ("$now", now));
        transaction.Execute("DELETE FROM alerting_decisions WHERE at < $kept", ("$kept", kept));
        transaction.Execute("DELETE FROM alerting_digest WHERE at < $kept", ("$kept", kept));
        transaction.Execute("DELETE FROM alerting_outbox WHERE created_at < $kept AND state IN ('sent', 'overtaken')", ("$kept", kept));
        transaction.Commit();
    }

    public IReadOnlyList<KeptDecision> Decisions(string incident)
    {
        using var connection = _database.Open();
        return Kept.Query(
            connection, "SELECT incident, at, kind, text, id FROM alerting_decisions WHERE incident = $incident ORDER BY id",
            r => new KeptDecision(r.GetString(0), r.Instant(1), r.GetString(2), r.GetString(3)), ("$incident", incident));
    }

    public static string Text(AlertState state) => JsonSerializer.Serialize(state, AlertStateJson.Default.AlertState);

    static AlertState State(string text) => States[text];
}
