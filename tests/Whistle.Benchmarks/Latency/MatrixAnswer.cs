using System.Globalization;
using System.Text.Json;

namespace Whistle.Benchmarks.Latency;

/// <summary>The series of a range query's answer, without the labels that Whistle gives to what it takes in.</summary>
sealed class MatrixAnswer
{
    readonly Dictionary<string, List<(double Time, double Value)>> _series = [];

    public long Points => _series.Values.Sum(s => (long)s.Count);

    public static MatrixAnswer Read(byte[] json)
    {
        var (answer, labels) = (new MatrixAnswer(), new SortedDictionary<string, string>());
        var reader = new Utf8JsonReader(json);
        while (reader.Read())
        {
            if (reader.TokenType != JsonTokenType.PropertyName)
                continue;
            if (reader.ValueTextEquals("metric"))
                labels = Labels(ref reader);
            else if (reader.ValueTextEquals("values"))
                answer._series.Add(string.Join(',', labels), Values(ref reader));
        }

        return answer;
    }

    /// <summary>The first series or point that differs by more than a billionth; null where none does.</summary>
    public string? DifferenceTo(MatrixAnswer other)
    {
        if (_series.Keys.Except(other._series.Keys).Concat(other._series.Keys.Except(_series.Keys)).FirstOrDefault() is { } missing)
            return $"only one of them has {missing}";
        foreach (var (labels, points) in _series)
        {
            var others = other._series[labels];
            if (points.Count != others.Count)
                return $"{labels} has {points.Count} and {others.Count} points";
            for (var i = 0; i < points.Count; i++)
            {
                if (points[i].Time != others[i].Time || !IsNear(points[i].Value, others[i].Value))
                    return $"{labels}: {points[i]} and {others[i]}";
            }
        }

        return null;
    }

    static bool IsNear(double a, double b) => a.Equals(b) || Math.Abs(a - b) <= 1e-9 * Math.Max(Math.Abs(a), Math.Abs(b));

    static SortedDictionary<string, string> Labels(ref Utf8JsonReader reader)
    {
        var labels = new SortedDictionary<string, string>(StringComparer.Ordinal);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            if (name is not ("tenant" or "cluster"))
                labels.Add(name, reader.GetString()!);
        }

        return labels;
    }

    static List<(double Time, double Value)> Values(ref Utf8JsonReader reader)
    {
        List<(double, double)> values = [];
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.StartArray)
        {
            reader.Read();
            var time = reader.GetDouble();
            reader.Read();
            var text = reader.GetString()!;
            values.Add((time, text is "+Inf" ? double.PositiveInfinity : text is "-Inf" ? double.NegativeInfinity : double.Parse(
                text, CultureInfo.InvariantCulture)));
            reader.Read();
        }

        return values;
    }
}
