using Whistle.Alerting.Deciding;
using Whistle.Alerting.Outbox;
using Whistle.Alerting.Tickets;
using Whistle.Incidents;

namespace Whistle.Alerting.Channels;

/// <summary>What a channel may have something to send about.</summary>
abstract record AlertEvent
{
    /// <summary>A page is due.</summary>
    public sealed record Paged(IncidentView View, Decision.Page Page) : AlertEvent;

    /// <summary>The incident of a page has closed. One for each page of the incident.</summary>
    public sealed record PageResolved(Incident Incident, int Number) : AlertEvent;

    /// <summary>An incident that was paged for has closed. One for all its pages.</summary>
    /// <param name="Pages">How many there were.</param>
    public sealed record IncidentClosed(Incident Incident, int Pages, string Text) : AlertEvent;

    /// <summary>A repair has changed something, or may have.</summary>
    public sealed record Changed(IncidentView View, Repair Repair) : AlertEvent;

    /// <param name="Entry">What happened to the ticket; the first entry has the number 1.</param>
    public sealed record TicketUpdated(Ticket Ticket, TicketEntry Entry) : AlertEvent;

    /// <summary>Incidents that needed nobody.</summary>
    /// <param name="First">The number of the first line, which no other digest has.</param>
    public sealed record Digest(long First, IReadOnlyList<string> Lines) : AlertEvent;
}

/// <param name="Now">The instant of the decision.</param>
/// <param name="Generation">
/// Appended to ids that must differ from those that were given before the state was restored from a backup; empty where it never was.
/// </param>
sealed record ComposeContext(DateTimeOffset Now, string Generation);

/// <summary>A way to notify people, or a program that does.</summary>
interface IChannel : IDisposable
{
    /// <summary>Stored with every message, so it never changes. Also what the health board and the metrics call the channel.</summary>
    string Name { get; }

    int CallsPerMinute { get; }

    /// <summary>Whether it sends digests. The lines wait while no channel does.</summary>
    bool SendsDigests { get; }

    /// <summary>
    /// The messages about an event, without secrets; none where the channel has nothing to say. Composing again gives the same keys.
    /// </summary>
    IEnumerable<OutboxMessage> Compose(AlertEvent alert, ComposeContext context);

    /// <summary>Sends one message. Never throws for what the network, the other side or a file of secrets does.</summary>
    Task<Delivery> SendAsync(OutboxRow row, CancellationToken cancellation);
}
