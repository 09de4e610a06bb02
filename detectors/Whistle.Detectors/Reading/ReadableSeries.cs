using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors.Reading;

/// <summary>Adds to selectors what limits them to the series that somebody may read.</summary>
static class ReadableSeries
{
    /// <summary>
    /// One selector for each place that may be read; together they select what the given one does there and nothing else, each series once.
    /// What limits stands first: whoever looks at a selector's tenant must see the one that counts.
    /// </summary>
    public static IReadOnlyList<IReadOnlyList<LabelMatcher>> Limit(this Rights rights, IReadOnlyList<LabelMatcher> matchers) =>
        rights.SeesAll ? [matchers]
        : [.. Places(rights).Select(place => (IReadOnlyList<LabelMatcher>)[.. Matchers(place), .. matchers])];

    /// <summary>
    /// The selectors of the series of one tenant and of those of no tenant, which only recording rules make: whoever writes rules decides
    /// what is in them.
    /// </summary>
    public static IReadOnlyList<IReadOnlyList<LabelMatcher>> OfTenant(string tenant, IReadOnlyList<LabelMatcher> matchers) =>
    [
        [new(Sender.TenantLabel, MatchOperator.Equal, tenant), .. matchers],
        [new(Sender.TenantLabel, MatchOperator.Equal, ""), .. matchers],
    ];

    /// <summary>Whether somebody may see what carries these labels: a signal, a series.</summary>
    public static bool Sees(this Rights rights, Labels labels) => rights.Sees(ClusterId.Of(labels));

    // Those within others would find their series twice.
    static IEnumerable<AccessScope> Places(Rights rights) =>
        rights.Readable.Where(a => !rights.Readable.Any(b => b != a && b.Covers(a)));

    static IEnumerable<LabelMatcher> Matchers(AccessScope place)
    {
        if (place.Tenant is { } tenant)
            yield return new(Sender.TenantLabel, MatchOperator.Equal, tenant);
        if (place.Cluster is { } cluster)
            yield return new(Sender.ClusterLabel, MatchOperator.Equal, cluster);
    }
}

/// <summary>A source in which there is only what the limited selectors select.</summary>
/// <param name="source">Of all there is.</param>
/// <param name="limit">Makes of a selector those that take its place; no two of them may select the same series.</param>
sealed class LimitedSource(
    ISeriesSource source, Func<IReadOnlyList<LabelMatcher>, IReadOnlyList<IReadOnlyList<LabelMatcher>>> limit) : ISeriesSource
{
    public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation) =>
        SelectAsync(matchers, minTime, maxTime, static _ => { }, cancellation);

    public async ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<int> loaded, CancellationToken cancellation)
    {
        var limited = limit(matchers);
        if (limited is [var one])
            return await source.SelectAsync(one, minTime, maxTime, loaded, cancellation);
        List<SeriesSamples> all = [];
        foreach (var selector in limited)
            all.AddRange(await source.SelectAsync(selector, minTime, maxTime, loaded, cancellation));
        return all;
    }
}
