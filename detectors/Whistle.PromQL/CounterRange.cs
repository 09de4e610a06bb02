using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>
/// A long range of counters. What a counter did over a range follows from its first and last sample, how many there are, and where it was
/// reset; so only that is kept, with the few samples that leave the range next. An evaluation costs what is new and what leaves, whether
/// the range is of an hour or of a month, and what the head no longer has is read from the store once.
/// </summary>
sealed class CounterWindows(StandingGroup group, IReadOnlyList<LabelMatcher> matchers, long range)
{
    /// <summary>The samples that leave next are at hand for at least so long, at most twice as long.</summary>
    public const long Ahead = 5 * 60_000;

    // The store is read by so much at a time, so that a long range neither takes much
    // memory nor starts again when an evaluation is cut off.
    const long Slice = 6 * 3_600_000;

    const int Unread = -1;

    readonly SampleWindow _new = new();
    readonly List<(int Slot, long After)> _behind = [];
    DistinctSlots _slots = new(group.Shared, SlotTable.HaveOneName(matchers));
    List<Counter> _counters = [];
    List<(int Slot, int Revision)> _live = [];
    SharedSelector _shared = group.Selector(matchers);
    // Up to where samples were taken in, and up to where those that leave next are at hand.
    long _end = long.MinValue;
    long _tail;
    (long End, int Version) _at = (long.MinValue, 0);

    public SlotTable Slots => _slots.Table;

    public Counter this[int slot] => _counters[slot];

    /// <summary>The group has started again: series without samples are forgotten, the others lose nothing.</summary>
    public void Renew()
    {
        // Slots get other numbers: what was to be read again must be found again.
        if (_behind.Count > 0)
            Begin(long.MinValue);
        var (labels, counters) = (Slots, _counters);
        var revisions = new Dictionary<Labels, int>();
        foreach (var (slot, revision) in _live)
            revisions[labels[slot]] = revision;
        (_slots, _counters, _live) = (new DistinctSlots(group.Shared, labels.HasOneName), [], []);
        for (var i = 0; i < counters.Count; i++)
        {
            if (counters[i].Count > 0)
                _counters[SlotOf(labels[i])] = counters[i];
        }

        _at = (long.MinValue, 0);
        _shared = group.Selector(matchers);
        _shared.AddNew();
        for (var i = 0; i < _shared.Selection.Count; i++)
            AddLive(_shared.Selection[i], revisions.GetValueOrDefault(_shared.Selection[i], Unread));
    }

    public async ValueTask MoveToAsync(long end, CancellationToken cancellation)
    {
        if (_at == (end, group.Version))
            return;
        var start = end - range;
        _shared.AddNew();
        if (_end > end || _end < start || start - _tail > Slice)
            Begin(start);
        // Before any that the store knows, so that equal labels are those of the head.
        for (var i = _live.Count; i < _shared.Selection.Count; i++)
            AddLive(_shared.Selection[i], Unread);
        await ReadStoreAsync(end, cancellation);
        ReadHead(start, end);
        await CatchUpAsync(start, end, cancellation);
        await ReadTailAsync(start, cancellation);
        foreach (var counter in _counters)
            counter.DropUpTo(start);
        _at = (end, group.Version);
    }

    void Begin(long start)
    {
        (_end, _tail) = (start, start + (2 * Ahead));
        _behind.Clear();
        for (var i = 0; i < _live.Count; i++)
            _live[i] = (_live[i].Slot, Unread);
        foreach (var counter in _counters)
            counter.Clear();
    }

    async ValueTask ReadStoreAsync(long end, CancellationToken cancellation)
    {
        while (_end < Math.Min(end, _shared.Selection.CompleteFrom()))
        {
            var to = Math.Min(_end + Slice, end);
            foreach (var series in await SelectAsync(matchers, _end, to, cancellation))
                _counters[SlotOf(series.Labels)].Add(series, _tail);
            _end = to;
        }
    }

    void ReadHead(long start, long end)
    {
        var (selection, complete) = (_shared.Selection, _shared.Selection.CompleteFrom());
        for (var i = 0; i < _live.Count; i++)
        {
            var (slot, known) = _live[i];
            var counter = _counters[slot];
            // What has left the range since is taken in too, or what leaves next would not be what was counted.
            var after = counter.Count > 0 ? counter.Newest : Math.Max(counter.Newest, start);
            _new.Clear();
            var revision = selection.Read(i, after, end, _new);
            _live[i] = (slot, revision);
            var times = _new.Times;
            // A sample came before others that were taken in; of a series that has ended, nothing more is known.
            if (known >= 0 && revision > known)
            {
                _behind.Add((slot, long.MinValue));
                continue;
            }

            // It reaches back further than the head surely does, so some may be missing.
            if (!times.IsEmpty && times[0] < complete && after < complete)
            {
                _behind.Add((slot, after));
                continue;
            }

            for (var j = 0; j < times.Length; j++)
                counter.Add(times[j], _new.Values[j], _tail);
            counter.Pass(_new.Newest);
        }

        _end = end;
    }

    // If it is cut off, the next evaluation continues.
    async ValueTask CatchUpAsync(long start, long end, CancellationToken cancellation)
    {
        while (_behind is [.., var (slot, after)])
        {
            LabelMatcher[] one = [.. Slots[slot].Select(l => new LabelMatcher(l.Name, MatchOperator.Equal, l.Value)), .. matchers];
            var found = await SelectAsync(one, after == long.MinValue ? start : after, end, cancellation);
            _behind.RemoveAt(_behind.Count - 1);
            if (after == long.MinValue)
                _counters[slot].Clear();
            // Others may have more labels.
            if (found.FirstOrDefault(s => s.Labels.Equals(Slots[slot])) is { } series)
                _counters[slot].Add(series, _tail);
        }
    }

    async ValueTask ReadTailAsync(long start, CancellationToken cancellation)
    {
        if (_tail >= start + Ahead)
            return;
        var to = start + (2 * Ahead);
        foreach (var series in await SelectAsync(matchers, _tail, to, cancellation))
            _counters[SlotOf(series.Labels)].AddTail(series);
        _tail = to;
    }

    // After one instant, up to another. Is cut off while it is read, not only between.
    ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> which, long after, long upTo, CancellationToken cancellation) =>
        group.Source.SelectAsync(which, after + 1, upTo, _ => cancellation.ThrowIfCancellationRequested(), cancellation);

    // One that was silent for so long that the head had forgotten it may begin again with a sample that comes late.
    void AddLive(Labels labels, int revision)
    {
        var slot = SlotOf(labels);
        if (revision == Unread && _counters[slot].Newest > long.MinValue)
            _behind.Add((slot, long.MinValue));
        _live.Add((slot, revision));
    }

    int SlotOf(Labels labels)
    {
        var slot = _slots[labels];
        while (_counters.Count <= slot)
            _counters.Add(new Counter());
        return slot;
    }

    /// <summary>One series: its first and last sample of the range, and between them those at which it was reset or came back.</summary>
    public sealed class Counter
    {
        // What leaves next, each sample; and further on those that matter, each perhaps the first one day.
        readonly SampleWindow _tail = new();
        readonly SampleWindow _kept = new();
        Sample _first;
        Sample _last;

        /// <summary>The newest sample that was taken in, markers too.</summary>
        public long Newest { get; private set; } = long.MinValue;

        public int Count { get; private set; }

        public void Pass(long newest) => Newest = Math.Max(Newest, newest);

        public void Add(long time, double value, long tail)
        {
            // What was read before an evaluation was cut off comes again.
            if (time <= Newest)
                return;
            Newest = time;
            if (StaleMarker.Is(value))
                return;
            if (Count++ == 0)
                _first = new(time, value);
            // NaN compares with nothing: it is kept, and what follows it.
            else if (!(value >= _last.Value))
                Keep(time, value, withLast: true);
            else if (time - _last.Time > Ahead)
                Keep(time, value, withLast: false);
            _last = new(time, value);
            if (time <= tail && time > _tail.Newest)
                _tail.Add(time, value);
        }

        public void Add(SeriesSamples series, long tail)
        {
            for (var i = 0; i < series.Times.Length; i++)
                Add(series.Times[i], series.Values[i], tail);
        }

        /// <summary>Of the samples that leave next, those that are counted.</summary>
        public void AddTail(SeriesSamples series)
        {
            for (var i = 0; i < series.Times.Length && Count > 0; i++)
            {
                if (series.Times[i] > _tail.Newest && series.Times[i] >= _first.Time && series.Times[i] <= _last.Time)
                    _tail.Add(series.Times[i], series.Values[i]);
            }
        }

        public void DropUpTo(long start)
        {
            if (Count == 0 || _first.Time > start)
                return;
            Count -= _tail.DropUpTo(start);
            _kept.DropUpTo(start);
            // What is not among the next comes after a gap, so it was kept; else it is the only one.
            if (_last.Time <= start)
                Count = 0;
            else if (_tail.Times is [var next, ..])
                _first = new(next, _tail.Values[0]);
            else if (_kept.Times is [var kept, ..])
                _first = new(kept, _kept.Values[0]);
            else
                (_first, Count) = (_last, 1);
        }

        /// <summary>What a function of counters needs of the window: the samples between may be left out.</summary>
        public int CopyTo(Span<long> times, Span<double> values)
        {
            if (Count == 0)
                return 0;
            var length = 0;
            (times[0], values[length++]) = (_first.Time, _first.Value);
            for (var i = 0; i < _kept.Times.Length; i++)
            {
                if (_kept.Times[i] > _first.Time && _kept.Times[i] < _last.Time)
                    (times[length], values[length++]) = (_kept.Times[i], _kept.Values[i]);
            }

            if (_last.Time > _first.Time)
                (times[length], values[length++]) = (_last.Time, _last.Value);
            return length;
        }

        public int MostLength => _kept.Times.Length + 2;

        public void Clear()
        {
            _tail.Clear();
            _kept.Clear();
            (Count, Newest) = (0, long.MinValue);
        }

        void Keep(long time, double value, bool withLast)
        {
            if (withLast && _kept.Newest < _last.Time)
                _kept.Add(_last.Time, _last.Value);
            _kept.Add(time, value);
        }
    }
}

/// <summary>For functions that need of a window its ends, its resets and its length only.</summary>
sealed class CounterRange(CounterWindows windows, Func<long, long> shift, long range) : RangeSource(windows.Slots)
{
    long[] _times = [];
    double[] _values = [];

    public ValueTask PrepareAsync(long time, CancellationToken cancellation) => windows.MoveToAsync(shift(time), cancellation);

    public override void MoveTo(long time) => Place(time, shift(time), range);

    public override RangeWindow Window(int slot)
    {
        var counter = windows[slot];
        if (counter.MostLength > _times.Length)
            (_times, _values) = (new long[2 * counter.MostLength], new double[2 * counter.MostLength]);
        var length = counter.CopyTo(_times, _values);
        return Of(_times.AsSpan(0, length), _values.AsSpan(0, length), counter.Count);
    }
}
