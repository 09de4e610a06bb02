using System.Buffers;

using CsCheck;

using Whistle.Ingest.Kafka;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Ingest.Kafka;

public sealed class BodySplitTests
{
    [Theory]
    [InlineData(RemoteWriteVersion.V1)]
    [InlineData(RemoteWriteVersion.V2)]
    public void The_parts_have_every_sample_in_its_order_and_none_is_too_large(RemoteWriteVersion version) =>
        Gen.Int[0, 60].Array[0, 40].Sample(counts =>
        {
            List<TimeSeries> series =
            [
                .. counts.Select((n, i) => new TimeSeries(
                    Labels.OfMetric("m", ("series", $"{i}"), ("text", new string('x', i * 3))),
                    [.. Enumerable.Range(0, n).Select(s => new Sample(s, i + (s / 7.0)))])),
            ];

            var parts = BodySplit.Parts(version, Message(series, version), 1_000);

            Assert.All(parts, p => Assert.True(p.Length <= 1_000, $"{p.Length}"));
            Assert.Equal(
                series.SelectMany(s => s.Samples.Select(x => (s.Labels.ToString(), x))),
                parts.SelectMany(Read));
        });

    [Fact]
    public void A_series_whose_labels_are_not_valid_is_left_out()
    {
        byte[] message = [0x0A, 0x10, 0x0A, 0x04, 0x0A, 0x00, 0x12, 0x00, 0x12, 0x08, 0x09, 0, 0, 0, 0, 0, 0, 0];

        Assert.Empty(Parts(message));
        Assert.Single(Parts([.. Message([new(Labels.OfMetric("m"), [new(1, 2)])], RemoteWriteVersion.V1), .. message[..0]]));
    }

    static IReadOnlyList<byte[]> Parts(byte[] message)
    {
        try
        {
            return BodySplit.Parts(RemoteWriteVersion.V1, message, 1_000);
        }
        catch (RemoteWriteException)
        {
            return [];
        }
    }

    static byte[] Message(IReadOnlyList<TimeSeries> series, RemoteWriteVersion version)
    {
        var output = new ArrayBufferWriter<byte>();
        if (version == RemoteWriteVersion.V1)
            RemoteWriteEncoder.EncodeV1(series, output);
        else
            RemoteWriteEncoder.EncodeV2(series, output);
        return output.WrittenSpan.ToArray();
    }

    static List<(string, Sample)> Read(byte[] part)
    {
        using var body = RemoteWriteBody.Decompress(part, 1 << 20);
        var reader = new WriteRequestReader(body.Span, RemoteWriteVersion.V1, new WriteRequestScratch());
        var found = new List<(string, Sample)>();
        while (reader.ReadSeries())
        {
            while (reader.ReadSample(out var sample))
                found.Add((LabelsCodec.Decode(reader.Key, LabelLimits.Default).ToString(), sample));
        }

        return found;
    }
}
