namespace Whistle.PromQL;

/// <summary>Where the nodes of a plan take samples from.</summary>
abstract class SampleSources
{
    public abstract InstantSource Instant(VectorSelector selector);

    public abstract RangeSource Range(VectorSelector selector, long range);

    /// <summary>As <see cref="Range"/>, where the ends, the resets and the number of the samples are enough.</summary>
    public virtual RangeSource CounterRange(VectorSelector selector, long range) => Range(selector, range);
}

/// <summary>Turns an expression into nodes over the samples of its selectors.</summary>
sealed class Planner(
    SampleSources sources, QueryTimes times, PromQLOptions options, Budget budget, Uniqueness uniqueness = Uniqueness.InStep)
{
    public Budget Budget => budget;

    public Uniqueness Uniqueness => uniqueness;

    public VectorNode Vector(Expr expr) => expr switch
    {
        ParenExpr paren => Vector(paren.Inner),
        UnaryExpr { Negates: false } unary => Vector(unary.Operand),
        UnaryExpr unary => new RelabelNode(Vector(unary.Operand), LabelSets.WithoutName, uniqueness, static v => -v),
        VectorSelector selector => new InstantSelectorNode(Instant(selector), budget),
        BinaryExpr { Matching: { Cardinality: MatchCardinality.ManyToMany } matching } binary =>
            SetNode.Of(binary.Operator, Vector(binary.Left), Vector(binary.Right), matching),
        BinaryExpr { Matching: { } matching } binary => MatchNode.Of(binary, Vector(binary.Left), Vector(binary.Right), matching, budget),
        BinaryExpr { Left.Type: ExprType.Scalar } binary =>
            ScalarSideNode.Of(binary, Vector(binary.Right), Scalar(binary.Left), scalarIsLeft: true),
        BinaryExpr binary => ScalarSideNode.Of(binary, Vector(binary.Left), Scalar(binary.Right), scalarIsLeft: false),
        AggregateExpr aggregate => aggregate.Aggregation.Plan(aggregate, this),
        CallExpr call => (VectorNode)call.Function.Plan(call, this),
        _ => throw new InvalidOperationException($"{expr} is no vector."),
    };

    public ScalarNode Scalar(Expr expr) => expr switch
    {
        NumberLiteral number => new ConstantNode(number.Value),
        ParenExpr paren => Scalar(paren.Inner),
        UnaryExpr { Negates: false } unary => Scalar(unary.Operand),
        UnaryExpr unary => new ScalarSignNode(Scalar(unary.Operand)),
        BinaryExpr binary => new ScalarBinaryNode(binary.Operator, Scalar(binary.Left), Scalar(binary.Right)),
        CallExpr call => (ScalarNode)call.Function.Plan(call, this),
        _ => throw new InvalidOperationException($"{expr} is no scalar."),
    };

    public InstantSource Instant(VectorSelector selector) => sources.Instant(selector);

    /// <summary>For a function that needs of a window only its ends, its resets and the number of its samples.</summary>
    public RangeSource CounterRange(Expr expr) => Unwrap(expr) is MatrixSelector matrix
        ? sources.CounterRange(matrix.Selector, Length(matrix.Range, times, "range"))
        : Range(expr);

    public RangeSource Range(Expr expr) => Unwrap(expr) switch
    {
        MatrixSelector matrix => sources.Range(matrix.Selector, Length(matrix.Range, times, "range")),
        SubqueryExpr subquery => new SubquerySource(
            Vector(subquery.Operand), Length(subquery.Range, times, "range"), StepOf(subquery, times, options),
            t => subquery.Shift.Apply(t, times), budget),
        _ => throw new InvalidOperationException($"{expr} is no range."),
    };

    public static string Text(Expr expr) => ((StringLiteral)Unwrap(expr)).Value;

    public static Expr Unwrap(Expr expr)
    {
        while (expr is ParenExpr paren)
            expr = paren.Inner;
        return expr;
    }

    public static long StepOf(SubqueryExpr subquery, QueryTimes times, PromQLOptions options)
    {
        var step = subquery.Step is null ? 0 : Length(subquery.Step, times, "step");
        return step > 0 ? step : (long)options.SubqueryStep.TotalMilliseconds;
    }

    public static long Length(DurationExpr length, QueryTimes times, string what) => length.Seconds(times.Step / 1000.0) > 0
        ? length.Milliseconds(times.Step)
        : throw new PromQLException(PromQLErrorKind.BadData, $"the {what} {length} must be longer than 0");
}
