using CsCheck;

using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Telemetry;

public sealed class RemoteWriteTests
{
    [Fact]
    public void What_is_written_reads_back_bit_for_bit() => Requests.Any.Sample(
        series =>
        {
            foreach (var version in Enum.GetValues<RemoteWriteVersion>())
            {
                using var compressed = RemoteWriteBody.Compress(Requests.Encode(series, version));
                using var body = RemoteWriteBody.Decompress(compressed.Span, int.MaxValue);
                var read = Requests.Read(body.Span, version);
                Assert.Equal(series.Select(s => s.Labels), read.Select(s => s.Labels));
                Assert.Equal(series.Select(Bits), read.Select(Bits));
            }
        },
        iter: 2000);

    [Fact]
    public void Both_versions_give_a_series_the_same_key() => Requests.Any.Sample(
        series =>
        {
            Assert.Equal(Keys(RemoteWriteVersion.V1), Keys(RemoteWriteVersion.V2));
            Assert.Equal(Keys(RemoteWriteVersion.V1), series.Select(s => Requests.Key(s.Labels)));

            List<string> Keys(RemoteWriteVersion version)
            {
                var reader = new WriteRequestReader(Requests.Encode(series, version), version, new WriteRequestScratch());
                List<string> keys = [];
                while (reader.ReadSeries())
                    keys.Add(Convert.ToHexString(reader.Key));
                return keys;
            }
        },
        iter: 1000);

    // Made by hand after the field numbers in prompb/types.proto and io/prometheus/write/v2/types.proto.
    const string UpLabels = "0A0E" + "0A085F5F6E616D655F5F" + "12027570" + "0A08" + "0A036A6F62" + "120161";
    const string UpSample = "120C" + "09000000000000F03F" + "10E807";

    [Fact]
    public void The_message_of_1_0_is_as_specified()
    {
        TimeSeries up = new(Labels.OfMetric("up", ("job", "a")), [new Sample(1000, 1)]);

        Assert.Equal("0A28" + UpLabels + UpSample, Convert.ToHexString(Requests.Encode([up], RemoteWriteVersion.V1)));
    }

    [Fact]
    public void The_message_of_2_0_is_as_specified()
    {
        TimeSeries up = new(Labels.OfMetric("up", ("job", "a")), [new Sample(-1, 1)]);

        Assert.Equal(
            "2200" + "22085F5F6E616D655F5F" + "22027570" + "22036A6F62" + "220161"
            + "2A1C" + "0A0401020304" + "1214" + "09000000000000F03F" + "10FFFFFFFFFFFFFFFFFF01",
            Convert.ToHexString(Requests.Encode([up], RemoteWriteVersion.V2)));
    }

    [Theory]
    [InlineData(RemoteWriteVersion.V1, "0A28" + UpLabels + UpSample)]
    [InlineData(RemoteWriteVersion.V1, "0A28" + UpSample + UpLabels)] // samples before labels
    [InlineData(RemoteWriteVersion.V1, "1A020801" + "0A28" + UpLabels + UpSample + "9A0600")] // metadata and an unknown field
    [InlineData(RemoteWriteVersion.V1, "0A2C" + UpLabels + "1A00" + UpSample + "2200")] // an exemplar and a histogram
    [InlineData(RemoteWriteVersion.V1, "0A2A" + UpLabels + "120E" + "09000000000000F03F" + "10E807" + "1801")] // a start timestamp
    [InlineData(
        RemoteWriteVersion.V2, "2200220275702203" + "6A6F62" + "220161" + "22085F5F6E616D655F5F" + "2A14" + "0A0404010203" + UpSample)]
    // symbols last
    [InlineData(RemoteWriteVersion.V2, "2A14" + "0A0403000102" + UpSample + "22027570" + "22036A6F62" + "220161" + "22085F5F6E616D655F5F")]
    // references partly unpacked
    [InlineData(
        RemoteWriteVersion.V2,
        "22027570" + "2A16" + "0803" + "0A020001" + "0802" + UpSample + "22036A6F62" + "220161" + "22085F5F6E616D655F5F")]
    [InlineData(
        RemoteWriteVersion.V2,
        "2A1C" + "0A0403000102" + UpSample + "1A002200" + "2A00" + "3001" + "22027570" + "22036A6F62" + "220161" + "22085F5F6E616D655F5F")]
    public void Every_order_of_fields_that_protobuf_allows_is_read(RemoteWriteVersion version, string hex)
    {
        var series = Assert.Single(Requests.Read(Convert.FromHexString(hex), version));

        Assert.Equal("up{job=\"a\"}", series.Labels.ToString());
        Assert.Equal([new Sample(1000, 1)], series.Samples);
    }

    [Fact]
    public void Histograms_and_exemplars_are_counted()
    {
        Assert.Equal((2, 1), Counts(RemoteWriteVersion.V1, "0A06" + "2200" + "1A00" + "2200"));
        Assert.Equal((2, 1), Counts(RemoteWriteVersion.V2, "2A06" + "1A00" + "2200" + "1A00"));

        static (int Histograms, int Exemplars) Counts(RemoteWriteVersion version, string hex)
        {
            var reader = new WriteRequestReader(Convert.FromHexString(hex), version, new WriteRequestScratch());
            Assert.True(reader.ReadSeries());
            return (reader.Histograms, reader.Exemplars);
        }
    }

    [Theory]
    [InlineData(RemoteWriteVersion.V1, "0A", "Protobuf")] // no length
    [InlineData(RemoteWriteVersion.V1, "0A05120300", "Protobuf")] // longer than the body
    [InlineData(RemoteWriteVersion.V1, "0AFFFFFFFFFFFFFFFFFF01", "Protobuf")] // 2^64 - 1 bytes
    [InlineData(RemoteWriteVersion.V1, "10FFFFFFFFFFFFFFFFFF02", "Protobuf")] // a varint of 65 bits
    [InlineData(RemoteWriteVersion.V1, "10FFFFFFFFFFFFFFFFFFFF01", "Protobuf")] // a varint of eleven bytes
    [InlineData(RemoteWriteVersion.V1, "0001", "Protobuf")] // field 0
    [InlineData(RemoteWriteVersion.V1, "1314", "Protobuf")] // a group
    [InlineData(RemoteWriteVersion.V1, "0801", "Protobuf")] // series as a number
    [InlineData(RemoteWriteVersion.V1, "0A021001", "Protobuf")] // a sample as a number
    [InlineData(RemoteWriteVersion.V1, "0A1E" + UpLabels + "12020801", "Protobuf")] // a value as a varint
    [InlineData(RemoteWriteVersion.V1, "0A1E" + UpLabels + "12020900", "Protobuf")] // a value cut off
    [InlineData(RemoteWriteVersion.V1, "0A040A02" + "0801", "Protobuf")] // a label name as a number
    [InlineData(RemoteWriteVersion.V1, "0A060A040A056162", "Protobuf")] // a label name longer than its label
    [InlineData(RemoteWriteVersion.V1, "0A00", "Labels")] // no labels at all
    [InlineData(RemoteWriteVersion.V1, "0A080A060A016112" + "0162", "Labels")] // no metric name
    [InlineData(RemoteWriteVersion.V1, "0A050A03120162", "Labels")] // no name
    // twice
    [InlineData(RemoteWriteVersion.V1, "0A20" + "0A0E0A085F5F6E616D655F5F12027570" + "0A060A0161120162" + "0A060A0161120163", "Labels")]
    [InlineData(RemoteWriteVersion.V1, "0A080A060A0161120180", "Utf8")]
    [InlineData(RemoteWriteVersion.V1, "0A080A060A01FF120161", "Utf8")]
    [InlineData(RemoteWriteVersion.V2, "22002A030A0101", "Symbols")] // one symbol, reference 1
    [InlineData(RemoteWriteVersion.V2, "22002A030A0100", "Symbols")] // odd
    [InlineData(RemoteWriteVersion.V2, "22002A0108", "Protobuf")] // an unpacked reference cut off
    [InlineData(RemoteWriteVersion.V2, "2001", "Protobuf")] // a symbol as a number
    public void What_is_malformed_is_refused_with_its_reason(RemoteWriteVersion version, string hex, string reason)
    {
        var refused = Assert.Throws<RemoteWriteException>(() => Requests.Read(Convert.FromHexString(hex), version));

        Assert.Equal(reason, refused.Reason.ToString());
    }

    [Fact]
    public void Labels_past_a_limit_are_refused_and_those_at_it_are_not()
    {
        var limits = new LabelLimits(MaxLabels: 2, MaxNameBytes: 8, MaxValueBytes: 3);

        Assert.Equal(2, Decode(Labels.OfMetric("abc", ("12345678", "1"))).Count);
        foreach (var tooMuch in new[]
            { Labels.OfMetric("a", ("b", "1"), ("c", "1")), Labels.OfMetric("a", ("123456789", "1")), Labels.OfMetric("a", ("b", "äö")) })
            Assert.Equal(RemoteWriteErrorReason.LabelLimits, Assert.Throws<RemoteWriteException>(() => Decode(tooMuch)).Reason);

        Labels Decode(Labels labels) => LabelsCodec.Decode(Convert.FromHexString(Requests.Key(labels)), limits);
    }

    [Fact]
    public void Labels_are_sorted_and_empty_ones_dropped_when_decoded()
    {
        var key = Convert.FromHexString("0A060A017A120161" + "0A050A01791200" + UpLabels);

        Assert.Equal("up{job=\"a\",z=\"a\"}", LabelsCodec.Decode(key, LabelLimits.Default).ToString());
    }

    [Fact]
    public void Reading_a_known_series_allocates_nothing()
    {
        TimeSeries[] series =
            [.. Enumerable.Range(0, 100).Select(i => new TimeSeries(Labels.OfMetric("up", ("job", $"{i}")), [new Sample(i, i)]))];
        var scratch = new WriteRequestScratch();
        foreach (var version in Enum.GetValues<RemoteWriteVersion>())
        {
            var body = Requests.Encode(series, version);
            Walk(body, version, scratch);

            var before = GC.GetAllocatedBytesForCurrentThread();
            var samples = Walk(body, version, scratch);

            Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
            Assert.Equal(100, samples);
        }

        static int Walk(byte[] body, RemoteWriteVersion version, WriteRequestScratch scratch)
        {
            var reader = new WriteRequestReader(body, version, scratch);
            var samples = 0;
            while (reader.ReadSeries())
            {
                while (reader.ReadSample(out _))
                    samples++;
            }

            return samples;
        }
    }

    [Theory]
    [InlineData(null, null, RemoteWriteVersion.V1)]
    [InlineData("application/x-protobuf", "0.1.0", RemoteWriteVersion.V1)]
    [InlineData("Application/X-Protobuf; charset=utf-8; proto=prometheus.WriteRequest", "2.0.0", RemoteWriteVersion.V1)]
    [InlineData("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0", RemoteWriteVersion.V2)]
    [InlineData("application/x-protobuf; Proto=\"io.prometheus.write.v2.Request\"", null, RemoteWriteVersion.V2)]
    [InlineData("application/json", null, null)]
    [InlineData("", null, null)]
    [InlineData("application/x-protobuf;proto=io.prometheus.write.v3.Request", "3.0.0", null)]
    [InlineData("application/x-protobuf", "2.0.0", null)]
    public void The_headers_name_the_version(string? contentType, string? versionHeader, RemoteWriteVersion? expected)
    {
        Assert.Equal(expected.HasValue, RemoteWriteBody.TryGetVersion(contentType, versionHeader, out var version));
        if (expected.HasValue)
            Assert.Equal(expected, version);
    }

    [Theory]
    [InlineData("", 100, "Snappy")]
    [InlineData("05", 100, "Snappy")]
    [InlineData("FFFFFFFF0F", int.MaxValue, "TooLarge")] // 4 GiB declared
    [InlineData("FFFFFFFFFF7F", int.MaxValue, "Snappy")]
    [InlineData("8001" + "00", 100, "TooLarge")]
    [InlineData("6400" + "61", 100, "Snappy")] // 100 bytes declared by three
    [InlineData("05" + "0C61626364", 100, "Snappy")] // five declared, four there
    [InlineData("04" + "0505", 100, "Snappy")] // a copy from before the start
    public void A_bad_Snappy_block_is_refused(string hex, int limit, string reason)
    {
        var refused = Assert.Throws<RemoteWriteException>(() => RemoteWriteBody.Decompress(Convert.FromHexString(hex), limit));

        Assert.Equal(reason, refused.Reason.ToString());
    }

    static string Bits(TimeSeries series) =>
        string.Join(' ', series.Samples.Select(s => $"{s.Time}:{BitConverter.DoubleToUInt64Bits(s.Value):x}"));
}
