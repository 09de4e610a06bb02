namespace Whistle.PromQL;

// Ranges, subqueries, offset and @, and the durations in them.
public sealed partial class Parser
{
    Expr Postfix(Expr expr)
    {
        while (true)
        {
            if (_token.Kind == TokenKind.LeftBracket)
                expr = Range(expr);
            else if (_token.Is("offset"))
                expr = Offset(expr);
            else if (_token.Kind == TokenKind.At)
                expr = At(expr);
            else
                return expr;
        }
    }

    Expr Range(Expr expr)
    {
        var bracket = Take();
        var range = Length("the range");
        if (_token.Kind == TokenKind.Colon)
            return Subquery(expr, bracket, range);
        if (expr is not VectorSelector selector)
            throw Error(
                "a range needs a selector before it, as in metric[5m]; over an expression write a subquery: [5m:1m]", bracket.Position);
        if (selector.Shift.Offset is not null)
            throw Error("the offset belongs behind the range: write metric[5m] offset 1h", bracket.Position);
        if (selector.Shift.At is not null)
            throw Error("\"@\" belongs behind the range: write metric[5m] @ 1700000000", bracket.Position);
        Expect(TokenKind.RightBracket, "\"]\"");
        return new MatrixSelector(selector.Position, selector, range);
    }

    SubqueryExpr Subquery(Expr operand, Token bracket, DurationExpr range)
    {
        if (operand.Type != ExprType.Vector)
            throw Error($"a subquery needs an instant vector before it, not {Name(operand.Type)}", bracket.Position);
        Take();
        var step = _token.Kind == TokenKind.RightBracket ? null : Length("the step of a subquery");
        Expect(TokenKind.RightBracket, "\"]\"");
        return Limit(new SubqueryExpr(operand.Position, operand, range, step, TimeShift.None));
    }

    Expr Offset(Expr expr)
    {
        var shift = ShiftOf(expr, "\"offset\"");
        if (shift.Offset is not null)
            throw Error("\"offset\" is given twice");
        Take();
        var at = _token.Position;
        var offset = OffsetDuration();
        // An offset of zero counts as none, as in Prometheus.
        return offset.IsConstant && Checked(offset, at)
            && offset.Milliseconds(0) == 0 ? expr : WithShift(expr, shift with { Offset = offset });
    }

    Expr At(Expr expr)
    {
        var shift = ShiftOf(expr, "\"@\"");
        if (shift.At is not null)
            throw Error("\"@\" is given twice");
        Take();
        return WithShift(expr, shift with { At = Anchor() });
    }

    AtModifier Anchor()
    {
        if (_token.Is("start") || _token.Is("end"))
        {
            var anchor = Take();
            Expect(TokenKind.LeftParen, "\"(\"");
            Expect(TokenKind.RightParen, "\")\"");
            return new AtModifier(anchor.Is("start") ? AtAnchor.Start : AtAnchor.End, 0);
        }

        var at = _token.Position;
        var negative = _token is { Kind: TokenKind.Operator, Text: "-" or "+" } && Take().Text == "-";
        if (_token.Kind is not (TokenKind.Number or TokenKind.Duration) && !_token.Is("inf") && !_token.Is("nan"))
            throw Expected("a time in seconds since 1970, start() or end()");
        var token = Take();
        var seconds = token.Kind switch
        {
            TokenKind.Number => Number(token),
            TokenKind.Duration => Literal(token).Value,
            _ => double.NaN,
        };
        // Far enough within 64 bits that ranges and offsets can be counted from it.
        if (!(seconds < long.MaxValue / 2000))
            throw Error("the time behind \"@\" is out of range", at);
        return new AtModifier(AtAnchor.Time, (long)Math.Round((negative ? -seconds : seconds) * 1000, MidpointRounding.AwayFromZero));
    }

    TimeShift ShiftOf(Expr expr, string modifier) => expr switch
    {
        VectorSelector selector => selector.Shift,
        MatrixSelector matrix => matrix.Selector.Shift,
        SubqueryExpr subquery => subquery.Shift,
        _ => throw Error($"{modifier} needs a selector or a subquery before it"),
    };

    static Expr WithShift(Expr expr, TimeShift shift) => expr switch
    {
        VectorSelector selector => selector with { Shift = shift },
        MatrixSelector matrix => matrix with { Selector = matrix.Selector with { Shift = shift } },
        SubqueryExpr subquery => subquery with { Shift = shift },
        _ => throw new InvalidOperationException(),
    };

    /// <summary>A range or step: longer than zero, as far as that is known before there is a query.</summary>
    DurationExpr Length(string what)
    {
        var at = _token.Position;
        var length = WithUnit(DurationExpression(0));
        if (length.IsConstant && Checked(length, at) && length.Seconds(0) <= 0)
            throw Error($"{what} must be longer than 0", at);
        return length;
    }

    // Without parentheses an offset ends before the next operator: x offset 1m + 1 adds to the values.
    DurationExpr OffsetDuration()
    {
        if (_token is { Kind: TokenKind.Operator, Text: "-" or "+" })
            return WithUnit(Signed(Take(), DurationPrimary()));
        return WithUnit(DurationPrimary());
    }

    // A number by itself is printed as the duration it is, unlike one that a duration is multiplied with.
    static DurationExpr WithUnit(DurationExpr duration) => duration is DurationLiteral literal ? literal with { HasUnit = true } : duration;

    static DurationExpr Signed(Token sign, DurationExpr operand) => operand switch
    {
        DurationLiteral literal => literal with { Value = sign.Text == "-" ? -literal.Value : literal.Value },
        _ => new DurationSign(sign.Text == "-", operand),
    };

    DurationExpr DurationExpression(int minPrecedence)
    {
        var depth = _depth;
        if (++_depth > MaxHeight)
            throw TooDeep(_token.Position);
        var left = DurationUnary();
        while (BinaryOperators.Find(_token) is { Kind: BinaryKind.Arithmetic, Text: not "atan2" } op && op.Precedence >= minPrecedence)
        {
            Take();
            left = new DurationBinary(op, left, DurationExpression(op.IsRightAssociative ? op.Precedence : op.Precedence + 1));
            if (++_depth > MaxHeight)
                throw TooDeep(_token.Position);
        }

        _depth = depth;
        return left;
    }

    DurationExpr DurationUnary() => _token is { Kind: TokenKind.Operator, Text: "-" or "+" }
        ? Signed(Take(), DurationExpression(BinaryOperators.Multiplicative + 1))
        : DurationPrimary();

    DurationExpr DurationPrimary()
    {
        switch (_token)
        {
            case { Kind: TokenKind.Number }:
                return new DurationLiteral(Number(Take()), HasUnit: false);
            case { Kind: TokenKind.Duration }:
                return Literal(Take());
            case { Kind: TokenKind.LeftParen }:
                Take();
                var inner = DurationExpression(0);
                Expect(TokenKind.RightParen, "\")\"");
                // A sign must stay apart from a power of what is in parentheses.
                return inner is DurationParen or DurationLiteral { Value: >= 0 } ? inner : new DurationParen(inner);
            case var step when step.Is("step"):
                Take();
                Expect(TokenKind.LeftParen, "\"(\"");
                Expect(TokenKind.RightParen, "\")\"");
                return new DurationStep();
            case var choice when choice.Is("min") || choice.Is("max"):
                Take();
                Expect(TokenKind.LeftParen, "\"(\"");
                var left = DurationExpression(0);
                Expect(TokenKind.Comma, "\",\"");
                var right = DurationExpression(0);
                Expect(TokenKind.RightParen, "\")\"");
                return new DurationChoice(choice.Is("max"), left, right);
            default:
                throw Expected("a duration such as 5m");
        }
    }

    DurationLiteral Literal(Token token) => Durations.TryParse(token.Text, out var milliseconds)
        ? new DurationLiteral(milliseconds / 1000.0, HasUnit: true) : throw Error("the duration is too long", token.Position);

    // Whether it can be worked out: for a place in the message.
    bool Checked(DurationExpr duration, int position)
    {
        try
        {
            duration.Milliseconds(0);
            return true;
        }
        catch (PromQLException e)
        {
            throw Error(e.Message, position);
        }
    }
}
