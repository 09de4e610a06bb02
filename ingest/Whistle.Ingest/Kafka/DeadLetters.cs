using System.Text;

using Confluent.Kafka;

using Microsoft.Extensions.Logging;

using Whistle.State.Health;

namespace Whistle.Ingest.Kafka;

/// <summary>Puts aside what cannot be decoded: the record as it is, with where it was and why in headers of its own.</summary>
sealed class DeadLetters(KafkaOptions options, IngestMetrics metrics, HealthBoard health, TimeProvider time, ILogger logger) : IDisposable
{
    public const string ReasonHeader = "whistle-reason";
    public const string TopicHeader = "whistle-from-topic";
    public const string PartitionHeader = "whistle-from-partition";
    public const string OffsetHeader = "whistle-from-offset";

    const string Subject = "dead-letters";

    static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    readonly Lazy<IProducer<byte[], byte[]>> _producer = new(
        () => new ProducerBuilder<byte[], byte[]>(options.ForProducer(16 << 20)).SetLogHandler((_, _) => { }).Build());

    /// <summary>Completes once it is durable: it is tried until it is, for the record would be lost otherwise.</summary>
    /// <returns>False where it was stopped before.</returns>
    public async Task<bool> AddAsync(ConsumeResult<byte[], byte[]> record, string reason, CancellationToken stopping)
    {
        var headers = new Headers();
        foreach (var header in record.Message.Headers ?? [])
            headers.Add(header.Key, header.GetValueBytes());
        headers.Add(ReasonHeader, Encoding.UTF8.GetBytes(reason));
        headers.Add(TopicHeader, Encoding.UTF8.GetBytes(record.Topic));
        headers.Add(PartitionHeader, Encoding.UTF8.GetBytes($"{record.Partition.Value}"));
        headers.Add(OffsetHeader, Encoding.UTF8.GetBytes($"{record.Offset.Value}"));
        var letter = new Message<byte[], byte[]> { Key = record.Message.Key, Value = record.Message.Value, Headers = headers };
        logger.DeadLetter(record.TopicPartitionOffset.ToString(), reason);
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                await _producer.Value.ProduceAsync(options.DeadLetterTopic, letter, CancellationToken.None);
                metrics.DeadLetters.Inc();
                health.Clear(KafkaLog.Component, Subject);
                return true;
            }
            catch (ProduceException<byte[], byte[]> e)
            {
                health.Failing(
                    KafkaLog.Component, Subject,
                    $"A record that cannot be decoded cannot be put into {options.DeadLetterTopic} either, and its partition waits: "
                    + $"{e.Error.Reason}. Make the topic, or allow this client to write to it.");
                await Task.Delay(Pause, time, CancellationToken.None);
            }
        }

        return false;
    }

    public void Dispose()
    {
        if (_producer.IsValueCreated)
            _producer.Value.Dispose();
    }
}
