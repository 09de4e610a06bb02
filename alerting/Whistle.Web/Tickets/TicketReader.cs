using Whistle.Alerting;
using Whistle.Alerting.Tickets;
using Whistle.Web.Live;

namespace Whistle.Web.Tickets;

/// <summary>A ticket with its timeline, the oldest entry first.</summary>
sealed record TicketStory(Ticket Ticket, IReadOnlyList<TicketEntry> Timeline);

/// <summary>Reads a ticket's story, once a snapshot for all who look at it.</summary>
sealed class TicketReader(AlertingHost alerting)
{
    readonly SharedReads<long, TicketStory?> _stories = new();

    /// <summary>Null where there is no such ticket, or the viewer may not see it.</summary>
    public async Task<TicketStory?> ReadAsync(FleetSnapshot snapshot, long id) =>
        await _stories.GetAsync(id, snapshot.Version, () => ReadAsync(snapshot.All, id, CancellationToken.None)) is { } story
            && snapshot.Rights.Sees(story.Ticket.ClusterId) ? story : null;

    async Task<TicketStory?> ReadAsync(FleetSnapshot snapshot, long id, CancellationToken cancellation) =>
        (snapshot.Tickets.FirstOrDefault(t => t.Id == id) ?? await alerting.Tickets.FindAsync(id, cancellation)) is { } ticket
            ? new TicketStory(ticket, await alerting.Tickets.TimelineAsync(id, cancellation)) : null;
}
