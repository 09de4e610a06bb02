namespace Whistle.PromQL;

/// <summary>
/// A length of time in a selector: a duration (<c>5m</c>), a number of seconds, or arithmetic over them and over <c>step()</c>, the
/// query's step. It is not an <see cref="Expr"/>: it is known before any sample is.
/// </summary>
public abstract record DurationExpr
{
    // What a count of nanoseconds in 64 bits holds; Prometheus refuses longer ones.
    const double MaxSeconds = long.MaxValue / 1e9;

    /// <param name="step">The query's step in milliseconds.</param>
    /// <exception cref="PromQLException">It divides by zero, or the result is no length of time.</exception>
    public long Milliseconds(long step)
    {
        var seconds = Seconds(step / 1000.0);
        if (double.IsNaN(seconds) || Math.Abs(seconds) > MaxSeconds)
            throw Invalid($"the duration {this} is {seconds} s, which is out of range");
        return (long)Math.Round(seconds * 1000, MidpointRounding.AwayFromZero);
    }

    /// <summary>It is known without a query.</summary>
    internal abstract bool IsConstant { get; }

    internal abstract double Seconds(double step);

    private protected static PromQLException Invalid(string message) => new(PromQLErrorKind.BadData, message);
}

/// <summary>A duration or a plain number, in seconds, with its sign.</summary>
sealed record DurationLiteral(double Value, bool HasUnit) : DurationExpr
{
    internal override bool IsConstant => true;

    internal override double Seconds(double step) => Value;

    public override string ToString() => HasUnit ? Durations.FormatSeconds(Value) : GoNumber.WithoutExponent(Value);
}

/// <summary><c>step()</c>: the query's step, 0 where it has one time only.</summary>
sealed record DurationStep : DurationExpr
{
    internal override bool IsConstant => false;

    internal override double Seconds(double step) => step;

    public override string ToString() => "step()";
}

sealed record DurationParen(DurationExpr Inner) : DurationExpr
{
    internal override bool IsConstant => Inner.IsConstant;

    internal override double Seconds(double step) => Inner.Seconds(step);

    public override string ToString() => $"({Inner})";
}

sealed record DurationSign(bool Negates, DurationExpr Operand) : DurationExpr
{
    internal override bool IsConstant => Operand.IsConstant;

    internal override double Seconds(double step) => Negates ? -Operand.Seconds(step) : Operand.Seconds(step);

    public override string ToString() => $"{(Negates ? '-' : '+')}{Operand}";
}

/// <summary><c>min(a, b)</c> or <c>max(a, b)</c>.</summary>
sealed record DurationChoice(bool Larger, DurationExpr Left, DurationExpr Right) : DurationExpr
{
    internal override bool IsConstant => Left.IsConstant && Right.IsConstant;

    internal override double Seconds(double step) =>
        Larger ? Math.Max(Left.Seconds(step), Right.Seconds(step)) : Math.Min(Left.Seconds(step), Right.Seconds(step));

    public override string ToString() => $"{(Larger ? "max" : "min")}({Left}, {Right})";
}

sealed record DurationBinary(BinaryOperator Operator, DurationExpr Left, DurationExpr Right) : DurationExpr
{
    internal override bool IsConstant => Left.IsConstant && Right.IsConstant;

    internal override double Seconds(double step)
    {
        var (left, right) = (Left.Seconds(step), Right.Seconds(step));
        return right == 0 && Operator.Text is "/" or "%"
            ? throw Invalid($"the duration {this} divides by zero")
            : Operator.Apply(left, right);
    }

    public override string ToString() => $"{Left} {Operator.Text} {Right}";
}
