using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Alerting.Deciding;
using Whistle.Incidents;
using Whistle.State;

namespace Whistle.Alerting.Stores;

[JsonSerializable(typeof(AlertState))]
sealed partial class AlertStateJson : JsonSerializerContext;

/// <summary>A decision as it is kept, so that anybody can see why somebody was paged, or was not.</summary>
sealed record StoredDecision(string Incident, DateTimeOffset At, DecisionKind Kind, string Text);

/// <summary>What alerting remembers: its state of each incident, its decisions, and the lines that wait for a digest.</summary>
sealed class AlertingStore
{
    static readonly ParsedTexts<AlertState> States =
        new(t => JsonSerializer.Deserialize(t, AlertStateJson.Default.AlertState) ?? throw new InvalidDataException("it says nothing"));

    static readonly RowReader Held = new(
        AlertingTables.IncidentsTable,
        "it is not known for what people were paged, and nobody is paged for that incident. See to it by hand; "
        + "then restore a backup with `whistle backup restore`, or stop the server and repair or delete the row.");
    static readonly RowReader Seen = new(
        "alerting_watermark",
        "incidents that closed within the last 24 hours are looked at again. The row is written again; nothing is to be done.");
    static readonly RowReader Kept = new("alerting_decisions", "that decision is not shown. It is dropped with its age.");
    static readonly RowReader Lines = new("alerting_digest", "that line is not in the digest. It is dropped with its age.");

    static readonly StateScope Shared = StateScope.Of("alerting");

    readonly StateDatabase _database;

    public AlertingStore(StateDatabase database)
    {
        _database = database;
        database.Add(AlertingTables.All);
    }

    /// <summary>The states of incidents that are not settled.</summary>
    public async Task<Dictionary<string, AlertState>> UnsettledAsync(CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return (await Held.QueryAsync(
            connection, "SELECT incident, state, incident FROM alerting_incidents WHERE settled = 0",
            r => (Id: r.GetString(0), State: State(r.GetString(1))), cancellation))
            .ToDictionary(s => s.Id, s => s.State);
    }

    /// <summary>The incidents that have a page which is not resolved, with the time of the latest.</summary>
    public async Task<IReadOnlyDictionary<string, DateTimeOffset>> PagedAsync(CancellationToken cancellation) =>
        (await UnsettledAsync(cancellation)).Where(s => s.Value is { PagedAt: not null, OpenPages.Count: > 0 })
            .ToDictionary(s => s.Key, s => s.Value.PagedAt!.Value);

    /// <summary>The incidents for which a page is due and no channel is there, with the time since when.</summary>
    public async Task<IReadOnlyDictionary<string, DateTimeOffset>> UnpagedAsync(CancellationToken cancellation) =>
        (await UnsettledAsync(cancellation)).Where(s => s.Value.UnpagedSince is not null)
            .ToDictionary(s => s.Key, s => s.Value.UnpagedSince!.Value);

    public async Task<AlertState?> FindAsync(string incident, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return (await Held.QueryAsync(
            connection, "SELECT state, incident FROM alerting_incidents WHERE incident = $incident", r => State(r.GetString(0)),
            cancellation, ("$incident", incident))).FirstOrDefault();
    }

    /// <summary>Up to when every incident that had closed was seen; null at the first start.</summary>
    public async Task<DateTimeOffset?> WatermarkAsync(CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return (await Seen.QueryAsync(
            connection, "SELECT at, \"only\" FROM alerting_watermark", r => (DateTimeOffset?)r.Instant(0), cancellation)).FirstOrDefault();
    }

    /// <summary>Everything in one transaction: <paramref name="apply"/> writes what follows from the decisions.</summary>
    public async Task SaveAsync(
        Incident of, AlertState state, IReadOnlyList<Decision> decisions, DateTimeOffset now, Func<StateTransaction, Task> apply,
        CancellationToken cancellation)
    {
        var incident = of.Id;
        await using var connection = await _database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(of.ClusterId.Scope, cancellation);
        await transaction.ExecuteAsync(
            """
            INSERT INTO alerting_incidents VALUES ($incident, $state, $settled, $now)
            ON CONFLICT (incident) DO UPDATE SET state = excluded.state, settled = excluded.settled, updated_at = excluded.updated_at
            """,
            cancellation, ("$incident", incident), ("$state", Text(state)), ("$settled", state.Settled ? 1 : 0), ("$now", now));
        foreach (var decision in decisions)
        {
            await transaction.ExecuteAsync(
                "INSERT INTO alerting_decisions (incident, at, kind, text) VALUES ($incident, $now, $kind, $text)",
                cancellation, ("$incident", incident), ("$now", now), ("$kind", decision.Kind.Word()), ("$text", decision.Text));
        }

        await apply(transaction);
        await transaction.CommitAsync(cancellation);
    }

    public static async Task AddDigestLineAsync(
        StateTransaction transaction, string incident, string text, DateTimeOffset now, CancellationToken cancellation) =>
        await transaction.ExecuteAsync(
            "INSERT INTO alerting_digest (incident, at, text) VALUES ($incident, $now, $text)", cancellation, ("$incident", incident),
            ("$now", now), ("$text", text));

    /// <summary>Hands over the waiting lines once the oldest is as old as that; marked as sent in the same transaction.</summary>
    public async Task TakeDigestAsync(
        DateTimeOffset oldest, int most, Func<StateTransaction, long, IReadOnlyList<string>, Task> send, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        if ((await connection.QueryAsync(
            "SELECT min(at) FROM alerting_digest WHERE sent = 0", r => r.IsDBNull(0) ? null : (long?)r.GetInt64(0),
            cancellation))[0] is not { } first || first > oldest.ToUnixTimeMilliseconds())
            return;
        await using var transaction = await connection.BeginWriteAsync(Shared, cancellation);
        var lines = await Lines.QueryAsync(
            connection, "SELECT id, at, text, id FROM alerting_digest WHERE sent = 0 ORDER BY id LIMIT $most",
            r => (Id: r.GetInt64(0), Text: $"{r.Instant(1):u} {r.GetString(2)}"), cancellation, ("$most", most));
        if (lines is [])
            return;
        await send(transaction, lines[0].Id, [.. lines.Select(l => l.Text)]);
        await transaction.ExecuteAsync("UPDATE alerting_digest SET sent = 1 WHERE id <= $last", cancellation, ("$last", lines[^1].Id));
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Notes how far the incidents are seen.</summary>
    public async Task AdvanceAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(Shared, cancellation);
        await transaction.ExecuteAsync(
            "INSERT INTO alerting_watermark VALUES (1, $now) ON CONFLICT (\"only\") DO UPDATE SET at = excluded.at", cancellation,
            ("$now", now));
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Drops what is older than <paramref name="kept"/>.</summary>
    /// <param name="drop">Drops more in the same transaction.</param>
    public async Task DropAsync(
        DateTimeOffset kept, Func<StateTransaction, DateTimeOffset, Task> drop, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(Shared, cancellation);
        await transaction.ExecuteAsync("DELETE FROM alerting_decisions WHERE at < $kept", cancellation, ("$kept", kept));
        await transaction.ExecuteAsync("DELETE FROM alerting_digest WHERE at < $kept", cancellation, ("$kept", kept));
        await drop(transaction, kept);
        await transaction.CommitAsync(cancellation);
    }

    public async Task<IReadOnlyList<StoredDecision>> DecisionsAsync(string incident, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await Kept.QueryAsync(
            connection, "SELECT incident, at, kind, text, id FROM alerting_decisions WHERE incident = $incident ORDER BY id",
            r => new StoredDecision(r.GetString(0), r.Instant(1), r.Word<DecisionKind>(2), r.GetString(3)),
            cancellation, ("$incident", incident));
    }

    public static string Text(AlertState state) => JsonSerializer.Serialize(state, AlertStateJson.Default.AlertState);

    static AlertState State(string text) => States[text];
}
