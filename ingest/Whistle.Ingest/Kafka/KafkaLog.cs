using Confluent.Kafka;

using Microsoft.Extensions.Logging;

using Whistle.Ingest.Logs;
using Whistle.Inventory;
using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.State.Memory;
using Whistle.Telemetry;

namespace Whistle.Ingest.Kafka;

/// <summary>
/// The gateway's side of the log: each body becomes a record with the sender's identity in its headers, and is taken once all replicas
/// in sync have it.
/// </summary>
sealed class KafkaLog : ITelemetryLog, IDisposable
{
    public const string Component = "kafka";

    const string Subject = "producer";

    static readonly TimeSpan FlushAtStop = TimeSpan.FromSeconds(10);

    readonly KafkaOptions _options;
    readonly TimeProvider _time;
    readonly HealthBoard _health;
    readonly ILogger<KafkaLog> _logger;
    readonly IngestMetrics _metrics;
    readonly BodyCheck _check;
    readonly FairBudgets _pending;
    readonly MemoryOptions _memory;
    IProducer<byte[], byte[]> _producer;
    volatile bool _failed;

    /// <exception cref="InvalidOperationException">A setting of the client is not one of librdkafka's.</exception>
    public KafkaLog(
        KafkaOptions options, TelemetryLogOptions log, MemoryOptions memory, IngestMetrics metrics, HealthBoard health, TimeProvider time,
        ILogger<KafkaLog> logger)
    {
        (_options, _metrics, _health, _time, _logger) = (options, metrics, health, time, logger);
        _check = new BodyCheck(log);
        _pending = new(memory.PendingSamples, "The bodies that wait for the brokers", "tenant");
        _memory = memory;
        _producer = NewProducer();
    }

    public Task<AppendResult> AppendAsync(Sender sender, ReceivedWrite write)
    {
        var receivedAt = _time.GetUtcNow();
        var result = _check.Read(write.Version, write.Message, receivedAt);
        if (result.Refused > 0)
            _metrics.Dropped.WithLabels("gateway").Inc(result.Refused);
        if (result.Stored == 0)
            return Task.FromResult(result);
        var record = new LogRecord(new(sender.ClusterId, sender.Node), write.Version, receivedAt);
        // They stay counted until the brokers have them, or do not.
        var share = _pending.Open(sender.Tenant);
        try
        {
            share.Take(write.Compressed.Length);
            return ProduceAsync(Records(record, write), result, share);
        }
        catch
        {
            share.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _producer.Flush(FlushAtStop);
        _producer.Dispose();
    }

    List<Message<byte[], byte[]>> Records(LogRecord record, ReceivedWrite write)
    {
        var (key, headers) = (LogRecord.KeyOf(record.Sender.ClusterId), record.ToHeaders());
        if (write.Compressed.Length <= _options.MaxMessageBytes)
            return [Of(write.Compressed.ToArray(), headers)];
        headers = (record with { Version = RemoteWriteVersion.V1 }).ToHeaders();
        return [.. BodySplit.Parts(write.Version, write.Message, _options.MaxMessageBytes).Select(part => Of(part, headers))];

        Message<byte[], byte[]> Of(byte[] body, Headers with) => new() { Key = key, Value = body, Headers = with };
    }

    async Task<AppendResult> ProduceAsync(List<Message<byte[], byte[]>> records, AppendResult result, ByteShare share)
    {
        using var _ = share;
        await Task.WhenAll(records.ConvertAll(ProduceAsync));
        _metrics.Samples.Inc(result.Stored);
        return result;
    }

    Task ProduceAsync(Message<byte[], byte[]> record)
    {
        var delivered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            Volatile.Read(ref _producer).Produce(_options.Topic, record, report => Complete(delivered, report.Error));
        }
        catch (KafkaException e)
        {
            Complete(delivered, e.Error);
        }
        catch (ObjectDisposedException)
        {
            delivered.TrySetException(new StoreException("The log took none of it; send it again."));
        }

        return delivered.Task;
    }

    void Complete(TaskCompletionSource delivered, Error error)
    {
        if (!error.IsError)
        {
            if (_failed)
                _logger.KafkaTakesAgain();
            _failed = false;
            _health.Clear(Component, Subject);
            delivered.TrySetResult();
            return;
        }

        if (!_failed)
            _logger.KafkaTakesNothing(error.Reason);
        _failed = true;
        _metrics.StoreFailures.WithLabels("produce").Inc();
        _health.Failing(
            Component, Subject,
            $"Kafka takes no telemetry, and senders are asked to retry: {error.Reason}. Look at the brokers of {_options.Brokers}.");
        delivered.TrySetException(new StoreException(error.Code == ErrorCode.Local_QueueFull
            ? "The log does not keep up."
            : "The log took none of it; the server's health says why."));
    }

    IProducer<byte[], byte[]> NewProducer() => new ProducerBuilder<byte[], byte[]>(_options.ForProducer(2 * _memory.PendingSamples))
        .SetErrorHandler(Hear).SetLogHandler((_, line) => _logger.KafkaSaid(line.Facility, line.Message)).Build();

    void Hear(IProducer<byte[], byte[]> producer, Error error)
    {
        // After a fatal error a producer takes nothing more, whatever happens.
        if (error.IsFatal && ReferenceEquals(Volatile.Read(ref _producer), producer))
        {
            Volatile.Write(ref _producer, NewProducer());
            _ = Task.Run(producer.Dispose);
        }

        if (error.IsFatal || error.Code == ErrorCode.Local_AllBrokersDown)
            _health.Failing(Component, Subject, $"Kafka is not reached: {error.Reason}. Look at the brokers of {_options.Brokers}.");
        _logger.KafkaSaid("error", error.Reason);
    }
}
