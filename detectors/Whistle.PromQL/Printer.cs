using System.Globalization;
using System.Text;

using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>Canonical text, in the form that Prometheus prints.</summary>
static class Printer
{
    public static string Print(Expr expr)
    {
        var text = new StringBuilder();
        Write(text, expr);
        return text.ToString();
    }

    static void Write(StringBuilder text, Expr expr)
    {
        switch (expr)
        {
            case NumberLiteral number:
                text.Append(number.IsDuration ? Durations.FormatSeconds(number.Value) : GoNumber.WithoutExponent(number.Value));
                break;
            case StringLiteral literal:
                Quote(text, literal.Value);
                break;
            case ParenExpr paren:
                text.Append('(');
                Write(text, paren.Inner);
                text.Append(')');
                break;
            case UnaryExpr unary:
                text.Append(unary.Negates ? '-' : '+');
                Write(text, unary.Operand);
                break;
            case VectorSelector selector:
                WriteMatchers(text, selector);
                WriteShift(text, selector.Shift);
                break;
            case MatrixSelector matrix:
                WriteMatchers(text, matrix.Selector);
                text.Append('[').Append(matrix.Range).Append(']');
                WriteShift(text, matrix.Selector.Shift);
                break;
            case SubqueryExpr subquery:
                Write(text, subquery.Operand);
                WriteRange(text, subquery);
                break;
            case BinaryExpr binary:
                WriteBinary(text, binary);
                break;
            case CallExpr call:
                text.Append(call.Name);
                WriteArguments(text, call.Arguments);
                break;
            case AggregateExpr aggregate:
                WriteHead(text, aggregate);
                WriteArguments(text, aggregate.Children);
                break;
            default:
                throw new InvalidOperationException($"Unknown expression {expr.GetType().Name}.");
        }
    }

    static void WriteBinary(StringBuilder text, BinaryExpr binary)
    {
        // A sign binds less than a power does.
        if (binary is { Left: NumberLiteral { Value: double.PositiveInfinity }, Operator.IsRightAssociative: true })
            text.Append("Inf");
        else
            Write(text, binary.Left);
        text.Append(' ');
        WriteOperator(text, binary);
        text.Append(' ');
        Write(text, binary.Right);
    }

    /// <summary>The operator with all that tells how it matches, without a space around it.</summary>
    public static void WriteOperator(StringBuilder text, BinaryExpr binary)
    {
        text.Append(binary.Operator.Text).Append(binary.ReturnsBool ? " bool" : "");
        if (binary.Matching is not { } matching)
            return;
        var grouped = matching.Cardinality is MatchCardinality.ManyToOne or MatchCardinality.OneToMany;
        if (!matching.On && matching.Labels.Count == 0 && !grouped)
            return;
        text.Append(matching.On ? " on " : " ignoring ");
        WriteNames(text, matching.Labels);
        if (grouped)
        {
            text.Append(matching.Cardinality == MatchCardinality.ManyToOne ? " group_left " : " group_right ");
            WriteNames(text, matching.Include);
        }
    }

    /// <summary>The aggregation up to its opening parenthesis.</summary>
    public static void WriteHead(StringBuilder text, AggregateExpr aggregate)
    {
        text.Append(aggregate.Name);
        if (!aggregate.Without && aggregate.Grouping.Count == 0)
            return;
        text.Append(aggregate.Without ? " without " : " by ");
        WriteNames(text, aggregate.Grouping);
        text.Append(' ');
    }

    /// <summary>What stands behind a subquery's operand.</summary>
    public static void WriteRange(StringBuilder text, SubqueryExpr subquery)
    {
        text.Append('[').Append(subquery.Range).Append(':').Append(subquery.Step).Append(']');
        WriteShift(text, subquery.Shift);
    }

    static void WriteArguments(StringBuilder text, IReadOnlyList<Expr> arguments)
    {
        text.Append('(');
        for (var i = 0; i < arguments.Count; i++)
        {
            text.Append(i == 0 ? "" : ", ");
            Write(text, arguments[i]);
        }

        text.Append(')');
    }

    static void WriteNames(StringBuilder text, IReadOnlyList<string> names)
    {
        text.Append('(');
        for (var i = 0; i < names.Count; i++)
        {
            text.Append(i == 0 ? "" : ", ");
            // Here, unlike in a matcher, a colon needs no quotes.
            WriteName(text, names[i], names[i].Replace(':', '_'));
        }

        text.Append(')');
    }

    static void WriteMatchers(StringBuilder text, VectorSelector selector)
    {
        var name = selector.IsNamed ? selector.Matchers[0] : null;
        text.Append(name?.Value);
        if (name is not null && selector.Matchers.Count == 1)
            return;
        var matchers = selector.Matchers.Skip(name is null ? 0 : 1).Select(Text).Order(StringComparer.Ordinal);
        text.Append('{').AppendJoin(',', matchers).Append('}');
    }

    static string Text(LabelMatcher matcher)
    {
        var text = new StringBuilder();
        WriteName(text, matcher.Name, matcher.Name);
        text.Append(OperatorText(matcher.Operator));
        Quote(text, matcher.Value);
        return text.ToString();
    }

    static string OperatorText(MatchOperator op) => op switch
    {
        MatchOperator.Equal => "=",
        MatchOperator.NotEqual => "!=",
        MatchOperator.Matches => "=~",
        MatchOperator.NotMatches => "!~",
        _ => throw new InvalidOperationException($"Unknown match operator {op}."),
    };

    static void WriteShift(StringBuilder text, TimeShift shift)
    {
        if (shift.At is { } at)
            text.Append(" @ ").Append(at.Anchor switch
            {
                AtAnchor.Start => "start()",
                AtAnchor.End => "end()",
                _ => (at.Time / 1000m).ToString("0.000", CultureInfo.InvariantCulture),
            });
        if (shift.Offset is { } offset)
            text.Append(" offset ").Append(offset);
    }

    static void WriteName(StringBuilder text, string name, string asLabel)
    {
        if (Parser.IsPlainLabelName(asLabel))
            text.Append(name);
        else
            Quote(text, name);
    }

    // As Go quotes: what has no shape of its own is written as its number.
    static void Quote(StringBuilder text, string value)
    {
        const string Escaped = "\"\\\a\b\f\n\r\t\v";
        const string Letters = "\"\\abfnrtv";
        text.Append('"');
        foreach (var rune in value.EnumerateRunes())
        {
            var known = rune.IsAscii ? Escaped.IndexOf((char)rune.Value, StringComparison.Ordinal) : -1;
            _ = known >= 0 ? text.Append('\\').Append(Letters[known])
                : IsPrintable(rune) ? text.Append(rune)
                : rune.IsAscii ? text.Append($"\\x{rune.Value:x2}")
                : rune.IsBmp ? text.Append($"\\u{rune.Value:x4}")
                : text.Append($"\\U{rune.Value:x8}");
        }

        text.Append('"');
    }

    static bool IsPrintable(Rune rune) => rune.Value == ' ' || Rune.GetUnicodeCategory(rune) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
            or UnicodeCategory.OtherNotAssigned or UnicodeCategory.SpaceSeparator or UnicodeCategory.LineSeparator
            or UnicodeCategory.ParagraphSeparator);
}
