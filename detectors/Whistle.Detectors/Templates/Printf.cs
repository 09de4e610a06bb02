using System.Globalization;
using System.Text;

namespace Whistle.Detectors.Templates;

/// <summary>
/// Go's formats, for the values that a template has. What does not fit is written as Go writes it, such as <c>%!d(string=x)</c>.
/// </summary>
static class Printf
{
    const int MaxWidth = 1000;

    public static string Format(string format, ReadOnlySpan<object?> arguments)
    {
        var result = new StringBuilder();
        var next = 0;
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%')
                result.Append(format[i]);
            else
                i = Directive(format, i + 1, arguments, ref next, result);
            TemplateValue.Bounded(result.Length);
        }

        if (next < arguments.Length)
            result.Append("%!(EXTRA ").Append(string.Join(", ", arguments[next..].ToArray().Select(Typed).Bounded())).Append(')');
        return result.ToString();
    }

    // The index of the verb.
    static int Directive(string format, int at, ReadOnlySpan<object?> arguments, ref int next, StringBuilder result)
    {
        var start = at;
        while (at < format.Length && "+-# 0".Contains(format[at], StringComparison.Ordinal))
            at++;
        var flags = format[start..at];
        var width = Digits(format, ref at) ?? 0;
        int? precision = null;
        if (at < format.Length && format[at] == '.')
        {
            at++;
            precision = Digits(format, ref at) ?? 0;
        }

        if (at >= format.Length)
            result.Append("%!(NOVERB)");
        else if (format[at] == '%')
            result.Append('%');
        else if (next >= arguments.Length)
            result.Append("%!").Append(format[at]).Append("(MISSING)");
        else
            result.Append(Pad(Verb(format[at], precision, arguments[next++], flags), width, flags));
        return at;
    }

    static (string Text, bool IsNumber) Verb(char verb, int? precision, object? value, string flags) => (verb, value) switch
    {
        ('v', double number) => (Signed(precision is { } p ? GoNumbers.Significant(number, p) : GoNumbers.Default(number), flags), true),
        ('v', long number) => (Signed(TemplateValue.Text(number), flags), true),
        ('v', null) => ("<nil>", false),
        ('v' or 's', string text) => (Cut(text, precision), false),
        ('q', string text) => (Quote(Cut(text, precision)), false),
        ('x' or 'X', string text) => (Case(Convert.ToHexStringLower(Encoding.UTF8.GetBytes(text)), verb), false),
        ('v' or 't', bool) => (TemplateValue.Text(value), false),
        ('v', _) => (TemplateValue.Text(value), false),
        (_, double number) when Float(verb, precision, number) is { } text => (Signed(text, flags), true),
        (_, long number) when Integer(verb, number) is { } text =>
            (verb is 'c' or 'q' or 'U' ? text : Signed(text, flags), verb is not ('c' or 'q' or 'U')),
        _ => ($"%!{verb}({Typed(value)})", false),
    };

    static string? Float(char verb, int? precision, double value) => verb switch
    {
        'f' or 'F' => GoNumbers.Fixed(value, precision ?? 6),
        'e' or 'E' => Case(GoNumbers.Exponent(value, precision ?? 6), verb),
        'g' or 'G' => Case(precision is { } digits ? GoNumbers.Significant(value, digits) : GoNumbers.Default(value), verb),
        'b' or 'x' or 'X' => throw new FormatException($"printf: %{verb} of a number with a fraction is not supported"),
        _ => null,
    };

    static string? Integer(char verb, long value) => verb switch
    {
        'd' => value.ToString(CultureInfo.InvariantCulture),
        'x' or 'X' => Case((value < 0 ? "-" : "") + Magnitude(value).ToString("x", CultureInfo.InvariantCulture), verb),
        'o' => (value < 0 ? "-" : "") + Convert.ToString((long)Magnitude(value), 8),
        'b' => (value < 0 ? "-" : "") + Magnitude(value).ToString("b", CultureInfo.InvariantCulture),
        'c' => Character(value),
        'q' => $"'{Character(value)}'",
        'U' => $"U+{value:X4}",
        _ => null,
    };

    static ulong Magnitude(long value) => value < 0 ? (ulong)-(value + 1) + 1 : (ulong)value;

    static string Character(long value) =>
        (Rune.IsValid(value is >= 0 and <= int.MaxValue ? (int)value : -1) ? new Rune((int)value) : Rune.ReplacementChar).ToString();

    static string Case(string text, char verb) => char.IsUpper(verb) ? text.ToUpperInvariant() : text;

    static string Cut(string text, int? precision) => precision < text.Length ? text[..precision.Value] : text;

    static string Signed(string text, string flags)
    {
        var mark = flags.Contains('+') ? "+" : flags.Contains(' ') ? " " : "";
        return text[0] is '-' or '+' ? text : mark + text;
    }

    static string Typed(object? value) => value is null ? "<nil>" : $"{TemplateValue.TypeName(value)}={TemplateValue.Text(value)}";

    /// <summary>As a literal of Go.</summary>
    static string Quote(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (var rune in text.EnumerateRunes())
        {
            var at = "\a\b\f\n\r\t\v\\\"".IndexOf((char)rune.Value, StringComparison.Ordinal);
            if (rune.IsBmp && at >= 0)
                quoted.Append('\\').Append("abfnrtv\\\""[at]);
            else if (Rune.IsControl(rune))
                quoted.Append($"\\x{rune.Value:x2}");
            else
                quoted.Append(rune.ToString());
        }

        return quoted.Append('"').ToString();
    }

    static string Pad((string Text, bool IsNumber) value, int width, string flags)
    {
        var text = value.Text;
        if (flags.Contains('-'))
            return text.PadRight(width);
        if (!flags.Contains('0') || text.EndsWith("Inf", StringComparison.Ordinal) || text == "NaN")
            return text.PadLeft(width);
        return value.IsNumber && text[0] is '-' or '+' or ' '
            ? text[0] + text[1..].PadLeft(Math.Max(width - 1, 0), '0')
            : text.PadLeft(width, '0');
    }

    static int? Digits(string format, ref int at)
    {
        var start = at;
        while (at < format.Length && char.IsAsciiDigit(format[at]))
            at++;
        if (at == start)
            return null;
        return int.TryParse(format.AsSpan(start, at - start), out var value) && value <= MaxWidth
            ? value : throw new FormatException($"printf: a width of more than {MaxWidth}");
    }
}
