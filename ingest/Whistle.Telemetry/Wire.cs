using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Whistle.Telemetry;

/// <summary>
/// Protobuf's encoding over spans: tags, varints, lengths. Reading answers false at the first flaw and never reads past <c>end</c>.
/// </summary>
static class Wire
{
    public const int Varint = 0;
    public const int Fixed64 = 1;
    public const int LengthDelimited = 2;
    public const int Fixed32 = 5;

    // At most ten bytes, of which the last has one bit.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryReadVarint(ReadOnlySpan<byte> data, ref int position, int end, out ulong value)
    {
        if (position < end && data[position] < 0x80)
        {
            value = data[position++];
            return true;
        }

        return TryReadLongVarint(data, ref position, end, out value);
    }

    static bool TryReadLongVarint(ReadOnlySpan<byte> data, ref int position, int end, out ulong value)
    {
        value = 0;
        for (var shift = 0; shift < 64 && position < end; shift += 7)
        {
            var b = data[position++];
            if (shift == 63 && b > 1)
                return false;
            value |= (ulong)(b & 0x7f) << shift;
            if (b < 0x80)
                return true;
        }

        return false;
    }

    /// <summary>Field number and wire type in one; field zero and numbers past 2^29 do not exist.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryReadTag(ReadOnlySpan<byte> data, ref int position, int end, out uint tag)
    {
        var read = TryReadVarint(data, ref position, end, out var value);
        tag = (uint)value;
        return read && value <= uint.MaxValue && tag >> 3 != 0;
    }

    /// <summary>A length, checked to fit before <paramref name="end"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryReadLength(ReadOnlySpan<byte> data, ref int position, int end, out int length)
    {
        var read = TryReadVarint(data, ref position, end, out var value);
        length = (int)value;
        return read && value <= (ulong)(end - position);
    }

    public static bool TryReadFixed64(ReadOnlySpan<byte> data, ref int position, int end, out ulong value)
    {
        value = 0;
        if (end - position < sizeof(ulong))
            return false;
        value = BinaryPrimitives.ReadUInt64LittleEndian(data[position..]);
        position += sizeof(ulong);
        return true;
    }

    /// <summary>Passes over the value of a field. Groups, which protobuf gave up, and unknown wire types are refused.</summary>
    public static bool TrySkip(ReadOnlySpan<byte> data, ref int position, int end, uint tag)
    {
        switch (tag & 7)
        {
            case Varint:
                return TryReadVarint(data, ref position, end, out _);
            case Fixed64:
                position += sizeof(ulong);
                return position <= end;
            case Fixed32:
                position += sizeof(uint);
                return position <= end;
            case LengthDelimited:
                if (!TryReadLength(data, ref position, end, out var length))
                    return false;
                position += length;
                return true;
            default:
                return false;
        }
    }

    public static int VarintLength(ulong value) => (BitOperations.Log2(value | 1) / 7) + 1;

    public static int WriteVarint(Span<byte> output, ulong value)
    {
        var length = 0;
        while (value >= 0x80)
        {
            output[length++] = (byte)(value | 0x80);
            value >>= 7;
        }

        output[length++] = (byte)value;
        return length;
    }
}
