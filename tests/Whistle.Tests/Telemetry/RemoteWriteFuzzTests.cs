using CsCheck;

using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Telemetry;

/// <summary>Whatever a sender sends, reading it succeeds or is refused with a reason, in memory bounded by what was sent.</summary>
public sealed class RemoteWriteFuzzTests(ITestOutputHelper output)
{
    const int Inputs = 200_000;
    const int MaxBytes = 1 << 20;

    readonly WriteRequestScratch _scratch = new();

    [Fact]
    public void Any_bytes_are_read_or_refused()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var bodies = Bodies(random);
        var accepted = 0;
        for (var i = 0; i < Inputs; i++)
        {
            var version = (RemoteWriteVersion)random.Next(2);
            var valid = bodies[random.Next(bodies.Length)];
            var (input, compressed) = Input(random, version == RemoteWriteVersion.V1 ? valid.V1 : valid.V2);
            try
            {
                accepted += IsAccepted(input, compressed, version) ? 1 : 0;
            }
            catch (Exception e)
            {
                Assert.Fail($"Input {i} of seed {seed}, {version}, compressed {compressed}: {Convert.ToHexString(input)}: {e}");
            }
        }

        // Neither side of the decision is empty, so the mutations reach both.
        output.WriteLine($"{accepted} of {Inputs} accepted");
        Assert.InRange(accepted, Inputs / 100, Inputs * 9 / 10);
    }

    [Fact]
    public void Long_symbols_repeated_without_end_are_refused_in_bounded_memory()
    {
        List<byte> body = [0x22, 0x80, 0x20, .. new byte[4096]];
        for (var series = 0; series < 10_000; series++)
            body.AddRange([0x2a, 66, 0x0a, 64, .. new byte[64]]);
        var input = body.ToArray();

        Assert.False(IsAccepted(input, compressed: false, RemoteWriteVersion.V2));
    }

    [Fact]
    public void A_series_of_endless_labels_is_refused_before_they_are_written_out()
    {
        byte[] body = [0x22, 0x80, 0x20, .. new byte[4096], 0x2a, 0x84, 0x80, 0x04, 0x0a, 0x80, 0x80, 0x04, .. new byte[65536]];

        var refused = Assert.Throws<RemoteWriteException>(() => Requests.Read(body, RemoteWriteVersion.V2));

        Assert.Equal(RemoteWriteErrorReason.LabelLimits, refused.Reason);
    }

    bool IsAccepted(byte[] input, bool compressed, RemoteWriteVersion version)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            if (!compressed)
            {
                Requests.Read(input, version, _scratch);
                return true;
            }

            using var body = RemoteWriteBody.Decompress(input, MaxBytes);
            Requests.Read(body.Span, version, _scratch);
            return true;
        }
        catch (RemoteWriteException)
        {
            return false;
        }
        finally
        {
            // The objects that Read makes of a series weigh a few hundred bytes for each byte sent, at most 22 times that out of Snappy.
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.InRange(allocated, 0, (4 * MaxBytes) + (1000L * input.Length * (compressed ? 22 : 1)));
        }
    }

    static (byte[] V1, byte[] V2)[] Bodies(Random random)
    {
        var seed = new PCG((uint)random.Next(), (ulong)random.Next());
        return
        [
            .. Enumerable.Range(0, 200).Select(_ => Requests.Any.Generate(seed, null, out var _))
                .Select(series => (Requests.Encode(series, RemoteWriteVersion.V1), Requests.Encode(series, RemoteWriteVersion.V2))),
        ];
    }

    static (byte[] Input, bool Compressed) Input(Random random, byte[] valid)
    {
        switch (random.Next(6))
        {
            case 0:
                var noise = new byte[random.Next(64)];
                random.NextBytes(noise);
                return (noise, random.Next(2) == 0);
            case 1:
                return (valid[..random.Next(valid.Length + 1)], false);
            case 2:
                return (Mutate(random, Compressed(valid)), true);
            case 3:
                return (Compressed(Mutate(random, valid)), true);
            default:
                return (Mutate(random, valid), false);
        }
    }

    // A few bytes changed, put in, taken out, or a piece said twice.
    static byte[] Mutate(Random random, byte[] valid)
    {
        List<byte> bytes = [.. valid];
        for (var change = random.Next(4); change >= 0 && bytes.Count > 0; change--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(5))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 2:
                    bytes.Insert(at, (byte)random.Next(256));
                    break;
                case 3:
                    bytes.RemoveRange(at, Math.Min(bytes.Count - at, random.Next(1, 8)));
                    break;
                default:
                    bytes.InsertRange(random.Next(bytes.Count), bytes.GetRange(at, Math.Min(bytes.Count - at, random.Next(1, 32))));
                    break;
            }
        }

        return [.. bytes];
    }

    static byte[] Compressed(byte[] body)
    {
        using var compressed = RemoteWriteBody.Compress(body);
        return compressed.Span.ToArray();
    }
}
