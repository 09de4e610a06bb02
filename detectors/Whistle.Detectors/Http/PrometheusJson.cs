using System.Buffers;
using System.Globalization;
using System.Text.Json;

using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors.Http;

/// <summary>Query results as Prometheus writes them.</summary>
static class PrometheusJson
{
    // Time, brackets, quotes and a value of 17 digits.
    const int UsualPoint = 40;

    // With the longest number there is.
    const int LongestPoint = 64 + GoNumber.MaxLength;

    /// <summary>In parts, so that what is written can be sent before the rest.</summary>
    public static IEnumerable<Action<Utf8JsonWriter>> Parts(QueryValue result) => result switch
    {
        ScalarValue scalar => [json => Single(json, "scalar", scalar.Time, GoNumber.WithoutExponent(scalar.Value))],
        StringValue text => [json => Single(json, "string", text.Time, text.Value)],
        VectorValue vector =>
            Many("vector", vector.Samples.Select<VectorSample, Action<Utf8JsonWriter>>(s => json => Sample(json, vector.Time, s))),
        MatrixValue matrix => Many("matrix", matrix.Series.Select<SeriesSamples, Action<Utf8JsonWriter>>(s => json => Series(json, s))),
        _ => throw new InvalidOperationException($"A query gives no {result.GetType().Name}."),
    };

    public static void WriteLabels(Utf8JsonWriter json, string property, IEnumerable<Label> labels)
    {
        json.WritePropertyName(property);
        WriteLabels(json, labels);
    }

    public static void WriteLabels(Utf8JsonWriter json, IEnumerable<Label> labels)
    {
        json.WriteStartObject();
        foreach (var (name, value) in labels)
            json.WriteString(name, value);
        json.WriteEndObject();
    }

    static void Single(Utf8JsonWriter json, string type, long time, string value)
    {
        json.WriteStartObject();
        json.WriteString("resultType", type);
        json.WritePropertyName("result");
        Point(json, time, value);
        json.WriteEndObject();
    }

    static IEnumerable<Action<Utf8JsonWriter>> Many(string type, IEnumerable<Action<Utf8JsonWriter>> items) =>
    [
        json =>
        {
            json.WriteStartObject();
            json.WriteString("resultType", type);
            json.WriteStartArray("result");
        },
        .. items,
        static json =>
        {
            json.WriteEndArray();
            json.WriteEndObject();
        },
    ];

    static void Sample(Utf8JsonWriter json, long time, VectorSample sample)
    {
        json.WriteStartObject();
        WriteLabels(json, "metric", sample.Labels);
        json.WritePropertyName("value");
        Point(json, time, GoNumber.WithoutExponent(sample.Value));
        json.WriteEndObject();
    }

    static void Series(Utf8JsonWriter json, SeriesSamples series)
    {
        json.WriteStartObject();
        WriteLabels(json, "metric", series.Labels);
        json.WritePropertyName("values");
        var text = ArrayPool<byte>.Shared.Rent(2 + (series.Times.Length * UsualPoint));
        json.WriteRawValue(Points(series, ref text), skipInputValidation: true);
        ArrayPool<byte>.Shared.Return(text);
        json.WriteEndObject();
    }

    // Many millions of them may make up an answer; nothing in them needs to be escaped.
    static ReadOnlySpan<byte> Points(SeriesSamples series, ref byte[] text)
    {
        text[0] = (byte)'[';
        var at = 1;
        for (var i = 0; i < series.Times.Length; i++)
        {
            if (text.Length - at < LongestPoint)
                Grow(ref text);
            if (i > 0)
                text[at++] = (byte)',';
            text[at++] = (byte)'[';
            at += Seconds(series.Times[i], text.AsSpan(at));
            ",\""u8.CopyTo(text.AsSpan(at));
            at += 2;
            at += GoNumber.WithoutExponent(series.Values[i], text.AsSpan(at));
            "\"]"u8.CopyTo(text.AsSpan(at));
            at += 2;
        }

        text[at++] = (byte)']';
        return text.AsSpan(0, at);
    }

    static void Grow(ref byte[] text)
    {
        var longer = ArrayPool<byte>.Shared.Rent(Math.Max(text.Length * 2, 2 * LongestPoint));
        text.CopyTo(longer, 0);
        ArrayPool<byte>.Shared.Return(text);
        text = longer;
    }

    static void Point(Utf8JsonWriter json, long time, string value)
    {
        Span<byte> seconds = stackalloc byte[32];
        json.WriteStartArray();
        json.WriteRawValue(seconds[..Seconds(time, seconds)], skipInputValidation: true);
        json.WriteStringValue(value);
        json.WriteEndArray();
    }

    // Whole seconds without decimals, otherwise three of them.
    static int Seconds(long milliseconds, Span<byte> into)
    {
        int length;
        if (milliseconds % 1000 == 0)
            (milliseconds / 1000).TryFormat(into, out length, provider: CultureInfo.InvariantCulture);
        else
            (milliseconds / 1000m).TryFormat(into, out length, "0.000", CultureInfo.InvariantCulture);
        return length;
    }
}
