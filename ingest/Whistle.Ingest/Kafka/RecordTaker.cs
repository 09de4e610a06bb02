using System.Collections.Concurrent;

using Confluent.Kafka;

using Whistle.Ingest.Logs;
using Whistle.Inventory;
using Whistle.Telemetry;

namespace Whistle.Ingest.Kafka;

/// <summary>Gives the body of a record to store and head.</summary>
sealed class RecordTaker(TelemetryLog log, int maxDecompressedBytes)
{
    readonly ConcurrentDictionary<SenderName, Sender> _senders = new();

    /// <exception cref="FormatException">The record can never be taken.</exception>
    /// <exception cref="RemoteWriteException">As above.</exception>
    /// <exception cref="State.Files.StoreException">It was not taken now.</exception>
    /// <exception cref="State.Memory.BusyException">As above.</exception>
    public Task<AppendResult> TakeAsync(Message<byte[], byte[]> message, bool isReplay = false)
    {
        var record = LogRecord.Of(message.Headers);
        var sender = _senders.GetOrAdd(record.Sender, static name => new Sender(name.ClusterId, name.Node));
        using var body = RemoteWriteBody.Decompress(message.Value ?? [], maxDecompressedBytes);
        return log.TakeAsync(sender, record.Version, body.Span, record.ReceivedAt, isReplay);
    }
}
