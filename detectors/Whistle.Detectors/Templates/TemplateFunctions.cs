using System.Collections.Frozen;
using System.Globalization;
using System.Text;

using Whistle.Telemetry;

namespace Whistle.Detectors.Templates;

/// <summary>A template function with the number of arguments that it takes. A wrong argument is a <see cref="FormatException"/>.</summary>
sealed record TemplateFunction(int Least, int Most, Func<object[], object> Body);

/// <summary>The functions by name; semantics as in Prometheus's template reference.</summary>
static class TemplateFunctions
{
    static readonly string[] Large = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"];
    static readonly string[] Binary = ["", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
    static readonly string[] Small = ["", "m", "u", "n", "p", "f", "a", "z", "y"];

    public static readonly FrozenDictionary<string, TemplateFunction> All = new Dictionary<string, TemplateFunction>
    {
        ["humanize"] = new(1, 1, a => Humanize(Number(a[0]))),
        ["humanize1024"] = new(1, 1, a => Humanize1024(Number(a[0]))),
        ["humanizeDuration"] = new(1, 1, a => HumanizeDuration(Number(a[0]))),
        ["humanizePercentage"] = new(1, 1, a => GoNumbers.Significant(Number(a[0]) * 100, 4) + "%"),
        ["printf"] = new(1, int.MaxValue, Printf),
        ["toUpper"] = new(1, 1, a => Text(a[0]).ToUpperInvariant()),
        ["toLower"] = new(1, 1, a => Text(a[0]).ToLowerInvariant()),
    }.ToFrozenDictionary();

    public static string Text(object value) => value switch
    {
        string text => text,
        double number => GoNumbers.Default(number),
        Labels labels => "map[" + string.Join(' ', labels.Select(l => $"{l.Name}:{l.Value}")) + "]",
        _ => throw new InvalidOperationException($"A template has no values of type {value.GetType().Name}."),
    };

    static double Number(object value) => value switch
    {
        double number => number,
        string text when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) => number,
        _ => throw new FormatException($"\"{Text(value)}\" is not a number"),
    };

    static string Humanize(double value)
    {
        if (value == 0 || !double.IsFinite(value))
            return GoNumbers.Significant(value, 4);
        return Math.Abs(value) >= 1 ? Scale(value, 1000, Large) : Enlarge(value);
    }

    static string Humanize1024(double value) =>
        Math.Abs(value) <= 1 || !double.IsFinite(value) ? GoNumbers.Significant(value, 4) : Scale(value, 1024, Binary);

    static string Scale(double value, double factor, string[] prefixes)
    {
        var step = 0;
        for (; Math.Abs(value) >= factor && step < prefixes.Length - 1; step++)
            value /= factor;
        return GoNumbers.Significant(value, 4) + prefixes[step];
    }

    static string Enlarge(double value)
    {
        var step = 0;
        for (; Math.Abs(value) < 1 && step < Small.Length - 1; step++)
            value *= 1000;
        return GoNumbers.Significant(value, 4) + Small[step];
    }

    static string HumanizeDuration(double seconds)
    {
        if (!double.IsFinite(seconds))
            return GoNumbers.Significant(seconds, 4);
        if (seconds == 0)
            return "0s";
        if (Math.Abs(seconds) < 1)
            return Enlarge(seconds) + "s";
        var sign = seconds < 0 ? "-" : "";
        var whole = (long)Math.Abs(seconds);
        var (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
        if (days > 0)
            return $"{sign}{days}d {hours}h {minutes}m {whole % 60}s";
        if (hours > 0)
            return $"{sign}{hours}h {minutes}m {whole % 60}s";
        return minutes > 0 ? $"{sign}{minutes}m {whole % 60}s" : sign + GoNumbers.Significant(Math.Abs(seconds), 4) + "s";
    }

    static string Printf(object[] arguments)
    {
        var format = Text(arguments[0]);
        var result = new StringBuilder();
        var next = 1;
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%')
                result.Append(format[i]);
            else
                i = Directive(format, i + 1, arguments, ref next, result);
        }

        return result.ToString();
    }

    static int Directive(string format, int at, object[] arguments, ref int next, StringBuilder result)
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
            throw new FormatException("printf: a format ends after %");
        if (format[at] == '%')
        {
            result.Append('%');
            return at;
        }

        if (next >= arguments.Length)
            throw new FormatException($"printf: no argument is left for %{format[at]}");
        result.Append(Pad(Verb(format[at], precision, arguments[next++], flags), width, flags));
        return at;
    }

    static string Verb(char verb, int? precision, object value, string flags)
    {
        var text = verb switch
        {
            's' => Text(value) is var s && precision < s.Length ? s[..precision.Value] : Text(value),
            'v' => Text(value),
            'q' => "\"" + Text(value).Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal) + "\"",
            'd' => ((long)Number(value)).ToString(),
            'f' or 'F' => GoNumbers.Fixed(Number(value), precision ?? 6),
            'e' => GoNumbers.Exponent(Number(value), precision ?? 6),
            'g' => precision is { } digits ? GoNumbers.Significant(Number(value), digits) : GoNumbers.Default(Number(value)),
            _ => throw new FormatException($"printf: the verb %{verb} is not supported"),
        };
        return flags.Contains('+') && value is double and >= 0 && verb is not ('s' or 'q') ? "+" + text.TrimStart('+') : text;
    }

    static string Pad(string text, int width, string flags)
    {
        if (flags.Contains('-'))
            return text.PadRight(width);
        return flags.Contains('0') && text.Length > 0 && text[0] is '-' or '+'
            ? text[0] + text[1..].PadLeft(Math.Max(width - 1, 0), '0')
            : text.PadLeft(width, flags.Contains('0') ? '0' : ' ');
    }

    static int? Digits(string format, ref int at)
    {
        var start = at;
        while (at < format.Length && char.IsAsciiDigit(format[at]))
            at++;
        return int.TryParse(format.AsSpan(start, at - start), out var value) ? Math.Min(value, 100) : null;
    }
}
