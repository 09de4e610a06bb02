using Whistle.Alerting.Stores;
using Whistle.State;

namespace Whistle.Alerting.Outbox;

/// <summary>
/// What is to be sent, written in the transaction of the decision. A row goes <c>pending → sent | failed | overtaken</c>. An attempt is on
/// disk before it is made (<c>maybe_sent</c>), so after a crash it is known what the other side may have.
/// </summary>
sealed class OutboxStore(StateDatabase database)
{
    static readonly RowReader Rows = new(
        "alerting_outbox",
        "the notification is not listed and not sent. "
        + "Restore a backup with `whistle backup restore`, or stop the server and repair or delete the row.");

    /// <summary>Adds a message that is not there yet.</summary>
    public static async Task AddAsync(
        StateTransaction transaction, string channel, OutboxMessage message, DateTimeOffset now, CancellationToken cancellation)
    {
        var state = message.Ends is not null && await OvertakeAsync(transaction, channel, message.Key, message.Ends, now, cancellation)
            ? NotificationState.Overtaken
            : NotificationState.Pending;
        await transaction.ExecuteAsync(
            """
            INSERT INTO alerting_outbox (channel, key, action, incident, payload, state, created_at, ended_at)
            VALUES ($channel, $key, $action, $incident, $payload, $state, $now, CASE WHEN $state = 'pending' THEN NULL ELSE $now END)
            ON CONFLICT DO NOTHING
            """,
            cancellation,
            ("$channel", channel), ("$key", message.Key), ("$action", message.Action), ("$incident", message.Incident),
            ("$payload", message.Payload), ("$state", state.Word()), ("$now", now));
    }

    /// <summary>Ends what <paramref name="opening"/> began under the key: if it is still waiting it is not sent any more.</summary>
    /// <returns>Whether the other side cannot have it.</returns>
    static async Task<bool> OvertakeAsync(
        StateTransaction transaction, string channel, string key, string opening, DateTimeOffset now, CancellationToken cancellation)
    {
        // Its row is locked first: no attempt may begin between the question and the answer to it.
        const string opened = "UPDATE alerting_outbox SET attempts = attempts WHERE channel = $channel AND key = $key AND action = $action";
        await transaction.ExecuteAsync(opened, cancellation, ("$channel", channel), ("$key", key), ("$action", opening));
        var unknown = await transaction.NumberAsync(
            """
            SELECT CASE WHEN state = 'failed' OR (state IN ('pending', 'overtaken') AND maybe_sent = 0) THEN 1 ELSE 0 END
            FROM alerting_outbox
            WHERE channel = $channel AND key = $key AND action = $action
            """,
            cancellation, ("$channel", channel), ("$key", key), ("$action", opening));
        await transaction.ExecuteAsync(
            """
            UPDATE alerting_outbox SET state = 'overtaken', ended_at = $now, reason = 'The incident closed before it was sent.'
            WHERE channel = $channel AND key = $key AND action = $action AND state = 'pending'
            """,
            cancellation, ("$channel", channel), ("$key", key), ("$action", opening), ("$now", now));
        return unknown is 1;
    }

    /// <summary>Drops what was sent or overtaken and is older than that.</summary>
    public static async Task DropAsync(StateTransaction transaction, DateTimeOffset kept, CancellationToken cancellation) =>
        await transaction.ExecuteAsync(
            "DELETE FROM alerting_outbox WHERE created_at < $kept AND state IN ('sent', 'overtaken')", cancellation, ("$kept", kept));

    /// <summary>The oldest that may go now, after the row <paramref name="after"/>.</summary>
    public async Task<OutboxRow?> NextAsync(string channel, DateTimeOffset now, long after = 0, CancellationToken cancellation = default)
    {
        await using var connection = await database.OpenAsync(cancellation);
        return (await connection.QueryAsync(
            """
            SELECT id, key, action, payload, attempts FROM alerting_outbox
            WHERE channel = $channel AND state = 'pending' AND id > $after AND not_before <= $now ORDER BY id LIMIT 1
            """,
            r => new OutboxRow(
                r.GetInt64(0), channel, r.GetString(1), r.GetString(2), r.GetString(3),
                (int)Math.Clamp(r.GetInt64(4), 0, int.MaxValue - 1) + 1),
            cancellation, ("$channel", channel), ("$after", after), ("$now", now))).FirstOrDefault();
    }

    /// <summary>Writes that an attempt begins.</summary>
    /// <returns>Whether the other side may have it from an attempt before; null where it is not wanted any more.</returns>
    public async Task<bool?> BeginAsync(OutboxRow row, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(StateScope.Rows, cancellation);
        var maybeBefore =
            await transaction.NumberAsync("SELECT maybe_sent FROM alerting_outbox WHERE id = $id", cancellation, ("$id", row.Id)) is 1;
        var begun = await transaction.ExecuteAsync(
            "UPDATE alerting_outbox SET attempts = $attempts, maybe_sent = 1 WHERE id = $id AND state = 'pending'",
            cancellation, ("$attempts", row.Attempts), ("$id", row.Id));
        await transaction.CommitAsync(cancellation);
        return begun > 0 ? maybeBefore : null;
    }

    public async Task EndAsync(
        OutboxRow row, Delivery delivery, bool maybeBefore, DateTimeOffset? notBefore, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(StateScope.Rows, cancellation);
        _ = delivery switch
        {
            Delivery.Delivered => await transaction.ExecuteAsync(
                "UPDATE alerting_outbox SET state = 'sent', ended_at = $now, reason = NULL WHERE id = $id", cancellation, ("$now", now),
                ("$id", row.Id)),
            Delivery.Final final => await transaction.ExecuteAsync(
                "UPDATE alerting_outbox SET state = 'failed', ended_at = $now, reason = $reason WHERE id = $id AND state = 'pending'",
                cancellation, ("$now", now), ("$reason", final.Reason), ("$id", row.Id)),
            Delivery.Retryable retryable => await transaction.ExecuteAsync(
                "UPDATE alerting_outbox SET maybe_sent = $maybe, not_before = $before, reason = $reason WHERE id = $id "
                + "AND state = 'pending'",
                cancellation, ("$maybe", !retryable.NotAccepted || maybeBefore ? 1 : 0),
                ("$before", notBefore?.ToUnixTimeMilliseconds() ?? 0), ("$reason", retryable.Reason), ("$id", row.Id)),
            _ => throw new InvalidOperationException($"{delivery} is no delivery."),
        };
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Puts a row behind the others until then.</summary>
    public async Task SetAsideAsync(OutboxRow row, DateTimeOffset notBefore, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(StateScope.Rows, cancellation);
        await transaction.ExecuteAsync(
            "UPDATE alerting_outbox SET not_before = $before WHERE id = $id AND state = 'pending'", cancellation, ("$before", notBefore),
            ("$id", row.Id));
        await transaction.CommitAsync(cancellation);
    }

    public async Task<long> PendingAsync(string channel, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        return (await connection.QueryAsync(
            "SELECT count(*) FROM alerting_outbox WHERE channel = $channel AND state = 'pending'", r => r.GetInt64(0), cancellation,
            ("$channel", channel)))[0];
    }

    /// <summary>
    /// What the channel refused for good while it still matters: its incident is open, or it is about none (a digest) and newer than that.
    /// The oldest first.
    /// </summary>
    public async Task<IReadOnlyList<(string Action, string Key, string Reason)>> RefusedAsync(
        string channel, DateTimeOffset newerThan, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        return await connection.QueryAsync(
            """
            SELECT o.action, o.key, o.reason FROM alerting_outbox o LEFT JOIN alerting_incidents i ON i.incident = o.incident
            WHERE o.channel = $channel AND o.state = 'failed' AND (i.settled = 0 OR (o.incident IS NULL AND o.ended_at > $newer))
            ORDER BY o.id LIMIT 1000
            """,
            r => (r.GetString(0), r.GetString(1), r.OptionalText(2) ?? ""), cancellation, ("$channel", channel), ("$newer", newerThan));
    }

    /// <summary>How many notifications wait, by channel.</summary>
    public async Task<IReadOnlyList<(string Channel, long Count)>> WaitingAsync(CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        return await connection.QueryAsync(
            "SELECT channel, count(*) FROM alerting_outbox WHERE state = 'pending' GROUP BY channel ORDER BY channel",
            r => (r.GetString(0), r.GetInt64(1)), cancellation);
    }

    /// <summary>Reports rows in a state that is none: nothing would ever send them.</summary>
    public async Task InspectAsync(CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        await Rows.QueryAsync(
            connection, "SELECT state, id FROM alerting_outbox WHERE state NOT IN ('pending', 'sent', 'failed', 'overtaken')",
            r => r.Word<NotificationState>(0), cancellation);
    }

    /// <summary>The latest notifications first, of one state or of all.</summary>
    public async Task<IReadOnlyList<Notification>> ListAsync(
        NotificationState? state, string? incident, int limit, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        return await Rows.QueryAsync(
            connection,
            """
            SELECT id, channel, key, action, incident, state, attempts, created_at, ended_at, reason, id FROM alerting_outbox
            WHERE (state = $state OR $state IS NULL) AND (incident = $incident OR $incident IS NULL) ORDER BY id DESC LIMIT $limit
            """,
            r => new Notification(
                r.GetInt64(0), r.GetString(1), r.GetString(2), r.GetString(3), r.OptionalText(4), r.Word<NotificationState>(5),
                r.GetInt32(6), r.Instant(7), r.OptionalInstant(8), r.OptionalText(9)),
            cancellation, ("$state", state?.Word()), ("$incident", incident), ("$limit", limit));
    }
}
