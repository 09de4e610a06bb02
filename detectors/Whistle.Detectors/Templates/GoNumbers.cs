using System.Globalization;

using Whistle.PromQL;

namespace Whistle.Detectors.Templates;

/// <summary>Numbers in the notations of Go's strconv, which Prometheus's JSON and templates use.</summary>
static class GoNumbers
{
    /// <summary>What Go prints for a number without a format: without an exponent, except below 1e-4 and from 1e6.</summary>
    public static string Default(double value)
    {
        if (NotFinite(value) is { } text)
            return text;
        var (digits, exponent) = Digits(value);
        return value != 0 && (exponent < -4 || exponent >= 6) ? Scientific(value < 0, digits, exponent) : GoNumber.WithoutExponent(value);
    }

    /// <summary>Format 'g' with a number of significant digits, trailing zeros dropped.</summary>
    public static string Significant(double value, int precision)
    {
        if (NotFinite(value) is { } text)
            return text;
        if (value == 0)
            return "0";
        precision = Math.Max(precision, 1);
        var rounded = double.Parse(value.ToString("E" + (precision - 1)), CultureInfo.InvariantCulture);
        var (digits, exponent) = Digits(rounded);
        return exponent < -4 || exponent >= precision ? Scientific(value < 0, digits, exponent) : GoNumber.WithoutExponent(rounded);
    }

    /// <summary>Format 'f' with a fixed number of decimals.</summary>
    public static string Fixed(double value, int decimals) => NotFinite(value) ?? value.ToString("F" + decimals);

    /// <summary>Format 'e' with the fewest digits, which Prometheus has for an alert's value.</summary>
    public static string ShortestExponent(double value)
    {
        if (NotFinite(value) is { } text)
            return text;
        var (digits, exponent) = value == 0 ? ("0", 0) : Digits(value);
        return Scientific(double.IsNegative(value), digits, exponent);
    }

    /// <summary>Format 'e' with a fixed number of decimals.</summary>
    public static string Exponent(double value, int decimals) =>
        NotFinite(value) ?? value.ToString((decimals == 0 ? "0" : "0." + new string('0', decimals)) + "e+00");

    static string? NotFinite(double value) => value switch
    {
        double.PositiveInfinity => "+Inf",
        double.NegativeInfinity => "-Inf",
        _ => double.IsNaN(value) ? "NaN" : null,
    };

    static string Scientific(bool negative, string digits, int exponent)
    {
        var fraction = digits.Length > 1 ? "." + digits[1..] : "";
        return $"{(negative ? "-" : "")}{digits[0]}{fraction}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
    }

    // The shortest significant digits without trailing zeros, and the decimal exponent of the first.
    static (string Digits, int Exponent) Digits(double value)
    {
        var text = Math.Abs(value).ToString("R", CultureInfo.InvariantCulture);
        var exponent = 0;
        if (text.IndexOf('E') is var e and >= 0)
        {
            exponent = int.Parse(text.AsSpan(e + 1), NumberStyles.AllowLeadingSign);
            text = text[..e];
        }

        var point = text.IndexOf('.');
        exponent += (point < 0 ? text.Length : point) - 1;
        text = text.Replace(".", "", StringComparison.Ordinal);
        var significant = text.TrimStart('0');
        exponent -= text.Length - significant.Length;
        significant = significant.TrimEnd('0');
        return significant.Length == 0 ? ("0", 0) : (significant, exponent);
    }
}
