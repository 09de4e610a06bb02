using System.Globalization;

namespace Whistle.Actions.Policy;

/// <summary>An age as people write it: a whole number and one of s, m, h, d, w.</summary>
static class Age
{
    public static TimeSpan? Parse(string? text)
    {
        if (text is not { Length: > 1 and < 12 } || !int.TryParse(text.AsSpan()[..^1], NumberStyles.None, null, out var count))
            return null;
        return text[^1] switch
        {
            's' => TimeSpan.FromSeconds(count),
            'm' => TimeSpan.FromMinutes(count),
            'h' => TimeSpan.FromHours(count),
            // More days than a time span holds are as good as never.
            'd' => TimeSpan.FromDays(Math.Min(count, 1_000_000)),
            'w' => TimeSpan.FromDays(7 * Math.Min(count, 100_000)),
            _ => null,
        };
    }

    public static string Refusal(string what, string? text) =>
        $"{what} \"{text}\" is no age. Write a whole number with its unit, like 30m, 12h or 7d.";
}
