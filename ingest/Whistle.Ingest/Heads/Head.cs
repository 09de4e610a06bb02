using System.Collections.Concurrent;

using Whistle.Ingest.Series;
using Whistle.Inventory;
using Whistle.Telemetry;

namespace Whistle.Ingest.Heads;

/// <summary>A selector that is read further back than the head's usual hour.</summary>
public sealed record HeadWindow(IReadOnlyList<LabelMatcher> Matchers, TimeSpan Window);

/// <summary>
/// The recent window of every series in memory, with the index over it. Any thread reads; series are added under a
/// lock; samples come from the committer alone, after the store holds them.
/// </summary>
public sealed class Head(TimeProvider time, SeriesLimits limits)
{
    public static readonly TimeSpan UsualWindow = TimeSpan.FromHours(1);
    public static readonly TimeSpan LongestWindow = TimeSpan.FromHours(6);

    /// <summary>
    /// A rule reads back from its slot, which lies a little before the clock's now; so much later it still finds its window whole.
    /// </summary>
    public static readonly TimeSpan Lag = TimeSpan.FromMinutes(5);

    // A sender can write one series' labels in ever new encodings (another order, longer varints); those past this many are looked up
    // by their labels each time, so that none can fill the memory with keys.
    const int MaxFurtherKeys = 8;

    // Under the lock, no more series than these are looked at in one go: others wait for it.
    const int SeriesAtOnce = 4096;

    readonly Lock _lock = new();
    readonly ConcurrentDictionary<UInt128, HeadSeries> _byKey = new();
    readonly Dictionary<Labels, HeadSeries> _byLabels = [];
    readonly HeadIndex _index = new();
    readonly Dictionary<string, int> _perTenant = [];
    readonly Dictionary<string, long> _labelBytes = [];
    readonly Dictionary<HeadSeries, List<UInt128>> _furtherKeys = [];
    readonly ConcurrentDictionary<string, (long Milliseconds, long Since)> _windows = new();
    LabelPool _pool = new();
    HeadWindow[] _rules = [];
    int _evictedSincePooled;
    uint _lastId;

    public Head(TimeProvider time, int maxSeriesPerTenant)
        : this(time, new SeriesLimits(new(maxSeriesPerTenant), time))
    {
    }

    internal int KeyCount => _byKey.Count;

    public int SeriesCount
    {
        get
        {
            lock (_lock)
                return _byLabels.Count;
        }
    }

    /// <summary>
    /// Says which selectors rules read further back than an hour. What is new is complete only from an hour ago on;
    /// <see cref="CompleteFrom(IReadOnlyList{LabelMatcher})"/> knows.
    /// </summary>
    public void KeepLonger(IEnumerable<HeadWindow> windows)
    {
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        lock (_lock)
        {
            _rules = [.. windows.Where(w => w.Window > UsualWindow)];
            var wanted = _rules.GroupBy(w => Selector(w.Matchers)).ToDictionary(g => g.Key, Longest);
            foreach (var gone in _windows.Keys.Except(wanted.Keys).ToList())
                _windows.TryRemove(gone, out _);
            foreach (var (selector, length) in wanted)
            {
                // Before the head is filled, nothing is missing: filling it from the store respects the windows.
                var since = _lastId == 0 ? long.MinValue : now - Milliseconds(UsualWindow);
                _windows.AddOrUpdate(
                    selector, (length, since),
                    (_, old) => old.Milliseconds >= length ? (length, old.Since) : (length, Math.Max(old.Since, now - old.Milliseconds)));
            }
        }

        // Those that come from here on ask the new rules already.
        foreach (var series in Parts([]).SelectMany(part => part))
            series.KeepMilliseconds = KeepFor(series.Labels);

        static long Longest(IEnumerable<HeadWindow> windows) =>
            Math.Min(Milliseconds(LongestWindow), windows.Max(w => Milliseconds(w.Window)));
    }

    /// <summary>The time from which on the head holds all samples that the selector asks for.</summary>
    public long CompleteFrom(IReadOnlyList<LabelMatcher> matchers) => CompleteFrom(Selector(matchers));

    internal long CompleteFrom(string selector)
    {
        var now = time.GetUtcNow().ToUnixTimeMilliseconds() - Milliseconds(Lag);
        return _windows.TryGetValue(selector, out var window)
            ? Math.Max(now - window.Milliseconds, window.Since)
            : now - Milliseconds(UsualWindow);
    }

    /// <param name="matchers">What the series must satisfy.</param>
    /// <param name="minTime">In milliseconds since 1970 UTC, as the next; both ends are included.</param>
    /// <param name="maxTime">The end.</param>
    /// <param name="loaded">Called with how many more samples were read, while they are read; an exception from it ends the read.</param>
    public List<SeriesSamples> Select(IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<int>? loaded = null)
    {
        var found = new List<SeriesSamples>();
        foreach (var series in Matching(matchers).SelectMany(part => part))
        {
            if (series.Read(minTime, maxTime) is not { } samples)
                continue;
            loaded?.Invoke(samples.Times.Length);
            found.Add(samples);
        }

        return found;
    }

    /// <summary>The series of a selector from now on.</summary>
    public HeadSelection Open(IReadOnlyList<LabelMatcher> matchers) => new(this, matchers);

    /// <summary>
    /// Series of a name that came after the first <paramref name="known"/> of all ever did; of any name where there is none.
    /// </summary>
    internal IReadOnlyList<HeadSeries> Since(string? name, ref long known)
    {
        lock (_lock)
        {
            var from = known;
            known = _index.Arrivals;
            return from == known ? [] : _index.Since(name, from);
        }
    }

    /// <summary>Gives the labels of every series that satisfies all matchers and has a sample in the range, each once.</summary>
    internal void VisitSeries(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<Labels> each, CancellationToken cancellation)
    {
        foreach (var part in Matching(matchers))
        {
            cancellation.ThrowIfCancellationRequested();
            foreach (var series in part)
            {
                if (series.HasSampleIn(minTime, maxTime))
                    each(series.Labels);
            }
        }
    }

    internal bool TryGet(UInt128 key, out HeadSeries series) => _byKey.TryGetValue(key, out series!) && !series.Evicted;

    /// <summary>
    /// The series with these labels, made where it is new; null where its tenant is at a limit.
    /// </summary>
    /// <param name="id">The id that the store knows, where the head is filled from it.</param>
    /// <param name="limited">False for what does not come from a sender.</param>
    internal HeadSeries? GetOrAdd(UInt128 key, IReadOnlyList<Label> sorted, uint? id = null, bool limited = true) =>
        limited ? GetOrAdd(key, sorted, out _) : Add(key, Unshared(sorted), id, isLimited: false, out _);

    /// <param name="reached">Where the answer is null, the limit of its tenant that does not let it in.</param>
    internal HeadSeries? GetOrAdd(UInt128 key, IReadOnlyList<Label> sorted, out LimitReached? reached)
    {
        // Shared with others only once it is in the index: what is refused must leave nothing behind.
        var labels = Unshared(sorted);
        reached = null;
        if (Find(key, labels, out var active, out var labelBytes) is { } known)
            return known;
        // Not under the lock: it may write to disk.
        reached = limits.Admit(labels, active, labelBytes);
        if (reached is not null)
            return null;
        var added = Add(key, labels, null, isLimited: true, out var isNew);
        if (!isNew || added is null)
            limits.Withdraw(labels);
        // Others of the tenant came in between.
        reached = added is null ? limits.Active(labels) : null;
        return added;
    }

    HeadSeries? Find(UInt128 key, Labels labels, out int active, out long labelBytes)
    {
        lock (_lock)
        {
            var tenant = labels[Sender.TenantLabel];
            (active, labelBytes) = (_perTenant.GetValueOrDefault(tenant), _labelBytes.GetValueOrDefault(tenant));
            if (!_byLabels.TryGetValue(labels, out var known))
                return null;
            AddKey_NeedsLock(known, key);
            return known;
        }
    }

    HeadSeries? Add(UInt128 key, Labels labels, uint? id, bool isLimited, out bool isNew)
    {
        lock (_lock)
        {
            isNew = !_byLabels.TryGetValue(labels, out var known);
            if (!isNew)
            {
                AddKey_NeedsLock(known!, key);
                return known;
            }

            var tenant = labels[Sender.TenantLabel];
            var count = _perTenant.GetValueOrDefault(tenant);
            if (isLimited && !limits.HaveRoom(tenant, count, _labelBytes.GetValueOrDefault(tenant)))
                return null;
            _perTenant[tenant] = count + 1;
            labels = _pool.Share(labels);
            var series = new HeadSeries(id ?? ++_lastId, labels, tenant)
            { Key = key, KeepMilliseconds = KeepFor(labels), Persisted = id is not null };
            _lastId = Math.Max(_lastId, series.Id);
            Index_NeedsLock(series);
            return series;
        }
    }

    static Labels Unshared(IReadOnlyList<Label> sorted) =>
        Labels.FromSorted([.. sorted.Select(l => l.Name)], [.. sorted.Select(l => l.Value)]);

    /// <summary>A series that was evicted between being staged and being committed comes back as it was.</summary>
    internal HeadSeries Revive(HeadSeries series)
    {
        lock (_lock)
        {
            if (_byLabels.TryGetValue(series.Labels, out var living))
                return living;
            (series.Evicted, series.Revived) = (false, true);
            _perTenant[series.Tenant] = _perTenant.GetValueOrDefault(series.Tenant) + 1;
            Index_NeedsLock(series);
            return series;
        }
    }

    /// <summary>The store's highest id, so that a new series never gets an old one's.</summary>
    internal void ContinueAfter(uint id)
    {
        lock (_lock)
            _lastId = Math.Max(_lastId, id);
    }

    /// <summary>How many series each tenant has now.</summary>
    internal Dictionary<string, int> SeriesPerTenant()
    {
        lock (_lock)
            return new(_perTenant);
    }

    /// <summary>All series, some at a time. A tenant's churn must not hold anybody up for as long as all of them take.</summary>
    internal IEnumerable<IReadOnlyList<HeadSeries>> Parts() => Parts([]);

    internal void Prune()
    {
        foreach (var part in Parts())
            Prune(part);
        ForgetTexts();
    }

    /// <summary>
    /// Drops samples that fell out of their window, and series that have none left and were not heard of for as long. Between two commits.
    /// </summary>
    internal void Prune(IReadOnlyList<HeadSeries> part)
    {
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        var dead = new List<HeadSeries>();
        foreach (var series in part)
        {
            if (series.Evicted)
                continue;
            if (!series.Prune(now))
                series.SeenEmpty = false;
            // A backlog comes with samples that are old when they arrive; their series are no new ones each time.
            else if (series.HeardAt >= now - series.KeepMilliseconds)
                continue;
            else if (series.SeenEmpty || series.StagedTime > long.MinValue)
                dead.Add(series);
            else
                series.SeenEmpty = true;
        }

        Evict(dead);
    }

    /// <summary>Drops series with all their samples. Between two commits.</summary>
    internal void Evict(IReadOnlyList<HeadSeries> dead)
    {
        lock (_lock)
        {
            foreach (var series in dead.Where(s => !s.Evicted))
                Evict_NeedsLock(series);
            // A name and tenant at a time: a search for each series would be quadratic where one with very many goes.
            foreach (var (name, tenant) in dead.Select(s => (s.Labels.Name, s.Tenant)).Distinct())
                _index.DropEvicted(name, tenant);
        }
    }

    /// <summary>Forgets the texts that no living series uses, once there are many.</summary>
    internal void ForgetTexts()
    {
        lock (_lock)
        {
            if (_evictedSincePooled == 0 || _evictedSincePooled < _byLabels.Count / 4)
                return;
            _evictedSincePooled = 0;
        }

        // What comes before the new pool is in use is shared with the old one; it takes a little more room.
        var pool = new LabelPool();
        foreach (var series in Parts().SelectMany(part => part))
            pool.Share(series.Labels);
        lock (_lock)
            _pool = pool;
    }

    // Names and tenants are matched once each, not once a series: there are few of them.
    IEnumerable<List<HeadSeries>> Matching(IReadOnlyList<LabelMatcher> matchers)
    {
        var others = matchers.Where(m => m.Name is not (Labels.MetricName or Sender.TenantLabel)).ToList();
        foreach (var part in Parts(matchers))
        {
            part.RemoveAll(s => !others.TrueForAll(m => m.IsMatch(s.Labels)));
            yield return part;
        }
    }

    IEnumerable<List<HeadSeries>> Parts(IReadOnlyList<LabelMatcher> matchers)
    {
        var ofName = matchers.Where(m => m.Name == Labels.MetricName).ToList();
        var ofTenant = matchers.Where(m => m.Name == Sender.TenantLabel).ToList();
        // One that is evicted on the way and comes back has a later arrival, and must not be given twice.
        var (names, upTo) = Names(ofName.Find(m => m.Operator == MatchOperator.Equal)?.Value);
        foreach (var name in names.Where(n => ofName.TrueForAll(m => m.IsMatch(n))))
        {
            foreach (var tenant in Tenants(name, ofTenant.Find(m => m.Operator == MatchOperator.Equal)?.Value).Where(
                t => ofTenant.TrueForAll(m => m.IsMatch(t))))
            {
                var after = 0L;
                while (Next(name, tenant, after, upTo) is { Count: > 0 } part)
                {
                    after = part[^1].Arrival;
                    yield return part;
                }
            }
        }
    }

    (string[] Names, long UpTo) Names(string? one)
    {
        lock (_lock)
            return (one is not null ? [one] : [.. _index.Names], _index.Arrivals);
    }

    string[] Tenants(string name, string? one)
    {
        if (one is not null)
            return [one];
        lock (_lock)
            return [.. _index.Tenants(name)];
    }

    List<HeadSeries> Next(string name, string tenant, long after, long upTo)
    {
        lock (_lock)
            return [.. _index.Next(name, tenant, after, upTo, SeriesAtOnce)];
    }

    // A series that was filled from the store has no key until its sender is heard of again. Further keys come from
    // another order of the same labels, or from another sender's credential of the same node.
    void AddKey_NeedsLock(HeadSeries series, UInt128 key)
    {
        if (key == UInt128.Zero)
            return;
        if (series.Key == UInt128.Zero)
            series.Key = key;
        else if (series.Key != key && !AddFurtherKey_NeedsLock(series, key))
            return;
        _byKey[key] = series;
    }

    bool AddFurtherKey_NeedsLock(HeadSeries series, UInt128 key)
    {
        if (!_furtherKeys.TryGetValue(series, out var keys))
            _furtherKeys[series] = keys = [];
        // Two requests may bring it at the same time.
        if (keys.Contains(key))
            return true;
        if (keys.Count == MaxFurtherKeys)
            return false;
        keys.Add(key);
        return true;
    }

    void Index_NeedsLock(HeadSeries series)
    {
        _byLabels[series.Labels] = series;
        _labelBytes[series.Tenant] = _labelBytes.GetValueOrDefault(series.Tenant) + series.LabelBytes;
        if (series.Key != UInt128.Zero)
            _byKey[series.Key] = series;
        _index.Add(series);
    }

    void Evict_NeedsLock(HeadSeries series)
    {
        series.Evicted = true;
        _evictedSincePooled++;
        // The store may forget its labels from now on.
        series.Persisted = false;
        _byLabels.Remove(series.Labels);
        _byKey.TryRemove(series.Key, out _);
        if (_furtherKeys.Remove(series, out var keys))
            keys.ForEach(key => _byKey.TryRemove(key, out _));
        _labelBytes[series.Tenant] -= series.LabelBytes;
        if (--_perTenant[series.Tenant] > 0)
            return;
        _perTenant.Remove(series.Tenant);
        _labelBytes.Remove(series.Tenant);
    }

    internal long KeepFor(Labels labels)
    {
        var longest = Milliseconds(UsualWindow);
        foreach (var rule in _rules)
        {
            if (Milliseconds(rule.Window) > longest && rule.Matchers.All(m => m.IsMatch(labels)))
                longest = Milliseconds(rule.Window);
        }

        // Twice the lag, so that nothing falls out between asking what is complete and reading it.
        return Math.Min(longest, Milliseconds(LongestWindow)) + 2 * Milliseconds(Lag);
    }

    internal static string Selector(IEnumerable<LabelMatcher> matchers) =>
        string.Join(',', matchers.Select(m => m.ToString()).Order(StringComparer.Ordinal));

    static long Milliseconds(TimeSpan span) => (long)span.TotalMilliseconds;
}
