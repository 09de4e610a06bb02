using Whistle.Ingest.Series;
using Whistle.Telemetry;

namespace Whistle.Ingest.Heads;

/// <summary>
/// The head's series that satisfy a selector's matchers, numbered in the order in which they were found. New ones are matched when they
/// come, not at every look. For one reader at a time.
/// </summary>
public sealed class HeadSelection(Head head, IReadOnlyList<LabelMatcher> matchers)
{
    readonly string? _name = matchers.FirstOrDefault(m => m is { Name: Labels.MetricName, Operator: MatchOperator.Equal })?.Value;
    readonly string _selector = Head.Selector(matchers);
    readonly List<HeadSeries?> _series = [];
    readonly List<Labels> _labels = [];
    long _known;

    public int Count => _series.Count;

    /// <summary>How many are no longer in the head.</summary>
    public int Ended { get; private set; }

    public Labels this[int series] => _labels[series];

    public long CompleteFrom() => head.CompleteFrom(_selector);

    public void Refresh()
    {
        foreach (var series in head.Since(_name, ref _known))
        {
            if (!matchers.All(m => m.IsMatch(series.Labels)))
                continue;
            // One that was evicted and came back before it was missed has its number already.
            if (series.Revived && _series.Contains(series))
                continue;
            _series.Add(series);
            _labels.Add(series.Labels);
        }
    }

    /// <summary>The newest sample of (after, upTo].</summary>
    public bool TryLatest(int series, long after, long upTo, out Sample sample)
    {
        sample = default;
        return Living(series) is { } living && living.TryLatest(upTo, out sample) && sample.Time > after;
    }

    /// <summary>Gives each sample of (after, upTo].</summary>
    /// <returns>A number that changes when a sample came out of order.</returns>
    public int Read(int series, long after, long upTo, ISampleSink into) => Living(series)?.ReadSince(after, upTo, into) ?? 0;

    HeadSeries? Living(int series)
    {
        if (_series[series] is { Evicted: true })
        {
            _series[series] = null;
            Ended++;
        }

        return _series[series];
    }
}
