namespace Whistle.Alerting.Deciding;

/// <summary>What alerting has settled on for one incident. All of them are kept, with the reason.</summary>
abstract record Decision(string Kind, string Text)
{
    /// <param name="Number">Rises with each page of the incident; the dedup_key ends in it.</param>
    public sealed record Page(int Number, string Severity, string Reason) : Decision("page", $"Page {Number} with severity {Severity}: {Reason}");

    public sealed record Resolve(int Number) : Decision("resolve", $"Page {Number} resolved: the incident closed.");

    /// <summary>Those who were paged learn that it is over.</summary>
    public sealed record Announce(int Pages, string Text) : Decision("announce", Text);

    public sealed record Change(Repair Repair) : Decision("change", $"Changed by {Repair.Runbook}: {Repair.Summary}");

    public sealed record OpenTicket(Repair Repair) : Decision("ticket", $"Ticket opened: {Repair.Summary}");

    public sealed record ResolveTicket() : Decision("ticket", "Ticket resolved: the incident closed.");

    public sealed record Digest(string Text) : Decision("digest", Text);

    /// <summary>A page is due and not sent.</summary>
    public sealed record Hold(string Reason) : Decision("hold", $"Page held: {Reason}");

    /// <summary>A page is due, and there is no channel to send it over.</summary>
    public sealed record Unpaged(string Severity, string Reason)
        : Decision("unpaged", $"Nobody was paged: a person would have been, with severity {Severity} ({Reason.TrimEnd('.')}), but no notification channel is configured. {NoChannel.Help}");
}

/// <summary>What was decided about an incident so far. Numbers and ids only ever grow, so that nothing is told twice.</summary>
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

    public string? PagedSeverity { get; init; }

    /// <summary>Nodes, members and causes that the pages of this round have told.</summary>
    public IReadOnlyList<string> PagedParties { get; init; } = [];

    /// <summary>The repair whose giving up has been paged.</summary>
    public string? PagedGiveUp { get; init; }

    /// <summary>The repair whose giving up has opened the ticket.</summary>
    public string? TicketedGiveUp { get; init; }

    /// <summary>The end of the acknowledgement last seen.</summary>
    public DateTimeOffset? AcknowledgedUntil { get; init; }

    /// <summary>Since when all its signals have been inhibited; null if they are not.</summary>
    public DateTimeOffset? HiddenSince { get; init; }

    /// <summary>How long that was so before, which the deadline does not count.</summary>
    public TimeSpan HiddenFor { get; init; }

    /// <summary>Repairs that have been told as changes.</summary>
    public IReadOnlyList<string> ToldRepairs { get; init; } = [];

    /// <summary>Why the page that is due is held, as last noted.</summary>
    public string? Held { get; init; }

    /// <summary>Since when a page has been due that no channel could carry; null where none is.</summary>
    public DateTimeOffset? UnpagedSince { get; init; }

    /// <summary>Closed, and nothing more is to be heard of it unless it returns.</summary>
    public bool Settled { get; init; }
}
