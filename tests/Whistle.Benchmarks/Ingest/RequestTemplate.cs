using System.Buffers;
using System.Buffers.Binary;

using Whistle.Fixtures;
using Whistle.Telemetry;

namespace Whistle.Benchmarks.Ingest;

/// <summary>
/// A remote-write 1.0 request with one sample of each of its series, encoded once; from slice to slice only the times and the values that
/// move are written over in place, so that making a request costs little beside taking it in.
/// </summary>
sealed class RequestTemplate
{
    // Milliseconds since 1970 take six bytes as a varint from 1971 to 2109.
    const int TimeLength = 6;

    readonly byte[] _message;
    readonly int[] _timesAt;
    readonly (FixtureSeries Series, int At)[] _moving;
    int _sample;

    public RequestTemplate(IReadOnlyList<FixtureSeries> series)
    {
        var output = new ArrayBufferWriter<byte>();
        _timesAt = new int[series.Count];
        List<(FixtureSeries, int)> moving = [];
        for (var i = 0; i < series.Count; i++)
        {
            // A zero would leave the field of the value out, and with it the place where later ones are written.
            var value = series[i].Behaviour == Behaviour.Constant ? series[i].Level : 1;
            RemoteWriteEncoder.EncodeV1([new TimeSeries(series[i].Labels, [new Sample(1L << 40, value)])], output);
            // The sample ends the series: value, the tag of the time, the time.
            _timesAt[i] = output.WrittenCount - TimeLength;
            if (series[i].Behaviour != Behaviour.Constant)
                moving.Add((series[i], output.WrittenCount - TimeLength - 1 - sizeof(double)));
        }

        _message = output.WrittenSpan.ToArray();
        _moving = [.. moving];
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
        foreach (var (series, at) in _moving)
            BinaryPrimitives.WriteDoubleLittleEndian(_message.AsSpan(at), series.At(_sample));
        _sample++;

        using var body = RemoteWriteBody.Compress(_message);
        return body.Span.ToArray();
    }
}
