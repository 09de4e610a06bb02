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

    // Records on their way to the store; more wait in the log.
    const int MostInFlight = 2_000;

    static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(100);
    static readonly TimeSpan SteerEvery = TimeSpan.FromMilliseconds(50);
    static readonly TimeSpan HoldFor = TimeSpan.FromSeconds(1);
    static readonly TimeSpan DrainFor = TimeSpan.FromSeconds(5);

    readonly Lock _lock = new();
    readonly Dictionary<int, PartitionReading> _readings = [];
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
            WaitForRoom();
        }
        catch (ConsumeException e)
        {
            Report(e.Error);
            _stopping.WaitHandle.WaitOne(HoldFor);
        }
    }

    void Take(ConsumeResult<byte[], byte[]> record)
    {
        health.Clear(KafkaLog.Component, Subject);
        if (!_readings.TryGetValue(record.Partition.Value, out var reading) || record.Offset.Value <= reading.LastTaken)
            return;
        if (!reading.IsReady)
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
            stored = letters.AddAsync(record, e.Message, _stopping);
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
        reading.Progress.Add(record.Offset.Value, stored);
    }

    static async Task<bool> StoredAsync(Task<Logs.AppendResult> append)
    {
        try
        {
            return !(await append).IsUnstored;
        }
        catch (StoreException)
        {
            return false;
        }
    }

    // Beyond that, each turn takes one more at most, so that the group is still answered.
    void WaitForRoom()
    {
        if (_readings.Values.Sum(r => r.Progress.InFlight) < MostInFlight)
            return;
        Task.WhenAny(_readings.Values.Where(r => r.Progress.InFlight > 0).Select(r => r.Progress.DrainAsync()))
            .Wait(HoldFor, CancellationToken.None);
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
        if (!reading.IsReady)
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
                reading.Filled = Task.Run(() => heads.FillAsync(reading.Partition, reading.Ended), CancellationToken.None);
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
        heads.Drop(numbers);
        numbers.ForEach(n => metrics.LogLag.RemoveLabelled($"{n}"));
        numbers.ForEach(n => logger.PartitionGiven(n));
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
