using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Unicode;

namespace Whistle.Telemetry;

/// <summary>What a series' labels may be. Lengths are bytes of UTF-8; the metric name is a label's value.</summary>
public sealed record LabelLimits(int MaxLabels = 64, int MaxNameBytes = 1024, int MaxValueBytes = 8192)
{
    public static readonly LabelLimits Default = new();
}

/// <summary>
/// <see cref="Labels"/> from and to the encoding of <see cref="WriteRequestReader.Key"/>: for each label the byte 0x0A, a length, and a
/// message with the name as field 1 and the value as field 2.
/// </summary>
public static class LabelsCodec
{
    const byte LabelTag = 1 << 3 | Wire.LengthDelimited;
    const byte NameTag = 1 << 3 | Wire.LengthDelimited;
    const byte ValueTag = 2 << 3 | Wire.LengthDelimited;

    /// <summary>Checks everything about the labels of a series. Labels with an empty value are dropped; unsorted ones are sorted.</summary>
    /// <param name="key">As <see cref="WriteRequestReader.Key"/> yields it.</param>
    /// <param name="limits">What is refused as too much.</param>
    /// <exception cref="RemoteWriteException">The series cannot be accepted; the message names the label.</exception>
    public static Labels Decode(ReadOnlySpan<byte> key, LabelLimits limits)
    {
        var count = CountLabels(key, limits);
        var names = new string[count];
        var values = new string[count];
        var position = 0;
        var sorted = true;
        for (var i = 0; i < count;)
        {
            ReadLabel(key, ref position, out var name, out var value);
            if (value.IsEmpty)
                continue;
            names[i] = Encoding.UTF8.GetString(name);
            values[i] = Encoding.UTF8.GetString(value);
            sorted = sorted && (i == 0 || string.CompareOrdinal(names[i - 1], names[i]) < 0);
            i++;
        }

        if (!sorted)
            Array.Sort(names, values, StringComparer.Ordinal);
        CheckNames(names, values);
        return Labels.FromSorted(names, values);
    }

    public static void Encode(Labels labels, IBufferWriter<byte> output)
    {
        foreach (var (name, value) in labels)
            EncodeLabel(name, value, output);
    }

    internal static int EncodedLength(Labels labels)
    {
        var length = 0;
        for (var i = 0; i < labels.Count; i++)
        {
            var (name, value) = labels[i];
            length += EncodedLength(Encoding.UTF8.GetByteCount(name), Encoding.UTF8.GetByteCount(value));
        }

        return length;
    }

    internal static int EncodedLength(int nameLength, int valueLength)
    {
        var content = ContentLength(nameLength, valueLength);
        return 1 + Wire.VarintLength((ulong)content) + content;
    }

    /// <summary>Writes all but the texts.</summary>
    /// <returns>Where the value's text begins.</returns>
    internal static int WriteHeads(Span<byte> output, int nameLength, int valueLength, out int nameAt)
    {
        output[0] = LabelTag;
        nameAt = 1 + Wire.WriteVarint(output[1..], (ulong)ContentLength(nameLength, valueLength));
        output[nameAt++] = NameTag;
        nameAt += Wire.WriteVarint(output[nameAt..], (ulong)nameLength);
        var valueAt = nameAt + nameLength;
        output[valueAt++] = ValueTag;
        return valueAt + Wire.WriteVarint(output[valueAt..], (ulong)valueLength);
    }

    static void EncodeLabel(string name, string value, IBufferWriter<byte> output)
    {
        var nameLength = Encoding.UTF8.GetByteCount(name);
        var valueLength = Encoding.UTF8.GetByteCount(value);
        var length = EncodedLength(nameLength, valueLength);
        var span = output.GetSpan(length);
        var valueAt = WriteHeads(span, nameLength, valueLength, out var nameAt);
        Encoding.UTF8.GetBytes(name, span[nameAt..]);
        Encoding.UTF8.GetBytes(value, span[valueAt..]);
        output.Advance(length);
    }

    static int ContentLength(int nameLength, int valueLength) =>
        2 + Wire.VarintLength((ulong)nameLength) + nameLength + Wire.VarintLength((ulong)valueLength) + valueLength;

    // The labels with a value. Everything but order and doubles is checked here, so that the second pass cannot fail.
    static int CountLabels(ReadOnlySpan<byte> key, LabelLimits limits)
    {
        var count = 0;
        var position = 0;
        while (position < key.Length)
        {
            ReadLabel(key, ref position, out var name, out var value);
            CheckLabel(name, value, limits);
            if (!value.IsEmpty && ++count > limits.MaxLabels)
                Fail(
                    RemoteWriteErrorReason.LabelLimits,
                    $"A series has more than {limits.MaxLabels} labels: {Shown(key)}. Drop some by relabelling at the sender.");
        }

        return count;
    }

    static void CheckLabel(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, LabelLimits limits)
    {
        if (name.IsEmpty)
            Fail(RemoteWriteErrorReason.Labels, $"A label with the value \"{Shown(value)}\" has an empty name.");
        if (name.Length > limits.MaxNameBytes)
            Fail(
                RemoteWriteErrorReason.LabelLimits,
                $"The label name \"{Shown(name)}\" takes {name.Length} bytes; {limits.MaxNameBytes} are allowed.");
        if (value.Length > limits.MaxValueBytes)
        {
            Fail(
                RemoteWriteErrorReason.LabelLimits,
                $"The value of the label {Shown(name)} takes {value.Length} bytes; {limits.MaxValueBytes} are allowed. "
                + "Shorten or drop it by relabelling at the sender.");
        }

        if (!Utf8.IsValid(name))
            Fail(RemoteWriteErrorReason.Utf8, $"The label name \"{Shown(name)}\" is not UTF-8.");
        if (!Utf8.IsValid(value))
            Fail(RemoteWriteErrorReason.Utf8, $"The value \"{Shown(value)}\" of the label {Shown(name)} is not UTF-8.");
    }

    static void CheckNames(string[] names, string[] values)
    {
        for (var i = 1; i < names.Length; i++)
        {
            if (names[i] == names[i - 1])
                Fail(RemoteWriteErrorReason.Labels, $"The label {names[i]} is given twice, as \"{values[i - 1]}\" and \"{values[i]}\".");
        }

        if (Array.BinarySearch(names, Labels.MetricName, StringComparer.Ordinal) < 0)
            Fail(RemoteWriteErrorReason.Labels, $"A series has no metric name ({Labels.MetricName}): {Labels.FromSorted(names, values)}.");
    }

    // As protobuf has it, the last of a repeated field counts and unknown fields are passed over.
    static void ReadLabel(ReadOnlySpan<byte> key, ref int position, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        name = value = default;
        var content = 0;
        if (!Wire.TryReadTag(key, ref position, key.Length, out var outer) || outer != LabelTag
            || !Wire.TryReadLength(key, ref position, key.Length, out content))
            FailProtobuf();
        var end = position + content;
        while (position < end)
        {
            if (!Wire.TryReadTag(key, ref position, end, out var tag))
                FailProtobuf();
            if (tag is not (NameTag or ValueTag))
            {
                if (tag >> 3 <= 2 || !Wire.TrySkip(key, ref position, end, tag))
                    FailProtobuf();
                continue;
            }

            if (!Wire.TryReadLength(key, ref position, end, out var length))
                FailProtobuf();
            var text = key.Slice(position, length);
            position += length;
            if (tag == NameTag)
                name = text;
            else
                value = text;
        }
    }

    static string Shown(ReadOnlySpan<byte> text) =>
        text.Length > 100 ? Encoding.UTF8.GetString(text[..100]) + "…" : Encoding.UTF8.GetString(text);

    [DoesNotReturn]
    static void FailProtobuf() => Fail(RemoteWriteErrorReason.Protobuf, "The labels of a series are cut off or malformed.");

    [DoesNotReturn]
    static void Fail(RemoteWriteErrorReason reason, string message) => throw new RemoteWriteException(reason, message);
}
