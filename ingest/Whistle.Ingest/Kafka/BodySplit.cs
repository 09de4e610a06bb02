using System.Buffers;

using Whistle.Telemetry;

namespace Whistle.Ingest.Kafka;

/// <summary>Makes of a body that is too large for a record several that are not.</summary>
static class BodySplit
{
    // Tags, lengths, a time and a value.
    const int SampleBytes = 24;

    const int SeriesBytes = 16;

    /// <summary>Bodies of remote-write 1.0 that together have every sample of the message in its order.</summary>
    /// <param name="most">Bytes that none of them exceeds, compressed or not, unless the labels of one series alone do.</param>
    /// <exception cref="RemoteWriteException">The message cannot be read.</exception>
    public static IReadOnlyList<byte[]> Parts(RemoteWriteVersion version, ReadOnlySpan<byte> message, int most)
    {
        // A block of Snappy can be a little larger than what is in it.
        var room = most - (most / 6) - 32;
        var (parts, series, bytes) = (new List<byte[]>(), new List<TimeSeries>(), 0);
        var reader = new WriteRequestReader(message, version, new WriteRequestScratch());
        while (reader.ReadSeries())
        {
            var (samples, labels) = (new List<Sample>(), default(Labels));
            var head = reader.Key.Length + SeriesBytes;
            while (reader.ReadSample(out var sample))
            {
                if (bytes + head + ((samples.Count + 1) * SampleBytes) > room && (series.Count > 0 || samples.Count > 0))
                {
                    Close(ref labels, reader.Key);
                    Flush();
                }

                samples.Add(sample);
            }

            Close(ref labels, reader.Key);

            void Close(ref Labels? known, ReadOnlySpan<byte> key)
            {
                if (samples.Count == 0 || (known ??= Decode(key)) is not { } valid)
                    return;
                series.Add(new TimeSeries(valid, samples));
                bytes += head + (samples.Count * SampleBytes);
                samples = [];
            }
        }

        Flush();
        return parts;

        void Flush()
        {
            if (series.Count == 0)
                return;
            var output = new ArrayBufferWriter<byte>(bytes);
            RemoteWriteEncoder.EncodeV1(series, output);
            using var body = RemoteWriteBody.Compress(output.WrittenSpan);
            parts.Add(body.Span.ToArray());
            series.Clear();
            bytes = 0;
        }
    }

    // Its sender was told already that the labels are not valid.
    static Labels? Decode(ReadOnlySpan<byte> key)
    {
        try
        {
            return LabelsCodec.Decode(key, new LabelLimits(int.MaxValue, int.MaxValue, int.MaxValue));
        }
        catch (RemoteWriteException)
        {
            return null;
        }
    }
}
