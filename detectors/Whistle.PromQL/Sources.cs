using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>The newest sample of each series of a selector.</summary>
abstract class InstantSource(SlotTable slots)
{
    public SlotTable Slots { get; } = slots;

    /// <summary>Adds what is current at <paramref name="time"/>, the query's, not the shifted one.</summary>
    /// <param name="timestamps">The times (seconds) of the samples in place of their values.</param>
    public abstract void Read(long time, PointList into, bool timestamps);
}

/// <summary>The latest samples of each series of a selector or subquery, staleness markers taken out.</summary>
abstract class RangeSource(SlotTable slots)
{
    long _time;

    public SlotTable Slots { get; } = slots;

    protected long Start { get; private set; }

    protected long End { get; private set; }

    /// <summary>Moves on to a time of the query. Comes before the windows of that time; slots may be added here.</summary>
    public abstract void MoveTo(long time);

    /// <summary>The samples of the window, none where the series has none there.</summary>
    public abstract RangeWindow Window(int slot);

    protected void Place(long time, long end, long range) => (_time, Start, End) = (time, end - range, end);

    protected RangeWindow Of(ReadOnlySpan<long> times, ReadOnlySpan<double> values) => Of(times, values, times.Length);

    protected RangeWindow Of(ReadOnlySpan<long> times, ReadOnlySpan<double> values, int count) =>
        new(_time, Start, End, times, values, count);
}

/// <summary>
/// The samples of one series in (Start, End]; times in milliseconds. For a function of counters (<see cref="Planner.CounterRange"/>) those
/// at which it did not fall may be left out, save the first and the last.
/// </summary>
readonly ref struct RangeWindow(long time, long start, long end, ReadOnlySpan<long> times, ReadOnlySpan<double> values, int count)
{
    /// <summary>The time of evaluation.</summary>
    public long Time { get; } = time;

    public long Start { get; } = start;

    public long End { get; } = end;

    public ReadOnlySpan<long> Times { get; } = times;

    public ReadOnlySpan<double> Values { get; } = values;

    /// <summary>Of all samples, those that were left out too.</summary>
    public int Count { get; } = count;

    public double Seconds => (End - Start) / 1000.0;
}

static class SampleSearch
{
    /// <summary>How many of the ascending times are ≤ <paramref name="bound"/>, most of them being so.</summary>
    public static int CountUpToFromEnd(ReadOnlySpan<long> times, long bound)
    {
        var high = times.Length;
        var stride = 1;
        while (high > 0 && times[Math.Max(high - stride, 0)] > bound)
        {
            high = Math.Max(high - stride, 0);
            stride *= 2;
        }

        var low = Math.Max(high - stride, 0);
        return low + CountUpTo(times[low..high], bound, 0);
    }

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

/// <summary>The sources of a query: all samples were loaded before it is planned.</summary>
sealed class LoadedSources(LoadedSamples loaded, QueryTimes times, long lookback) : SampleSources
{
    public override InstantSource Instant(VectorSelector selector) =>
        new LoadedInstant(loaded.Of(selector), SlotsOf(selector), t => selector.Shift.Apply(t, times), lookback);

    public override RangeSource Range(VectorSelector selector, long range) =>
        new LoadedRange(loaded.Of(selector), SlotsOf(selector), t => selector.Shift.Apply(t, times), range);

    ListedSlots SlotsOf(VectorSelector selector)
    {
        var slots = new ListedSlots(hasOneName: SlotTable.HaveOneName(selector.Matchers));
        foreach (var one in loaded.Of(selector))
            slots.Add(one.Labels);
        return slots;
    }
}

/// <summary>Of each series the newest sample of (t − look-back, t], unless it is a staleness marker.</summary>
sealed class LoadedInstant(IReadOnlyList<SeriesSamples> series, SlotTable slots, Func<long, long> shift, long lookback)
    : InstantSource(slots)
{
    readonly int[] _counts = new int[series.Count];

    public override void Read(long time, PointList into, bool timestamps)
    {
        time = shift(time);
        for (var i = 0; i < series.Count; i++)
        {
            var (_, times, values) = series[i];
            var last = (_counts[i] = SampleSearch.CountUpTo(times, time, _counts[i])) - 1;
            if (last >= 0 && times[last] > time - lookback && !StaleMarker.Is(values[last]))
                into.Add(i, timestamps ? times[last] / 1000.0 : values[last]);
        }
    }
}

/// <summary>A moving window over each series. Staleness markers are taken out once, before the first step.</summary>
sealed class LoadedRange : RangeSource
{
    readonly SeriesSamples[] _series;
    readonly (int Start, int End)[] _windows;
    readonly Func<long, long> _shift;
    readonly long _range;

    public LoadedRange(IReadOnlyList<SeriesSamples> series, SlotTable slots, Func<long, long> shift, long range)
        : base(slots)
    {
        _series = new SeriesSamples[series.Count];
        for (var i = 0; i < series.Count; i++)
            _series[i] = WithoutMarkers(series[i]);
        _windows = new (int, int)[series.Count];
        (_shift, _range) = (shift, range);
    }

    public override void MoveTo(long time) => Place(time, _shift(time), _range);

    public override RangeWindow Window(int slot)
    {
        var series = _series[slot];
        ref var window = ref _windows[slot];
        window.Start = SampleSearch.CountUpTo(series.Times, Start, window.Start);
        window.End = SampleSearch.CountUpTo(series.Times, End, Math.Max(window.Start, window.End));
        var (first, count) = (window.Start, window.End - window.Start);
        return Of(series.Times.AsSpan(first, count), series.Values.AsSpan(first, count));
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

/// <summary>
/// An expression's values at the multiples of a step. Each is worked out once, when the window first reaches it, and forgotten when
/// the window has left it behind.
/// </summary>
sealed class SubquerySource(VectorNode operand, long range, long step, Func<long, long> shift, Budget budget) : RangeSource(operand.Slots)
{
    readonly List<SampleWindow> _tracks = [];
    long _next = long.MinValue;

    public override void MoveTo(long time)
    {
        Place(time, shift(time), range);
        _next = Math.Max(_next, FirstAfter(Start));
        budget.Spend(Math.Max(0, (End - _next) / step));
        for (; _next <= End; _next += step)
        {
            budget.Spend(1);
            foreach (var (slot, value) in operand.At(_next))
            {
                while (_tracks.Count <= slot)
                    _tracks.Add(new SampleWindow());
                _tracks[slot].Add(_next, value);
                budget.Spend(1);
            }
        }

        foreach (var track in _tracks)
            track.DropUpTo(Start);
    }

    public override RangeWindow Window(int slot) => slot < _tracks.Count ? Of(_tracks[slot].Times, _tracks[slot].Values) : Of([], []);

    // The first multiple of the step after that time, before 1970 too.
    long FirstAfter(long time) => ((time / step) - (time % step < 0 ? 1 : 0) + 1) * step;
}
