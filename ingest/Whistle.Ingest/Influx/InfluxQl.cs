using System.Globalization;

using Whistle.Telemetry;

namespace Whistle.Ingest.Influx;

/// <summary>
/// Conditions in InfluxQL. They spare most of what is not wanted and never what is; <see cref="LabelMatcher.IsMatch(Labels)"/> decides.
/// </summary>
static class InfluxQl
{
    // The years that InfluxDB knows, of nanoseconds in 64 bits.
    const long FirstTime = -9_223_372_036_854;
    const long LastTime = 9_223_372_036_854;

    public static string Name(string encoded) => $"\"{encoded.Replace("\"", "\\\"", StringComparison.Ordinal)}\"";

    public static string Text(string encoded) => $"'{encoded.Replace("'", "\\'", StringComparison.Ordinal)}'";

    public static string Equal(string label, string value) => Compare(label, "=", value);

    public static string Within(long minTime, long maxTime) => string.Create(
        CultureInfo.InvariantCulture,
        $"time >= {Math.Clamp(minTime, FirstTime, LastTime)}ms AND time <= {Math.Clamp(maxTime, FirstTime, LastTime)}ms");

    /// <summary>The conditions for samples.</summary>
    public static IEnumerable<string> OfSamples(IEnumerable<LabelMatcher> matchers) =>
        matchers.Where(m => m.Name != Labels.MetricName).Select(OfSamples).OfType<string>();

    /// <summary>
    /// Those for listings, whose other conditions mean something else from one kind of listing to the next: that a label has a value.
    /// </summary>
    public static IEnumerable<string> OfListings(IEnumerable<LabelMatcher> matchers) =>
        matchers.Where(IsExact).Where(m => m.Name != Labels.MetricName).Select(m => Equal(m.Name, m.Value));

    /// <summary>That a listing's condition says all that the matcher does.</summary>
    public static bool IsExact(LabelMatcher matcher) => matcher is { Operator: MatchOperator.Equal, Value.Length: > 0 };

    public static string Where(IEnumerable<string> conditions) =>
        string.Join(" AND ", conditions) is { Length: > 0 } all ? $" WHERE {all}" : "";

    static string? OfSamples(LabelMatcher matcher) => matcher.Operator switch
    {
        MatchOperator.Equal => Equal(matcher.Name, matcher.Value),
        MatchOperator.NotEqual => Compare(matcher.Name, "!=", matcher.Value),
        // What the pattern makes of an absent label is told apart here.
        MatchOperator.Matches when matcher.IsMatch("") => null,
        MatchOperator.NotMatches when !matcher.IsMatch("") => null,
        MatchOperator.Matches when PlainPattern.IsPlain(matcher.Value, out _) => Pattern(matcher, "=~"),
        MatchOperator.NotMatches when PlainPattern.IsPlain(matcher.Value, out var hasWildcard) && !hasWildcard => Pattern(matcher, "!~"),
        _ => null,
    };

    // A tag that is absent equals the empty text here, too.
    static string Compare(string label, string op, string value) =>
        $"{Name(InfluxText.Tag(label))}::tag {op} {Text(value.Length == 0 ? "" : InfluxText.Value(value))}";

    static string Pattern(LabelMatcher matcher, string op) =>
        $"{Name(InfluxText.Tag(matcher.Name))}::tag {op} /^(?:{matcher.Value.Replace("/", "\\/", StringComparison.Ordinal)})$/";
}
