namespace Whistle.Detectors.Templates;

/// <summary>Numbers for people, as in Prometheus's template reference.</summary>
static class Humanize
{
    static readonly string[] Large = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"];
    static readonly string[] Binary = ["", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
    static readonly string[] Small = ["", "m", "u", "n", "p", "f", "a", "z", "y"];

    public static string Metric(double value)
    {
        if (value == 0 || !double.IsFinite(value))
            return GoNumbers.Significant(value, 4);
        return Math.Abs(value) >= 1 ? Scale(value, 1000, Large) : Enlarge(value);
    }

    public static string Binary1024(double value) =>
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

    public static string Duration(double seconds)
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

    public static string Percentage(double value) => GoNumbers.Significant(value * 100, 4) + "%";

    public static string Timestamp(double seconds) =>
        double.IsFinite(seconds) ? TemplateValue.Text(Time(seconds)) : GoNumbers.Significant(seconds, 4);

    /// <summary>To the millisecond, as Prometheus counts.</summary>
    public static DateTime Time(double seconds) => Math.Abs(seconds) < 9.2e9
        ? DateTime.UnixEpoch.AddMilliseconds(Math.Floor(seconds * 1e9 / 1e6))
        : throw new FormatException($"{GoNumbers.Default(seconds)} seconds are no time that can be shown");
}
