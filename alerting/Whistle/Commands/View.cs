using System.CommandLine;
using System.Globalization;
using System.Text.Json;

using Whistle.Web.Text;

namespace Whistle.Commands;

/// <summary>How times and numbers are written: for people, or as the server gave them.</summary>
/// <param name="Now">The server's time: ages are counted from there.</param>
/// <param name="Raw">Numbers in full and without units: bytes, seconds.</param>
/// <param name="Instants">Times as instants, where they would be ages.</param>
sealed record View(DateTimeOffset Now, bool Raw = false, bool Instants = false)
{
    public static readonly Option<bool> RawOption = new(
        "--raw")
    { Description = "Writes numbers in full and without units (bytes, seconds)." };
    public static readonly Option<bool> InstantsOption = new("--instants") { Description = "Writes times as instants (UTC), not as ages." };

    public static View Of(ParseResult arguments, DateTimeOffset now) =>
        new(now, arguments.GetValue(RawOption), arguments.GetValue(InstantsOption));

    /// <summary>Such as <c>3 min ago</c>, or <c>2026-01-01T12:00:00Z</c>.</summary>
    public string Time(DateTimeOffset? at) => at is not { } time ? "" : Instants ? Instant(time) : Quantity.Ago(time, Now);

    public static string Instant(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>Such as <c>14:05 UTC</c>, with the date where it is another day than now.</summary>
    public string Clock(DateTimeOffset? at) =>
        at is not { } time ? "" : Instants ? Instant(time) : $"{Quantity.ShortInstant(time, Now)} UTC";

    /// <summary>A sentence with its times as people write them.</summary>
    public string Prose(string text) => Instants ? text : Quantity.Prose(text, Now, " UTC");

    public string Span(TimeSpan span) => Raw ? span.TotalSeconds.ToString("0.###", CultureInfo.InvariantCulture) : Quantity.Span(span);

    public string Bytes(string text) =>
        !Raw && double.TryParse(text, CultureInfo.InvariantCulture, out var bytes) ? Quantity.Bytes(bytes) : text;

    /// <summary>A number that has no unit: four digits, or all.</summary>
    public string Value(string text) =>
        !Raw && double.TryParse(text, CultureInfo.InvariantCulture, out var value) ? Quantity.Value(value) : text;

    /// <summary>A sample of a series, whose unit its name ends with, as Prometheus has it.</summary>
    public string Sample(string name, string text)
    {
        if (Raw || !double.TryParse(text, CultureInfo.InvariantCulture, out var value) || !double.IsFinite(value))
            return text;
        return name switch
        {
            _ when name.EndsWith("_bytes", StringComparison.Ordinal) => Quantity.Bytes(value),
            _ when name.EndsWith("_ratio", StringComparison.Ordinal) => Quantity.Percent(value),
            _ when name.EndsWith("time_seconds", StringComparison.Ordinal)
                || name.EndsWith("timestamp_seconds", StringComparison.Ordinal) => text,
            _ when name.EndsWith("_seconds", StringComparison.Ordinal) => $"{Quantity.Value(value)} s",
            _ => text,
        };
    }
}

static class ViewFields
{
    public static string Time(this JsonElement element, string name, View view) => view.Time(element.Time(name));

    public static string Clock(this JsonElement element, string name, View view) => view.Clock(element.Time(name));

    public static string Prose(this JsonElement element, string name, View view) => view.Prose(element.Text(name));
}
