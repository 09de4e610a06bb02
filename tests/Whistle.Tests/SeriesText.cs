using System.Globalization;

using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Tests;

/// <summary>
/// Test data as text, one series a line: labels, then values one interval apart from time 0, in the notation of Prometheus's
/// rule tests: <c>5</c>, <c>_</c> no sample, <c>stale</c>, <c>1+2x3</c> is 1 3 5 7, <c>8-2x2</c> is 8 6 4, <c>4x2</c> is
/// 4 4 4, <c>_x3</c> is three gaps.
/// </summary>
static class SeriesText
{
    public static IReadOnlyList<SeriesSamples> Parse(string text, long interval = 60_000)
    {
        List<SeriesSamples> series = [];
        foreach (var line in text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var split = line.IndexOf('}', StringComparison.Ordinal) is var brace and >= 0 ? brace + 1 : line.IndexOf(' ', StringComparison.Ordinal);
            var (times, values) = (new List<long>(), new List<double>());
            var time = 0L;
            foreach (var value in line[split..].Split(' ', StringSplitOptions.RemoveEmptyEntries).SelectMany(Expand))
            {
                if (value is { } given)
                {
                    times.Add(time);
                    values.Add(given);
                }

                time += interval;
            }

            series.Add(new SeriesSamples(LabelsOf(line[..split]), [.. times], [.. values]));
        }

        return series;
    }

    public static Labels LabelsOf(string text)
    {
        var selector = (VectorSelector)Parser.Parse(text.Trim());
        return Labels.From(selector.Matchers.Select(m => new Label(m.Name, m.Value)));
    }

    static IEnumerable<double?> Expand(string word)
    {
        if (word == "_")
            return [null];
        if (word == "stale")
            return [StaleMarker.Value];
        var times = word.IndexOf('x', StringComparison.Ordinal);
        if (times < 0)
            return [Number(word)];
        var count = int.Parse(word.AsSpan(times + 1), CultureInfo.InvariantCulture);
        if (word[0] == '_')
            return Enumerable.Repeat<double?>(null, count);
        var sign = word.AsSpan(1, times - 1).IndexOfAny('+', '-') + 1;
        var start = Number(sign == 0 ? word[..times] : word[..sign]);
        var step = sign == 0 ? 0 : Number(word[sign..times]);
        return Enumerable.Range(0, count + 1).Select(i => (double?)(start + (i * step)));
    }

    static double Number(string text) => text switch
    {
        "Inf" or "+Inf" => double.PositiveInfinity,
        "-Inf" => double.NegativeInfinity,
        _ => double.Parse(text, CultureInfo.InvariantCulture),
    };
}

/// <summary>Series in memory; remembers what was asked.</summary>
sealed class MemorySeriesSource(IReadOnlyList<SeriesSamples> series) : ISeriesSource
{
    public List<(string Matchers, long MinTime, long MaxTime)> Asked { get; } = [];

    public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation)
    {
        Asked.Add((string.Join(',', matchers), minTime, maxTime));
        List<SeriesSamples> found = [];
        foreach (var one in series.Where(s => matchers.All(m => m.IsMatch(s.Labels))))
        {
            var (from, to) = (Array.FindIndex(one.Times, t => t >= minTime), Array.FindLastIndex(one.Times, t => t <= maxTime) + 1);
            if (from >= 0 && from < to)
                found.Add(new SeriesSamples(one.Labels, one.Times[from..to], one.Values[from..to]));
        }

        return new(found);
    }
}
