using System.Data.Common;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Alerting.Deciding;
using Whistle.Alerting.Stores;
using Whistle.Incidents;
using Whistle.Inventory.Access;
using Whistle.State;

namespace Whistle.Alerting.Tickets;

/// <summary>How a person's change of a ticket ended; <paramref name="Refusal"/> is null where it was done.</summary>
public sealed record TicketChange(Ticket? Ticket, string? Refusal);

[JsonSerializable(typeof(IReadOnlyList<DirectorySize>))]
sealed partial class TicketJson : JsonSerializerContext;

/// <summary>Tickets with their timelines. An entry and the state that it reports are written together.</summary>
public sealed class TicketStore
{
    const string Columns = "id, incident, tenant, cluster, title, severity, state, opened_at, updated_at, directories, id";
    const string Whistle = "whistle";

    static readonly RowReader Rows = new(
        "alerting_tickets",
        "the ticket is not listed. Restore a backup with `whistle backup restore`, or stop the server and repair or delete the row.");
    static readonly RowReader Entries = new(
        "alerting_ticket_entries",
        "the entry is not shown. Restore a backup with `whistle backup restore`, or stop the server and repair or delete the row.");

    readonly StateDatabase _database;
    readonly TimeProvider _time;

    public TicketStore(StateDatabase database, TimeProvider time)
    {
        _database = database;
        _time = time;
        database.Add(AlertingTables.All);
    }

    /// <summary>All of them, whosever they are.</summary>
    public Task<IReadOnlyList<Ticket>> ListAsync(
        TicketState? state = null, string? incident = null, CancellationToken cancellation = default) =>
        ListAsync(Rights.Everything, state, incident, cancellation);

    /// <summary>The latest first, at most 500; of one state or incident where they are named.</summary>
    /// <param name="rights">Of whoever asks: others' tickets are not there for them.</param>
    public async Task<IReadOnlyList<Ticket>> ListAsync(
        Rights rights, TicketState? state, string? incident, CancellationToken cancellation)
    {
        List<(string, object?)> values = [("$state", state is { } s ? TicketStates.Name(s) : null), ("$incident", incident)];
        var places = new List<string>();
        foreach (var place in rights.Readable)
        {
            var number = places.Count;
            if (place.Tenant is not null)
                values.Add(($"$tenant{number}", place.Tenant));
            if (place.Cluster is not null)
                values.Add(($"$cluster{number}", place.Cluster));
            places.Add(place switch
            {
                { Cluster: not null } => $"(tenant = $tenant{number} AND cluster = $cluster{number})",
                { Tenant: not null } => $"tenant = $tenant{number}",
                _ => "1 = 1",
            });
        }

        if (places.Count == 0)
            return [];
        await using var connection = await _database.OpenAsync(cancellation);
        return await Rows.QueryAsync(
            connection,
            $"""
            SELECT {Columns} FROM alerting_tickets
            WHERE (state = $state OR $state IS NULL) AND (incident = $incident OR $incident IS NULL)
                AND ({string.Join(" OR ", places)}) ORDER BY id DESC LIMIT 500
            """,
            Read, cancellation, [.. values]);
    }

    public async Task<Ticket?> FindAsync(long id, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return (await Rows.QueryAsync(
            connection, $"SELECT {Columns} FROM alerting_tickets WHERE id = $id", Read, cancellation, ("$id", id))).FirstOrDefault();
    }

    public async Task<IReadOnlyList<TicketEntry>> TimelineAsync(long id, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await Entries.QueryAsync(
            connection,
            "SELECT number, at, author, kind, text, ticket || ' ' || number FROM alerting_ticket_entries WHERE "
            + "ticket = $id ORDER BY number",
            r => new TicketEntry(r.GetInt32(0), r.Instant(1), r.GetString(2), r.Word<TicketEntryKind>(3), r.GetString(4)),
            cancellation, ("$id", id));
    }

    /// <summary>Moves a ticket on, with a remark of the person who does.</summary>
    public async Task<TicketChange> MoveAsync(long id, TicketState to, string author, string? remark, CancellationToken cancellation) =>
        await ChangeAsync(id, async (transaction, ticket) =>
        {
            if (TicketStates.Refusal(ticket.State, to) is { } refusal)
                return refusal;
            await SetStateAsync(
                transaction, ticket, to, author,
                string.IsNullOrWhiteSpace(remark) ? $"{TicketStates.Name(ticket.State)} → {TicketStates.Name(to)}" : remark,
                _time.GetUtcNow(), cancellation);
            return null;
        }, cancellation);

    public async Task<TicketChange> CommentAsync(long id, string author, string text, CancellationToken cancellation) =>
        await ChangeAsync(id, async (transaction, ticket) =>
        {
            if (ticket.State is TicketState.Closed)
                return "The ticket is closed and takes no comments. Open another one.";
            await AppendAsync(transaction, id, author, TicketEntryKind.Comment, text, _time.GetUtcNow(), cancellation);
            return null;
        }, cancellation);

    /// <summary>Opens a ticket, or opens the incident's own again. The entry is the one that reports it.</summary>
    internal static async Task<(Ticket Ticket, TicketEntry Entry)> OpenAsync(
        StateTransaction transaction, Incident incident, Repair repair, DateTimeOffset now, CancellationToken cancellation)
    {
        var text = $"The repair by {repair.Runbook} gave up: {repair.Summary}";
        var directories = JsonSerializer.Serialize(repair.LargestDirectories, TicketJson.Default.IReadOnlyListDirectorySize);
        if (await CurrentAsync(transaction, incident.Id, cancellation) is { } known)
        {
            await transaction.ExecuteAsync(
                "UPDATE alerting_tickets SET directories = $directories, severity = $severity WHERE id = $id",
                cancellation, ("$directories", directories), ("$severity", incident.Severity), ("$id", known.Id));
            var state = known.State is TicketState.Resolved ? TicketState.Open : known.State;
            var entry = await SetStateAsync(transaction, known, state, Whistle, text, now, cancellation);
            return ((await CurrentAsync(transaction, incident.Id, cancellation))!, entry);
        }

        await transaction.ExecuteAsync(
            """
            INSERT INTO alerting_tickets (incident, tenant, cluster, title, severity, state, opened_at, updated_at, directories)
            VALUES ($incident, $tenant, $cluster, $title, $severity, 'open', $now, $now, $directories)
            """,
            cancellation,
            ("$incident", incident.Id), ("$tenant", incident.Tenant), ("$cluster", incident.Cluster), ("$title", incident.Title),
            ("$severity", incident.Severity), ("$directories", directories), ("$now", now));
        var ticket = (await CurrentAsync(transaction, incident.Id, cancellation))!;
        return (ticket, await AppendAsync(transaction, ticket.Id, Whistle, TicketEntryKind.Opened, text, now, cancellation));
    }

    /// <summary>Resolves the incident's ticket; null where a person has already.</summary>
    internal static async Task<(Ticket Ticket, TicketEntry Entry)?> ResolveAsync(
        StateTransaction transaction, string incident, DateTimeOffset now, CancellationToken cancellation)
    {
        if (await CurrentAsync(transaction, incident, cancellation) is not { State: not TicketState.Resolved } ticket)
            return null;
        var entry = await SetStateAsync(
            transaction, ticket, TicketState.Resolved, Whistle, "The incident is closed: its signals are clear and stayed so.", now,
            cancellation);
        return (ticket with { State = TicketState.Resolved }, entry);
    }

    async Task<TicketChange> ChangeAsync(long id, Func<StateTransaction, Ticket, Task<string?>> change, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        if (await FindAsync(id, cancellation) is not { } of)
            return new(null, $"There is no ticket {id}.");
        await using var transaction = await connection.BeginWriteAsync(of.ClusterId.Scope, cancellation);
        if (await OneAsync(transaction, "id = $value", id, cancellation) is not { } ticket)
            return new(null, $"There is no ticket {id}.");
        if (await change(transaction, ticket) is { } refusal)
            return new(ticket, refusal);
        var after = await OneAsync(transaction, "id = $value", id, cancellation);
        await transaction.CommitAsync(cancellation);
        return new(after, null);
    }

    static async Task<TicketEntry> SetStateAsync(
        StateTransaction transaction, Ticket ticket, TicketState to, string author, string text, DateTimeOffset now,
        CancellationToken cancellation)
    {
        await transaction.ExecuteAsync(
            "UPDATE alerting_tickets SET state = $state WHERE id = $id", cancellation, ("$state", TicketStates.Name(to)),
            ("$id", ticket.Id));
        return await AppendAsync(transaction, ticket.Id, author, TicketEntryKind.State, text, now, cancellation);
    }

    static async Task<TicketEntry> AppendAsync(
        StateTransaction transaction, long ticket, string author, TicketEntryKind kind, string text, DateTimeOffset now,
        CancellationToken cancellation)
    {
        var number = (await transaction.NumberAsync(
            "SELECT coalesce(max(number), 0) + 1 FROM alerting_ticket_entries WHERE ticket = $ticket", cancellation,
            ("$ticket", ticket)))!.Value;
        await transaction.ExecuteAsync(
            "INSERT INTO alerting_ticket_entries VALUES ($ticket, $number, $now, $author, $kind, $text)",
            cancellation,
            ("$ticket", ticket), ("$number", number), ("$now", now), ("$author", author), ("$kind", kind.Word()), ("$text", text));
        await transaction.ExecuteAsync(
            "UPDATE alerting_tickets SET updated_at = $now WHERE id = $ticket", cancellation, ("$now", now), ("$ticket", ticket));
        return new((int)number, now, author, kind, text);
    }

    static async Task<Ticket?> CurrentAsync(StateTransaction transaction, string incident, CancellationToken cancellation) =>
        await OneAsync(transaction, "incident = $value AND state <> 'closed'", incident, cancellation);

    static async Task<Ticket?> OneAsync(StateTransaction transaction, string condition, object value, CancellationToken cancellation) =>
        (await transaction.QueryAsync($"SELECT {Columns} FROM alerting_tickets WHERE {condition}", Read, cancellation, ("$value", value)))
            .FirstOrDefault();

    static Ticket Read(DbDataReader reader) => new()
    {
        Id = reader.GetInt64(0),
        Incident = reader.GetString(1),
        Tenant = reader.GetString(2),
        Cluster = reader.GetString(3),
        Title = reader.GetString(4),
        Severity = reader.GetString(5),
        State = TicketStates.Find(reader.GetString(6))
            ?? throw new InvalidDataException($"The ticket {reader.GetInt64(0)} has the unknown state {reader.GetString(6)}."),
        OpenedAt = reader.Instant(7),
        UpdatedAt = reader.Instant(8),
        LargestDirectories = JsonSerializer.Deserialize(reader.GetString(9), TicketJson.Default.IReadOnlyListDirectorySize)!,
    };
}
