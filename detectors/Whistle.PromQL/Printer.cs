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
                text.Append(GoNumber.Shortest(number.Value));
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
                WriteMatchers(text, selector.Matchers);
                WriteShift(text, selector.Shift);
                break;
            case MatrixSelector matrix:
                WriteMatchers(text, matrix.Selector.Matchers);
                text.Append('[').Append(matrix.Range).Append(']');
                WriteShift(text, matrix.Selector.Shift);
                break;
            case SubqueryExpr subquery:
                Write(text, subquery.Operand);
                text.Append('[').Append(subquery.Range).Append(':').Append(subquery.Step).Append(']');
                WriteShift(text, subquery.Shift);
                break;
            case BinaryExpr binary:
                WriteBinary(text, binary);
                break;
            case CallExpr call:
                text.Append(call.Name);
                WriteArguments(text, call.Arguments);
                break;
            case AggregateExpr aggregate:
                WriteAggregate(text, aggregate);
                break;
            default:
                throw new InvalidOperationException($"Unknown expression {expr.GetType().Name}.");
        }
    }

    static void WriteBinary(StringBuilder text, BinaryExpr binary)
    {
        Write(text, binary.Left);
        text.Append(' ').Append(binary.Operator.Text).Append(binary.ReturnsBool ? " bool " : " ");
        if (binary.Matching is { } matching)
            WriteMatching(text, matching);
        Write(text, binary.Right);
    }

    static void WriteMatching(StringBuilder text, VectorMatching matching)
    {
        var grouped = matching.Cardinality is MatchCardinality.ManyToOne or MatchCardinality.OneToMany;
        if (!matching.On && matching.Labels.Count == 0 && !grouped)
            return;
        text.Append(matching.On ? "on " : "ignoring ");
        WriteNames(text, matching.Labels);
        if (grouped)
        {
            text.Append(matching.Cardinality == MatchCardinality.ManyToOne ? "group_left " : "group_right ");
            WriteNames(text, matching.Include);
        }
    }

    static void WriteAggregate(StringBuilder text, AggregateExpr aggregate)
    {
        text.Append(aggregate.Name);
        if (aggregate.Without || aggregate.Grouping.Count > 0)
        {
            text.Append(aggregate.Without ? " without " : " by ");
            WriteNames(text, aggregate.Grouping);
        }

        WriteArguments(text, aggregate.Children);
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
            WriteName(text, names[i]);
        }

        text.Append(") ");
    }

    static void WriteMatchers(StringBuilder text, IReadOnlyList<LabelMatcher> matchers)
    {
        var name = matchers.FirstOrDefault(static m =>
            m.Name == Labels.MetricName && m.Operator == MatchOperator.Equal && Parser.IsPlainMetricName(m.Value));
        if (matchers.Count(static m => m.Name == Labels.MetricName) > 1)
            name = null;
        text.Append(name?.Value);
        if (name is not null && matchers.Count == 1)
            return;
        text.Append('{');
        var first = true;
        foreach (var matcher in matchers)
        {
            if (ReferenceEquals(matcher, name))
                continue;
            text.Append(first ? "" : ",");
            first = false;
            WriteName(text, matcher.Name);
            text.Append(OperatorText(matcher.Operator));
            Quote(text, matcher.Value);
        }

        text.Append('}');
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
            text.Append(" @ ").Append(at.Anchor switch { AtAnchor.Start => "start()", AtAnchor.End => "end()", _ => (at.Time / 1000m).ToString("0.000", CultureInfo.InvariantCulture) });
        if (shift.Offset is { } offset)
            text.Append(" offset ").Append(offset);
    }

    static void WriteName(StringBuilder text, string name)
    {
        if (Parser.IsPlainLabelName(name))
            text.Append(name);
        else
            Quote(text, name);
    }

    static void Quote(StringBuilder text, string value)
    {
        text.Append('"');
        foreach (var c in value)
        {
            _ = c switch
            {
                '"' => text.Append("\\\""),
                '\\' => text.Append("\\\\"),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                _ when char.IsControl(c) => text.Append($"\\u{(int)c:x4}"),
                _ => text.Append(c),
            };
        }

        text.Append('"');
    }
}
