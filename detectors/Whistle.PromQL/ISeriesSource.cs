using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>Where the engine takes samples from: the head with the store behind it, or a test's own data.</summary>
public interface ISeriesSource
{
    /// <summary>
    /// Every series that satisfies all matchers and has a sample with <paramref name="minTime"/> ≤ time ≤
    /// <paramref name="maxTime"/> (milliseconds since 1970 UTC), with those samples, staleness markers included.
    /// </summary>
    ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation);

    /// <summary>
    /// As above; <paramref name="loaded"/> is called with the number of samples, repeatedly while many are read, and throws if there are
    /// too many.
    /// </summary>
    async ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<int> loaded, CancellationToken cancellation)
    {
        var series = await SelectAsync(matchers, minTime, maxTime, cancellation);
        foreach (var one in series)
            loaded(one.Times.Length);
        return series;
    }
}
