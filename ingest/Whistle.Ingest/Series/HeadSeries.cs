using Whistle.Telemetry;

namespace Whistle.Ingest.Series;

/// <summary>One series in the head. The index and the identity never change; everything about samples is under its own lock.</summary>
sealed class HeadSeries(uint id, Labels labels, string tenant)
{
    // About half an hour at 15 s: small enough to drop by the chunk, large enough that a chunk's own cost does not count.
    const int SamplesPerChunk = 120;

    // The object with its chunk, its places in the indexes, and the arrays around its labels.
    const int OwnBytes = 512;

    XorChunk[] _closed = [];
    XorChunk _open;

    /// <summary>About what a new series takes, by the bytes of its encoded labels: their characters have two each.</summary>
    public static long Cost(int encodedBytes) => OwnBytes + (2L * encodedBytes);

    /// <summary>Of its names and values.</summary>
    public long LabelBytes { get; } = labels.Sum(l => 2L * (l.Name.Length + l.Value.Length));

    public uint Id { get; } = id;

    public Labels Labels { get; } = labels;

    public string Tenant { get; } = tenant;

    /// <summary>The hash under which the sender's encoding of the labels leads here; zero until it is known.</summary>
    public UInt128 Key { get; set; }

    /// <summary>
    /// The copy that proves a node's report, where this series has one. Only what comes under the node's own credential enters it.
    /// </summary>
    public HeadSeries? Proof { get; set; }

    /// <summary>The server made it of what senders sent.</summary>
    public bool IsProof { get; set; }

    /// <summary>Its sender gave it a name that only the server may.</summary>
    public bool IsRenamed { get; set; }

    /// <summary>How far back the head keeps this series.</summary>
    public long KeepMilliseconds { get; set; }

    /// <summary>Newest time that is stored or about to be. Only the committer touches it.</summary>
    public long StagedTime { get; set; } = long.MinValue;

    /// <summary>True once the store holds the series' labels. Only the committer touches it.</summary>
    public bool Persisted { get; set; }

    /// <summary>What the store made of the labels, so that it need not again. Only the store's appending thread touches it.</summary>
    public byte[]? StoreKey { get; set; }

    public bool Evicted { get; set; }

    /// <summary>It was evicted once, and came back.</summary>
    public bool Revived { get; set; }

    /// <summary>The how-manieth series of the head it was, when it last came.</summary>
    public long Arrival { get; set; }

    /// <summary>
    /// When samples of it last became durable, whatever their own times: milliseconds since 1970 UTC. Only the committer touches it.
    /// </summary>
    public long HeardAt { get; set; } = long.MinValue;

    /// <summary>True from the second clean-up on that finds it empty: no sample ever became durable.</summary>
    public bool SeenEmpty { get; set; }

    public long LastTime
    {
        get
        {
            lock (this)
                return LastTime_NeedsLock;
        }
    }

    public bool Append(long time, double value)
    {
        lock (this)
        {
            if (time > LastTime_NeedsLock)
            {
                AppendInOrder_NeedsLock(time, value);
                return true;
            }

            return Insert_NeedsLock(time, value);
        }
    }

    public bool Contains(long time)
    {
        lock (this)
        {
            if (_open.Count > 0 && time >= _open.FirstTime)
                return Holds(_open, time);
            var at = ClosedAt_NeedsLock(time);
            return at >= 0 && Holds(_closed[at], time);
        }
    }

    /// <summary>Whether it has just this value at that time, bit for bit.</summary>
    public bool Holds(long time, double value) => Read(time, time) is { Values: [var held] }
        && BitConverter.DoubleToInt64Bits(held) == BitConverter.DoubleToInt64Bits(value);

    /// <summary>Changes when a sample is inserted before others: who has read those must read again.</summary>
    public int Insertions { get; private set; }

    /// <summary>The newest sample at or before a time.</summary>
    public bool TryLatest(long upTo, out Sample latest)
    {
        lock (this)
        {
            if (LastTime_NeedsLock <= upTo)
            {
                var any = _open.Count > 0 || _closed.Length > 0;
                latest = any ? new Sample(LastTime_NeedsLock, LastValue_NeedsLock) : default;
                return any;
            }

            if (_open.Count > 0 && _open.FirstTime <= upTo)
                return TryLatest(_open, upTo, out latest);
            latest = default;
            return ClosedAt_NeedsLock(upTo) is >= 0 and var at && TryLatest(_closed[at], upTo, out latest);
        }
    }

    /// <summary>Gives each sample of (after, upTo]; the usual one that came since the last time without reading the chunk.</summary>
    public int ReadSince(long after, long upTo, ISampleSink into)
    {
        lock (this)
        {
            var last = LastTime_NeedsLock;
            if (last <= after)
                return Insertions;
            if (last <= upTo && TimeBeforeLast_NeedsLock <= after)
            {
                into.Add(last, LastValue_NeedsLock);
                return Insertions;
            }

            foreach (ref readonly var chunk in Chunks_NeedsLock())
            {
                if (!Overlaps(chunk, after + 1, upTo))
                    continue;
                var reader = chunk.Read();
                while (reader.MoveNext() && reader.Time <= upTo)
                {
                    if (reader.Time > after)
                        into.Add(reader.Time, reader.Value);
                }
            }

            return Insertions;
        }
    }

    static bool TryLatest(in XorChunk chunk, long upTo, out Sample latest)
    {
        latest = default;
        var found = false;
        var reader = chunk.Read();
        while (reader.MoveNext() && reader.Time <= upTo)
            (latest, found) = (new Sample(reader.Time, reader.Value), true);
        return found;
    }

    public bool HasSampleIn(long minTime, long maxTime)
    {
        lock (this)
        {
            foreach (ref readonly var chunk in Chunks_NeedsLock())
            {
                if (Overlaps(chunk, minTime, maxTime) && HoldsAny(chunk, minTime, maxTime))
                    return true;
            }

            return false;
        }
    }

    /// <summary>The samples of the range, or null where there is none.</summary>
    public SeriesSamples? Read(long minTime, long maxTime)
    {
        lock (this)
        {
            var room = 0;
            foreach (ref readonly var chunk in Chunks_NeedsLock())
            {
                if (Overlaps(chunk, minTime, maxTime))
                    room += chunk.Count;
            }

            if (room == 0)
                return null;
            var times = new long[room];
            var values = new double[room];
            var count = 0;
            foreach (ref readonly var chunk in Chunks_NeedsLock())
            {
                if (!Overlaps(chunk, minTime, maxTime))
                    continue;
                var reader = chunk.Read();
                while (reader.MoveNext() && reader.Time <= maxTime)
                {
                    if (reader.Time < minTime)
                        continue;
                    times[count] = reader.Time;
                    values[count++] = reader.Value;
                }
            }

            if (count == 0)
                return null;
            Array.Resize(ref times, count);
            Array.Resize(ref values, count);
            return new SeriesSamples(Labels, times, values);
        }
    }

    /// <summary>Drops whole chunks that end before the window. True where nothing is left.</summary>
    public bool Prune(long now)
    {
        var cutoff = now - KeepMilliseconds;
        lock (this)
        {
            var drop = 0;
            while (drop < _closed.Length && _closed[drop].LastTime < cutoff)
                drop++;
            if (drop > 0)
                _closed = _closed[drop..];
            if (_closed.Length == 0 && _open.Count > 0 && _open.LastTime < cutoff)
                _open = default;
            return _open.Count == 0 && _closed.Length == 0;
        }
    }

    long LastTime_NeedsLock => _open.Count > 0 ? _open.LastTime : _closed.Length > 0 ? _closed[^1].LastTime : long.MinValue;

    double LastValue_NeedsLock => _open.Count > 0 ? _open.LastValue : _closed[^1].LastValue;

    long TimeBeforeLast_NeedsLock => _open.Count switch
    {
        > 1 => _open.TimeBeforeLast,
        1 => _closed.Length > 0 ? _closed[^1].LastTime : long.MinValue,
        _ => _closed[^1].Count > 1 ? _closed[^1].TimeBeforeLast : long.MinValue,
    };

    static bool Overlaps(in XorChunk chunk, long minTime, long maxTime) =>
        chunk.Count > 0 && chunk.FirstTime <= maxTime && chunk.LastTime >= minTime;

    ReadOnlySpan<XorChunk> Chunks_NeedsLock()
    {
        if (_closed.Length == 0)
            return new ReadOnlySpan<XorChunk>(in _open);
        return _open.Count == 0 ? _closed : (XorChunk[])[.. _closed, _open];
    }

    void AppendInOrder_NeedsLock(long time, double value)
    {
        _open.Append(time, value);
        if (_open.Count < SamplesPerChunk)
            return;
        _open.Trim();
        _closed = [.. _closed, _open];
        _open = default;
    }

    // Only the chunk that the time falls into is rewritten, or a sender of late samples could make each cost as much as the series
    // is long. False where the time is there already.
    bool Insert_NeedsLock(long time, double value)
    {
        var at = Math.Max(ClosedAt_NeedsLock(time), 0);
        var isOpen = _closed.Length == 0 || (_open.Count > 0 && time >= _open.FirstTime);
        ref var chunk = ref (isOpen ? ref _open : ref _closed[at]);
        if (Holds(chunk, time))
            return false;
        Insertions++;
        var samples = With(chunk, new Sample(time, value));
        if (isOpen)
        {
            _open = default;
            samples.ForEach(s => AppendInOrder_NeedsLock(s.Time, s.Value));
        }
        else if (samples.Count <= 2 * SamplesPerChunk)
        {
            chunk = Closed(samples);
        }
        else
        {
            chunk = Closed(samples[..SamplesPerChunk]);
            _closed = [.. _closed[..(at + 1)], Closed(samples[SamplesPerChunk..]), .. _closed[(at + 1)..]];
        }

        return true;
    }

    // The last closed chunk that begins at the time or before; -1 where there is none.
    int ClosedAt_NeedsLock(long time)
    {
        var (low, high) = (0, _closed.Length);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (_closed[middle].FirstTime <= time)
                low = middle + 1;
            else
                high = middle;
        }

        return low - 1;
    }

    // The chunk reaches into the range; where it does so with an end, nothing needs to be read.
    static bool HoldsAny(in XorChunk chunk, long minTime, long maxTime)
    {
        if (chunk.FirstTime >= minTime || chunk.LastTime <= maxTime)
            return true;
        var reader = chunk.Read();
        while (reader.MoveNext())
        {
            if (reader.Time >= minTime)
                return reader.Time <= maxTime;
        }

        return false;
    }

    static bool Holds(in XorChunk chunk, long time)
    {
        if (time > chunk.LastTime)
            return false;
        var reader = chunk.Read();
        while (reader.MoveNext())
        {
            if (reader.Time >= time)
                return reader.Time == time;
        }

        return false;
    }

    static List<Sample> With(in XorChunk chunk, Sample added)
    {
        var samples = new List<Sample>(chunk.Count + 1);
        var reader = chunk.Read();
        while (reader.MoveNext())
            samples.Add(new Sample(reader.Time, reader.Value));
        var at = samples.FindIndex(s => s.Time > added.Time);
        samples.Insert(at < 0 ? samples.Count : at, added);
        return samples;
    }

    static XorChunk Closed(List<Sample> samples)
    {
        var chunk = new XorChunk();
        foreach (var (time, value) in samples)
            chunk.Append(time, value);
        chunk.Trim();
        return chunk;
    }
}
