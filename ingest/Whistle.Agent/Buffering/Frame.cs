using System.Buffers.Binary;
using System.Numerics;

namespace Whistle.Agent.Buffering;

/// <summary>
/// How a report lies in a segment file, little-endian: payload length (u32), CRC-32C of all that follows (u32), time in
/// milliseconds since 1970 UTC (i64), number of samples (i32), payload. A frame whose bytes are not all there, or not
/// those that were written, does not match its checksum.
/// </summary>
static class Frame
{
    public const int HeaderLength = 20;

    // More than any report; a longer length is damage, and not worth an allocation.
    public const int LargestPayload = 64 << 20;

    public static byte[] Write(long time, int samples, ReadOnlySpan<byte> payload)
    {
        var frame = new byte[HeaderLength + payload.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, payload.Length);
        BinaryPrimitives.WriteInt64LittleEndian(frame.AsSpan(8), time);
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(16), samples);
        payload.CopyTo(frame.AsSpan(HeaderLength));
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(4), Checksum(frame.AsSpan(8)));
        return frame;
    }

    /// <summary>The length of the payload that a header announces, or 0 for what no header can be.</summary>
    public static int PayloadLength(ReadOnlySpan<byte> header)
    {
        if (header.Length < HeaderLength)
            return 0;
        var length = BinaryPrimitives.ReadInt32LittleEndian(header);
        return length is > 0 and <= LargestPayload ? length : 0;
    }

    public static bool IsIntact(ReadOnlySpan<byte> frame) =>
        PayloadLength(frame) == frame.Length - HeaderLength
        && BinaryPrimitives.ReadUInt32LittleEndian(frame[4..]) == Checksum(frame[8..]);

    public static long Time(ReadOnlySpan<byte> frame) => BinaryPrimitives.ReadInt64LittleEndian(frame[8..]);

    public static int Samples(ReadOnlySpan<byte> frame) => BinaryPrimitives.ReadInt32LittleEndian(frame[16..]);

    static uint Checksum(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        for (; bytes.Length >= sizeof(ulong); bytes = bytes[sizeof(ulong)..])
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        foreach (var b in bytes)
            crc = BitOperations.Crc32C(crc, b);
        return ~crc;
    }
}
