using Whistle.Telemetry;

namespace Whistle.Ingest.Stores;

/// <summary>
/// Which series a question about labels looks at: those that satisfy all matchers of any selector and have a sample in the range.
/// </summary>
/// <param name="MinTime">In milliseconds since 1970 UTC, as the next; both ends are included.</param>
public sealed record SeriesScope(IReadOnlyList<IReadOnlyList<LabelMatcher>> Selectors, long MinTime, long MaxTime);

/// <summary>How much an answer may hold.</summary>
/// <param name="Items">How many series, names or values.</param>
/// <param name="Bytes">What they may take in memory together.</param>
public readonly record struct AnswerLimit(int Items, long Bytes);

/// <summary>The first of what was found, in order, each once.</summary>
/// <param name="IsCut">There is more.</param>
public sealed record Found<T>(IReadOnlyList<T> Items, bool IsCut);

/// <summary>
/// Keeps the first of what comes, in order and each once. It takes no more memory than the answer does and a quarter, however much comes.
/// </summary>
sealed class FirstFew<T>(AnswerLimit limit, Comparison<T> order, Func<T, int> bytes)
    where T : notnull
{
    // Sorting at each item past the limit would cost too much.
    const int FewestSpare = 256;

    readonly HashSet<T> _kept = [];
    long _bytes;
    bool _isCut;
    T? _last;

    public void Add(T item)
    {
        if (_isCut && order(item, _last!) > 0)
            return;
        if (!_kept.Add(item))
            return;
        _bytes += bytes(item);
        if (_kept.Count >= limit.Items + (long)Math.Max(limit.Items / 4, FewestSpare) || _bytes >= limit.Bytes + (limit.Bytes / 4))
            Cut();
    }

    public Found<T> Build()
    {
        var items = Cut();
        return new(items, _isCut);
    }

    // At least one item stays, however large it is, or the answer would say nothing.
    List<T> Cut()
    {
        List<T> items = [.. _kept];
        items.Sort(order);
        var (count, kept) = (0, 0L);
        while (count < items.Count && count < limit.Items && (count == 0 || kept + bytes(items[count]) <= limit.Bytes))
            kept += bytes(items[count++]);
        if (count == items.Count)
            return items;
        for (var i = count; i < items.Count; i++)
            _kept.Remove(items[i]);
        items.RemoveRange(count, items.Count - count);
        (_isCut, _last, _bytes) = (true, items[^1], kept);
        return items;
    }
}
