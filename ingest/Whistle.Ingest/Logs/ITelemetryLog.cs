using Whistle.Inventory;
using Whistle.State.Files;
using Whistle.State.Memory;
using Whistle.Telemetry;

namespace Whistle.Ingest.Logs;

/// <summary>Where the gateway puts what senders send.</summary>
public interface ITelemetryLog
{
    /// <summary>Completes once the samples survive the loss of any process. What is wrong with some of them is in the result.</summary>
    /// <exception cref="RemoteWriteException">The body can never be taken.</exception>
    /// <exception cref="StoreException">The samples are not known to be durable; send them again.</exception>
    /// <exception cref="BusyException">There is no memory for them now; likewise.</exception>
    Task<AppendResult> AppendAsync(Sender sender, ReceivedWrite write);
}

/// <summary>A body of remote-write. Its bytes are somebody else's once the call that takes it has returned.</summary>
public readonly ref struct ReceivedWrite(RemoteWriteVersion version, ReadOnlySpan<byte> compressed, ReadOnlySpan<byte> message)
{
    public RemoteWriteVersion Version { get; } = version;

    /// <summary>As it came: a Snappy block.</summary>
    public ReadOnlySpan<byte> Compressed { get; } = compressed;

    /// <summary>Decompressed.</summary>
    public ReadOnlySpan<byte> Message { get; } = message;
}
