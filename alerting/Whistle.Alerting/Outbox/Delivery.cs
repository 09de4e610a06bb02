namespace Whistle.Alerting.Outbox;

/// <summary>How an attempt to deliver ended.</summary>
abstract record Delivery
{
    public sealed record Delivered : Delivery;

    /// <param name="NotTaken">The other side certainly does not have it: nothing reached it, or it said so.</param>
    /// <param name="After">The wait that it asked for.</param>
    /// <param name="OnlyThis">What it said concerns this notification; others need not wait.</param>
    /// <param name="Answered">The other side was there and answered.</param>
    public sealed record Retryable(string Reason, bool NotTaken = false, TimeSpan? After = null, bool OnlyThis = false, bool Answered = false) : Delivery;

    /// <summary>It can never succeed: kept, shown and counted.</summary>
    public sealed record Final(string Reason) : Delivery;
}

/// <summary>One notification on its way.</summary>
/// <param name="Key">The dedup_key, the change's id, or the Message-ID with the recipient: with the action, told once.</param>
/// <param name="Attempts">Those begun, so 1 at the first.</param>
sealed record OutboxRow(long Id, string Channel, string Key, string Action, string Payload, int Attempts);

/// <summary>A way out of the house.</summary>
interface INotifier : IDisposable
{
    string Channel { get; }

    /// <summary>Never throws for what the network, the other side or a file of secrets does.</summary>
    Task<Delivery> SendAsync(OutboxRow row, CancellationToken cancellation);
}
