using Microsoft.Extensions.Logging;

using Whistle.State.Health;

namespace Whistle.Alerting.Outbox;

/// <summary>Empties one channel of the outbox in order, as fast as its pace allows.</summary>
sealed class OutboxSender(
    OutboxStore store, INotifier notifier, Pace pace, AlertingMetrics metrics, HealthBoard health, TimeProvider time, ILogger logger, Action<string> persisted) : IDisposable
{
    public const string Component = "outbox";

    // What a channel does not take; the subject of the channel itself is whether the outbox can be read.
    readonly string _undelivered = $"{notifier.Channel} delivery";

    // A notification that was refused this often, while one behind it is taken, is itself what is wrong.
    const int Doubtful = 10;

    public async Task DrainAsync(CancellationToken cancellation)
    {
        while (await store.NextAsync(notifier.Channel, time.GetUtcNow(), cancellation: cancellation) is { } row && pace.TryCall())
        {
            if (await AttemptAsync(row, cancellation) is not Delivery.Retryable { OnlyThis: false } failure)
                continue;
            if (!failure.Answered || row.Attempts < Doubtful || !await PassesAsync(row, cancellation))
            {
                pace.Failed(failure.After);
                break;
            }

            await store.SetAsideAsync(row, time.GetUtcNow() + Pace.LongestWait, cancellation);
        }

        metrics.Pending.WithLabels(notifier.Channel).Set(await store.PendingAsync(notifier.Channel, cancellation));
    }

    public void Dispose() => notifier.Dispose();

    async Task<bool> PassesAsync(OutboxRow blocked, CancellationToken cancellation) =>
        await store.NextAsync(notifier.Channel, time.GetUtcNow(), blocked.Id, cancellation) is { } other && pace.TryCall()
        && await AttemptAsync(other, cancellation) is not Delivery.Retryable { OnlyThis: false };

    async Task<Delivery?> AttemptAsync(OutboxRow row, CancellationToken cancellation)
    {
        if (await store.BeginAsync(row, cancellation) is not { } maybeBefore)
            return null;
        persisted("begun");
        var start = time.GetTimestamp();
        var delivery = await SendAsync(row, cancellation);
        metrics.Duration.WithLabels(notifier.Channel).Observe(time.GetElapsedTime(start).TotalSeconds);
        persisted("told");
        var now = time.GetUtcNow();
        DateTimeOffset? notBefore = delivery is Delivery.Retryable { OnlyThis: true } ? now + pace.WaitAfter(row.Attempts) : null;
        await store.EndAsync(row, delivery, maybeBefore, notBefore, now, cancellation);
        persisted("ended");
        Count(row, delivery);
        return delivery;
    }

    async Task<Delivery> SendAsync(OutboxRow row, CancellationToken cancellation)
    {
        try
        {
            return await notifier.SendAsync(row, cancellation);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            logger.SendFailed(e, notifier.Channel, row.Id);
            return new Delivery.Retryable(e.Message, Answered: true);
        }
    }

    // Outside, so not a failure of this process; but whoever is to be told does not hear.
    void ReportHealth(OutboxRow row, Delivery delivery)
    {
        var reason = delivery switch
        {
            Delivery.Final final => $"{notifier.Channel} refused {row.Action} {row.Key} for good: {final.Reason} Nobody was notified over this channel.",
            Delivery.Retryable retryable => $"{notifier.Channel} does not take {row.Action} {row.Key}, and is tried again: {retryable.Reason}",
            _ => null,
        };
        if (reason is null)
            health.Clear(Component, _undelivered);
        else
            health.Report(Component, _undelivered, HealthState.Degraded, reason);
    }

    void Count(OutboxRow row, Delivery delivery)
    {
        var result = delivery switch
        {
            Delivery.Delivered => "delivered",
            Delivery.Final => "failed",
            _ => "retried",
        };
        metrics.Deliveries.WithLabels(notifier.Channel, result).Inc();
        ReportHealth(row, delivery);
        if (delivery is Delivery.Delivered or Delivery.Retryable { OnlyThis: true })
            pace.Succeeded();
        if (delivery is Delivery.Final final)
        {
            pace.Succeeded();
            logger.NotificationRefused(row.Channel, row.Action, row.Key, final.Reason);
        }
        else if (delivery is Delivery.Retryable retryable)
            logger.NotificationDelayed(row.Channel, row.Action, row.Key, row.Attempts, retryable.Reason);
    }
}
