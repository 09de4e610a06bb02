using Whistle.Telemetry;

namespace Whistle.PromQL;

static class SampleSearch
{
    /// <summary>
    /// How many of the ascending times are ≤ <paramref name="bound"/>, given that the first <paramref name="known"/> are.
    /// Gallops from there: cheap for the next step of a range query, logarithmic for the first.
    /// </summary>
    public static int CountUpTo(ReadOnlySpan<long> times, long bound, int known)
    {
        var low = known;
        var stride = 1;
        while (low + stride <= times.Length && times[low + stride - 1] <= bound)
        {
            low += stride;
            stride *= 2;
        }

        var high = Math.Min(low + stride - 1, times.Length);
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (times[middle] <= bound)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }
}

/// <summary>Of each series the newest sample of (t − look-back, t], unless it is a staleness marker.</summary>
sealed class InstantSelectorNode(IReadOnlyList<SeriesSamples> series, long offset, long lookback, CancellationToken cancellation) : VectorNode
{
    readonly int[] _counts = new int[series.Count];
    readonly List<VectorSample> _result = new(series.Count);

    public override List<VectorSample> At(long time) => Collect(time, timestamps: false);

    /// <summary>The times (seconds) of the samples in place of their values.</summary>
    public List<VectorSample> TimestampsAt(long time) => Collect(time, timestamps: true);

    List<VectorSample> Collect(long time, bool timestamps)
    {
        cancellation.ThrowIfCancellationRequested();
        _result.Clear();
        time -= offset;
        for (var i = 0; i < series.Count; i++)
        {
            var (labels, times, values) = series[i];
            var last = (_counts[i] = SampleSearch.CountUpTo(times, time, _counts[i])) - 1;
            if (last >= 0 && times[last] > time - lookback && !StaleMarker.Is(values[last]))
                _result.Add(new VectorSample(labels, timestamps ? times[last] / 1000.0 : values[last]));
        }

        return _result;
    }
}

/// <summary>The samples of one series in (Start, End]; times in milliseconds.</summary>
readonly ref struct RangeWindow(long time, long start, long end, ReadOnlySpan<long> times, ReadOnlySpan<double> values)
{
    /// <summary>The time of evaluation.</summary>
    public long Time { get; } = time;

    public long Start { get; } = start;

    public long End { get; } = end;

    public ReadOnlySpan<long> Times { get; } = times;

    public ReadOnlySpan<double> Values { get; } = values;

    public int Count => Times.Length;

    public double Seconds => (End - Start) / 1000.0;
}

/// <summary>A moving window over each series. Staleness markers are taken out once, before the first step.</summary>
sealed class RangeSelector
{
    readonly SeriesSamples[] _series;
    readonly (int Start, int End)[] _windows;
    readonly long _offset;
    readonly long _range;

    public RangeSelector(IReadOnlyList<SeriesSamples> series, long offset, long range)
    {
        _series = new SeriesSamples[series.Count];
        for (var i = 0; i < series.Count; i++)
            _series[i] = WithoutMarkers(series[i]);
        _windows = new (int, int)[series.Count];
        (_offset, _range) = (offset, range);
    }

    public int Count => _series.Length;

    public Labels Labels(int index) => _series[index].Labels;

    public RangeWindow Window(int index, long time)
    {
        var (end, series) = (time - _offset, _series[index]);
        ref var window = ref _windows[index];
        window.Start = SampleSearch.CountUpTo(series.Times, end - _range, window.Start);
        window.End = SampleSearch.CountUpTo(series.Times, end, Math.Max(window.Start, window.End));
        var (first, count) = (window.Start, window.End - window.Start);
        return new RangeWindow(time, end - _range, end, series.Times.AsSpan(first, count), series.Values.AsSpan(first, count));
    }

    static SeriesSamples WithoutMarkers(SeriesSamples series)
    {
        var markers = 0;
        foreach (var value in series.Values)
            markers += StaleMarker.Is(value) ? 1 : 0;
        if (markers == 0)
            return series;
        var (times, values) = (new long[series.Times.Length - markers], new double[series.Times.Length - markers]);
        var next = 0;
        for (var i = 0; i < series.Times.Length; i++)
        {
            if (!StaleMarker.Is(series.Values[i]))
                (times[next], values[next++]) = (series.Times[i], series.Values[i]);
        }

        return new SeriesSamples(series.Labels, times, values);
    }
}
