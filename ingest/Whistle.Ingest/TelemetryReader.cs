using Whistle.Telemetry;

namespace Whistle.Ingest;

/// <summary>
/// Reads recent samples from the head and older ones from the store, without a seam: the store holds all that the head has, so
/// each answers for its side of one instant.
/// </summary>
public sealed class TelemetryReader(Head head, DuckDbStore store)
{
    /// <summary>Every series that satisfies all matchers, with its samples of the range (both ends included).</summary>
    /// <exception cref="StoreException">The store does not answer.</exception>
    public IReadOnlyList<SeriesSamples> Select(IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime)
    {
        var border = head.CompleteFrom(matchers);
        if (minTime >= border)
            return head.Select(matchers, minTime, maxTime);
        // The head first: while the store answers, time goes on, and the head drops what then is out of its window.
        var recents = maxTime < border ? [] : head.Select(matchers, border, maxTime);
        var older = store.Select(matchers, minTime, Math.Min(maxTime, border - 1));
        if (recents.Count == 0)
            return older;
        var merged = older.ToDictionary(s => s.Labels);
        foreach (var recent in recents)
            merged[recent.Labels] = merged.TryGetValue(recent.Labels, out var old) ? Join(old, recent) : recent;
        return [.. merged.Values];
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

    static SeriesSamples Join(SeriesSamples older, SeriesSamples recent) =>
        new(recent.Labels, [.. older.Times, .. recent.Times], [.. older.Values, .. recent.Values]);
}
