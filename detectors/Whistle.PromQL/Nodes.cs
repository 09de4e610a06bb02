using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>
/// One part of an expression, bound to samples. Nodes are asked step by step, times ascending, and keep what they learnt of
/// their series.
/// </summary>
abstract class ScalarNode
{
    public abstract double At(long time);
}

/// <summary>As <see cref="ScalarNode"/>. What <see cref="At"/> returns belongs to the node and is overwritten by the next call.</summary>
abstract class VectorNode(SlotTable slots)
{
    /// <summary>The label sets of all points that it ever returned, or will.</summary>
    public SlotTable Slots { get; } = slots;

    protected PointList Result { get; } = new();

    public abstract ReadOnlySpan<Point> At(long time);

    internal static PromQLException Duplicate(Labels labels) => PromQLException.Execution(
        $"vector cannot contain metrics with the same labelset: {labels} appears twice once the metric name or a label is dropped; "
        + "select one metric name, or aggregate");
}

/// <summary>
/// Where the same labels must not come from two series. Within a range query Prometheus 3.5 refuses some even where they never meet in a
/// step (later releases merge such series).
/// </summary>
enum Uniqueness
{
    InStep,
    InQuery,
}

/// <summary>A node whose points are those of another under derived labels.</summary>
abstract class DerivedNode(DerivedSlots labels) : VectorNode(labels.Table)
{
    readonly SlotMarks _seen = new();

    /// <summary>The slot of the result for a slot of the operand.</summary>
    protected int SlotOf(int slot) => labels[slot];

    /// <summary>Two series must not have the same labels.</summary>
    protected void RequireDistinct(Uniqueness uniqueness = Uniqueness.InStep)
    {
        if (!labels.HasCollisions)
            return;
        if (uniqueness is Uniqueness.InQuery)
            throw Duplicate(Slots[labels.Collision]);
        _seen.Clear();
        foreach (var (slot, _) in Result.Span)
        {
            if (!_seen.Add(slot))
                throw Duplicate(Slots[slot]);
        }
    }
}

sealed class ConstantNode(double value) : ScalarNode
{
    public override double At(long time) => value;
}

sealed class ScalarFunctionNode(Func<long, double> function) : ScalarNode
{
    public override double At(long time) => function(time);
}

sealed class ScalarSignNode(ScalarNode operand) : ScalarNode
{
    public override double At(long time) => -operand.At(time);
}

sealed class ScalarBinaryNode(BinaryOperator op, ScalarNode left, ScalarNode right) : ScalarNode
{
    public override double At(long time) => op.Apply(left.At(time), right.At(time));
}

sealed class ToVectorNode : VectorNode
{
    readonly ScalarNode _scalar;

    public ToVectorNode(ScalarNode scalar)
        : base(ListedSlots.Of(Labels.Empty)) => _scalar = scalar;

    public override ReadOnlySpan<Point> At(long time)
    {
        Result.Clear();
        Result.Add(0, _scalar.At(time));
        return Result.Span;
    }
}

/// <summary>Gives other labels, and perhaps other values.</summary>
sealed class RelabelNode(VectorNode operand, Func<Labels, Labels> relabel, Uniqueness uniqueness, Func<double, double>? change = null)
    : DerivedNode(new DerivedSlots(operand.Slots, relabel))
{
    public override ReadOnlySpan<Point> At(long time)
    {
        Result.Clear();
        foreach (var (slot, value) in operand.At(time))
            Result.Add(SlotOf(slot), change is null ? value : change(value));
        RequireDistinct(uniqueness);
        return Result.Span;
    }
}
