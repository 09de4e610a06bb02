using Whistle.Detectors.Evaluation;
using Whistle.Detectors.Rules;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.AcceptanceTests;

/// <summary>Samples in memory, by metric, to which more can be added at the end.</summary>
sealed class GrowingSeries : ISeriesSource
{
    readonly Dictionary<string, Dictionary<Labels, (List<long> Times, List<double> Values)>> _metrics = [];

    public void Add(Labels labels, long time, double value)
    {
        if (!_metrics.TryGetValue(labels.Name, out var metric))
            _metrics[labels.Name] = metric = [];
        if (!metric.TryGetValue(labels, out var samples))
            metric[labels] = samples = ([], []);
        samples.Times.Add(time);
        samples.Values.Add(value);
    }

    public IReadOnlyList<SeriesSamples> All() =>
        [.. _metrics.Values.SelectMany(m => m).Select(s => new SeriesSamples(s.Key, [.. s.Value.Times], [.. s.Value.Values]))];

    public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation)
    {
        List<SeriesSamples> found = [];
        foreach (var metric in _metrics.Where(m => matchers.All(x => x.Name != Labels.MetricName || x.IsMatch(Labels.OfMetric(m.Key)))))
        {
            foreach (var (labels, (times, values)) in metric.Value.Where(s => matchers.All(m => m.IsMatch(s.Key))))
            {
                var (from, to) = (First(times, minTime), First(times, maxTime + 1));
                if (from < to)
                    found.Add(new SeriesSamples(labels, [.. times[from..to]], [.. values[from..to]]));
            }
        }

        return new(found);
    }

    static int First(List<long> times, long from)
    {
        var index = times.BinarySearch(from);
        return index < 0 ? ~index : index;
    }
}

/// <summary>
/// Evaluates rule groups at their intervals and feeds back what they record, and their alerts as ALERTS, as a server does.
/// </summary>
sealed class RuleFeed(IReadOnlyList<RuleGroup> groups, GrowingSeries data, PromQLEngine engine)
{
    readonly Dictionary<Rule, HashSet<Labels>> _written = [];
    readonly Dictionary<(Rule, Labels), long> _since = [];

    public async Task EvaluateAsync(long time, CancellationToken cancellation)
    {
        foreach (var group in groups.Where(g => time % (long)g.Interval.TotalMilliseconds == 0))
        {
            foreach (var rule in group.Rules)
            {
                var elements = await rule.Expression.EvaluateAsync(engine, DateTimeOffset.FromUnixTimeMilliseconds(time), cancellation);
                var results = elements.Select(e => (Labels: ResultLabels.Of(rule, e), e.Value));
                Write(rule, time, rule is AlertRule alert
                    ? Alerts(alert, time, results)
                    : results.Select(r => (r.Labels.With(Labels.MetricName, rule.Name), r.Value)));
            }
        }
    }

    List<(Labels, double)> Alerts(AlertRule rule, long time, IEnumerable<(Labels Labels, double Value)> results)
    {
        List<(Labels, double)> alerts = [];
        var active = results.Select(r => r.Labels.With("alertname", rule.Name)).ToHashSet();
        foreach (var (key, _) in _since.Where(s => s.Key.Item1 == rule && !active.Contains(s.Key.Item2)))
            _since.Remove(key);
        foreach (var labels in active)
        {
            _since.TryAdd((rule, labels), time);
            var state = time - _since[(rule, labels)] >= rule.For.TotalMilliseconds ? "firing" : "pending";
            alerts.Add((labels.With(Labels.MetricName, "ALERTS").With("alertstate", state), 1));
        }

        return alerts;
    }

    void Write(Rule rule, long time, IEnumerable<(Labels Labels, double Value)> series)
    {
        var ended = _written.GetValueOrDefault(rule, []);
        HashSet<Labels> written = [];
        foreach (var (labels, value) in series)
        {
            data.Add(labels, time, value);
            written.Add(labels);
        }

        foreach (var labels in ended.Where(l => !written.Contains(l)))
            data.Add(labels, time, StaleMarker.Value);
        _written[rule] = written;
    }
}
