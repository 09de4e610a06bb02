namespace Whistle.Alerting.Outbox;

/// <summary>One message as a channel composes it.</summary>
/// <param name="Key">
/// With the action it is unique within the channel, and the same however often the same is composed: what is in the outbox already is not
/// added again.
/// </param>
/// <param name="Action">The channel's own word for what the message does.</param>
/// <param name="Incident">Null where it is about several.</param>
/// <param name="Payload">What is sent, without secrets: the outbox is in the state and in its backups.</param>
/// <param name="Ends">
/// The action that this message ends under its key, as a resolve ends a trigger. If that is still waiting it is not sent any more; if the
/// other side cannot have it, this message is not sent either.
/// </param>
sealed record OutboxMessage(string Key, string Action, string? Incident, string Payload, string? Ends = null);

/// <summary>One message that is to be sent.</summary>
/// <param name="Attempts">Those begun, so 1 at the first.</param>
sealed record OutboxRow(long Id, string Channel, string Key, string Action, string Payload, int Attempts);

/// <summary>How an attempt to deliver ended.</summary>
abstract record Delivery
{
    public sealed record Delivered : Delivery;

    /// <param name="NotTaken">The other side certainly does not have it: nothing reached it, or it said so.</param>
    /// <param name="After">The wait that it asked for.</param>
    /// <param name="OnlyThis">What it said concerns this message; others need not wait.</param>
    /// <param name="Answered">The other side was there and answered.</param>
    public sealed record Retryable(
        string Reason, bool NotTaken = false, TimeSpan? After = null, bool OnlyThis = false, bool Answered = false) : Delivery;

    /// <summary>It can never succeed: kept, shown and counted.</summary>
    public sealed record Final(string Reason) : Delivery;
}

enum NotificationState
{
    Pending,
    Sent,

    /// <summary>Refused for good.</summary>
    Failed,

    /// <summary>Ended before it was sent.</summary>
    Overtaken,
}

/// <summary>A message of the outbox as people see it.</summary>
sealed record Notification(
    long Id, string Channel, string Key, string Action, string? Incident, NotificationState State, int Attempts, DateTimeOffset CreatedAt,
    DateTimeOffset? EndedAt, string? Reason);
