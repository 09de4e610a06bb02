namespace Whistle.PromQL;

/// <summary>
/// Start, end and step of a query, in milliseconds since 1970 UTC; of an instant query both are its time and the step is 0. A query that
/// is asked again and again moves them.
/// </summary>
sealed class QueryTimes(long start, long end, long step)
{
    public long Start { get; private set; } = start;

    public long End { get; private set; } = end;

    public long Step { get; } = step;

    public void MoveTo(long time) => (Start, End) = (time, time);
}

public enum AtAnchor
{
    Time,
    Start,
    End,
}

/// <summary>What <c>@</c> names: a time (milliseconds since 1970 UTC), or the query's start or end.</summary>
public readonly record struct AtModifier(AtAnchor Anchor, long Time)
{
    internal long In(QueryTimes times) => Anchor switch
    {
        AtAnchor.Time => Time,
        AtAnchor.Start => times.Start,
        AtAnchor.End => times.End,
        _ => throw new InvalidOperationException($"Unknown anchor {Anchor}."),
    };
}

/// <summary>
/// The modifiers <c>@</c> and <c>offset</c>, in whichever order they were written; the offset counts from what <c>@</c> names.
/// </summary>
public sealed record TimeShift(AtModifier? At = null, DurationExpr? Offset = null)
{
    public static readonly TimeShift None = new();

    /// <summary>The time that is read when the query is at <paramref name="time"/>.</summary>
    internal long Apply(long time, QueryTimes times) => (At?.In(times) ?? time) - OffsetIn(times);

    internal long OffsetIn(QueryTimes times) => Offset?.Milliseconds(times.Step) ?? 0;
}
