using System.Collections.Concurrent;

using Whistle.Telemetry;

namespace Whistle.Ingest;

/// <summary>A selector that is read further back than the head's usual hour.</summary>
public sealed record HeadWindow(IReadOnlyList<LabelMatcher> Matchers, TimeSpan Window);

/// <summary>
/// The recent window of every series in memory, with the index over it. Any thread reads; series are added under a
/// lock; samples come from the committer alone, after the store holds them.
/// </summary>
public sealed class Head(TimeProvider time, int maxSeriesPerTenant, long maxLabelBytesPerTenant = long.MaxValue)
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

    readonly Lock _lock = new();
    readonly ConcurrentDictionary<UInt128, HeadSeries> _byKey = new();
    readonly Dictionary<Labels, HeadSeries> _byLabels = [];
    readonly Dictionary<string, List<HeadSeries>> _byName = [];
    readonly Dictionary<string, int> _perTenant = [];
    readonly Dictionary<string, long> _labelBytes = [];
    readonly Dictionary<HeadSeries, List<UInt128>> _furtherKeys = [];
    readonly LabelPool _pool = new();
    readonly ConcurrentDictionary<string, (long Milliseconds, long Since)> _windows = new();
    readonly Dictionary<string, long> _arrivalsByName = [];
    HeadWindow[] _rules = [];
    long _arrivals;
    uint _lastId;

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
                _windows.AddOrUpdate(selector, (length, since), (_, old) => old.Milliseconds >= length ? (length, old.Since) : (length, Math.Max(old.Since, now - old.Milliseconds)));
            }

            foreach (var series in _byLabels.Values)
                series.KeepMilliseconds = KeepFor(series.Labels);
        }

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
    /// <param name="loaded">Is told how many more samples were read, while they are; what it throws ends the reading.</param>
    public List<SeriesSamples> Select(IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<int>? loaded = null)
    {
        var found = new List<SeriesSamples>();
        foreach (var series in Matching(matchers))
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

    /// <summary>Series that came under a name after the first <paramref name="known"/> ever did; all series where there is no name.</summary>
    internal IReadOnlyList<HeadSeries> Since(string? name, ref long known)
    {
        lock (_lock)
        {
            if (name is null ? known == _arrivals : _arrivalsByName.GetValueOrDefault(name) == known)
                return [];
            var from = known;
            known = name is null ? _arrivals : _arrivalsByName[name];
            IEnumerable<HeadSeries> candidates = name is null ? _byLabels.Values : _byName.GetValueOrDefault(name) ?? [];
            return [.. candidates.Where(s => (name is null ? s.Arrival : s.ArrivalInName) > from)];
        }
    }

    /// <summary>The labels of every series that satisfies all matchers and has a sample in the range.</summary>
    public IEnumerable<Labels> Series(IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime) =>
        Matching(matchers).Where(s => s.HasSampleIn(minTime, maxTime)).Select(s => s.Labels);

    internal bool TryGet(UInt128 key, out HeadSeries series) => _byKey.TryGetValue(key, out series!) && !series.Evicted;

    /// <summary>
    /// The series with these labels, made where it is new; null where its tenant is at its limit.
    /// </summary>
    /// <param name="id">The id that the store knows, where the head is filled from it.</param>
    /// <param name="limited">False for what does not come from a sender.</param>
    internal HeadSeries? GetOrAdd(UInt128 key, IReadOnlyList<Label> sorted, uint? id = null, bool limited = true)
    {
        lock (_lock)
        {
            // Shared only once it is in the index: what is refused past the limit must leave nothing behind.
            var labels = Labels.FromSorted([.. sorted.Select(l => l.Name)], [.. sorted.Select(l => l.Value)]);
            if (_byLabels.TryGetValue(labels, out var known))
            {
                AddKey_NeedsLock(known, key);
                return known;
            }

            var tenant = labels[Sender.TenantLabel];
            var count = _perTenant.GetValueOrDefault(tenant);
            if (limited && (count >= maxSeriesPerTenant || _labelBytes.GetValueOrDefault(tenant) >= maxLabelBytesPerTenant))
                return null;
            _perTenant[tenant] = count + 1;
            labels = _pool.Share(sorted);
            var series = new HeadSeries(id ?? ++_lastId, labels, tenant) { Key = key, KeepMilliseconds = KeepFor(labels), Persisted = id is not null };
            _lastId = Math.Max(_lastId, series.Id);
            Index_NeedsLock(series);
            return series;
        }
    }

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

    internal HeadSeries[] All()
    {
        lock (_lock)
            return [.. _byLabels.Values];
    }

    /// <summary>The store's highest id, so that a new series never gets an old one's.</summary>
    internal void ContinueAfter(uint id) => _lastId = Math.Max(_lastId, id);

    /// <summary>Drops samples that fell out of their window and series that have none left.</summary>
    internal void Prune()
    {
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        var all = All();
        var dead = new List<HeadSeries>();
        foreach (var series in all)
        {
            if (!series.Prune(now))
                series.SeenEmpty = false;
            else if (series.SeenEmpty || series.StagedTime > long.MinValue)
                dead.Add(series);
            else
                series.SeenEmpty = true;
        }

        lock (_lock)
        {
            foreach (var series in dead)
                Evict_NeedsLock(series);
            // A name at a time: a search for each series would be quadratic where a name with very many goes.
            foreach (var name in dead.Select(s => s.Labels.Name).Distinct())
                DropEvicted_NeedsLock(name);
            if (dead.Count > 0)
                _pool.Rebuild(_byLabels.Keys);
        }
    }

    // Names are matched once a name, not once a series: there are few of them.
    List<HeadSeries> Matching(IReadOnlyList<LabelMatcher> matchers)
    {
        var ofName = matchers.Where(m => m.Name == Labels.MetricName).ToList();
        var others = matchers.Where(m => m.Name != Labels.MetricName).ToList();
        List<string> names = ofName.Find(m => m.Operator == MatchOperator.Equal) is { } one ? [one.Value] : Names();
        names.RemoveAll(n => !ofName.TrueForAll(m => m.IsMatch(n)));
        List<HeadSeries> candidates;
        lock (_lock)
            candidates = [.. names.SelectMany(n => _byName.GetValueOrDefault(n) ?? [])];
        candidates.RemoveAll(s => !others.TrueForAll(m => m.IsMatch(s.Labels)));
        return candidates;
    }

    List<string> Names()
    {
        lock (_lock)
            return [.. _byName.Keys];
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
        var name = series.Labels.Name;
        series.Arrival = ++_arrivals;
        series.ArrivalInName = _arrivalsByName[name] = _arrivalsByName.GetValueOrDefault(name) + 1;
        if (!_byName.TryGetValue(name, out var named))
            _byName[name] = named = [];
        named.Add(series);
    }

    void Evict_NeedsLock(HeadSeries series)
    {
        series.Evicted = true;
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

    void DropEvicted_NeedsLock(string name)
    {
        var named = _byName[name];
        named.RemoveAll(s => s.Evicted);
        if (named.Count == 0)
            _byName.Remove(name);
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
