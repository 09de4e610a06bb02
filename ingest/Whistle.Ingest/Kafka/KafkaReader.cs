using Confluent.Kafka;

using Microsoft.Extensions.Logging;

using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.State.Memory;
using Whistle.Telemetry;

namespace Whistle.Ingest.Kafka;

/// <summary>
/// Reads the partitions that the group gives this process, in their order, into store and head. An offset is committed once the store has
/// everything before it, so that what a process took with it when it died is read again.
/// </summary>
/// <remarks>All of the consumer's calls, the group's among them, come from the one thread of <see cref="Run"/>.</remarks>
sealed class KafkaReader(
    KafkaOptions options, RecordTaker taker, PartitionHead heads, DeadLetters letters, IngestMetrics metrics, HealthBoard health,
    ILogger logger)
{
    const string Subject = "consumer";

    // Records of a partition on their way to the store, before it is paused; and until it goes on.
    const int MostInFlight = 2_000;
    const int FewInFlight = 500;

    static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(100);
    static readonly TimeSpan SteerEvery = TimeSpan.FromMilliseconds(50);
    static readonly TimeSpan HoldFor = TimeSpan.FromSeconds(1);
    static readonly TimeSpan DrainFor = TimeSpan.FromSeconds(5);
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    static readonly TimeSpan Fresh = TimeSpan.FromSeconds(10);

    readonly Lock _lock = new();
    readonly Dictionary<int, PartitionReading> _readings = [];
    // What is still on its way of partitions that were given away: they are not read again before.
    readonly Dictionary<int, Task> _leaving = [];
    CancellationToken _stopping;
    long _steeredAt;

    /// <summary>What is read now.</summary>
    public IReadOnlyList<PartitionReading> Readings
    {
        get
        {
            lock (_lock)
                return [.. _readings.Values];
        }
    }

    /// <summary>Reads until it is stopped; then waits for what is on its way, commits, and leaves the group.</summary>
    public void Run(CancellationToken stopping)
    {
        _stopping = stopping;
        using var consumer = new ConsumerBuilder<byte[], byte[]>(options.ForGroup())
            .SetErrorHandler((_, error) => Hear(error)).SetLogHandler((_, line) => logger.KafkaSaid(line.Facility, line.Message))
            .SetPartitionsAssignedHandler((_, partitions) => Begin(partitions))
            .SetPartitionsRevokedHandler((c, partitions) => End(c, [.. partitions.Select(p => p.TopicPartition)], isLost: false))
            .SetPartitionsLostHandler((c, partitions) => End(c, [.. partitions.Select(p => p.TopicPartition)], isLost: true))
            .Build();
        consumer.Subscribe(options.Topic);
        try
        {
            while (!stopping.IsCancellationRequested)
                Step(consumer);
        }
        finally
        {
            // Revokes all, whereupon it is drained and committed.
            consumer.Close();
        }
    }

    void Step(IConsumer<byte[], byte[]> consumer)
    {
        try
        {
            Steer(consumer);
            if (consumer.Consume(Poll) is { Message: not null } record)
                Take(record);
        }
        catch (KafkaException e)
        {
            // Around a rebalance calls about a partition can fail; the next turn is about what is read then.
            Report(e.Error);
            _stopping.WaitHandle.WaitOne(HoldFor);
        }
    }

    void Take(ConsumeResult<byte[], byte[]> record)
    {
        health.Clear(KafkaLog.Component, Subject);
        if (!_readings.TryGetValue(record.Partition.Value, out var reading) || record.Offset.Value <= reading.LastTaken)
            return;
        // What comes after a record that was held is held too: all of it is read again from there.
        if (!reading.IsReady || reading.HeldAt is not null)
        {
            reading.HeldAt ??= record.Offset.Value;
            return;
        }

        Task<bool> stored;
        try
        {
            stored = StoredAsync(taker.TakeAsync(record.Message));
        }
        catch (Exception e) when (e is FormatException or RemoteWriteException)
        {
            stored = letters.AddAsync(record, e.Message, reading.Ended);
        }
        catch (Exception e) when (e is StoreException or BusyException)
        {
            logger.ReadingFailed(e.Message);
            health.Failing(
                KafkaLog.Component, Subject, $"Partition {reading.Partition} is not read for now, and what is in it waits: {e.Message}");
            reading.Hold(record.Offset.Value, HoldFor);
            return;
        }

        metrics.LogRecords.Inc();
        reading.LastTaken = record.Offset.Value;
        reading.LastTimestamp = record.Message.Timestamp.UtcDateTime;
        reading.Progress.Add(record.Offset.Value, stored);
    }

    // Whatever went wrong, the store does not have it, and it is read again.
    async Task<bool> StoredAsync(Task<Logs.AppendResult> append)
    {
        try
        {
            return !(await append).IsUnstored;
        }
        catch (Exception e)
        {
            if (e is not StoreException)
                logger.ReadingFailed(e.Message);
            return false;
        }
    }

    void Steer(IConsumer<byte[], byte[]> consumer)
    {
        if (TimeProvider.System.GetElapsedTime(_steeredAt) < SteerEvery)
            return;
        _steeredAt = TimeProvider.System.GetTimestamp();
        foreach (var reading in _readings.Values)
        {
            reading.ThrowIfFailed();
            Steer(consumer, reading);
            StoreOffset(consumer, reading);
        }
    }

    void Steer(IConsumer<byte[], byte[]> consumer, PartitionReading reading)
    {
        var place = new TopicPartition(options.Topic, reading.Partition);
        var inFlight = reading.Progress.InFlight;
        if (!reading.IsReady || inFlight > MostInFlight || (reading.IsPaused && inFlight > FewInFlight))
        {
            if (!reading.IsPaused)
                consumer.Pause([place]);
            reading.IsPaused = true;
            return;
        }

        if (reading.HeldAt is { } at)
            consumer.Seek(new TopicPartitionOffset(place, at));
        reading.HeldAt = null;
        if (reading.IsPaused)
            consumer.Resume([place]);
        reading.IsPaused = false;
        if (!reading.IsCaughtUp)
            Judge(consumer, reading, place);
    }

    // Until it has read what was in the log when it began, the newest samples that it has are old: to evaluate them would be to find every
    // node silent.
    static void Judge(IConsumer<byte[], byte[]> consumer, PartitionReading reading, TopicPartition place)
    {
        if (reading.Target is null)
        {
            var committed = consumer.Committed([place], Patience).Single().Offset;
            var marks = consumer.QueryWatermarkOffsets(place, Patience);
            reading.Target = committed.IsSpecial && marks.Low == marks.High || (!committed.IsSpecial && committed >= marks.High)
                ? -1 : marks.High.Value;
        }

        if (reading.LastTaken + 1 >= reading.Target || TimeProvider.System.GetUtcNow() - reading.LastTimestamp < Fresh)
            reading.CatchUp();
    }

    void StoreOffset(IConsumer<byte[], byte[]> consumer, PartitionReading reading)
    {
        var place = new TopicPartition(options.Topic, reading.Partition);
        if (consumer.GetWatermarkOffsets(place) is { High.IsSpecial: false } marks)
            metrics.LogLag.WithLabels($"{reading.Partition}").Set(Math.Max(0, marks.High - (reading.Progress.Committable ?? marks.High)));
        if (reading.Progress.Committable is not { } next || next == reading.Committed)
            return;
        consumer.StoreOffset(new TopicPartitionOffset(place, next));
        reading.Committed = next;
    }

    void Begin(IReadOnlyList<TopicPartition> partitions)
    {
        lock (_lock)
        {
            foreach (var partition in partitions)
            {
                var reading = new PartitionReading(partition.Partition.Value, _stopping);
                var before = _leaving.GetValueOrDefault(reading.Partition) ?? Task.CompletedTask;
                reading.Filled = Task.Run(() => FillAsync(reading, before), CancellationToken.None);
                reading.Owned = Task.Run(() => OwnAsync(reading), CancellationToken.None);
                _readings.Add(reading.Partition, reading);
            }
        }
    }

    // Evaluation ends first: nothing is decided here about what another process may have by then.
    void End(IConsumer<byte[], byte[]> consumer, List<TopicPartition> partitions, bool isLost)
    {
        List<PartitionReading> ended;
        lock (_lock)
        {
            ended = [.. partitions.Where(p => _readings.ContainsKey(p.Partition.Value)).Select(p => _readings[p.Partition.Value])];
            ended.ForEach(r => _readings.Remove(r.Partition));
        }

        if (ended.Count == 0)
            return;
        List<int> numbers = ended.ConvertAll(r => r.Partition);
        ended.ForEach(r => r.End());
        heads.EndAsync(numbers, CancellationToken.None).GetAwaiter().GetResult();
        Task.WhenAll(ended.Select(r => r.Progress.DrainAsync())).Wait(DrainFor, CancellationToken.None);
        if (!isLost)
            Commit(consumer, ended);
        foreach (var reading in ended)
        {
            lock (_lock)
                _leaving[reading.Partition] = Task.Run(() => LeaveAsync(reading), CancellationToken.None);
            metrics.LogLag.RemoveLabelled($"{reading.Partition}");
            logger.PartitionGiven(reading.Partition);
        }
    }

    async Task FillAsync(PartitionReading reading, Task before)
    {
        await before;
        await heads.FillAsync(reading.Partition, reading.Ended);
    }

    async Task OwnAsync(PartitionReading reading)
    {
        await reading.Filled;
        await reading.CaughtUp.WaitAsync(reading.Ended);
        await heads.OwnAsync(reading.Partition, reading.Ended);
    }

    // Not before the last of it has its answer: what comes late must not be taken for what was read again.
    async Task LeaveAsync(PartitionReading reading)
    {
        await Task.WhenAll(reading.Filled, reading.Owned, reading.Progress.DrainAsync())
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        heads.Drop([reading.Partition]);
        reading.Dispose();
    }

    void Commit(IConsumer<byte[], byte[]> consumer, List<PartitionReading> ended)
    {
        var offsets = ended.Where(r => r.Progress.Committable is not null)
            .Select(r => new TopicPartitionOffset(options.Topic, r.Partition, r.Progress.Committable!.Value)).ToList();
        if (offsets.Count == 0)
            return;
        try
        {
            consumer.Commit(offsets);
        }
        catch (KafkaException e)
        {
            // Whoever reads next takes again what the store has.
            logger.ReadingFailed($"The offsets of partitions that are given away were not committed. {e.Error.Reason}");
        }
    }

    void Hear(Error error)
    {
        if (error.IsFatal || error.Code == ErrorCode.Local_AllBrokersDown)
            Report(error);
    }

    void Report(Error error)
    {
        logger.ReadingFailed(error.Reason);
        health.Failing(
            KafkaLog.Component, Subject, $"No telemetry is read from Kafka: {error.Reason}. Look at the brokers of {options.Brokers}.");
    }
}
