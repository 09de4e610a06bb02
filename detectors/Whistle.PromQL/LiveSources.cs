using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>A source that can keep the series of a selector at hand, so that asking again costs only what is new.</summary>
public interface ILiveSeriesSource : ISeriesSource
{
    /// <summary>How far back samples are kept.</summary>
    TimeSpan Kept { get; }

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

    /// <returns>How many were dropped.</returns>
    internal int DropUpTo(long time)
    {
        var gone = SampleSearch.CountUpTo(Times, time, 0);
        (_first, _count) = (_first + gone, _count - gone);
        return gone;
    }

    internal void Clear() => (_first, _count, Newest) = (0, 0, long.MinValue);

    void MakeRoom()
    {
        // Moving back is cheap, and there are very many windows: little room is left free.
        var room = Math.Max(8, (_count * 5 / 4) + 2);
        var (times, values) = _first > _count / 8 ? (_times, _values) : (new long[room], new double[room]);
        Array.Copy(_times, _first, times, 0, _count);
        Array.Copy(_values, _first, values, 0, _count);
        (_times, _values, _first) = (times, values, 0);
    }
}

/// <summary>The selectors of one standing query, on what its group shares.</summary>
sealed class LiveSources(StandingGroup group, QueryTimes times, long lookback) : SampleSources
{
    // The samples of a longer range are read again each time: kept, they would take more memory than everything else.
    const long LongestKept = 20 * 60_000;

    readonly Dictionary<VectorSelector, CounterRange> _counters = new(ReferenceEqualityComparer.Instance);

    /// <summary>Reads the store where a range needs it; comes before the nodes are asked for that time.</summary>
    public async ValueTask PrepareAsync(long time, CancellationToken cancellation)
    {
        foreach (var counters in _counters.Values)
            await counters.PrepareAsync(time, cancellation);
    }

    /// <summary>Whether the selector's samples must be in the head.</summary>
    public bool NeedsHead(VectorSelector selector) => !_counters.ContainsKey(selector);

    public override InstantSource Instant(VectorSelector selector) =>
        new LiveInstant(group.Selector(selector.Matchers), t => selector.Shift.Apply(t, times), lookback);

    public override RangeSource Range(VectorSelector selector, long range)
    {
        var shared = group.Selector(selector.Matchers);
        if (range > LongestKept)
            return new ReadRange(shared, t => selector.Shift.Apply(t, times), range);
        shared.Keep(selector.Shift.OffsetIn(times), range);
        return new LiveRange(shared, t => selector.Shift.Apply(t, times), range);
    }

    // What came long ago or comes late must be in the head, and what has left the store is not to be counted.
    public override RangeSource CounterRange(VectorSelector selector, long range)
    {
        var offset = selector.Shift.OffsetIn(times);
        if (range <= LongestKept || offset is < 0 or > LongestKept || range + offset > group.Source.Kept.TotalMilliseconds)
            return Range(selector, range);
        var windows = group.Counters(selector.Matchers, offset, range);
        return _counters[selector] = new CounterRange(windows, t => selector.Shift.Apply(t, times), range);
    }
}

/// <summary>The series of one selector with all that the queries of a group read of them.</summary>
sealed class SharedSelector(LiveSelection selection, StandingGroup group, IReadOnlyList<LabelMatcher> matchers)
{
    static readonly SampleWindow Nothing = new();

    readonly List<Track> _tracks = [];
    readonly PointList _latest = new();
    readonly Dictionary<string, LabelIndex> _indexes = [];
    (long Time, long Lookback, int Version) _latestOf = (long.MinValue, 0, 0);
    (long Time, int Version) _windowsOf = (long.MinValue, 0);
    // What is kept of each series: (time − back, time − offset].
    long _back = long.MinValue;
    long _offset = long.MaxValue;

    public LiveSelection Selection => selection;

    public SlotTable Slots { get; } = new LiveSlots(selection, group.Shared, SlotTable.HaveOneName(matchers));

    /// <summary>A range is read at this offset.</summary>
    public void Keep(long offset, long range)
    {
        if (offset + range <= _back && offset >= _offset)
            return;
        (_back, _offset) = (Math.Max(_back, offset + range), Math.Min(_offset, offset));
        Forget();
    }

    /// <summary>Of each series the newest sample that is current at the time, unless it is a staleness marker.</summary>
    public ReadOnlySpan<Point> Latest(long time, long lookback)
    {
        if (_latestOf == (time, lookback, group.Version))
            return _latest.Span;
        _latest.Clear();
        ReadLatest(time, lookback, _latest, timestamps: false);
        _latestOf = (time, lookback, group.Version);
        return _latest.Span;
    }

    public void ReadLatest(long time, long lookback, PointList into, bool timestamps)
    {
        AddNew();
        for (var i = 0; i < Slots.Count; i++)
        {
            if (selection.TryLatest(i, time - lookback, time, out var sample) && !StaleMarker.Is(sample.Value))
                into.Add(i, timestamps ? sample.Time / 1000.0 : sample.Value);
        }
    }

    /// <summary>Moves the windows to a time of the query.</summary>
    public void MoveTo(long time)
    {
        if (_windowsOf == (time, group.Version))
            return;
        if (time < _windowsOf.Time)
            Forget();
        AddNew();
        while (_tracks.Count < Slots.Count)
            _tracks.Add(new Track());
        for (var i = 0; i < _tracks.Count; i++)
            _tracks[i].MoveTo(selection, i, time - _back, time - _offset);
        _windowsOf = (time, group.Version);
    }

    /// <summary>Of a series that came after the windows were moved, nothing yet.</summary>
    public SampleWindow Samples(int slot) => slot < _tracks.Count ? _tracks[slot].Samples : Nothing;

    /// <summary>
    /// Whether a series that carries all these labels has a sample in (after, upTo] that is its newest and no staleness marker.
    /// </summary>
    public bool IsAnyLive(Labels labels, long after, long upTo)
    {
        AddNew();
        var names = labels.Select(l => l.Name).ToHashSet();
        var key = string.Join(',', names);
        if (!_indexes.TryGetValue(key, out var index))
            _indexes.Add(key, index = new LabelIndex(Slots, names));
        foreach (var slot in index.Of(labels))
        {
            if (selection.TryLatest(slot, after, upTo, out var latest) && !StaleMarker.Is(latest.Value))
                return true;
        }

        return false;
    }

    public void AddNew() => selection.Refresh();

    void Forget()
    {
        _tracks.Clear();
        _windowsOf = (long.MinValue, 0);
    }

    sealed class LiveSlots(LiveSelection selection, SharedLabels shared, bool hasOneName) : SlotTable(shared, hasOneName)
    {
        public override int Count => selection.Count;

        public override Labels this[int slot] => selection[slot];
    }

    // Series by the values of some of their labels.
    sealed class LabelIndex(SlotTable slots, HashSet<string> names)
    {
        readonly Dictionary<Labels, List<int>> _slots = [];
        readonly List<int> _none = [];
        int _known;

        public List<int> Of(Labels labels)
        {
            for (; _known < slots.Count; _known++)
            {
                var kept = LabelSets.Keep(slots[_known], names);
                if (!_slots.TryGetValue(kept, out var same))
                    _slots.Add(kept, same = []);
                same.Add(_known);
            }

            return _slots.GetValueOrDefault(labels) ?? _none;
        }
    }

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

sealed class LiveInstant(SharedSelector shared, Func<long, long> shift, long lookback) : InstantSource(shared.Slots)
{
    public override void Read(long time, PointList into, bool timestamps)
    {
        if (timestamps)
            shared.ReadLatest(shift(time), lookback, into, timestamps);
        else
            into.AddRange(shared.Latest(shift(time), lookback));
    }
}

sealed class LiveRange(SharedSelector shared, Func<long, long> shift, long range) : RangeSource(shared.Slots)
{
    public override void MoveTo(long time)
    {
        Place(time, shift(time), range);
        shared.MoveTo(time);
    }

    // Others may read further back, or nearer to now.
    public override RangeWindow Window(int slot)
    {
        var samples = shared.Samples(slot);
        var times = samples.Times;
        var end = SampleSearch.CountUpToFromEnd(times, End);
        var start = SampleSearch.CountUpToFromEnd(times[..end], Start);
        return Of(times[start..end], samples.Values[start..end]);
    }
}

sealed class ReadRange(SharedSelector shared, Func<long, long> shift, long range) : RangeSource(shared.Slots)
{
    readonly SampleWindow _samples = new();

    public override void MoveTo(long time)
    {
        Place(time, shift(time), range);
        shared.AddNew();
    }

    public override RangeWindow Window(int slot)
    {
        _samples.Clear();
        shared.Selection.Read(slot, Start, End, _samples);
        return Of(_samples.Times, _samples.Values);
    }
}
