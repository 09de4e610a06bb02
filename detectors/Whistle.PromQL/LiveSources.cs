using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>A source that can keep the series of a selector at hand, so that asking again costs only what is new.</summary>
public interface ILiveSeriesSource : ISeriesSource
{
    /// <summary>The series of a selector, from now on.</summary>
    LiveSelection Open(IReadOnlyList<LabelMatcher> matchers);
}

/// <summary>
/// The series that satisfy a selector's matchers, numbered in the order in which they were found. Those that end keep their number and
/// yield nothing more. For one reader at a time.
/// </summary>
public abstract class LiveSelection
{
    public abstract int Count { get; }

    /// <summary>How many have ended.</summary>
    public abstract int Ended { get; }

    public abstract Labels this[int series] { get; }

    /// <summary>All samples from this time on (milliseconds since 1970 UTC) are at hand; older ones only the store has.</summary>
    public abstract long CompleteFrom();

    /// <summary>Takes in the series that came since the last time.</summary>
    public abstract void Refresh();

    /// <summary>The newest sample of (after, upTo], a staleness marker too.</summary>
    public abstract bool TryLatest(int series, long after, long upTo, out Sample sample);

    /// <summary>Adds the samples of (after, upTo].</summary>
    /// <returns>A number that changes when a sample came out of order: what was read before may have gaps then.</returns>
    public abstract int Read(int series, long after, long upTo, SampleWindow into);
}

/// <summary>The samples of one series within a moving window, in time order, staleness markers left out.</summary>
public sealed class SampleWindow : ISampleSink
{
    long[] _times = [];
    double[] _values = [];
    int _first;
    int _count;

    internal ReadOnlySpan<long> Times => _times.AsSpan(_first, _count);

    internal ReadOnlySpan<double> Values => _values.AsSpan(_first, _count);

    /// <summary>The newest sample that was ever added, markers too.</summary>
    internal long Newest { get; private set; } = long.MinValue;

    public void Add(long time, double value)
    {
        Newest = time;
        if (StaleMarker.Is(value))
            return;
        if (_first + _count == _times.Length)
            MakeRoom();
        _times[_first + _count] = time;
        _values[_first + _count++] = value;
    }

    internal void DropUpTo(long time)
    {
        var gone = SampleSearch.CountUpTo(Times, time, 0);
        (_first, _count) = (_first + gone, _count - gone);
    }

    internal void Clear() => (_first, _count, Newest) = (0, 0, long.MinValue);

    void MakeRoom()
    {
        // Half of the room is enough to move back into, so that moving is rare.
        var (times, values) = _first > _count ? (_times, _values) : (new long[Math.Max(8, _count * 3 / 2)], new double[Math.Max(8, _count * 3 / 2)]);
        Array.Copy(_times, _first, times, 0, _count);
        Array.Copy(_values, _first, values, 0, _count);
        (_times, _values, _first) = (times, values, 0);
    }
}

/// <summary>The selectors of one standing query.</summary>
sealed class LiveSources(ILiveSeriesSource source, QueryTimes times, long lookback) : SampleSources
{
    readonly List<LiveSelection> _selections = [];

    /// <summary>So many series have ended that it is time to begin anew without them.</summary>
    public bool IsWorn => _selections.Sum(s => s.Ended) > 100 + (_selections.Sum(s => s.Count) / 2);

    public override InstantSource Instant(VectorSelector selector)
    {
        var selection = Open(selector);
        return new LiveInstant(selection, t => selector.Shift.Apply(t, times), lookback);
    }

    public override RangeSource Range(VectorSelector selector, long range) => new LiveRange(Open(selector), t => selector.Shift.Apply(t, times), range);

    LiveSelection Open(VectorSelector selector)
    {
        var selection = source.Open(selector.Matchers);
        _selections.Add(selection);
        return selection;
    }

    internal static void AddNew(LiveSelection selection, SlotTable slots)
    {
        selection.Refresh();
        for (var i = slots.Count; i < selection.Count; i++)
            slots.Add(selection[i]);
    }
}

sealed class LiveInstant(LiveSelection selection, Func<long, long> shift, long lookback) : InstantSource(new SlotTable())
{
    public override void Read(long time, PointList into, bool timestamps)
    {
        LiveSources.AddNew(selection, Slots);
        time = shift(time);
        for (var i = 0; i < selection.Count; i++)
        {
            if (selection.TryLatest(i, time - lookback, time, out var sample) && !StaleMarker.Is(sample.Value))
                into.Add(i, timestamps ? sample.Time / 1000.0 : sample.Value);
        }
    }
}

sealed class LiveRange(LiveSelection selection, Func<long, long> shift, long range) : RangeSource(new SlotTable())
{
    readonly List<Track> _tracks = [];

    public override void MoveTo(long time)
    {
        LiveSources.AddNew(selection, Slots);
        while (_tracks.Count < Slots.Count)
            _tracks.Add(new Track());
        Place(time, shift(time), range);
        for (var i = 0; i < _tracks.Count; i++)
            _tracks[i].MoveTo(selection, i, Start, End);
    }

    public override RangeWindow Window(int slot) => Of(_tracks[slot].Samples.Times, _tracks[slot].Samples.Values);

    sealed class Track
    {
        int _revision = -1;

        public SampleWindow Samples { get; } = new();

        public void MoveTo(LiveSelection selection, int series, long after, long upTo)
        {
            Samples.DropUpTo(after);
            var revision = selection.Read(series, Math.Max(after, Samples.Newest), upTo, Samples);
            if (revision != _revision && _revision >= 0)
            {
                Samples.Clear();
                revision = selection.Read(series, after, upTo, Samples);
            }

            _revision = revision;
        }
    }
}
