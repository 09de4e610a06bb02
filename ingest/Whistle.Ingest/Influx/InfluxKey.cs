using Whistle.Telemetry;

namespace Whistle.Ingest.Influx;

/// <summary>Reads the labels of a series from what InfluxDB answers.</summary>
static class InfluxKey
{
    /// <param name="measurement">As stored, without escapes.</param>
    /// <param name="tags">Such as <c>a=b,c=d\,e</c>.</param>
    public static Labels Read(ReadOnlySpan<byte> measurement, ReadOnlySpan<byte> tags)
    {
        List<Label> labels = [];
        if (InfluxText.Decode(measurement) is { Length: > 0 } metric)
            labels.Add(new(Labels.MetricName, metric));
        while (tags.Length > 0)
        {
            var name = InfluxText.Decode(Take(ref tags, (byte)'='));
            labels.Add(new(name, InfluxText.Decode(Take(ref tags, (byte)','))));
        }

        return Labels.From(labels);
    }

    /// <param name="key">Such as <c>m,a=b,c=d\,e</c>, all of it escaped.</param>
    public static Labels Read(ReadOnlySpan<byte> key)
    {
        var measurement = Take(ref key, (byte)',');
        return Read(measurement, key);
    }

    // What is stored has no backslash of its own, so each is one that escapes.
    static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> text, byte end)
    {
        var (at, escapes) = (0, 0);
        while (at < text.Length && text[at] != end)
        {
            if (text[at] == '\\' && at + 1 < text.Length)
            {
                escapes++;
                at++;
            }

            at++;
        }

        var taken = text[..at];
        text = text[Math.Min(at + 1, text.Length)..];
        return escapes == 0 ? taken : Unescape(taken, escapes);
    }

    static byte[] Unescape(ReadOnlySpan<byte> text, int escapes)
    {
        var (plain, length) = (new byte[text.Length - escapes], 0);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\\' && i + 1 < text.Length)
                i++;
            plain[length++] = text[i];
        }

        return plain;
    }
}
