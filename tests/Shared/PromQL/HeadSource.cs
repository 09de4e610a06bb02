using Whistle.Detectors;
using Whistle.Ingest.Heads;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Fixtures;

/// <summary>A head alone, without the store behind it.</summary>
sealed class HeadSource(Head head) : ILiveSeriesSource
{
    public TimeSpan Kept => TimeSpan.MaxValue;

    public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation) =>
        new(head.Select(matchers, minTime, maxTime));

    public LiveSelection Open(IReadOnlyList<LabelMatcher> matchers) => TelemetrySource.Live(head.Open(matchers));
}

/// <summary>A head, and in place of the store behind it all samples that ever came, in memory.</summary>
sealed class StoredHeadSource(Head head) : ILiveSeriesSource
{
    readonly Dictionary<Labels, SortedList<long, double>> _all = [];

    public TimeSpan Kept => TimeSpan.MaxValue;

    public void Append(Labels labels, long time, double value)
    {
        if (!_all.TryGetValue(labels, out var samples))
            _all.Add(labels, samples = []);
        if (samples.TryAdd(time, value))
            head.GetOrAdd(UInt128.Zero, [.. labels])!.Append(time, value);
    }

    public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation)
    {
        List<SeriesSamples> found = [];
        foreach (var (labels, samples) in _all.Where(s => matchers.All(m => m.IsMatch(s.Key))))
        {
            var inRange = samples.SkipWhile(s => s.Key < minTime).TakeWhile(s => s.Key <= maxTime).ToList();
            if (inRange.Count > 0)
                found.Add(new(labels, [.. inRange.Select(s => s.Key)], [.. inRange.Select(s => s.Value)]));
        }

        return new(found);
    }

    public LiveSelection Open(IReadOnlyList<LabelMatcher> matchers) => TelemetrySource.Live(head.Open(matchers));
}
