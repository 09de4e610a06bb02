using System.Globalization;
using System.Text.RegularExpressions;

namespace Whistle.Web.Text;

/// <summary>Numbers and times as people read them. What is not known is a dash.</summary>
public static partial class Quantity
{
    public const string Unknown = "–";

    static readonly TimeSpan Skew = TimeSpan.FromSeconds(3);

    static readonly string[] Binary = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

    /// <summary>Such as <c>7.6 GiB</c> or <c>512 MiB</c>.</summary>
    public static string Bytes(double bytes)
    {
        if (!double.IsFinite(bytes))
            return Unknown;
        var unit = 0;
        for (; Math.Abs(bytes) >= 1023.5 && unit < Binary.Length - 1; unit++)
            bytes /= 1024;
        return $"{bytes.ToString(unit == 0 || Math.Abs(bytes) >= 99.95 ? "0" : "0.0")} {Binary[unit]}";
    }

    /// <summary>Of a ratio, such as <c>72.4 %</c>.</summary>
    public static string Percent(double ratio) => double.IsFinite(ratio) ? $"{ratio * 100:0.0} %" : Unknown;

    /// <summary>Whole percents, for running text.</summary>
    public static string WholePercent(double ratio) => double.IsFinite(ratio) ? $"{ratio * 100:0} %" : Unknown;

    /// <summary>Four significant digits.</summary>
    public static string Value(double value) => value switch
    {
        double.PositiveInfinity => "+Inf",
        double.NegativeInfinity => "-Inf",
        _ => value.ToString("G4"),
    };

    /// <summary>The two largest units: <c>45 s</c>, <c>12 min</c>, <c>3 h 5 min</c>, <c>2 d 4 h</c>.</summary>
    public static string Span(TimeSpan span)
    {
        span = span.Duration();
        if (span < TimeSpan.FromMinutes(1))
            return $"{(int)span.TotalSeconds} s";
        if (span < TimeSpan.FromHours(1))
            return $"{(int)span.TotalMinutes} min";
        if (span < TimeSpan.FromDays(1))
            return span.Minutes == 0 ? $"{span.Hours} h" : $"{span.Hours} h {span.Minutes} min";
        return span.Hours == 0 ? $"{span.Days} d" : $"{span.Days} d {span.Hours} h";
    }

    /// <summary>How far a clock is ahead of the server's: <c>right</c>, <c>40 s ahead</c>, <c>2 min behind</c>.</summary>
    public static string ClockSkew(TimeSpan skew) =>
        skew.Duration() < TimeSpan.FromSeconds(1) ? "right" : $"{Span(skew)} {(skew > TimeSpan.Zero ? "ahead" : "behind")}";

    /// <summary>An answer's time has whole seconds and two clocks differ a little: what is barely ahead has just been.</summary>
    public static string Ago(DateTimeOffset at, DateTimeOffset now) =>
        at <= now ? $"{Span(now - at)} ago" : at - now <= Skew ? "just now" : $"in {Span(at - now)}";

    /// <summary>UTC, to the second.</summary>
    public static string Instant(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss 'UTC'");

    /// <summary>UTC, for running text: as the timelines write it.</summary>
    public static string Clock(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'");

    /// <summary>
    /// A sentence for people: an instant such as <c>2026-03-01 14:05:00Z</c> becomes <c>14:05</c>, with the date where it is another day
    /// than now.
    /// </summary>
    public static string Prose(string? text, DateTimeOffset now, string zone = "") => text is null ? "" : Instants().Replace(text, match =>
        DateTimeOffset.TryParse(match.Value, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            ? ShortInstant(at, now) + zone
            : match.Value);

    [GeneratedRegex(@"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z(?!\w)", RegexOptions.CultureInvariant)]
    private static partial Regex Instants();

    // Less than a year, so that no day of another year is taken for this one's.
    static readonly TimeSpan ClearlyThisYear = TimeSpan.FromDays(300);

    /// <summary>UTC, the time of day, with the date where it is another day than now, and the year where that is not clear.</summary>
    public static string ShortInstant(DateTimeOffset at, DateTimeOffset now) =>
        at.UtcDateTime.ToString(at.UtcDateTime.Date == now.UtcDateTime.Date
            ? "HH:mm"
            : (at - now).Duration() < ClearlyThisYear ? "d MMM HH:mm"
            : "d MMM yyyy HH:mm");
}
