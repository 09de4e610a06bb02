using Confluent.Kafka;

using Microsoft.Extensions.Logging;

using Whistle.Ingest.Logs;
using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.State.Memory;
using Whistle.Telemetry;

namespace Whistle.Ingest.Kafka;

/// <summary>Reads again what the store did not get while it was down, beside what is read for the head.</summary>
sealed class StoreReplay(
    KafkaOptions options, RecordTaker taker, TelemetryLog log, IngestMetrics metrics, HealthBoard health, TimeProvider time, ILogger logger)
{
    const string Subject = "replay";

    // Records that are on their way to the store together.
    const int AtOnce = 200;

    static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    long _triedAt;

    public async Task RunAsync(Func<IReadOnlyList<PartitionReading>> readings, CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Every, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping))
            {
                foreach (var reading in readings())
                {
                    if (reading.Progress.FirstUnstored is { } range && MayTry())
                        await Task.Run(() => TryAsync(reading, range, stopping), stopping);
                }
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
        }
    }

    // While the store takes nothing, what is read again is read in vain.
    bool MayTry()
    {
        if (log.IsFailing && TimeProvider.System.GetElapsedTime(_triedAt) < Patience)
            return false;
        _triedAt = TimeProvider.System.GetTimestamp();
        return true;
    }

    async Task TryAsync(PartitionReading reading, OffsetRange range, CancellationToken stopping)
    {
        try
        {
            await ReplayAsync(reading, range, stopping);
        }
        catch (Exception e) when (!stopping.IsCancellationRequested)
        {
            logger.ReadingFailed(e.Message);
            health.Failing(
                KafkaLog.Component, Subject,
                $"What the store lacks of partition {reading.Partition} cannot be read again, and waits in Kafka: {e.Message}");
        }
    }

    async Task ReplayAsync(PartitionReading reading, OffsetRange range, CancellationToken stopping)
    {
        try
        {
            using var consumer = new ConsumerBuilder<byte[], byte[]>(options.ForReplay()).SetLogHandler((_, _) => { }).Build();
            consumer.Assign(new TopicPartitionOffset(options.Topic, reading.Partition, range.From));
            var stored = range.From;
            while (stored < range.Until && !stopping.IsCancellationRequested && !reading.Ended.IsCancellationRequested)
            {
                if (await NextAsync(consumer, range.Until) is not { } next)
                    return;
                reading.Progress.Stored(stored = next);
            }

            logger.Replayed(reading.Partition, stored - range.From);
            health.Clear(KafkaLog.Component, Subject);
        }
        catch (ConsumeException e) when (e.Error.Code is ErrorCode.OffsetOutOfRange or ErrorCode.Local_AutoOffsetReset)
        {
            Lose(reading, range);
        }
    }

    /// <returns>The first offset that is not stored; null where the store takes nothing still, or the log gives nothing.</returns>
    async Task<long?> NextAsync(IConsumer<byte[], byte[]> consumer, long until)
    {
        var (next, tasks) = (default(long?), new List<Task<Logs.AppendResult>>());
        while (tasks.Count < AtOnce && (next ?? 0) < until)
        {
            if (consumer.Consume(Patience) is not { Message: not null } record)
                break;
            next = record.Offset.Value + 1;
            try
            {
                tasks.Add(taker.TakeAsync(record.Message, isReplay: true));
            }
            catch (Exception e) when (e is FormatException or RemoteWriteException)
            {
                // It is among the dead letters since it was read first.
            }
            catch (Exception e) when (e is StoreException or BusyException)
            {
                // Of what was taken before it the store gets its part.
                next = tasks.Count > 0 ? record.Offset.Value : null;
                break;
            }
        }

        try
        {
            await Task.WhenAll(tasks);
            return next;
        }
        catch (Exception e) when (e is StoreException or BusyException)
        {
            return null;
        }
    }

    void Lose(PartitionReading reading, OffsetRange range)
    {
        using var consumer = new ConsumerBuilder<byte[], byte[]>(options.ForReplay()).SetLogHandler((_, _) => { }).Build();
        var first = consumer.QueryWatermarkOffsets(new(options.Topic, reading.Partition), Patience).Low.Value;
        if (first <= range.From)
            return;
        var until = Math.Min(first, range.Until);
        metrics.LostRecords.Inc(until - range.From);
        health.Report(
            KafkaLog.Component, $"lost in partition {reading.Partition}", HealthState.Warning,
            $"Records {range.From} to {until - 1} of partition {reading.Partition} were dropped by Kafka before the store took them: "
            + "their samples are missing. Let the topic keep more than the store's longest outage.");
        reading.Progress.Stored(until);
    }
}
