namespace Whistle.PromQL;

sealed class InstantSelectorNode(InstantSource source, Budget budget) : VectorNode(source.Slots)
{
    public override ReadOnlySpan<Point> At(long time)
    {
        budget.Check();
        Result.Clear();
        source.Read(time, Result, timestamps: false);
        return Result.Span;
    }

    /// <summary>The times (seconds) of the samples in place of their values.</summary>
    public ReadOnlySpan<Point> TimestampsAt(long time)
    {
        Result.Clear();
        source.Read(time, Result, timestamps: true);
        return Result.Span;
    }
}
