using System.Runtime.InteropServices;

using Whistle.Ingest.Series;

namespace Whistle.Ingest.Heads;

/// <summary>
/// The head's series by metric name and tenant, each in the order in which they came, so that what one tenant has costs the others nothing
/// to pass over. Everything here is done under the head's lock.
/// </summary>
sealed class HeadIndex
{
    readonly Dictionary<string, Named> _names = [];

    /// <summary>How many series have ever come.</summary>
    public long Arrivals { get; private set; }

    public IReadOnlyCollection<string> Names => _names.Keys;

    public IReadOnlyCollection<string> Tenants(string name) => _names.TryGetValue(name, out var named) ? named.ByTenant.Keys : [];

    public void Add(HeadSeries series)
    {
        var named = CollectionsMarshal.GetValueRefOrAddDefault(_names, series.Labels.Name, out _) ??= new Named();
        (CollectionsMarshal.GetValueRefOrAddDefault(named.ByTenant, series.Tenant, out _) ??= []).Add(series);
        series.Arrival = named.LastArrival = ++Arrivals;
    }

    /// <summary>Drops what is marked as evicted of one name and tenant.</summary>
    public void DropEvicted(string name, string tenant)
    {
        var named = _names[name];
        var series = named.ByTenant[tenant];
        series.RemoveAll(s => s.Evicted);
        if (series.Count == 0)
            named.ByTenant.Remove(tenant);
        if (named.ByTenant.Count == 0)
            _names.Remove(name);
    }

    /// <summary>The next so many that came after one arrival, up to another.</summary>
    public ReadOnlySpan<HeadSeries> Next(string name, string tenant, long after, long upTo, int most)
    {
        if (!_names.TryGetValue(name, out var named) || !named.ByTenant.TryGetValue(tenant, out var series))
            return [];
        var from = FirstAfter(series, after);
        return CollectionsMarshal.AsSpan(series)[from..Math.Min(FirstAfter(series, upTo), from + most)];
    }

    /// <summary>What came after an arrival, in that order; of all names where none is given.</summary>
    public List<HeadSeries> Since(string? name, long known)
    {
        List<HeadSeries> found = [];
        foreach (var named in name is null ? _names.Values : _names.TryGetValue(name, out var one) ? [one] : Enumerable.Empty<Named>())
        {
            if (named.LastArrival <= known)
                continue;
            foreach (var series in named.ByTenant.Values)
                found.AddRange(CollectionsMarshal.AsSpan(series)[FirstAfter(series, known)..]);
        }

        found.Sort(static (a, b) => a.Arrival.CompareTo(b.Arrival));
        return found;
    }

    static int FirstAfter(List<HeadSeries> series, long arrival)
    {
        // Nearly always asked for all or for nothing.
        if (series.Count == 0 || series[^1].Arrival <= arrival)
            return series.Count;
        var (low, high) = (0, series.Count - 1);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (series[middle].Arrival > arrival)
                high = middle;
            else
                low = middle + 1;
        }

        return low;
    }

    sealed class Named
    {
        public Dictionary<string, List<HeadSeries>> ByTenant { get; } = [];

        public long LastArrival { get; set; }
    }
}
