using Whistle.Detectors.Testing;
using Whistle.Fixtures;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Tests;

/// <summary>
/// Test data as text, one series a line: labels, then values one interval apart from time 0, in the notation of Prometheus's
/// rule tests (<see cref="SeriesNotation"/>).
/// </summary>
static class SeriesText
{
    public static IReadOnlyList<SeriesSamples> Parse(string text, long interval = 60_000)
    {
        List<SeriesSamples> series = [];
        foreach (var line in text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var split =
                line.IndexOf('}', StringComparison.Ordinal) is var brace and >= 0 ? brace + 1 : line.IndexOf(' ', StringComparison.Ordinal);
            var (times, values) = (new List<long>(), new List<double>());
            var time = 0L;
            foreach (var value in SeriesNotation.Values(line[split..]))
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

    public static Labels LabelsOf(string text) => SeriesNotation.Labels(text);
}

/// <summary>Series in memory; remembers what was asked.</summary>
sealed class MemorySeriesSource(IReadOnlyList<SeriesSamples> series) : ISeriesSource
{
    readonly GivenSeries _given = new(series);

    public List<(string Matchers, long MinTime, long MaxTime)> Asked { get; } = [];

    public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation)
    {
        Asked.Add((string.Join(',', matchers), minTime, maxTime));
        return _given.SelectAsync(matchers, minTime, maxTime, cancellation);
    }
}
