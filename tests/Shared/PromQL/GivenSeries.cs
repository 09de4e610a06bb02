using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Fixtures;

/// <summary>Series in memory.</summary>
sealed class GivenSeries(IReadOnlyList<SeriesSamples> series) : ISeriesSource
{
    public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation)
    {
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
