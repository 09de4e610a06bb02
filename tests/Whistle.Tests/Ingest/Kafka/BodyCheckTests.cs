using System.Buffers;

using CsCheck;

using Microsoft.Extensions.Time.Testing;

using Whistle.Ingest.Heads;
using Whistle.Ingest.Logs;
using Whistle.Inventory;
using Whistle.State.Memory;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Ingest.Kafka;

/// <summary>The gateway says of a body what the process that decodes it will find.</summary>
public sealed class BodyCheckTests
{
    readonly FakeTimeProvider _time = new(new(2026, 3, 1, 10, 0, 0, TimeSpan.Zero));

    [Fact]
    public void It_counts_as_the_decoder_does_and_gives_the_same_first_reason()
    {
        var options = new TelemetryLogOptions { LabelLimits = new(4, 20, 30) };
        var now = _time.GetUtcNow().ToUnixTimeMilliseconds();
        var genTime = Gen.OneOf(Gen.Long[now - 1000, now], Gen.Const(now - 90_000_000), Gen.Const(now + 3_600_000));
        var genLabels = Gen.OneOf(
            Gen.Int[0, 5].Select(i => Labels.OfMetric("m", ("a", $"{i}"))), Gen.Const(Labels.OfMetric("m", ("a", new string('x', 40)))),
            Gen.Const(Labels.OfMetric("m", ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1"))));
        Gen.Select(genLabels, genTime.Array[0, 4]).Array[0, 12].Sample(all =>
        {
            var message = new ArrayBufferWriter<byte>();
            RemoteWriteEncoder.EncodeV1(
                [.. all.Select((s, i) => new TimeSeries(s.Item1, [.. s.Item2.Select(t => new Sample(t, i))]))], message);
            var write = new StagedWrite("t", WriteOrigin.Log, options.MaxSamplesPerRequest, new ByteBudget(1 << 30, "").Open());
            new SeriesResolver(new Head(_time, 1000), options, _time).Decode(
                new Sender(new ClusterId("t", "c"), "n"), RemoteWriteVersion.V1, message.WrittenSpan, write);

            Assert.Equal(write.Result(), new BodyCheck(options).Read(RemoteWriteVersion.V1, message.WrittenSpan, _time.GetUtcNow()));
        });
    }

    [Fact]
    public void A_body_that_cannot_be_read_or_has_too_many_samples_is_refused_whole()
    {
        var check = new BodyCheck(new TelemetryLogOptions { MaxSamplesPerRequest = 3 });
        Assert.Throws<RemoteWriteException>(() => check.Read(RemoteWriteVersion.V1, [0x0A, 0xFF], _time.GetUtcNow()));
        var message = new ArrayBufferWriter<byte>();
        var now = _time.GetUtcNow().ToUnixTimeMilliseconds();
        RemoteWriteEncoder.EncodeV1([new(Labels.OfMetric("m"), [.. Enumerable.Range(0, 4).Select(i => new Sample(now + i, 1))])], message);
        Assert.Throws<RemoteWriteException>(() => check.Read(RemoteWriteVersion.V1, message.WrittenSpan, _time.GetUtcNow()));
    }
}
