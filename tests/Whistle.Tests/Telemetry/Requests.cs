using System.Buffers;

using CsCheck;

using Whistle.Telemetry;

namespace Whistle.Tests.Telemetry;

/// <summary>Remote-write requests for tests: generated, encoded, read as a receiver reads them.</summary>
static class Requests
{
    static readonly Gen<string> Text = Gen.OneOf(
        Gen.String[Gen.Char.AlphaNumeric, 1, 12],
        Gen.OneOf("ä", "日本語", "🚨", "a\nb\"c\\", "\0", new string('x', 300)));

    static readonly Gen<double> Value = Gen.OneOf(
        Gen.Double,
        Gen.Double.Special,
        Gen.Const(StaleMarker.Value),
        Gen.Const(-0.0));

    static readonly Gen<Sample> Sample = Gen.Select(
        Gen.OneOf(Gen.Long, Gen.Long[1_600_000_000_000, 1_900_000_000_000], Gen.Const(0L)), Value, (t, v) => new Sample(t, v));

    public static readonly Gen<TimeSeries[]> Any = Series().Array[0, 8];

    public static byte[] Encode(IReadOnlyList<TimeSeries> series, RemoteWriteVersion version)
    {
        var output = new ArrayBufferWriter<byte>();
        if (version == RemoteWriteVersion.V1)
            RemoteWriteEncoder.EncodeV1(series, output);
        else
            RemoteWriteEncoder.EncodeV2(series, output);
        return output.WrittenSpan.ToArray();
    }

    public static List<TimeSeries> Read(ReadOnlySpan<byte> body, RemoteWriteVersion version, WriteRequestScratch? scratch = null)
    {
        List<TimeSeries> all = [];
        var reader = new WriteRequestReader(body, version, scratch ?? new WriteRequestScratch());
        while (reader.ReadSeries())
        {
            var labels = LabelsCodec.Decode(reader.Key, LabelLimits.Default);
            List<Sample> samples = [];
            while (reader.ReadSample(out var sample))
                samples.Add(sample);
            all.Add(new TimeSeries(labels, samples));
        }

        return all;
    }

    /// <summary>In hexadecimal, so that keys compare and show well.</summary>
    public static string Key(Labels labels)
    {
        var output = new ArrayBufferWriter<byte>();
        LabelsCodec.Encode(labels, output);
        return Convert.ToHexString(output.WrittenSpan);
    }

    static Gen<TimeSeries> Series() => Gen.Select(
        Text,
        Gen.Select(Text, Text, (name, value) => (Name: name, Value: value)).Array[0, 6],
        Sample.Array[0, 5],
        (metric, labels, samples) => new TimeSeries(
            Labels.OfMetric(metric, [.. labels.DistinctBy(l => l.Name).Where(l => l.Name != Labels.MetricName)]), samples));
}
