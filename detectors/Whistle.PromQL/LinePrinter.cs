using System.Text;

namespace Whistle.PromQL;

/// <summary>
/// Canonical text over several lines, broken and indented as Prometheus's format_query does. Apart from one thing: there, what a subquery
/// that is not broken reads loses its indentation.
/// </summary>
static class LinePrinter
{
    const int LongestLine = 100;
    const string Indent = "  ";

    public static string Print(Expr expr)
    {
        var text = new StringBuilder();
        Write(text, expr, "");
        return text.ToString();
    }

    static void Write(StringBuilder text, Expr expr, string indent)
    {
        var line = expr.ToString();
        if (Encoding.UTF8.GetByteCount(line) <= LongestLine)
        {
            text.Append(indent).Append(line);
            return;
        }

        switch (expr)
        {
            case BinaryExpr binary:
                Write(text, binary.Left, indent + Indent);
                text.Append('\n').Append(indent);
                Printer.WriteOperator(text, binary);
                text.Append('\n');
                Write(text, binary.Right, indent + Indent);
                break;
            case AggregateExpr aggregate:
                Printer.WriteHead(text.Append(indent), aggregate);
                WriteWithin(text, aggregate.Children, indent);
                break;
            case CallExpr call:
                WriteWithin(text.Append(indent).Append(call.Name), call.Arguments, indent);
                break;
            case ParenExpr paren:
                WriteWithin(text.Append(indent), paren.Children, indent);
                break;
            case UnaryExpr unary:
                var operand = new StringBuilder();
                Write(operand, unary.Operand, indent);
                text.Append(indent).Append(unary.Negates ? '-' : '+').Append(operand.ToString().TrimStart());
                break;
            case SubqueryExpr subquery:
                Write(text, subquery.Operand, indent);
                Printer.WriteRange(text, subquery);
                break;
            default:
                text.Append(indent).Append(line);
                break;
        }
    }

    static void WriteWithin(StringBuilder text, IReadOnlyList<Expr> parts, string indent)
    {
        text.Append('(');
        for (var i = 0; i < parts.Count; i++)
        {
            text.Append(i == 0 ? "\n" : ",\n");
            Write(text, parts[i], indent + Indent);
        }

        text.Append('\n').Append(indent).Append(')');
    }
}
