using System.Buffers;

using Snappier;

namespace Whistle.Telemetry;

/// <summary>What wraps the protobuf message: the HTTP headers that name it, and the Snappy block around it.</summary>
public static class RemoteWriteBody
{
    public const string ContentTypeV1 = "application/x-protobuf";

    /// <summary>
    /// Send it as it is (TryAddWithoutValidation): MediaTypeHeaderValue puts a space before the parameter, whereupon Prometheus 3.5 takes
    /// the message for 1.0, finds nothing in it and answers 204.
    /// </summary>
    public const string ContentTypeV2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

    public const string VersionHeader = "X-Prometheus-Remote-Write-Version";
    public const string VersionV1 = "0.1.0";
    public const string VersionV2 = "2.0.0";

    /// <summary>For the answer 415 to a request that <see cref="TryGetVersion"/> does not know.</summary>
    public const string Accepted =
        "Send Content-Type application/x-protobuf (optionally with proto=prometheus.WriteRequest) for remote-write 1.0, or "
        + ContentTypeV2 + " for 2.0, with Content-Encoding snappy.";

    const string ProtoV1 = "prometheus.WriteRequest";
    const string ProtoV2 = "io.prometheus.write.v2.Request";

    // A Snappy copy of three bytes yields at most 64: a block that declares more than this per byte is a lie.
    const int MaxExpansion = 22;

    /// <summary>
    /// Reads the message's version from the headers. Senders of 1.0 name no proto; a sender that says 2.x in its version header and names
    /// none is refused, because its body read as 1.0 would be empty without an error.
    /// </summary>
    /// <returns>False where neither version is named; <see cref="Accepted"/> tells the sender what would be.</returns>
    public static bool TryGetVersion(string? contentType, string? versionHeader, out RemoteWriteVersion version)
    {
        version = RemoteWriteVersion.V1;
        var parts = (contentType ?? ContentTypeV1).Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length == 0 || !parts[0].Equals(ContentTypeV1, StringComparison.OrdinalIgnoreCase))
            return false;
        var proto = parts.Skip(1).Select(ProtoParameter).FirstOrDefault(p => p is not null);
        if (proto == ProtoV2)
            version = RemoteWriteVersion.V2;
        return proto switch
        {
            ProtoV1 or ProtoV2 => true,
            null => versionHeader is null || !versionHeader.Trim().StartsWith("2.", StringComparison.Ordinal),
            _ => false,
        };
    }

    /// <summary>Opens a Snappy block. The declared length is checked before anything is allocated.</summary>
    /// <param name="compressed">The whole body as received.</param>
    /// <param name="maxBytes">Limit on the message's size once decompressed.</param>
    /// <exception cref="RemoteWriteException"><see cref="RemoteWriteErrorReason.Snappy"/> or
    /// <see cref="RemoteWriteErrorReason.TooLarge"/>.</exception>
    public static PooledBody Decompress(ReadOnlySpan<byte> compressed, int maxBytes)
    {
        var length = DeclaredLength(compressed, maxBytes);
        var body = new PooledBody(length);
        try
        {
            if (!Snappy.TryDecompress(compressed, body.Buffer.AsSpan(0, length), out var written) || written != length)
                throw new InvalidDataException("it does not contain as many bytes as it declares");
            return body;
        }
        catch (Exception e) when (e is InvalidDataException or ArgumentException or IndexOutOfRangeException or OverflowException)
        {
            body.Dispose();
            throw NotSnappy(e);
        }
    }

    public static PooledBody Compress(ReadOnlySpan<byte> message)
    {
        var body = new PooledBody(Snappy.GetMaxCompressedLength(message.Length));
        body.Truncate(Snappy.Compress(message, body.Buffer));
        return body;
    }

    static string? ProtoParameter(string parameter)
    {
        var equals = parameter.IndexOf('=', StringComparison.Ordinal);
        return equals > 0 && parameter.AsSpan(0, equals).Trim().Equals("proto", StringComparison.OrdinalIgnoreCase)
            ? parameter[(equals + 1)..].Trim().Trim('"')
            : null;
    }

    /// <summary>How long the message in a Snappy block says that it is.</summary>
    /// <exception cref="RemoteWriteException">As <see cref="Decompress"/>.</exception>
    public static int DeclaredLength(ReadOnlySpan<byte> compressed, int maxBytes)
    {
        var position = 0;
        if (!Wire.TryReadVarint(compressed, ref position, compressed.Length, out var declared) || declared > uint.MaxValue)
            throw NotSnappy(null);
        if (declared > (ulong)maxBytes)
        {
            throw new RemoteWriteException(
                RemoteWriteErrorReason.TooLarge,
                $"The body has {declared} bytes once decompressed, more than the limit of {maxBytes}. "
                + "Send fewer samples at once (max_samples_per_send).");
        }

        if (declared > (ulong)compressed.Length * MaxExpansion)
            throw NotSnappy(null);
        return (int)declared;
    }

    static RemoteWriteException NotSnappy(Exception? cause) => new(
        RemoteWriteErrorReason.Snappy,
        "The body is not a valid Snappy block. Remote-write uses Snappy's block format, not its framed one.",
        cause);
}

/// <summary>Bytes in a buffer of the shared pool; disposing gives it back, after which the spans must not be used.</summary>
public sealed class PooledBody : IDisposable
{
    byte[]? _buffer;

    internal PooledBody(int length)
    {
        _buffer = ArrayPool<byte>.Shared.Rent(length);
        Length = length;
    }

    public int Length { get; private set; }

    public ReadOnlySpan<byte> Span => Buffer.AsSpan(0, Length);

    public ReadOnlyMemory<byte> Memory => Buffer.AsMemory(0, Length);

    internal byte[] Buffer => _buffer ?? throw new ObjectDisposedException(nameof(PooledBody));

    internal void Truncate(int length) => Length = length;

    public void Dispose()
    {
        var buffer = Interlocked.Exchange(ref _buffer, null);
        if (buffer is not null)
            ArrayPool<byte>.Shared.Return(buffer);
    }
}
