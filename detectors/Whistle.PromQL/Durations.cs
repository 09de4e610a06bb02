using System.Text;

namespace Whistle.PromQL;

/// <summary>Prometheus's duration text (<c>1h30m</c>): units from large to small, each at most once; a year is 365 days.</summary>
public static class Durations
{
    static readonly (string Name, long Milliseconds)[] Units =
    [
        ("y", 365L * 86_400_000), ("w", 7L * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
    ];

    // What a nanosecond count in 64 bits holds, about 292 years; Prometheus refuses longer ones.
    const long MaxMilliseconds = long.MaxValue / 1_000_000;

    public static bool TryParse(ReadOnlySpan<char> text, out long milliseconds)
    {
        milliseconds = 0;
        if (text.IsEmpty)
            return false;
        var unit = 0;
        while (!text.IsEmpty)
        {
            var digits = text.IndexOfAnyExceptInRange('0', '9');
            if (digits <= 0 || !long.TryParse(text[..digits], out var count))
                return false;
            text = text[digits..];
            var letters = text.IndexOfAnyInRange('0', '9');
            var name = letters < 0 ? text : text[..letters];
            while (unit < Units.Length && !name.SequenceEqual(Units[unit].Name))
                unit++;
            if (unit == Units.Length || count > (MaxMilliseconds - milliseconds) / Units[unit].Milliseconds)
                return false;
            milliseconds += count * Units[unit].Milliseconds;
            text = text[name.Length..];
            unit++;
        }

        return true;
    }

    /// <summary>As <see cref="Format"/>; as a plain number what is not a whole number of milliseconds, so that nothing is lost.</summary>
    internal static string FormatSeconds(double seconds) =>
        seconds == Math.Round(seconds * 1000) / 1000 && Math.Abs(seconds) < 9e12
            ? Format((long)Math.Round(seconds * 1000))
            : GoNumber.WithoutExponent(seconds);

    public static string Format(long milliseconds)
    {
        if (milliseconds == 0)
            return "0s";
        var text = new StringBuilder(milliseconds < 0 ? "-" : "");
        var rest = Math.Abs(milliseconds);
        foreach (var (name, length) in Units)
        {
            // Years and weeks only where they are all there is: 8d stays 8d, as Prometheus prints it.
            if (name is "y" or "w" && rest % length != 0)
                continue;
            if (rest >= length)
                text.Append(rest / length).Append(name);
            rest %= length;
        }

        return text.ToString();
    }
}
