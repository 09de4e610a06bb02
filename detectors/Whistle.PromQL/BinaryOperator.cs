using System.Collections.Frozen;

namespace Whistle.PromQL;

enum BinaryKind
{
    Arithmetic,
    Comparison,
    Set,
}

/// <summary>An infix operator. A comparison applies to 1 (true) or 0.</summary>
sealed class BinaryOperator
{
    internal BinaryOperator(string text, int precedence, BinaryKind kind, Func<double, double, double> apply)
    {
        Text = text;
        Precedence = precedence;
        Kind = kind;
        Apply = apply;
    }

    public string Text { get; }

    public int Precedence { get; }

    public BinaryKind Kind { get; }

    public bool IsRightAssociative => Text == "^";

    internal Func<double, double, double> Apply { get; }
}

static class BinaryOperators
{
    public const int Multiplicative = 5;

    static readonly FrozenDictionary<string, BinaryOperator> All = new BinaryOperator[]
    {
        Set("or", 1),
        Set("and", 2),
        Set("unless", 2),
        Comparison("==", static (a, b) => a == b),
        Comparison("!=", static (a, b) => a != b),
        Comparison("<", static (a, b) => a < b),
        Comparison("<=", static (a, b) => a <= b),
        Comparison(">", static (a, b) => a > b),
        Comparison(">=", static (a, b) => a >= b),
        Arithmetic("+", 4, static (a, b) => a + b),
        Arithmetic("-", 4, static (a, b) => a - b),
        Arithmetic("*", Multiplicative, static (a, b) => a * b),
        Arithmetic("/", Multiplicative, static (a, b) => a / b),
        Arithmetic("%", Multiplicative, static (a, b) => a % b),
        Arithmetic("atan2", Multiplicative, Math.Atan2),
        Arithmetic("^", 6, Math.Pow),
    }.ToFrozenDictionary(static o => o.Text, StringComparer.OrdinalIgnoreCase);

    public static BinaryOperator? Find(Token token) =>
        token.Kind is TokenKind.Operator or TokenKind.Identifier ? Find(token.Text) : null;

    public static BinaryOperator? Find(string text) => All.GetValueOrDefault(text);

    static BinaryOperator Arithmetic(string text, int precedence, Func<double, double, double> apply) =>
        new(text, precedence, BinaryKind.Arithmetic, apply);

    static BinaryOperator Comparison(string text, Func<double, double, bool> apply) =>
        new(text, 3, BinaryKind.Comparison, (a, b) => apply(a, b) ? 1 : 0);

    static BinaryOperator Set(string text, int precedence) =>
        new(text, precedence, BinaryKind.Set, static (_, _) => throw new InvalidOperationException("A set operator works on vectors."));
}
