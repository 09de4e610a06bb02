using System.Buffers;
using System.Globalization;
using System.Text;

using Whistle.Telemetry;

namespace Whistle.Ingest.Influx;

/// <summary>Lines of InfluxDB's line protocol, one a sample, in a buffer that is used again and again.</summary>
sealed class InfluxLines
{
    public const string ValueField = "value";
    public const string SpecialField = "special";

    // A number, an instant, and the names of fields.
    const int AfterKey = 80;

    static readonly SearchValues<char> Escaped = SearchValues.Create(",= ");

    byte[] _bytes = new byte[64 * 1024];

    public int Count { get; private set; }

    public int Length { get; private set; }

    public ReadOnlyMemory<byte> Bytes => _bytes.AsMemory(0, Length);

    public void Clear() => (Count, Length) = (0, 0);

    /// <summary>What all lines of a series begin with.</summary>
    public static byte[] Key(Labels labels)
    {
        var key = new StringBuilder();
        Append(key, InfluxText.Measurement(labels.Name));
        foreach (var (name, value) in labels)
        {
            if (name == Labels.MetricName)
                continue;
            Append(key.Append(','), InfluxText.Tag(name));
            Append(key.Append('='), InfluxText.Value(value));
        }

        return Encoding.UTF8.GetBytes(key.Append(' ').ToString());
    }

    /// <param name="key">From <see cref="Key"/>.</param>
    /// <param name="time">In milliseconds since 1970 UTC.</param>
    /// <param name="value">Any.</param>
    public void Add(ReadOnlySpan<byte> key, long time, double value)
    {
        if (_bytes.Length - Length < key.Length + AfterKey)
            Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, Length + key.Length + AfterKey));
        var rest = _bytes.AsSpan(Length);
        key.CopyTo(rest);
        rest = rest[key.Length..];
        if (double.IsFinite(value))
        {
            Take(ref rest, "value="u8);
            value.TryFormat(rest, out var written, default, CultureInfo.InvariantCulture);
            rest = rest[written..];
        }
        else
        {
            Take(ref rest, "special="u8);
            SpecialValue.Of(value).TryFormat(rest, out var written, default, CultureInfo.InvariantCulture);
            rest = rest[written..];
            Take(ref rest, "i"u8);
        }

        Take(ref rest, " "u8);
        time.TryFormat(rest, out var digits, default, CultureInfo.InvariantCulture);
        rest = rest[digits..];
        Take(ref rest, "\n"u8);
        Length = _bytes.Length - rest.Length;
        Count++;
    }

    static void Take(ref Span<byte> rest, ReadOnlySpan<byte> text)
    {
        text.CopyTo(rest);
        rest = rest[text.Length..];
    }

    // A measurement has no equals sign, which it could not escape.
    static void Append(StringBuilder key, string text)
    {
        if (!text.AsSpan().ContainsAny(Escaped))
        {
            key.Append(text);
            return;
        }

        foreach (var letter in text)
        {
            if (Escaped.Contains(letter))
                key.Append('\\');
            key.Append(letter);
        }
    }
}
