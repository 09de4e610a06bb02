using System.Collections.Frozen;

namespace Whistle.PromQL;

/// <summary>
/// Precedence-climbing parser of PromQL with Prometheus 3's grammar and type rules. What it returns is type-checked:
/// evaluation meets no error of the expression itself but those that depend on data.
/// </summary>
public sealed partial class Parser
{
    /// <summary>Longest text accepted, in UTF-16 units.</summary>
    public const int MaxLength = 128 * 1024;

    /// <summary>Highest tree accepted; evaluation recurses over it on an ordinary thread's stack.</summary>
    public const int MaxHeight = 300;

    // The keywords that Prometheus does not take as metric names without quotes, unlike sum, by or and.
    static readonly FrozenSet<string> ReservedNames = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase, "bool", "on", "ignoring", "group_left", "group_right", "atan2", "inf", "nan");

    readonly string _text;
    readonly Lexer _lexer;
    Token _token;
    int _depth;

    Parser(string text)
    {
        _text = text;
        _lexer = new Lexer(text);
        _token = _lexer.Next();
    }

    /// <exception cref="PromQLException">The text is not valid PromQL; the message tells what was expected, and where.</exception>
    public static Expr Parse(string text)
    {
        if (text.Length > MaxLength)
            throw new PromQLException(
                $"the expression has {text.Length} characters, more than {MaxLength}: split it with recording rules", text, 0);
        var parser = new Parser(text);
        if (parser._token.Kind == TokenKind.End)
            throw parser.Error("the expression is empty");
        var expr = parser.Expression(0);
        if (parser._token.Kind != TokenKind.End)
            throw parser.Expected("an operator or the end of the expression");
        return expr;
    }

    Expr Expression(int minPrecedence)
    {
        if (++_depth > MaxHeight)
            throw TooDeep(_token.Position);
        var left = Unary();
        while (BinaryOperators.Find(_token) is { } op && op.Precedence >= minPrecedence)
        {
            var at = Take().Position;
            var returnsBool = TakeKeyword("bool");
            var matching = Matching(op);
            var right = Expression(op.IsRightAssociative ? op.Precedence : op.Precedence + 1);
            left = Limit(Binary(at, op, left, right, returnsBool, matching));
        }

        _depth--;
        return left;
    }

    Expr Unary()
    {
        if (_token is not { Kind: TokenKind.Operator, Text: "-" or "+" })
            return Postfix(Primary());
        var sign = Take();
        // Binds as tightly as multiplication: -2 ^ 2 is -(2 ^ 2).
        var operand = Expression(BinaryOperators.Multiplicative + 1);
        if (operand.Type is not (ExprType.Scalar or ExprType.Vector))
            throw Error($"a sign needs a scalar or an instant vector, not {Name(operand.Type)}", operand.Position);
        return operand is NumberLiteral number
            ? number with { Position = sign.Position, Value = sign.Text == "-" ? -number.Value : number.Value }
            : Limit(new UnaryExpr(sign.Position, sign.Text == "-", operand));
    }

    Expr Primary()
    {
        switch (_token.Kind)
        {
            case TokenKind.Number:
                return new NumberLiteral(_token.Position, Number(Take()));
            case TokenKind.Duration:
                return new NumberLiteral(_token.Position, Literal(Take()).Value, IsDuration: true);
            case TokenKind.String:
                return new StringLiteral(_token.Position, StringValue());
            case TokenKind.LeftParen:
                var at = Take().Position;
                var inner = Expression(0);
                Expect(TokenKind.RightParen, "\")\"");
                return Limit(new ParenExpr(at, inner));
            case TokenKind.LeftBrace:
                return Selector(_token.Position, null);
            case TokenKind.Identifier:
                return NameOrKeyword();
            default:
                throw Expected("an expression");
        }
    }

    Expr NameOrKeyword()
    {
        var name = Take();
        if (name.Is("inf"))
            return new NumberLiteral(name.Position, double.PositiveInfinity);
        if (name.Is("nan"))
            return new NumberLiteral(name.Position, double.NaN);
        if (Aggregations.Find(name.Text) is { } aggregation
            && (_token.Kind == TokenKind.LeftParen || _token.Is("by") || _token.Is("without")))
            return Aggregate(name, aggregation);
        if (_token.Kind == TokenKind.LeftParen)
            return Call(name);
        if (ReservedNames.Contains(name.Text))
            throw Error($"unexpected keyword {name}: expected an expression", name.Position);
        return Selector(name.Position, name.Text);
    }

    CallExpr Call(Token name)
    {
        if (Functions.Find(name.Text) is not { } function)
            throw Error(Functions.Missing(name.Text) ?? $"unknown function {name}{Functions.Suggest(name.Text)}", name.Position);
        var arguments = Arguments();
        CheckArguments(name, function, arguments);
        return Limit(new CallExpr(name.Position, function, arguments));
    }

    void CheckArguments(Token name, FunctionDefinition function, List<Expr> arguments)
    {
        var (least, most) =
            (function.Parameters.Length - function.Optional, function.IsVariadic ? int.MaxValue : function.Parameters.Length);
        if (arguments.Count < least || arguments.Count > most)
        {
            var expected = least == most ? $"{least}" : most == int.MaxValue ? $"at least {least}" : $"{least} to {most}";
            throw Error($"{function.Name} takes {expected} argument(s), but {arguments.Count} are given", name.Position);
        }

        for (var i = 0; i < arguments.Count; i++)
            Check(arguments[i], function.Parameters[Math.Min(i, function.Parameters.Length - 1)], $"argument {i + 1} of {function.Name}");
    }

    AggregateExpr Aggregate(Token name, AggregationDefinition aggregation)
    {
        var (without, grouping) = Grouping();
        var arguments = Arguments();
        if (grouping is null)
            (without, grouping) = Grouping();
        var expected = aggregation.Parameter is null ? 1 : 2;
        if (arguments.Count != expected)
            throw Error($"{aggregation.Name} takes {expected} argument(s), but {arguments.Count} are given", name.Position);
        if (aggregation.Parameter is { } type)
            Check(arguments[0], type, $"the parameter of {aggregation.Name}");
        Check(arguments[^1], ExprType.Vector, $"the operand of {aggregation.Name}");
        var parameter = aggregation.Parameter is null ? null : arguments[0];
        return Limit(new AggregateExpr(name.Position, aggregation, parameter, arguments[^1], without, grouping ?? []));
    }

    (bool Without, List<string>? Labels) Grouping()
    {
        if (TakeKeyword("by"))
            return (false, LabelNames());
        return TakeKeyword("without") ? (true, LabelNames()) : (false, null);
    }

    List<Expr> Arguments()
    {
        Expect(TokenKind.LeftParen, "\"(\"");
        List<Expr> arguments = [];
        if (_token.Kind != TokenKind.RightParen)
        {
            arguments.Add(Expression(0));
            while (_token.Kind == TokenKind.Comma)
            {
                Take();
                arguments.Add(Expression(0));
            }
        }

        Expect(TokenKind.RightParen, "\",\" or \")\"");
        return arguments;
    }

    VectorMatching? Matching(BinaryOperator op)
    {
        if (!_token.Is("on") && !_token.Is("ignoring"))
            return null;
        var on = Take().Is("on");
        var labels = LabelNames();
        var cardinality = op.Kind == BinaryKind.Set ? MatchCardinality.ManyToMany : MatchCardinality.OneToOne;
        if (!_token.Is("group_left") && !_token.Is("group_right"))
            return new VectorMatching(cardinality, on, labels, []);
        var group = Take();
        if (op.Kind == BinaryKind.Set)
            throw Error($"\"{op.Text}\" takes no grouping: leave {group} out", group.Position);
        List<string> include = _token.Kind == TokenKind.LeftParen ? LabelNames() : [];
        if (on && include.FirstOrDefault(labels.Contains) is { } twice)
            throw Error($"label \"{twice}\" must not be in both on(…) and {group.Text}(…)", group.Position);
        return new VectorMatching(group.Is("group_left") ? MatchCardinality.ManyToOne : MatchCardinality.OneToMany, on, labels, include);
    }

    BinaryExpr Binary(int at, BinaryOperator op, Expr left, Expr right, bool returnsBool, VectorMatching? matching)
    {
        if (returnsBool && op.Kind != BinaryKind.Comparison)
            throw Error("\"bool\" is only for comparison operators", at);
        foreach (var side in (Expr[])[left, right])
        {
            if (side.Type is not (ExprType.Scalar or ExprType.Vector))
                throw Error($"operator \"{op.Text}\" needs scalars or instant vectors, not {Name(side.Type)}", side.Position);
        }

        if (left.Type == ExprType.Vector && right.Type == ExprType.Vector)
        {
            matching ??= op.Kind == BinaryKind.Set
                ? VectorMatching.OneToOne with { Cardinality = MatchCardinality.ManyToMany }
                : VectorMatching.OneToOne;
            return new BinaryExpr(at, op, left, right, returnsBool, matching);
        }

        if (op.Kind == BinaryKind.Set)
            throw Error($"operator \"{op.Text}\" needs an instant vector on both sides", at);
        if (matching is { Labels.Count: > 0 })
            throw Error("\"on\" and \"ignoring\" need an instant vector on both sides", at);
        if (op.Kind == BinaryKind.Comparison && !returnsBool && left.Type == ExprType.Scalar && right.Type == ExprType.Scalar)
            throw Error($"a comparison of two scalars needs \"bool\": write \"{op.Text} bool\"", at);
        return new BinaryExpr(at, op, left, right, returnsBool, null);
    }

    void Check(Expr expr, ExprType expected, string what)
    {
        if (expr.Type != expected)
            throw Error($"{what} must be {Name(expected)}, not {Name(expr.Type)}", expr.Position);
    }

    internal static string Name(ExprType type) => type switch
    {
        ExprType.Scalar => "a scalar",
        ExprType.Vector => "an instant vector",
        ExprType.Matrix => "a range vector",
        ExprType.Text => "a string",
        _ => throw new InvalidOperationException($"Unknown type {type}."),
    };

    T Limit<T>(T expr)
        where T : Expr => expr.Height > MaxHeight ? throw TooDeep(expr.Position) : expr;

    PromQLException TooDeep(int position) =>
        Error($"the expression is nested deeper than {MaxHeight}: split it with recording rules", position);

    Token Take()
    {
        var token = _token;
        _token = _lexer.Next();
        return token;
    }

    bool TakeKeyword(string keyword)
    {
        if (!_token.Is(keyword))
            return false;
        Take();
        return true;
    }

    Token Expect(TokenKind kind, string what) => _token.Kind == kind ? Take() : throw Expected(what);

    PromQLException Expected(string what) => Error($"unexpected {_token}: expected {what}");

    PromQLException Error(string message) => Error(message, _token.Position);

    PromQLException Error(string message, int position) => new(message, _text, position);
}
