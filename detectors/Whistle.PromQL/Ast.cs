using Whistle.Telemetry;

namespace Whistle.PromQL;

public enum ExprType
{
    Scalar,
    Vector,
    Matrix,
    Text,
}

/// <summary>
/// A checked expression. <c>ToString()</c> gives canonical PromQL text, which parses to the same expression.
/// </summary>
/// <param name="Position">Zero-based offset in the text it was parsed from.</param>
public abstract record Expr(int Position)
{
    public abstract ExprType Type { get; }

    /// <summary>Direct parts, left to right.</summary>
    public abstract IReadOnlyList<Expr> Children { get; }

    /// <summary>Height of the tree; bounded by the parser, so that recursion over an expression is safe.</summary>
    internal int Height => field == 0 ? field = Children.Count == 0 ? 1 : 1 + Children.Max(static c => c.Height) : field;

    public sealed override string ToString() => Printer.Print(this);

    /// <summary>The canonical text, over several indented lines where one would be longer than 100 bytes.</summary>
    public string Format() => LinePrinter.Print(this);
}

/// <summary>A number with its sign, or a duration as its number of seconds.</summary>
sealed record NumberLiteral(int Position, double Value, bool IsDuration = false) : Expr(Position)
{
    public override ExprType Type => ExprType.Scalar;

    public override IReadOnlyList<Expr> Children => [];
}

sealed record StringLiteral(int Position, string Value) : Expr(Position)
{
    public override ExprType Type => ExprType.Text;

    public override IReadOnlyList<Expr> Children => [];
}

sealed record ParenExpr(int Position, Expr Inner) : Expr(Position)
{
    public override ExprType Type => Inner.Type;

    public override IReadOnlyList<Expr> Children => [Inner];
}

/// <summary>A sign before an expression; <c>+</c> changes nothing, not even the name.</summary>
sealed record UnaryExpr(int Position, bool Negates, Expr Operand) : Expr(Position)
{
    public override ExprType Type => Operand.Type;

    public override IReadOnlyList<Expr> Children => [Operand];
}

public sealed record VectorSelector(int Position, IReadOnlyList<LabelMatcher> Matchers, TimeShift Shift) : Expr(Position)
{
    /// <summary>The metric name stands before the braces, not as a matcher within them; it is the first of the matchers.</summary>
    internal bool IsNamed { get; init; }

    public override ExprType Type => ExprType.Vector;

    public override IReadOnlyList<Expr> Children => [];
}

/// <summary>The samples of (t − range, t] where t is the selector's shifted time.</summary>
sealed record MatrixSelector(int Position, VectorSelector Selector, DurationExpr Range) : Expr(Position)
{
    public override ExprType Type => ExprType.Matrix;

    public override IReadOnlyList<Expr> Children => [Selector];
}

/// <summary>
/// The operand's values at every multiple of <paramref name="Step"/> within (t − range, t], t being the shifted time. Without a
/// step it is <see cref="PromQLOptions.SubqueryStep"/>.
/// </summary>
sealed record SubqueryExpr(int Position, Expr Operand, DurationExpr Range, DurationExpr? Step, TimeShift Shift) : Expr(Position)
{
    public override ExprType Type => ExprType.Matrix;

    public override IReadOnlyList<Expr> Children => [Operand];
}

enum MatchCardinality
{
    OneToOne,
    ManyToOne,
    OneToMany,
    ManyToMany,
}

/// <summary>
/// How the series of two vectors find each other: <paramref name="On"/> these <paramref name="Labels"/>, or ignoring them.
/// <paramref name="Include"/> is what group_left or group_right copies from the "one" side.
/// </summary>
sealed record VectorMatching(MatchCardinality Cardinality, bool On, IReadOnlyList<string> Labels, IReadOnlyList<string> Include)
{
    internal static readonly VectorMatching OneToOne = new(MatchCardinality.OneToOne, false, [], []);
}

/// <summary><paramref name="Matching"/> is there exactly where both sides are vectors.</summary>
sealed record BinaryExpr(
    int Position, BinaryOperator Operator, Expr Left, Expr Right, bool ReturnsBool, VectorMatching? Matching) : Expr(Position)
{
    public override ExprType Type =>
        Left.Type == ExprType.Scalar && Right.Type == ExprType.Scalar ? ExprType.Scalar : ExprType.Vector;

    public override IReadOnlyList<Expr> Children => [Left, Right];
}

sealed record CallExpr : Expr
{
    internal CallExpr(int position, FunctionDefinition function, IReadOnlyList<Expr> arguments)
        : base(position)
    {
        Function = function;
        Arguments = arguments;
    }

    public string Name => Function.Name;

    public IReadOnlyList<Expr> Arguments { get; }

    internal FunctionDefinition Function { get; }

    public override ExprType Type => Function.Returns;

    public override IReadOnlyList<Expr> Children => Arguments;
}

sealed record AggregateExpr : Expr
{
    internal AggregateExpr(
        int position, AggregationDefinition aggregation, Expr? parameter, Expr operand, bool without, IReadOnlyList<string> grouping)
        : base(position)
    {
        Aggregation = aggregation;
        Parameter = parameter;
        Operand = operand;
        Without = without;
        Grouping = grouping;
    }

    public string Name => Aggregation.Name;

    public Expr? Parameter { get; }

    public Expr Operand { get; }

    public bool Without { get; }

    public IReadOnlyList<string> Grouping { get; }

    internal AggregationDefinition Aggregation { get; }

    public override ExprType Type => ExprType.Vector;

    public override IReadOnlyList<Expr> Children => Parameter is null ? [Operand] : [Parameter, Operand];
}
