using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Whistle.Telemetry;

/// <summary>Writes remote-write messages, uncompressed; <see cref="RemoteWriteBody.Compress"/> makes the body of them.</summary>
public static class RemoteWriteEncoder
{
    const byte LabelOrReferencesTag = 1 << 3 | Wire.LengthDelimited;
    const byte SampleTag = 2 << 3 | Wire.LengthDelimited;
    const byte SeriesTagV1 = 1 << 3 | Wire.LengthDelimited;
    const byte SymbolTagV2 = 4 << 3 | Wire.LengthDelimited;
    const byte SeriesTagV2 = 5 << 3 | Wire.LengthDelimited;
    const byte ValueTag = 1 << 3 | Wire.Fixed64;
    const byte TimeTag = 2 << 3 | Wire.Varint;

    /// <summary>The message prometheus.WriteRequest.</summary>
    public static void EncodeV1(IReadOnlyList<TimeSeries> series, IBufferWriter<byte> output)
    {
        foreach (var (labels, samples) in series)
        {
            WriteHead(output, SeriesTagV1, LabelsCodec.EncodedLength(labels) + SamplesLength(samples));
            LabelsCodec.Encode(labels, output);
            WriteSamples(output, samples);
        }
    }

    /// <summary>The message io.prometheus.write.v2.Request, symbols first. No metadata.</summary>
    public static void EncodeV2(IReadOnlyList<TimeSeries> series, IBufferWriter<byte> output)
    {
        var symbols = new Dictionary<string, int>(StringComparer.Ordinal);
        AddSymbol(symbols, "", output);
        foreach (var (labels, _) in series)
        {
            foreach (var (name, value) in labels)
            {
                AddSymbol(symbols, name, output);
                AddSymbol(symbols, value, output);
            }
        }

        foreach (var (labels, samples) in series)
        {
            var references = 0;
            foreach (var (name, value) in labels)
                references += Wire.VarintLength((ulong)symbols[name]) + Wire.VarintLength((ulong)symbols[value]);
            WriteHead(output, SeriesTagV2, 1 + Wire.VarintLength((ulong)references) + references + SamplesLength(samples));
            WriteHead(output, LabelOrReferencesTag, references);
            foreach (var (name, value) in labels)
            {
                WriteVarint(output, (ulong)symbols[name]);
                WriteVarint(output, (ulong)symbols[value]);
            }

            WriteSamples(output, samples);
        }
    }

    // The first symbol has to be the empty string.
    static void AddSymbol(Dictionary<string, int> symbols, string symbol, IBufferWriter<byte> output)
    {
        if (!symbols.TryAdd(symbol, symbols.Count))
            return;
        var length = Encoding.UTF8.GetByteCount(symbol);
        WriteHead(output, SymbolTagV2, length);
        Encoding.UTF8.GetBytes(symbol, output.GetSpan(length));
        output.Advance(length);
    }

    static int SamplesLength(IReadOnlyList<Sample> samples)
    {
        var length = 0;
        for (var i = 0; i < samples.Count; i++)
        {
            var content = SampleLength(samples[i]);
            length += 1 + Wire.VarintLength((ulong)content) + content;
        }

        return length;
    }

    static void WriteSamples(IBufferWriter<byte> output, IReadOnlyList<Sample> samples)
    {
        for (var i = 0; i < samples.Count; i++)
            WriteSample(output, samples[i]);
    }

    static void WriteSample(IBufferWriter<byte> output, Sample sample)
    {
        var length = SampleLength(sample);
        WriteHead(output, SampleTag, length);
        var span = output.GetSpan(length);
        var bits = BitConverter.DoubleToUInt64Bits(sample.Value);
        if (bits != 0)
        {
            span[0] = ValueTag;
            BinaryPrimitives.WriteUInt64LittleEndian(span[1..], bits);
            span = span[(1 + sizeof(ulong))..];
        }

        if (sample.Time != 0)
        {
            span[0] = TimeTag;
            Wire.WriteVarint(span[1..], (ulong)sample.Time);
        }

        output.Advance(length);
    }

    // What is zero is left out, as proto3 has it; a negative zero is not zero in its bits.
    static int SampleLength(Sample sample) =>
        (BitConverter.DoubleToUInt64Bits(sample.Value) == 0 ? 0 : 1 + sizeof(ulong))
        + (sample.Time == 0 ? 0 : 1 + Wire.VarintLength((ulong)sample.Time));

    static void WriteHead(IBufferWriter<byte> output, byte tag, int length)
    {
        var span = output.GetSpan(1 + 5);
        span[0] = tag;
        output.Advance(1 + Wire.WriteVarint(span[1..], (ulong)length));
    }

    static void WriteVarint(IBufferWriter<byte> output, ulong value) =>
        output.Advance(Wire.WriteVarint(output.GetSpan(10), value));
}
