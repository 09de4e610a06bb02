namespace Whistle.Telemetry;

/// <summary>
/// The two messages of Prometheus remote-write: <c>prometheus.WriteRequest</c> and <c>io.prometheus.write.v2.Request</c>.
/// </summary>
public enum RemoteWriteVersion
{
    V1,
    V2,
}

/// <summary>Why a request or a series was refused. The names become values of a metric's label, so they stay as they are.</summary>
public enum RemoteWriteErrorReason
{
    /// <summary>Not a Snappy block, or one that does not hold what it declares.</summary>
    Snappy,

    /// <summary>More bytes than the limit, declared or expanded.</summary>
    TooLarge,

    /// <summary>The message is cut off or not well-formed protobuf.</summary>
    Protobuf,

    /// <summary>2.0: a reference past the symbol table, or a name without a value.</summary>
    Symbols,

    /// <summary>A label name or value is not UTF-8.</summary>
    Utf8,

    /// <summary>No metric name, an empty label name, or a name given twice.</summary>
    Labels,

    /// <summary>More labels, or longer ones, than allowed.</summary>
    LabelLimits,
}

/// <summary>The sender's data can never be accepted as it is; sending it again does not help.</summary>
public sealed class RemoteWriteException(RemoteWriteErrorReason reason, string message, Exception? cause = null) : Exception(message, cause)
{
    public RemoteWriteErrorReason Reason { get; } = reason;
}
