using System.Buffers;
using System.Buffers.Binary;

using Whistle.Telemetry;

namespace Whistle.Benchmarks.Ingest;

/// <summary>
/// A remote-write 1.0 request with one sample of each of its series, encoded once; from slice to slice only the times and the values that move are
/// written over in place, so that making a request costs little beside taking it in.
/// </summary>
sealed class RequestTemplate
{
    // Milliseconds since 1970 take six bytes as a varint from 1971 to 2109.
    const int TimeLength = 6;

    readonly byte[] _message;
    readonly int[] _timesAt;
    readonly Moving[] _moving;
    ulong _random;

    public RequestTemplate(IReadOnlyList<ProfiledSeries> series, ulong seed)
    {
        _random = seed | 1;
        var output = new ArrayBufferWriter<byte>();
        _timesAt = new int[series.Count];
        List<Moving> moving = [];
        for (var i = 0; i < series.Count; i++)
        {
            var (labels, behaviour, level) = series[i];
            RemoteWriteEncoder.EncodeV1([new TimeSeries(labels, [new Sample(1L << 40, level)])], output);
            // The sample ends the series: value, the tag of the time, the time.
            _timesAt[i] = output.WrittenCount - TimeLength;
            if (behaviour != Behaviour.Constant)
                moving.Add(new Moving(behaviour, level, output.WrittenCount - TimeLength - 1 - sizeof(double)));
        }

        _message = output.WrittenSpan.ToArray();
        _moving = [.. moving];
        foreach (ref var value in _moving.AsSpan())
            value.Current = value.Level * Math.Floor(Next() * 100_000);
    }

    public int Samples => _timesAt.Length;

    /// <summary>The next slice's request, compressed.</summary>
    public byte[] Next(long time)
    {
        Span<byte> encoded = stackalloc byte[TimeLength];
        for (var i = 0; i < TimeLength; i++)
            encoded[i] = (byte)(((time >> (7 * i)) & 0x7f) | (i < TimeLength - 1 ? 0x80L : 0));
        foreach (var at in _timesAt)
            encoded.CopyTo(_message.AsSpan(at));
        foreach (ref var value in _moving.AsSpan())
        {
            Move(ref value);
            BinaryPrimitives.WriteDoubleLittleEndian(_message.AsSpan(value.At), value.Current);
        }

        using var body = RemoteWriteBody.Compress(_message);
        return body.Span.ToArray();
    }

    void Move(ref Moving value) => value.Current = value.Behaviour switch
    {
        Behaviour.Counter => value.Current + Math.Floor(value.Level * (0.5 + Next())),
        Behaviour.SecondsCounter => Math.Round(value.Current + (value.Level * (0.5 + Next())), 2),
        Behaviour.PagesGauge => 4096 * Math.Floor(value.Level * (0.995 + (0.01 * Next())) / 4096),
        Behaviour.FloatGauge => value.Level * (0.5 + Next()),
        _ => throw new InvalidOperationException($"{value.Behaviour} does not move."),
    };

    // xorshift64*; from 0 to 1.
    double Next()
    {
        _random ^= _random >> 12;
        _random ^= _random << 25;
        _random ^= _random >> 27;
        return (_random * 0x2545F4914F6CDD1D >> 11) * (1.0 / (1UL << 53));
    }

    struct Moving(Behaviour behaviour, double level, int at)
    {
        public readonly Behaviour Behaviour = behaviour;
        public readonly double Level = level;
        public readonly int At = at;
        public double Current;
    }
}
