using System.Text.Json.Serialization;

using Whistle.Incidents;

namespace Whistle.Alerting.Deciding;

enum DecisionKind
{
    Page,
    Resolve,
    Announce,
    Change,
    Ticket,
    Digest,
    Hold,
    Unpaged,
}

static class DecisionKinds
{
    /// <summary>How the incident's timeline names it.</summary>
    public static TimelineKind OnTimeline(this DecisionKind kind) => kind switch
    {
        DecisionKind.Page => TimelineKind.Page,
        DecisionKind.Resolve => TimelineKind.Resolve,
        DecisionKind.Announce => TimelineKind.Announce,
        DecisionKind.Change => TimelineKind.Change,
        DecisionKind.Ticket => TimelineKind.Ticket,
        DecisionKind.Digest => TimelineKind.Digest,
        DecisionKind.Hold => TimelineKind.Hold,
        DecisionKind.Unpaged => TimelineKind.Unpaged,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, null),
    };
}

/// <summary>What alerting has decided about one incident. Every decision is kept, with its reason.</summary>
/// <param name="Text">For the incident's timeline.</param>
abstract record Decision(DecisionKind Kind, string Text)
{
    /// <param name="Number">Rises with each page of the incident; the dedup_key ends in it.</param>
    public sealed record Page(int Number, Severity Severity, PageReason Reason)
        : Decision(DecisionKind.Page, $"Page {Number} with severity {Severity.Name()}: {Reason.Text}");

    public sealed record Resolve(int Number) : Decision(DecisionKind.Resolve, $"Page {Number} resolved: the incident closed.");

    /// <summary>Those who were paged learn that it is over.</summary>
    public sealed record Announce(int Pages, string Text) : Decision(DecisionKind.Announce, Text);

    public sealed record Change(Repair Repair) : Decision(DecisionKind.Change, $"Changed by {Repair.Runbook}: {Repair.Summary}");

    public sealed record OpenTicket(Repair Repair) : Decision(DecisionKind.Ticket, $"Ticket opened: {Repair.Summary}");

    public sealed record ResolveTicket() : Decision(DecisionKind.Ticket, "Ticket resolved: the incident closed.");

    public sealed record Digest(string Text) : Decision(DecisionKind.Digest, Text);

    /// <summary>A page is due and not sent.</summary>
    public sealed record Hold(HoldReason Reason) : Decision(DecisionKind.Hold, $"Page held: {Reason.Text}");

    /// <summary>A page is due, and there is no channel to send it over.</summary>
    public sealed record Unpaged(Severity Severity, PageReason Reason) : Decision(
        DecisionKind.Unpaged,
        $"Nobody was paged: a person would have been, with severity {Severity.Name()} ({Reason.Text.TrimEnd('.')}), "
        + $"but no notification channel is configured. {NoChannel.Help}");
}

/// <summary>What was decided about an incident so far. Numbers and ids only ever grow, so that nothing is sent twice.</summary>
/// <remarks>The state keeps it as JSON: a property that was renamed keeps its stored name.</remarks>
sealed record AlertState
{
    public static readonly AlertState New = new();

    /// <summary>Since when the deadline runs: the opening, or the latest return. Null before the first look.</summary>
    public DateTimeOffset? Since { get; init; }

    public bool Closed { get; init; }

    /// <summary>The number of the last page.</summary>
    public int Pages { get; init; }

    /// <summary>Pages that are not resolved.</summary>
    public IReadOnlyList<int> OpenPages { get; init; } = [];

    public DateTimeOffset? PagedAt { get; init; }

    public Severity? PagedSeverity { get; init; }

    /// <summary>Nodes, members and causes that the pages of this round have named.</summary>
    [JsonPropertyName("PagedParties")]
    public IReadOnlyList<string> PagedScope { get; init; } = [];

    /// <summary>The repair whose giving up was paged.</summary>
    [JsonPropertyName("PagedGiveUp")]
    public string? PagedRepair { get; init; }

    /// <summary>The repair whose giving up opened the ticket.</summary>
    [JsonPropertyName("TicketedGiveUp")]
    public string? TicketedRepair { get; init; }

    /// <summary>The end of the acknowledgement last seen.</summary>
    public DateTimeOffset? AcknowledgedUntil { get; init; }

    /// <summary>Since when all its signals have been inhibited; null if they are not.</summary>
    [JsonPropertyName("HiddenSince")]
    public DateTimeOffset? InhibitedSince { get; init; }

    /// <summary>How long that was so before, which the deadline does not count.</summary>
    [JsonPropertyName("HiddenFor")]
    public TimeSpan InhibitedFor { get; init; }

    /// <summary>Repairs that were reported as changes.</summary>
    [JsonPropertyName("ToldRepairs")]
    public IReadOnlyList<string> ReportedRepairs { get; init; } = [];

    /// <summary>Why the page that is due is held, as last noted.</summary>
    public string? Held { get; init; }

    /// <summary>Since when a page has been due that no channel could carry; null where none is.</summary>
    public DateTimeOffset? UnpagedSince { get; init; }

    /// <summary>Closed, and nothing more follows unless it returns.</summary>
    public bool Settled { get; init; }
}
