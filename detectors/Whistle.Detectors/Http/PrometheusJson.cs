using System.Globalization;
using System.Text.Json;

using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors.Http;

/// <summary>Query results as Prometheus writes them.</summary>
static class PrometheusJson
{
    public static void Write(Utf8JsonWriter json, QueryValue result)
    {
        json.WriteStartObject();
        switch (result)
        {
            case ScalarValue scalar:
                json.WriteString("resultType", "scalar");
                json.WritePropertyName("result");
                Point(json, scalar.Time, GoNumber.WithoutExponent(scalar.Value));
                break;
            case StringValue text:
                json.WriteString("resultType", "string");
                json.WritePropertyName("result");
                Point(json, text.Time, text.Value);
                break;
            case VectorValue vector:
                Vector(json, vector);
                break;
            case MatrixValue matrix:
                Matrix(json, matrix);
                break;
            default:
                throw new InvalidOperationException($"A query gives no {result.GetType().Name}.");
        }

        json.WriteEndObject();
    }

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

    static void Vector(Utf8JsonWriter json, VectorValue vector)
    {
        json.WriteString("resultType", "vector");
        json.WriteStartArray("result");
        foreach (var sample in vector.Samples)
        {
            json.WriteStartObject();
            WriteLabels(json, "metric", sample.Labels);
            json.WritePropertyName("value");
            Point(json, vector.Time, GoNumber.WithoutExponent(sample.Value));
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    static void Matrix(Utf8JsonWriter json, MatrixValue matrix)
    {
        json.WriteString("resultType", "matrix");
        json.WriteStartArray("result");
        foreach (var series in matrix.Series)
        {
            json.WriteStartObject();
            WriteLabels(json, "metric", series.Labels);
            json.WriteStartArray("values");
            for (var i = 0; i < series.Times.Length; i++)
                Point(json, series.Times[i], GoNumber.WithoutExponent(series.Values[i]));
            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    static void Point(Utf8JsonWriter json, long time, string value)
    {
        json.WriteStartArray();
        json.WriteRawValue(Seconds(time), skipInputValidation: true);
        json.WriteStringValue(value);
        json.WriteEndArray();
    }

    // Whole seconds without decimals, otherwise three of them.
    static string Seconds(long milliseconds) => milliseconds % 1000 == 0
        ? (milliseconds / 1000).ToString(CultureInfo.InvariantCulture)
        : (milliseconds / 1000m).ToString("0.000", CultureInfo.InvariantCulture);
}
