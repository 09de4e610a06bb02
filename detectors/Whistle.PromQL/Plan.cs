using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>
/// One expression bound to loaded samples. Nodes are asked step by step, times ascending; each keeps what it derived of
/// its series (labels, groups, places in the sample arrays), so that a step costs only values.
/// </summary>
abstract class ScalarNode
{
    public abstract double At(long time);
}

/// <summary>The list that <see cref="At"/> returns belongs to the node and is overwritten by the next call.</summary>
abstract class VectorNode
{
    public abstract List<VectorSample> At(long time);

    HashSet<Labels>? _seen;

    protected void RequireDistinct(List<VectorSample> samples)
    {
        _seen ??= [];
        _seen.Clear();
        foreach (var sample in samples)
        {
            if (!_seen.Add(sample.Labels))
                throw Duplicate(sample.Labels);
        }
    }

    protected static PromQLException Duplicate(Labels labels) => PromQLException.Execution(
        $"vector cannot contain metrics with the same labelset: {labels} appears twice once the metric name or a label is dropped; "
        + "select one metric name, or aggregate");
}

/// <summary>Turns an expression into nodes over the samples that were loaded for its selectors.</summary>
sealed class Planner(IReadOnlyDictionary<string, IReadOnlyList<SeriesSamples>> data, long lookback, CancellationToken cancellation)
{
    public CancellationToken Cancellation => cancellation;

    public VectorNode Vector(Expr expr) => expr switch
    {
        ParenExpr paren => Vector(paren.Inner),
        UnaryExpr { Negates: false } unary => Vector(unary.Operand),
        UnaryExpr unary => new NegateNode(Vector(unary.Operand)),
        VectorSelector selector => Instant(selector),
        BinaryExpr { Matching: { Cardinality: MatchCardinality.ManyToMany } matching } binary =>
            new SetNode(binary.Operator, Vector(binary.Left), Vector(binary.Right), matching),
        BinaryExpr { Matching: { } matching } binary => new MatchNode(binary, Vector(binary.Left), Vector(binary.Right), matching),
        BinaryExpr { Left.Type: ExprType.Scalar } binary => new ScalarSideNode(binary, Vector(binary.Right), Scalar(binary.Left), scalarIsLeft: true),
        BinaryExpr binary => new ScalarSideNode(binary, Vector(binary.Left), Scalar(binary.Right), scalarIsLeft: false),
        AggregateExpr aggregate => aggregate.Aggregation.Plan(aggregate, this),
        CallExpr call => (VectorNode)call.Function.Plan(call, this),
        _ => throw new InvalidOperationException($"{expr} is no vector."),
    };

    public ScalarNode Scalar(Expr expr) => expr switch
    {
        NumberLiteral number => new ConstantNode(number.Value),
        ParenExpr paren => Scalar(paren.Inner),
        UnaryExpr unary => new ScalarSignNode(Scalar(unary.Operand), unary.Negates),
        BinaryExpr binary => new ScalarBinaryNode(binary.Operator, Scalar(binary.Left), Scalar(binary.Right)),
        CallExpr call => (ScalarNode)call.Function.Plan(call, this),
        _ => throw new InvalidOperationException($"{expr} is no scalar."),
    };

    public InstantSelectorNode Instant(VectorSelector selector) =>
        new(data[Selection.Key(selector, null)], selector.Offset, lookback, cancellation);

    public RangeSelector Range(Expr expr)
    {
        var matrix = (MatrixSelector)Unwrap(expr);
        return new RangeSelector(data[Selection.Key(matrix.Selector, matrix.Range)], matrix.Selector.Offset, matrix.Range);
    }

    public static string Text(Expr expr) => ((StringLiteral)Unwrap(expr)).Value;

    public static Expr Unwrap(Expr expr)
    {
        while (expr is ParenExpr paren)
            expr = paren.Inner;
        return expr;
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

sealed class ScalarSignNode(ScalarNode operand, bool negates) : ScalarNode
{
    public override double At(long time) => negates ? -operand.At(time) : operand.At(time);
}

sealed class ScalarBinaryNode(BinaryOperator op, ScalarNode left, ScalarNode right) : ScalarNode
{
    public override double At(long time) => op.Apply(left.At(time), right.At(time));
}

sealed class NegateNode(VectorNode operand) : VectorNode
{
    readonly LabelMemo _labels = new(LabelSets.WithoutName);
    readonly List<VectorSample> _result = [];

    public override List<VectorSample> At(long time)
    {
        _result.Clear();
        foreach (var (labels, value) in operand.At(time))
        {
            _result.Add(new VectorSample(_labels[labels], -value));
            // Over the whole range, not only within a step: so Prometheus refuses it.
            if (_labels.HasCollisions)
                throw Duplicate(_labels[labels]);
        }

        return _result;
    }
}
