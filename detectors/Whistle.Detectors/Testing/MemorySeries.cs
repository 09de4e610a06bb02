using Whistle.Detectors.Http;
using Whistle.Ingest.Stores;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors.Testing;

/// <summary>A head for tests: series in memory. Where a time comes twice in a series, the first value stays, as in the store.</summary>
sealed class MemorySeries : ISeriesSource, ISeriesSearch
{
    readonly Dictionary<string, Dictionary<Labels, (List<long> Times, List<double> Values)>> _metrics = [];
    readonly Lock _lock = new();

    /// <summary>What is later has not arrived yet, whoever asks for it. In milliseconds since 1970 UTC.</summary>
    public long Now { get; set; } = long.MaxValue - 1;

    public void Add(Labels labels, long time, double value)
    {
        lock (_lock)
        {
            if (!_metrics.TryGetValue(labels.Name, out var metric))
                _metrics[labels.Name] = metric = [];
            if (!metric.TryGetValue(labels, out var samples))
                metric[labels] = samples = ([], []);
            var at = samples.Times.BinarySearch(time);
            if (at >= 0)
                return;
            samples.Times.Insert(~at, time);
            samples.Values.Insert(~at, value);
        }
    }

    public ValueTask WriteAsync(IReadOnlyList<RecordedSample> written, CancellationToken cancellation)
    {
        foreach (var (series, time, value) in written)
            Add(series.Labels, time, value);
        return ValueTask.CompletedTask;
    }

    public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation)
    {
        lock (_lock)
        {
            var name = matchers.FirstOrDefault(m => m is { Name: Labels.MetricName, Operator: MatchOperator.Equal })?.Value;
            var candidates = name is null ? _metrics.Values.SelectMany(m => m) : _metrics.GetValueOrDefault(name) ?? [];
            List<SeriesSamples> selected = [];
            foreach (var (labels, (times, values)) in candidates)
            {
                var (from, to) = (Position(times, minTime), Position(times, Math.Min(maxTime, Now) + 1));
                if (from < to && matchers.All(m => m.IsMatch(labels)))
                    selected.Add(new(labels, [.. times[from..to]], [.. values[from..to]]));
            }

            return ValueTask.FromResult<IReadOnlyList<SeriesSamples>>(selected);
        }
    }

    public Found<Labels> Series(SeriesScope scope, AnswerLimit limit, CancellationToken cancellation) =>
        First(In(scope).Order(Comparer<Labels>.Create(Labels.Compare)), limit);

    public Found<string> LabelNames(SeriesScope scope, AnswerLimit limit, CancellationToken cancellation) =>
        First(In(scope).SelectMany(s => s.Select(l => l.Name)).Distinct().Order(StringComparer.Ordinal), limit);

    public Found<string> LabelValues(string name, SeriesScope scope, AnswerLimit limit, CancellationToken cancellation) =>
        First(In(scope).Select(s => s[name]).Where(v => v.Length > 0).Distinct().Order(StringComparer.Ordinal), limit);

    List<Labels> In(SeriesScope scope)
    {
        lock (_lock)
        {
            return
            [
                .. from series in _metrics.Values.SelectMany(m => m)
                   where scope.Selectors.Any(s => s.All(m => m.IsMatch(series.Key)))
                       && series.Value.Times.Any(t => t >= scope.MinTime && t <= scope.MaxTime)
                   select series.Key,
            ];
        }
    }

    static Found<T> First<T>(IEnumerable<T> sorted, AnswerLimit limit)
    {
        List<T> all = [.. sorted];
        return new([.. all.Take(limit.Items)], all.Count > limit.Items);
    }

    static int Position(List<long> times, long time)
    {
        var at = times.BinarySearch(time);
        return at < 0 ? ~at : at;
    }
}
