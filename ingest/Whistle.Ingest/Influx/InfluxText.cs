using System.Buffers;
using System.Globalization;
using System.Text;

namespace Whistle.Ingest.Influx;

/// <summary>
/// Names and values as InfluxDB keeps them: what would confuse one of its notations is written as <c>%XX</c>, and so is the first character
/// of a name that means something there. The empty text is <c>%</c>. Two texts never become one.
/// </summary>
static class InfluxText
{
    public const string Empty = "%";

    static readonly char[] Encoded = [.. Enumerable.Range(0, 0x20).Select(c => (char)c), '\x7f', '%', '\\', '#'];
    static readonly SearchValues<char> InValues = SearchValues.Create(Encoded);
    // InfluxDB does not know how to escape this in a measurement.
    static readonly SearchValues<char> InMeasurements = SearchValues.Create([.. Encoded, '=']);

    public static string Value(string text) => Encode(text, InValues);

    public static string Measurement(string metric) => Unreserved(Encode(metric, InMeasurements));

    /// <summary>A label's name as that of a tag.</summary>
    public static string Tag(string name) => Unreserved(Value(name));

    // What begins with an underscore is InfluxDB's own in one place or another.
    static string Unreserved(string name) =>
        name[0] == '_' || name is "time" or InfluxLines.ValueField or InfluxLines.SpecialField
            ? $"%{(int)name[0]:X2}{name[1..]}" : name;

    /// <summary>The opposite of each of the above. Text of others that was never encoded stays what it is.</summary>
    public static string Decode(ReadOnlySpan<byte> utf8)
    {
        if (!utf8.Contains((byte)'%'))
            return Encoding.UTF8.GetString(utf8);
        var text = Encoding.UTF8.GetString(utf8);
        if (text == Empty)
            return "";
        var decoded = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '%' && i + 2 < text.Length
                && byte.TryParse(text.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code))
            {
                decoded.Append((char)code);
                i += 2;
            }
            else
            {
                decoded.Append(text[i]);
            }
        }

        return decoded.ToString();
    }

    static string Encode(string text, SearchValues<char> encoded)
    {
        if (text.Length == 0)
            return Empty;
        if (!text.AsSpan().ContainsAny(encoded))
            return text;
        var written = new StringBuilder(text.Length + 8);
        foreach (var letter in text)
        {
            if (encoded.Contains(letter))
                written.Append('%').Append(((int)letter).ToString("X2", CultureInfo.InvariantCulture));
            else
                written.Append(letter);
        }

        return written.ToString();
    }
}
