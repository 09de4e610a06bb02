using System.Data.Common;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Alerting.Deciding;
using Whistle.Alerting.Outbox;
using Whistle.Detectors.Incidents;
using Whistle.State;

namespace Whistle.Alerting.Tickets;

/// <summary>How a person's change of a ticket ended; <paramref name="Refusal"/> is null where it was done.</summary>
public sealed record TicketChange(Ticket? Ticket, string? Refusal);

[JsonSerializable(typeof(IReadOnlyList<DirectorySize>))]
sealed partial class TicketJson : JsonSerializerContext;

/// <summary>Tickets with their timelines. An entry and the state that it tells of are written together.</summary>
public sealed class TicketStore
{
    internal const string Schema =
        """
        CREATE TABLE alerting_tickets (
            id INTEGER PRIMARY KEY AUTOINCREMENT, incident TEXT NOT NULL, tenant TEXT NOT NULL, cluster TEXT NOT NULL, title TEXT NOT NULL,
            severity TEXT NOT NULL, state TEXT NOT NULL, opened_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, directories TEXT NOT NULL);
        CREATE UNIQUE INDEX alerting_tickets_incident ON alerting_tickets (incident) WHERE state <> 'closed';
        CREATE TABLE alerting_ticket_entries (
            ticket INTEGER NOT NULL REFERENCES alerting_tickets (id), number INTEGER NOT NULL, at INTEGER NOT NULL, author TEXT NOT NULL,
            kind TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (ticket, number)) WITHOUT ROWID;
        """;

    const string Columns = "id, incident, tenant, cluster, title, severity, state, opened_at, updated_at, directories, id";
    const string Whistle = "whistle";

    static readonly RowReader Rows = new("alerting_tickets", "the ticket is not listed. Restore a backup with `whistle backup restore`, or stop the server and repair or delete the row.");
    static readonly RowReader Entries = new("alerting_ticket_entries", "the entry is not shown. Restore a backup with `whistle backup restore`, or stop the server and repair or delete the row.");

    /// <summary>Of the whole stage.</summary>
    public static StateSchema Tables => AlertingStore.Tables;

    readonly StateDatabase _database;
    readonly TimeProvider _time;

    public TicketStore(StateDatabase database, TimeProvider time)
    {
        _database = database;
        _time = time;
        AlertingStore.Migrate(database);
    }

    /// <summary>The latest first; of one state or incident where they are named.</summary>
    public IReadOnlyList<Ticket> List(TicketState? state = null, string? incident = null, int limit = 500)
    {
        using var connection = _database.Open();
        return Rows.Query(
            connection,
            $"""
            SELECT {Columns} FROM alerting_tickets
            WHERE (state = $state OR $state IS NULL) AND (incident = $incident OR $incident IS NULL) ORDER BY id DESC LIMIT $limit
            """,
            Read, ("$state", state is { } s ? TicketStates.Name(s) : null), ("$incident", incident), ("$limit", limit));
    }

    public Ticket? Find(long id)
    {
        using var connection = _database.Open();
        return Rows.Query(connection, $"SELECT {Columns} FROM alerting_tickets WHERE id = $id", Read, ("$id", id)).FirstOrDefault();
    }

    public IReadOnlyList<TicketEntry> Timeline(long id)
    {
        using var connection = _database.Open();
        return Entries.Query(
            connection,
            "SELECT number, at, author, kind, text, ticket || ' ' || number FROM alerting_ticket_entries WHERE ticket = $id ORDER BY number",
            r => new TicketEntry(r.GetInt32(0), r.Instant(1), r.GetString(2), r.GetString(3), r.GetString(4)),
            ("$id", id));
    }

    /// <summary>Moves a ticket on, with a remark of the person who does.</summary>
    public TicketChange Move(long id, TicketState to, string author, string? remark) => Change(id, (transaction, ticket) =>
    {
        if (TicketStates.Refusal(ticket.State, to) is { } refusal)
            return refusal;
        SetState(transaction, ticket, to, author, string.IsNullOrWhiteSpace(remark) ? $"{TicketStates.Name(ticket.State)} → {TicketStates.Name(to)}" : remark, _time.GetUtcNow());
        return null;
    });

    public TicketChange Comment(long id, string author, string text) => Change(id, (transaction, ticket) =>
    {
        if (ticket.State is TicketState.Closed)
            return "The ticket is closed and takes no comments. Open another one.";
        Append(transaction, id, author, "comment", text, _time.GetUtcNow());
        return null;
    });

    /// <summary>Opens a ticket, or opens the incident's own again. The entry is the one that tells of it.</summary>
    internal static (Ticket Ticket, TicketEntry Entry) Open(DbTransaction transaction, Incident incident, Repair repair, DateTimeOffset now)
    {
        var text = $"The repair by {repair.Runbook} gave up: {repair.Summary}";
        var directories = JsonSerializer.Serialize(repair.LargestDirectories, TicketJson.Default.IReadOnlyListDirectorySize);
        if (Current(transaction, incident.Id) is { } known)
        {
            transaction.Execute(
                "UPDATE alerting_tickets SET directories = $directories, severity = $severity WHERE id = $id",
                ("$directories", directories), ("$severity", incident.Severity), ("$id", known.Id));
            var state = known.State is TicketState.Resolved ? TicketState.Open : known.State;
            var entry = SetState(transaction, known, state, Whistle, text, now);
            return (Current(transaction, incident.Id)!, entry);
        }

        transaction.Execute(
            """
            INSERT INTO alerting_tickets (incident, tenant, cluster, title, severity, state, opened_at, updated_at, directories)
            VALUES ($incident, $tenant, $cluster, $title, $severity, 'open', $now, $now, $directories)
            """,
            ("$incident", incident.Id), ("$tenant", incident.Tenant), ("$cluster", incident.Cluster), ("$title", incident.Title),
            ("$severity", incident.Severity), ("$directories", directories), ("$now", now));
        var ticket = Current(transaction, incident.Id)!;
        return (ticket, Append(transaction, ticket.Id, Whistle, "opened", text, now));
    }

    /// <summary>Resolves the incident's ticket; null where a person has already.</summary>
    internal static (Ticket Ticket, TicketEntry Entry)? Resolve(DbTransaction transaction, string incident, DateTimeOffset now)
    {
        if (Current(transaction, incident) is not { State: not TicketState.Resolved } ticket)
            return null;
        var entry = SetState(transaction, ticket, TicketState.Resolved, Whistle, "The incident is closed: its signals are clear and stayed so.", now);
        return (ticket with { State = TicketState.Resolved }, entry);
    }

    TicketChange Change(long id, Func<DbTransaction, Ticket, string?> change)
    {
        using var connection = _database.Open();
        using var transaction = connection.BeginWrite();
        if (One(transaction, "id = $value", id) is not { } ticket)
            return new(null, $"There is no ticket {id}.");
        if (change(transaction, ticket) is { } refusal)
            return new(ticket, refusal);
        var after = One(transaction, "id = $value", id);
        transaction.Commit();
        return new(after, null);
    }

    static TicketEntry SetState(DbTransaction transaction, Ticket ticket, TicketState to, string author, string text, DateTimeOffset now)
    {
        transaction.Execute("UPDATE alerting_tickets SET state = $state WHERE id = $id", ("$state", TicketStates.Name(to)), ("$id", ticket.Id));
        return Append(transaction, ticket.Id, author, "state", text, now);
    }

    static TicketEntry Append(DbTransaction transaction, long ticket, string author, string kind, string text, DateTimeOffset now)
    {
        var number = transaction.Number("SELECT coalesce(max(number), 0) + 1 FROM alerting_ticket_entries WHERE ticket = $ticket", ("$ticket", ticket))!.Value;
        transaction.Execute(
            "INSERT INTO alerting_ticket_entries VALUES ($ticket, $number, $now, $author, $kind, $text)",
            ("$ticket", ticket), ("$number", number), ("$now", now), ("$author", author), ("$kind", kind), ("$text", text));
        transaction.Execute("UPDATE alerting_tickets SET updated_at = $now WHERE id = $ticket", ("$now", now), ("$ticket", ticket));
        return new((int)number, now, author, kind, text);
    }

    static Ticket? Current(DbTransaction transaction, string incident) => One(transaction, "incident = $value AND state <> 'closed'", incident);

    static Ticket? One(DbTransaction transaction, string condition, object value) =>
        transaction.Query($"SELECT {Columns} FROM alerting_tickets WHERE {condition}", Read, ("$value", value)).FirstOrDefault();

    static Ticket Read(DbDataReader reader) => new()
    {
        Id = reader.GetInt64(0),
        Incident = reader.GetString(1),
        Tenant = reader.GetString(2),
        Cluster = reader.GetString(3),
        Title = reader.GetString(4),
        Severity = reader.GetString(5),
        State = TicketStates.Find(reader.GetString(6)) ?? throw new InvalidDataException($"The ticket {reader.GetInt64(0)} has the unknown state {reader.GetString(6)}."),
        OpenedAt = reader.Instant(7),
        UpdatedAt = reader.Instant(8),
        LargestDirectories = JsonSerializer.Deserialize(reader.GetString(9), TicketJson.Default.IReadOnlyListDirectorySize)!,
    };
}
