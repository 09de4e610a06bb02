using System.Globalization;

using Whistle.Telemetry;

namespace Whistle.Detectors.Templates;

/// <summary>Go's rules for values of templates: how they print, which are empty, and how they compare.</summary>
static class TemplateValue
{
    /// <summary>
    /// In characters. Whatever can grow by more than a few times is cut off there, so that nothing of any size is ever made.
    /// </summary>
    public const int LongestText = 1_000_000;

    public static string Text(object? value) => value switch
    {
        null => "<no value>",
        string text => text,
        double number => GoNumbers.Default(number),
        bool yes => yes ? "true" : "false",
        long number => number.ToString(CultureInfo.InvariantCulture),
        Labels labels => $"map[{string.Join(' ', labels.Select(l => $"{l.Name}:{l.Value}"))}]",
        TemplateSample sample => $"{{{Text(sample.Labels)} {Text(sample.Value)}}}",
        IReadOnlyList<TemplateSample> samples => $"[{string.Join(' ', samples.Select(Text).Bounded())}]",
        IReadOnlyDictionary<string, object?> map =>
            $"map[{string.Join(' ', map.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => $"{p.Key}:{Text(p.Value)}").Bounded())}]",
        DateTime time => time.ToString("yyyy-MM-dd HH:mm:ss.FFF '+0000 UTC'", CultureInfo.InvariantCulture),
        TemplateData data => $"{{{Text(data.Labels)} map[]  {Text(data.Value)}}}",
        _ => throw new InvalidOperationException($"A template has no values of type {value.GetType().Name}."),
    };

    /// <exception cref="FormatException">Together they are longer than <see cref="LongestText"/>.</exception>
    public static IEnumerable<string> Bounded(this IEnumerable<string> texts)
    {
        var length = 0;
        foreach (var text in texts)
        {
            length = Bounded(length + text.Length);
            yield return text;
        }
    }

    public static int Bounded(int length) =>
        length <= LongestText ? length : throw new FormatException($"a text of more than {LongestText} characters");

    public static bool IsTrue(object? value) => value is not
        (null or "" or 0L or 0.0 or false or Labels { Count: 0 } or IReadOnlyList<TemplateSample> { Count: 0 }
            or IReadOnlyDictionary<string, object?> { Count: 0 });

    public static string TypeName(object? value) => value switch
    {
        null => "nil",
        string => "string",
        double => "float64",
        long => "int",
        bool => "bool",
        Labels => "map[string]string",
        TemplateSample => "a sample",
        IReadOnlyList<TemplateSample> => "a list of samples",
        DateTime => "time.Time",
        TemplateData => "the alert's data",
        _ => "map[string]interface {}",
    };

    public static double Number(object? value) => value switch
    {
        double number => number,
        long number => number,
        string text when TryNumber(text, out var number) => number,
        _ => throw new FormatException($"\"{Text(value)}\" is not a number"),
    };

    public static string String(object? value) =>
        value as string ?? throw new FormatException($"a string is needed in the place of {Text(value)}, {TypeName(value)}");

    public static bool AreEqual(object? a, object? b)
    {
        if (a is null || b is null)
            return a is null && b is null;
        RequireSameKind(a, b);
        return a is double number ? number == (double)b : a.Equals(b);
    }

    public static int Compare(object? a, object? b)
    {
        RequireSameKind(a, b);
        return a switch
        {
            string text => string.CompareOrdinal(text, (string)b!),
            long number => number.CompareTo((long)b!),
            // NaN is not less and not equal; Go's gt and ge are what le and lt are not.
            double number => number < (double)b! ? -1 : number == (double)b ? 0 : 1,
            _ => throw new FormatException($"{TypeName(a)} has no order"),
        };
    }

    static void RequireSameKind(object? a, object? b)
    {
        if (a is not (string or double or long or bool))
            throw new FormatException($"{TypeName(a)} cannot be compared");
        if (a.GetType() != b?.GetType())
            throw new FormatException($"{TypeName(a)} and {TypeName(b)} cannot be compared; write 1.0 for a whole number beside a value");
    }

    static bool TryNumber(string text, out double number)
    {
        var digits = text.TrimStart('+', '-');
        if (digits.Equals("inf", StringComparison.OrdinalIgnoreCase) || digits.Equals("infinity", StringComparison.OrdinalIgnoreCase))
        {
            number = text[0] == '-' ? double.NegativeInfinity : double.PositiveInfinity;
            return text.Length - digits.Length <= 1;
        }

        return double.TryParse(
            text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture,
            out number);
    }
}
