using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Callers;
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
        // None lies within another, which would find its series twice.
        : [.. rights.Readable.Select(place => (IReadOnlyList<LabelMatcher>)[.. Matchers(place), .. matchers])];

    /// <summary>As for the caller's rights; notes whose series are asked for.</summary>
    public static IReadOnlyList<IReadOnlyList<LabelMatcher>> Limit(this Caller caller, IReadOnlyList<LabelMatcher> matchers)
    {
        var named = matchers.FirstOrDefault(
            m => m is { Name: Sender.TenantLabel, Operator: MatchOperator.Equal, Value.Length: > 0 })?.Value;
        foreach (var place in caller.Rights.Readable.Where(p => named is null || p.Overlaps(AccessScope.Of(named))))
            caller.Concern(Permission.Read, named is null ? place : AccessScope.Of(named));
        return caller.Rights.Limit(matchers);
    }

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
