using Whistle.Ingest.Stores;
using Whistle.State.Files;
using Whistle.Telemetry;

namespace Whistle.Ingest.Heads;

/// <summary>
/// Reads recent samples from the head and older ones from the store, without a seam: the store holds all that the head has, so
/// each answers for its side of one instant.
/// </summary>
public sealed class TelemetryReader
{
    readonly Head? _head;
    readonly ITelemetryStore _store;

    /// <param name="head">Null where another process has it: then all is read from the store, which has it a moment later.</param>
    internal TelemetryReader(Head? head, ITelemetryStore store) => (_head, _store) = (head, store);

    /// <summary>Every series that satisfies all matchers, with its samples of the range (both ends included).</summary>
    /// <param name="matchers">What the series must satisfy.</param>
    /// <param name="minTime">In milliseconds since 1970 UTC, as the next.</param>
    /// <param name="maxTime">The end.</param>
    /// <param name="loaded">Called with how many more samples were read, while they are read; an exception from it ends the read.</param>
    /// <exception cref="StoreException">The store does not answer.</exception>
    public IReadOnlyList<SeriesSamples> Select(IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<int>? loaded = null)
    {
        // The head lacks too what the store lost before it was filled from there.
        _store.Warn(minTime, maxTime);
        var border = BorderOf(matchers);
        if (minTime >= border)
            return _head!.Select(matchers, minTime, maxTime, loaded);
        // The head first: while the store answers, time passes, and the head drops what leaves its window.
        var recents = maxTime < border ? [] : _head!.Select(matchers, border, maxTime, loaded);
        return _store.Select(matchers, minTime, Math.Min(maxTime, border - 1), loaded, recents);
    }

    /// <summary>How far back samples are kept.</summary>
    public TimeSpan Kept => _store.Retention;

    /// <summary>The series of a selector from now on, as far as the head has their samples.</summary>
    public HeadSelection Open(IReadOnlyList<LabelMatcher> matchers) =>
        _head?.Open(matchers) ?? throw new InvalidOperationException("The head is in another process.");

    /// <summary>The series in scope.</summary>
    /// <exception cref="StoreException">The store does not answer.</exception>
    public Found<Labels> Series(SeriesScope scope, AnswerLimit limit, CancellationToken cancellation)
    {
        _store.Warn(scope.MinTime, scope.MaxTime);
        var found = new FirstFew<Labels>(limit, Labels.Compare, Bytes);
        foreach (var (matchers, border) in Borders(scope))
        {
            // The head first, as above.
            if (scope.MaxTime >= border)
                _head!.VisitSeries(matchers, Math.Max(scope.MinTime, border), scope.MaxTime, found.Add, cancellation);
            if (scope.MinTime < border)
                _store.VisitSeries(matchers, scope.MinTime, Math.Min(scope.MaxTime, border - 1), found.Add, cancellation);
        }

        return found.Build();
    }

    /// <summary>The names of the labels of the series in scope.</summary>
    /// <exception cref="StoreException">The store does not answer.</exception>
    public Found<string> LabelNames(SeriesScope scope, AnswerLimit limit, CancellationToken cancellation) =>
        Texts(null, scope, limit, cancellation);

    /// <summary>The values of a label of the series in scope.</summary>
    /// <exception cref="StoreException">The store does not answer.</exception>
    public Found<string> LabelValues(string name, SeriesScope scope, AnswerLimit limit, CancellationToken cancellation) =>
        Texts(name, scope, limit, cancellation);

    internal static void EachText(Labels labels, string? name, Action<string> each)
    {
        if (name is null)
        {
            for (var i = 0; i < labels.Count; i++)
                each(labels[i].Name);
        }
        else if (labels[name] is { Length: > 0 } value)
        {
            each(value);
        }
    }

    Found<string> Texts(string? name, SeriesScope scope, AnswerLimit limit, CancellationToken cancellation)
    {
        _store.Warn(scope.MinTime, scope.MaxTime);
        var found = new FirstFew<string>(limit, string.CompareOrdinal, Bytes);
        foreach (var (matchers, border) in Borders(scope))
        {
            if (scope.MaxTime >= border)
                _head!.VisitSeries(
                    matchers, Math.Max(scope.MinTime, border), scope.MaxTime, labels => EachText(labels, name, found.Add), cancellation);
            if (scope.MinTime < border)
                _store.VisitLabels(name, matchers, scope.MinTime, Math.Min(scope.MaxTime, border - 1), found.Add, cancellation);
        }

        return found.Build();
    }

    IEnumerable<(IReadOnlyList<LabelMatcher> Matchers, long Border)> Borders(SeriesScope scope) =>
        scope.Selectors.Select(m => (m, BorderOf(m)));

    long BorderOf(IReadOnlyList<LabelMatcher> matchers) => _head?.CompleteFrom(matchers) ?? long.MaxValue;

    // Objects and arrays around the characters, on 64 bits.
    static int Bytes(string text) => 40 + (sizeof(char) * text.Length);

    static int Bytes(Labels labels)
    {
        var bytes = 112;
        for (var i = 0; i < labels.Count; i++)
            bytes += 16 + Bytes(labels[i].Name) + Bytes(labels[i].Value);
        return bytes;
    }
}
