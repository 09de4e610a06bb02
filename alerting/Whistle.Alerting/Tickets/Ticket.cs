using System.Text.Json.Serialization;

using Whistle.Alerting.Deciding;
using Whistle.Inventory;

namespace Whistle.Alerting.Tickets;

[JsonConverter(typeof(JsonStringEnumConverter<TicketState>))]
public enum TicketState
{
    [JsonStringEnumMemberName("open")]
    Open,

    [JsonStringEnumMemberName("waiting-on-customer")]
    WaitingOnCustomer,

    [JsonStringEnumMemberName("in-progress")]
    InProgress,

    [JsonStringEnumMemberName("resolved")]
    Resolved,

    [JsonStringEnumMemberName("closed")]
    Closed,
}

/// <summary>Work for a person that a repair could not do.</summary>
public sealed record Ticket
{
    public required long Id { get; init; }

    public required string Incident { get; init; }

    public required string Tenant { get; init; }

    public required string Cluster { get; init; }

    [JsonIgnore]
    public ClusterId ClusterId => new(Tenant, Cluster);

    public required string Title { get; init; }

    public required string Severity { get; init; }

    public required TicketState State { get; init; }

    public required DateTimeOffset OpenedAt { get; init; }

    public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>As measured when the repair gave up, the largest first.</summary>
    public IReadOnlyList<DirectorySize> LargestDirectories { get; init; } = [];
}

[JsonConverter(typeof(JsonStringEnumConverter<TicketEntryKind>))]
public enum TicketEntryKind
{
    [JsonStringEnumMemberName("opened")]
    Opened,

    /// <summary>The state changed.</summary>
    [JsonStringEnumMemberName("state")]
    State,

    [JsonStringEnumMemberName("comment")]
    Comment,
}

/// <summary>One line of a ticket's timeline, never edited.</summary>
public sealed record TicketEntry(int Number, DateTimeOffset At, string Author, TicketEntryKind Kind, string Text);

/// <summary>States by their names at the borders, and which may follow which.</summary>
public static class TicketStates
{
    static readonly (TicketState State, string Name, TicketState[] Next)[] All =
    [
        (TicketState.Open, "open", [TicketState.WaitingOnCustomer, TicketState.InProgress, TicketState.Resolved, TicketState.Closed]),
        (
            TicketState.WaitingOnCustomer, "waiting-on-customer",
            [TicketState.Open, TicketState.InProgress, TicketState.Resolved, TicketState.Closed]),
        (TicketState.InProgress, "in-progress", [TicketState.WaitingOnCustomer, TicketState.Resolved, TicketState.Closed]),
        (TicketState.Resolved, "resolved", [TicketState.Open, TicketState.InProgress, TicketState.Closed]),
        (TicketState.Closed, "closed", []),
    ];

    public static string Names => string.Join(", ", All.Select(s => s.Name));

    public static string Name(TicketState state) => All.Single(s => s.State == state).Name;

    public static TicketState? Find(string name) => All.Where(s => s.Name == name).Select(s => (TicketState?)s.State).FirstOrDefault();

    /// <summary>Why a ticket cannot go from one state to the other; null where it can.</summary>
    public static string? Refusal(TicketState from, TicketState to)
    {
        var next = All.Single(s => s.State == from).Next;
        if (next.Contains(to))
            return null;
        return next.Length == 0
            ? $"The ticket is {Name(from)}, which is its end. Open another one."
            : $"A ticket that is {Name(from)} cannot become {Name(to)}, only {string.Join(", ", next.Select(Name))}.";
    }
}
