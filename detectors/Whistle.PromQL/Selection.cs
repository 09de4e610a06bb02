using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>
/// What a selector of an expression reads when it is evaluated at t: samples of (t − <paramref name="Back"/>, t −
/// <paramref name="Offset"/>], in milliseconds. Back is range or look-back plus offsets, those of the subqueries around it too; not
/// positive where a negative offset reads only the future. A fixed time (<c>@</c>) is not in it.
/// </summary>
public sealed record Selection(IReadOnlyList<LabelMatcher> Matchers, long Back, long Offset)
{
    const long Longest = long.MaxValue / TimeSpan.TicksPerMillisecond;

    /// <summary>Every selector of the expression, in its order.</summary>
    public static IReadOnlyList<Selection> Of(Expr expr, TimeSpan? lookback = null)
    {
        var options = new PromQLOptions { Lookback = lookback ?? PromQLOptions.DefaultLookback };
        return [.. SelectorRead.Of(expr, new QueryTimes(0, 0, 0), options).Select(
            r => new Selection(r.Selector.Matchers, Bounded(-r.After), Bounded(-r.To)))];
    }

    // A fixed time may be anywhere; what a TimeSpan of the caller holds is enough.
    static long Bounded(long milliseconds) => Math.Clamp(milliseconds, -Longest, Longest);
}

/// <summary>The time that a selector covers over a whole query: (After, To].</summary>
readonly record struct SelectorRead(VectorSelector Selector, long After, long To)
{
    public static List<SelectorRead> Of(Expr expr, QueryTimes times, PromQLOptions options)
    {
        List<SelectorRead> reads = [];
        Collect(expr, times.Start, times.End, times, options, reads);
        return reads;
    }

    static void Collect(Expr expr, long from, long to, QueryTimes times, PromQLOptions options, List<SelectorRead> reads)
    {
        switch (expr)
        {
            case VectorSelector selector:
                Add(selector, options.LookbackMilliseconds);
                break;
            case MatrixSelector matrix:
                Add(matrix.Selector, Planner.Length(matrix.Range, times, "range"));
                break;
            case SubqueryExpr subquery:
                var shift = subquery.Shift;
                Collect(
                    subquery.Operand, shift.Apply(from, times) - Planner.Length(subquery.Range, times, "range"), shift.Apply(to, times),
                    times, options, reads);
                break;
            default:
                foreach (var child in expr.Children)
                    Collect(child, from, to, times, options, reads);
                break;
        }

        void Add(VectorSelector selector, long range) =>
            reads.Add(new(selector, selector.Shift.Apply(from, times) - range, selector.Shift.Apply(to, times)));
    }
}

/// <summary>All samples of a query, loaded once where several of its selectors ask for the same.</summary>
sealed class LoadedSamples
{
    readonly Dictionary<VectorSelector, IReadOnlyList<SeriesSamples>> _bySelector = new(ReferenceEqualityComparer.Instance);

    public IReadOnlyList<SeriesSamples> Of(VectorSelector selector) => _bySelector[selector];

    public static async Task<LoadedSamples> LoadAsync(
        ISeriesSource source, Expr expr, QueryTimes times, PromQLOptions options, Budget budget, CancellationToken cancellation)
    {
        var loaded = new LoadedSamples();
        foreach (var same in SelectorRead.Of(expr, times, options).GroupBy(r => string.Join(',', r.Selector.Matchers)))
        {
            foreach (var (reads, after, to) in Overlapping(same))
            {
                var series =
                    after < to ? await source.SelectAsync(reads[0].Selector.Matchers, after + 1, to, budget.Load, cancellation) : [];
                foreach (var read in reads)
                    loaded._bySelector[read.Selector] = series;
            }
        }

        return loaded;
    }

    // What is read now and a week ago is read twice; what overlaps is read once.
    static List<(List<SelectorRead> Reads, long After, long To)> Overlapping(IEnumerable<SelectorRead> reads)
    {
        List<(List<SelectorRead> Reads, long After, long To)> groups = [];
        foreach (var read in reads.OrderBy(r => r.After))
        {
            if (groups.Count > 0 && read.After <= groups[^1].To)
            {
                groups[^1].Reads.Add(read);
                groups[^1] = groups[^1] with { To = Math.Max(groups[^1].To, read.To) };
            }
            else
            {
                groups.Add(([read], read.After, read.To));
            }
        }

        return groups;
    }
}
