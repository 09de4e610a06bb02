using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>
/// What a selector of an expression reads: samples of (t − <paramref name="Back"/>, t − <paramref name="Offset"/>], in
/// milliseconds. Back is range or look-back plus offset; not positive where a negative offset reads only the future.
/// </summary>
public sealed record Selection(IReadOnlyList<LabelMatcher> Matchers, long Back, long Offset)
{
    /// <summary>Every selector of the expression, in its order.</summary>
    public static IReadOnlyList<Selection> Of(Expr expr, TimeSpan? lookback = null)
    {
        List<Selection> found = [];
        foreach (var (selector, range) in Find(expr))
            found.Add(new Selection(selector.Matchers, selector.Offset + (range ?? Milliseconds(lookback)), selector.Offset));
        return found;
    }

    internal static long Milliseconds(TimeSpan? lookback) => (long)(lookback ?? PromQLEngine.DefaultLookback).TotalMilliseconds;

    /// <summary>Selectors with their ranges; null for an instant selector.</summary>
    internal static IEnumerable<(VectorSelector Selector, long? Range)> Find(Expr expr) => expr switch
    {
        VectorSelector selector => [(selector, null)],
        MatrixSelector matrix => [(matrix.Selector, matrix.Range)],
        _ => expr.Children.SelectMany(Find),
    };

    /// <summary>Equal selectors of one expression share their samples.</summary>
    internal static string Key(VectorSelector selector, long? range) => $"{selector}[{range}]";
}
