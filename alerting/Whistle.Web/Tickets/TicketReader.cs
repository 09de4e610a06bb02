using Whistle.Alerting;
using Whistle.Alerting.Tickets;
using Whistle.Web.Live;

namespace Whistle.Web.Tickets;

/// <summary>A ticket with its timeline, the oldest entry first.</summary>
public sealed record TicketStory(Ticket Ticket, IReadOnlyList<TicketEntry> Timeline);

/// <summary>Reads a ticket's story, once a snapshot for all who look at it.</summary>
sealed class TicketReader(AlertingHost alerting)
{
    readonly SharedReads<long, TicketStory?> _stories = new();

    /// <summary>Null where there is no such ticket.</summary>
    public Task<TicketStory?> ReadAsync(FleetSnapshot snapshot, long id) => _stories.GetAsync(id, snapshot.Version, () => Task.FromResult(
        (snapshot.Tickets.FirstOrDefault(t => t.Id == id) ?? alerting.Tickets.Find(id)) is { } ticket ? new TicketStory(ticket, alerting.Tickets.Timeline(id)) : null));
}
