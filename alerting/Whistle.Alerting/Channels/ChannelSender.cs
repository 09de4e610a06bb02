using Microsoft.Extensions.Logging;

using Whistle.Alerting.Outbox;
using Whistle.State.Health;

namespace Whistle.Alerting.Channels;

/// <summary>Sends what waits for one channel in order, as fast as its rate allows.</summary>
/// <param name="persisted">Called after each step is durable.</param>
sealed class ChannelSender(
    OutboxStore store, IChannel channel, SendRate rate, AlertingMetrics metrics, HealthBoard health, TimeProvider time, ILogger logger,
    Action persisted) : IDisposable
{
    public const string Component = "outbox";

    // What the channel does not take; whether the outbox can be read has the channel itself as its subject.
    readonly string _undelivered = $"{channel.Name} delivery";
    readonly string _refused = $"{channel.Name} refusals";

    // A message that was refused this often, while one behind it is taken, is itself what is wrong.
    const int Doubtful = 10;

    // What is about no incident, such as a digest, is never settled.
    static readonly TimeSpan RefusalsStay = TimeSpan.FromHours(24);

    public IChannel Channel => channel;

    public async Task DrainAsync(CancellationToken cancellation)
    {
        while (await store.NextAsync(channel.Name, time.GetUtcNow(), cancellation: cancellation) is { } row && rate.TryCall())
        {
            if (await AttemptAsync(row, cancellation) is not Delivery.Retryable { OnlyThis: false } failure)
                continue;
            if (!failure.Answered || row.Attempts < Doubtful || !await PassesAsync(row, cancellation))
            {
                rate.Failed(failure.After);
                break;
            }

            await store.SetAsideAsync(row, time.GetUtcNow() + SendRate.LongestWait, cancellation);
        }

        metrics.Pending.WithLabels(channel.Name).Set(await store.PendingAsync(channel.Name, cancellation));
        await ReportRefusalsAsync(cancellation);
    }

    public void Dispose() => channel.Dispose();

    async Task<bool> PassesAsync(OutboxRow blocked, CancellationToken cancellation) =>
        await store.NextAsync(channel.Name, time.GetUtcNow(), blocked.Id, cancellation) is { } other && rate.TryCall()
        && await AttemptAsync(other, cancellation) is not Delivery.Retryable { OnlyThis: false };

    async Task<Delivery?> AttemptAsync(OutboxRow row, CancellationToken cancellation)
    {
        if (await store.BeginAsync(row, cancellation) is not { } maybeBefore)
            return null;
        persisted();
        var start = time.GetTimestamp();
        var delivery = await SendAsync(row, cancellation);
        metrics.Duration.WithLabels(channel.Name).Observe(time.GetElapsedTime(start).TotalSeconds);
        persisted();
        var now = time.GetUtcNow();
        DateTimeOffset? notBefore = delivery is Delivery.Retryable { OnlyThis: true } ? now + rate.WaitAfter(row.Attempts) : null;
        await store.EndAsync(row, delivery, maybeBefore, notBefore, now, cancellation);
        persisted();
        Count(row, delivery);
        return delivery;
    }

    async Task<Delivery> SendAsync(OutboxRow row, CancellationToken cancellation)
    {
        try
        {
            return await channel.SendAsync(row, cancellation);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            logger.SendFailed(e, channel.Name, row.Id);
            return new Delivery.Retryable(e.Message, Answered: true);
        }
    }

    // The fault is outside, so this process has not failed; but nobody is notified.
    void ReportHealth(OutboxRow row, Delivery delivery)
    {
        if (delivery is Delivery.Retryable retryable)
        {
            health.Report(
                Component, _undelivered, HealthState.Degraded,
                $"{channel.Name} does not take {row.Action} {row.Key}, and is tried again: {retryable.Reason}");
        }
        else
            health.Clear(Component, _undelivered);
    }

    // From the state, so that neither a restart nor what is delivered after it hides that somebody was not notified.
    async Task ReportRefusalsAsync(CancellationToken cancellation)
    {
        var refused = await store.RefusedAsync(channel.Name, time.GetUtcNow() - RefusalsStay, cancellation);
        if (refused is [var (action, key, reason), ..])
        {
            var others = refused.Count == 1 ? "" : $" and {refused.Count - 1} more";
            health.Report(
                Component, _refused, HealthState.Degraded,
                $"{channel.Name} refused {action} {key}{others} for good: {reason} Nobody was notified over this channel.");
        }
        else
            health.Clear(Component, _refused);
    }

    void Count(OutboxRow row, Delivery delivery)
    {
        var result = delivery switch
        {
            Delivery.Delivered => "delivered",
            Delivery.Final => "failed",
            _ => "retried",
        };
        metrics.Deliveries.WithLabels(channel.Name, result).Inc();
        ReportHealth(row, delivery);
        if (delivery is Delivery.Delivered or Delivery.Retryable { OnlyThis: true })
            rate.Succeeded();
        if (delivery is Delivery.Final final)
        {
            rate.Succeeded();
            logger.NotificationRefused(row.Channel, row.Action, row.Key, final.Reason);
        }
        else if (delivery is Delivery.Retryable retryable)
            logger.NotificationDelayed(row.Channel, row.Action, row.Key, row.Attempts, retryable.Reason);
    }
}
