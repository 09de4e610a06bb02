namespace Whistle.PromQL;

/// <summary>Who can fix it: the author of the expression, or whoever chose the data and limits it met.</summary>
public enum PromQLErrorKind
{
    /// <summary>The expression or the query's parameters are not valid; it fails on any data (HTTP API: <c>bad_data</c>).</summary>
    BadData,

    /// <summary>Valid, but it cannot be evaluated on the data that it met (HTTP API: <c>execution</c>).</summary>
    Execution,
}

/// <summary>An expression that cannot be parsed or evaluated.</summary>
public sealed class PromQLException : Exception
{
    /// <summary>An error at a place of the expression's text.</summary>
    public PromQLException(string message, string text, int offset)
        : base(Locate(text, offset) + ": " + message)
    {
        Kind = PromQLErrorKind.BadData;
        Offset = offset;
        (Line, Column) = LineAndColumn(text, offset);
    }

    public PromQLException(PromQLErrorKind kind, string message)
        : base(message) => Kind = kind;

    public PromQLErrorKind Kind { get; }

    /// <summary>Zero-based place in the expression, in UTF-16 units; null where the error has no place.</summary>
    public int? Offset { get; }

    /// <summary>One-based, 0 where the error has no place.</summary>
    public int Line { get; }

    /// <summary>One-based, 0 where the error has no place.</summary>
    public int Column { get; }

    internal static PromQLException Execution(string message) => new(PromQLErrorKind.Execution, message);

    static string Locate(string text, int offset)
    {
        var (line, column) = LineAndColumn(text, offset);
        return $"{line}:{column}";
    }

    static (int Line, int Column) LineAndColumn(string text, int offset)
    {
        var before = text.AsSpan(0, Math.Min(offset, text.Length));
        return (before.Count('\n') + 1, before.Length - before.LastIndexOf('\n'));
    }
}
