using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Whistle.Ingest.Series;

/// <summary>
/// Samples of one series in time order, compressed as in Facebook's Gorilla (VLDB 2015): times as the delta of deltas,
/// values as the XOR with the value before. A regular sample of a constant series takes two bits.
/// </summary>
/// <remarks>
/// A mutable struct that lives inside its series. The first sample is kept whole in the fields <c>_first…</c>,
/// each later one is in the bit stream. The stream always has <see cref="Slack"/> bytes to spare, so that bits can be
/// written as unaligned 64-bit words.
/// </remarks>
struct XorChunk
{
    // One sample takes at most 4 + 64 bits of time and 2 + 5 + 6 + 64 bits of value; a word written at its end needs 9 bytes.
    const int MaxSampleBits = 145;
    const int Slack = 9;

    byte[]? _bits;
    int _length;
    int _count;
    long _firstTime;
    double _firstValue;
    long _lastTime;
    long _lastDelta;
    ulong _lastValue;
    byte _leading;
    byte _trailing;

    public readonly int Count => _count;

    public readonly long FirstTime => _firstTime;

    public readonly long LastTime => _lastTime;

    /// <summary>Of the sample before the last; there are at least two.</summary>
    public readonly long TimeBeforeLast => _lastTime - _lastDelta;

    public readonly double LastValue => BitConverter.UInt64BitsToDouble(_lastValue);

    public readonly int Bytes => _bits?.Length ?? 0;

    /// <summary>Adds a sample that is newer than all in the chunk.</summary>
    public void Append(long time, double value)
    {
        var bits = BitConverter.DoubleToUInt64Bits(value);
        if (_count == 0)
        {
            _firstTime = time;
            _firstValue = value;
            _lastDelta = 0;
            _leading = byte.MaxValue;
        }
        else
        {
            EnsureRoom();
            var delta = time - _lastTime;
            AppendTime(delta - _lastDelta);
            AppendValue(bits ^ _lastValue);
            _lastDelta = delta;
        }

        _lastTime = time;
        _lastValue = bits;
        _count++;
    }

    /// <summary>Gives back the room that a finished chunk no longer needs.</summary>
    public void Trim()
    {
        if (_bits is not null)
            Array.Resize(ref _bits, (_length + 7) / 8 + Slack);
    }

    public readonly Reader Read() => new(this);

    void EnsureRoom()
    {
        var needed = (_length + MaxSampleBits) / 8 + Slack;
        if (_bits is null)
            _bits = new byte[Math.Max(needed, 40)];
        else if (_bits.Length < needed)
            Array.Resize(ref _bits, Math.Max(needed, _bits.Length * 3 / 2));
    }

    void AppendTime(long deltaOfDelta)
    {
        switch (deltaOfDelta)
        {
            case 0:
                Write(0, 1);
                break;
            case >= -8192 and < 8192:
                Write(0b10UL << 14 | (ulong)deltaOfDelta & 0x3FFF, 16);
                break;
            case >= -524288 and < 524288:
                Write(0b110UL << 20 | (ulong)deltaOfDelta & 0xFFFFF, 23);
                break;
            default:
                Write(0b111, 3);
                Write((ulong)deltaOfDelta, 64);
                break;
        }
    }

    void AppendValue(ulong xor)
    {
        if (xor == 0)
        {
            Write(0, 1);
            return;
        }

        var leading = Math.Min(BitOperations.LeadingZeroCount(xor), 31);
        var trailing = BitOperations.TrailingZeroCount(xor);
        if (_leading != byte.MaxValue && leading >= _leading && trailing >= _trailing)
        {
            Write(0b10, 2);
            Write(xor >> _trailing, 64 - _leading - _trailing);
            return;
        }

        _leading = (byte)leading;
        _trailing = (byte)trailing;
        var significant = 64 - leading - trailing;
        // 64 significant bits do not fit into six; zero never occurs and stands for it.
        Write(0b11UL << 11 | (ulong)leading << 6 | (ulong)significant & 63, 13);
        Write(xor >> trailing, significant);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    void Write(ulong value, int bits)
    {
        var at = _bits.AsSpan(_length >> 3);
        var used = _length & 7;
        var word = BinaryPrimitives.ReadUInt64BigEndian(at);
        var spill = used + bits - 64;
        if (spill <= 0)
        {
            BinaryPrimitives.WriteUInt64BigEndian(at, word | value << -spill);
        }
        else
        {
            BinaryPrimitives.WriteUInt64BigEndian(at, word | value >> spill);
            at[8] = (byte)(value << (8 - spill));
        }

        _length += bits;
    }

    /// <summary>Walks a copy of the chunk: the samples that were in it when the reader was made.</summary>
    public struct Reader
    {
        readonly byte[]? _bits;
        readonly int _count;
        int _position;
        int _read;
        long _delta;
        ulong _value;
        int _leading;
        int _significant;

        internal Reader(in XorChunk chunk)
        {
            _bits = chunk._bits;
            _count = chunk._count;
            Time = chunk._firstTime;
            _value = BitConverter.DoubleToUInt64Bits(chunk._firstValue);
        }

        public long Time { get; private set; }

        public readonly double Value => BitConverter.UInt64BitsToDouble(_value);

        public bool MoveNext()
        {
            if (_read == _count)
                return false;
            if (_read++ == 0)
                return true;
            _delta += ReadDeltaOfDelta();
            Time += _delta;
            if (ReadBit())
                ReadXor();
            return true;
        }

        long ReadDeltaOfDelta()
        {
            if (!ReadBit())
                return 0;
            if (!ReadBit())
                return (long)(Read(14) << 50) >> 50;
            if (!ReadBit())
                return (long)(Read(20) << 44) >> 44;
            return (long)Read(64);
        }

        void ReadXor()
        {
            if (ReadBit())
            {
                _leading = (int)Read(5);
                var significant = (int)Read(6);
                _significant = significant == 0 ? 64 : significant;
            }

            _value ^= Read(_significant) << (64 - _leading - _significant);
        }

        bool ReadBit() => Read(1) != 0;

        ulong Read(int bits)
        {
            var at = _bits.AsSpan(_position >> 3);
            var used = _position & 7;
            _position += bits;
            var word = BinaryPrimitives.ReadUInt64BigEndian(at) << used;
            if (used + bits > 64)
                word |= (ulong)at[8] >> (8 - used);
            return word >> (64 - bits);
        }
    }
}
