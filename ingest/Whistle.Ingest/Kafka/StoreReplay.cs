using Confluent.Kafka;

using Microsoft.Extensions.Logging;

using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.State.Memory;
using Whistle.Telemetry;

namespace Whistle.Ingest.Kafka;

/// <summary>Reads again what the store did not get while it was down, beside what is read for the head.</summary>
sealed class StoreReplay(
    KafkaOptions options, RecordTaker taker, IngestMetrics metrics, HealthBoard health, TimeProvider time, ILogger logger)
{
    const string Subject = "replay";

    // Records that are on their way to the store together.
    const int AtOnce = 200;

    static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    public async Task RunAsync(Func<IReadOnlyList<PartitionReading>> readings, CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Every, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping))
            {
                foreach (var reading in readings())
                {
                    if (reading.Progress.FirstUnstored is { } range)
                        await Task.Run(() => ReplayAsync(reading, range, stopping), stopping);
                }
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
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
        catch (ConsumeException e)
        {
            logger.ReadingFailed(e.Error.Reason);
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
                next = null;
                break;
            }
        }

        try
        {
            await Task.WhenAll(tasks);
            return next;
        }
        catch (StoreException)
        {
            return null;
        }
    }

    void Lose(PartitionReading reading, OffsetRange range)
    {
        metrics.LostRecords.Inc(range.Until - range.From);
        health.Report(
            KafkaLog.Component, $"lost in partition {reading.Partition}", HealthState.Warning,
            $"Records {range.From} to {range.Until - 1} of partition {reading.Partition} were dropped by Kafka before the store took them: "
            + "their samples are missing. Let the topic keep more than the store's longest outage.");
        reading.Progress.Stored(range.Until);
    }
}
