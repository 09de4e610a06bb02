using System.Globalization;
using System.Text;

namespace Whistle.PromQL;

/// <summary>Numbers as Go's strconv writes and reads them, since Prometheus's texts are made with it.</summary>
public static class GoNumber
{
    /// <summary>No number takes more characters: those with the smallest exponent have 341 and a sign.</summary>
    public const int MaxLength = 352;

    /// <summary>
    /// The shortest text that reads back as the same number, never with an exponent: what count_values puts into its label.
    /// </summary>
    public static string WithoutExponent(double value)
    {
        if (double.IsNaN(value))
            return "NaN";
        if (double.IsInfinity(value))
            return value > 0 ? "+Inf" : "-Inf";
        var text = value.ToString("R", CultureInfo.InvariantCulture);
        var e = text.IndexOf('E', StringComparison.Ordinal);
        return e < 0 ? text : Expand(text.AsSpan(0, e), int.Parse(text.AsSpan(e + 1), CultureInfo.InvariantCulture));
    }

    /// <summary>The same as UTF-8.</summary>
    /// <param name="value">The number.</param>
    /// <param name="into">At least <see cref="MaxLength"/> bytes.</param>
    /// <returns>How many bytes.</returns>
    public static int WithoutExponent(double value, Span<byte> into)
    {
        // Whole numbers are frequent and quick; an exponent begins beyond them.
        if (Math.Abs(value) < 1e15 && (long)value is var whole && whole == value && (whole != 0 || !double.IsNegative(value)))
        {
            whole.TryFormat(into, out var digits, provider: CultureInfo.InvariantCulture);
            return digits;
        }

        if (double.IsFinite(value) && value.TryFormat(into, out var length, "R", CultureInfo.InvariantCulture)
            && !into[..length].Contains((byte)'E'))
            return length;
        return Encoding.UTF8.GetBytes(WithoutExponent(value), into);
    }

    static string Expand(ReadOnlySpan<char> mantissa, int exponent)
    {
        var text = new StringBuilder();
        if (mantissa[0] == '-')
        {
            text.Append('-');
            mantissa = mantissa[1..];
        }

        var digits = mantissa.ToString().Replace(".", "", StringComparison.Ordinal);
        if (exponent < 0)
            return text.Append("0.").Append('0', -exponent - 1).Append(digits).ToString();
        return text.Append(digits).Append('0', Math.Max(0, exponent + 1 - digits.Length)).ToString();
    }

    /// <summary>
    /// A literal of PromQL: decimal, 0x hexadecimal, and octal with a leading zero, as Go reads integers. Not finite if out of range.
    /// </summary>
    internal static double ParseLiteral(string text)
    {
        var digits = text.Replace("_", "", StringComparison.Ordinal);
        if (digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
            return ulong.TryParse(digits.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var hex) ? hex : double.NaN;
        if (digits.Length is > 1 and <= 21 && digits[0] == '0' && digits.AsSpan().IndexOfAnyExceptInRange('0', '7') < 0)
            return Convert.ToInt64(digits, 8);
        return double.Parse(digits, NumberStyles.Float, CultureInfo.InvariantCulture);
    }
}
