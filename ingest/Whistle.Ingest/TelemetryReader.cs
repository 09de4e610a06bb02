using Whistle.Telemetry;

namespace Whistle.Ingest;

/// <summary>
/// Reads recent samples from the head and older ones from the store, without a seam: the store holds all that the head has, so
/// each answers for its side of one instant.
/// </summary>
public sealed class TelemetryReader(Head head, DuckDbStore store)
{
    /// <summary>Every series that satisfies all matchers, with its samples of the range (both ends included).</summary>
    /// <param name="matchers">What the series must satisfy.</param>
    /// <param name="minTime">In milliseconds since 1970 UTC, as the next.</param>
    /// <param name="maxTime">The end.</param>
    /// <param name="loaded">Is told how many more samples were read, while they are; what it throws ends the reading.</param>
    /// <exception cref="StoreException">The store does not answer.</exception>
    public IReadOnlyList<SeriesSamples> Select(IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<int>? loaded = null)
    {
        var border = head.CompleteFrom(matchers);
        if (minTime >= border)
            return head.Select(matchers, minTime, maxTime, loaded);
        // The head first: while the store answers, time goes on, and the head drops what then is out of its window.
        var recents = maxTime < border ? [] : head.Select(matchers, border, maxTime, loaded);
        return store.Select(matchers, minTime, Math.Min(maxTime, border - 1), loaded, recents);
    }

    /// <summary>How far back samples are kept.</summary>
    public TimeSpan Kept => store.Retention;

    /// <summary>The series of a selector from now on, as far as the head has their samples.</summary>
    public HeadSelection Open(IReadOnlyList<LabelMatcher> matchers) => head.Open(matchers);

    /// <summary>The labels of every series that satisfies all matchers and has a sample in the range (both ends included), each once, in no order.</summary>
    /// <exception cref="StoreException">The store does not answer.</exception>
    public IReadOnlyCollection<Labels> Series(IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime)
    {
        var border = head.CompleteFrom(matchers);
        // The head first, as above.
        HashSet<Labels> found = maxTime < border ? [] : [.. head.Series(matchers, Math.Max(minTime, border), maxTime)];
        if (minTime < border)
            found.UnionWith(store.Series(matchers, minTime, Math.Min(maxTime, border - 1)));
        return found;
    }
}
