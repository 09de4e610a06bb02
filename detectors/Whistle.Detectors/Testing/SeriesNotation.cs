using System.Globalization;
using System.Text.RegularExpressions;

using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors.Testing;

/// <summary>
/// Series as text, as in Prometheus's rule tests. Values, one interval apart: <c>5</c>, <c>_</c> no sample, <c>stale</c>, <c>1+2x3</c> is
/// 1 3 5 7, <c>8-2x2</c> is 8 6 4, <c>4x2</c> is 4 4 4, <c>_x3</c> is three gaps. Native histograms are not known.
/// </summary>
static partial class SeriesNotation
{
    // 100 years of a sample an hour.
    const int Most = 1_000_000;

    const string AnyNumber = @"(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|nan)";

    /// <summary>Such as <c>up{job="node"}</c>; the empty text and <c>{}</c> are no labels.</summary>
    /// <exception cref="PromQLException">It is no series; its offset counts from the text's start.</exception>
    public static Labels Labels(string text)
    {
        if (NoLabels().IsMatch(text))
            return Telemetry.Labels.Empty;
        if (Parser.Parse(text) is not VectorSelector selector || selector.Shift != TimeShift.None
            || selector.Matchers.Any(m => m.Operator is not MatchOperator.Equal))
            throw new PromQLException("a series is a name and labels with their values, such as up{job=\"node\"}", text, 0);
        if (selector.Matchers.CountBy(m => m.Name).FirstOrDefault(n => n.Value > 1).Key is { } twice)
            throw new PromQLException($"the label {twice} is given twice", text, 0);
        return Telemetry.Labels.From(selector.Matchers.Select(m => new Label(m.Name, m.Value)));
    }

    /// <summary>The values in order; null where there is no sample.</summary>
    /// <exception cref="PromQLException">A value is not valid; its offset counts from the text's start.</exception>
    public static IReadOnlyList<double?> Values(string text)
    {
        List<double?> values = [];
        foreach (Match word in Word().Matches(text))
        {
            if (word.Value.StartsWith("{{", StringComparison.Ordinal))
                throw new PromQLException(
                    "native histograms ({{…}}) are not supported: give the classic _bucket, _sum and _count series", text, word.Index);
            if (Item().Match(word.Value) is not { Success: true } item)
                throw new PromQLException(
                    $"\"{word.Value}\" is not a value: write for example 5, 1+2x3, 8-2x2, 4x2, _, _x3 or stale", text, word.Index);
            var count = 0;
            if (item.Groups["count"] is { Success: true } given
                && (!int.TryParse(given.ValueSpan, out count) || count > Most - values.Count))
                throw new PromQLException($"the series has more than {Most} values: use a longer interval", text, word.Index);
            Expand(item, count, values);
        }

        return values;
    }

    /// <summary>A number as it stands in the notation, or in YAML (<c>.inf</c>, <c>.nan</c>); null where it is none.</summary>
    public static double? Number(string text)
    {
        var match = WholeNumber().Match(text);
        if (!match.Success)
            return null;
        return match.Groups["word"].Value.ToUpperInvariant() switch
        {
            "INF" => text[0] == '-' ? double.NegativeInfinity : double.PositiveInfinity,
            "NAN" => double.NaN,
            _ => double.Parse(text, CultureInfo.InvariantCulture),
        };
    }

    static void Expand(Match item, int count, List<double?> values)
    {
        var repeats = item.Groups["count"].Success;
        if (item.Groups["gap"].Success)
        {
            values.AddRange(Enumerable.Repeat<double?>(null, repeats ? count : 1));
            return;
        }

        var value = item.Groups["stale"].Success ? StaleMarker.Value : Number(item.Groups["start"].Value)!.Value;
        var step = item.Groups["step"] is { Success: true } by ? Number(by.Value)!.Value : 0;
        values.Add(value);
        // Added up, not multiplied: the sums round as Prometheus's do. A marker keeps its bits.
        for (var i = 0; i < count; i++)
            values.Add(step == 0 ? value : value += step);
    }

    [GeneratedRegex(@"\A\s*(\{\s*\})?\s*\z")]
    private static partial Regex NoLabels();

    [GeneratedRegex(@"\S+")]
    private static partial Regex Word();

    [GeneratedRegex(
        @"\A(?:(?<gap>_)(?:x(?<count>\d+))?|(?<stale>stale)|(?<start>[+-]?" + AnyNumber + @")(?:(?<step>[+-]" + AnyNumber
        + @")?x(?<count>\d+))?)\z",
        RegexOptions.IgnoreCase)]
    private static partial Regex Item();

    [GeneratedRegex(@"\A[+-]?(?:\.?(?<word>inf|nan)|" + AnyNumber + @")\z", RegexOptions.IgnoreCase)]
    private static partial Regex WholeNumber();
}
