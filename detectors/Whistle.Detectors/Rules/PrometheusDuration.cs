using System.Globalization;
using System.Text;

namespace Whistle.Detectors.Rules;

/// <summary>Durations as rule files and the HTTP API write them: <c>1h30m</c>, units y w d h m s ms, each once, in that order.</summary>
static class PrometheusDuration
{
    static readonly (string Unit, long Milliseconds)[] Units =
    [
        ("y", 365L * 86_400_000), ("w", 7L * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
    ];

    public static bool TryParse(string text, out TimeSpan duration)
    {
        duration = TimeSpan.Zero;
        if (text == "0")
            return true;
        var at = 0;
        var next = 0;
        var total = 0m;
        while (at < text.Length)
        {
            var digits = at;
            while (at < text.Length && char.IsAsciiDigit(text[at]))
                at++;
            var letters = at;
            while (at < text.Length && char.IsAsciiLetter(text[at]))
                at++;
            var unit = Array.FindIndex(Units, next, u => text.AsSpan(letters, at - letters).SequenceEqual(u.Unit));
            if (unit < 0 || !long.TryParse(text.AsSpan(digits, letters - digits), NumberStyles.None, null, out var count))
                return false;
            total += (decimal)count * Units[unit].Milliseconds;
            next = unit + 1;
        }

        if (text.Length == 0 || total > long.MaxValue / TimeSpan.TicksPerMillisecond)
            return false;
        duration = TimeSpan.FromTicks((long)total * TimeSpan.TicksPerMillisecond);
        return true;
    }

    public static string Format(TimeSpan duration)
    {
        var rest = (long)duration.TotalMilliseconds;
        if (rest == 0)
            return "0s";
        var text = new StringBuilder();
        foreach (var (unit, milliseconds) in Units)
        {
            // As Prometheus writes it: years and weeks only where nothing is left over.
            if (unit is "y" or "w" && rest % milliseconds != 0)
                continue;
            if (rest / milliseconds > 0)
                text.Append(rest / milliseconds).Append(unit);
            rest %= milliseconds;
        }

        return text.ToString();
    }
}
