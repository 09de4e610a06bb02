using System.Globalization;
using System.Text;

namespace Whistle.Telemetry;

/// <summary>What a regular expression found.</summary>
/// <param name="Groups">By number; 0 is the whole text.</param>
/// <param name="Names">Of the groups from 1 on, empty where a group has none.</param>
public sealed record GoMatch(IReadOnlyList<string> Groups, IReadOnlyList<string> Names)
{
    /// <summary>By number or name; empty where there is no such group.</summary>
    public string this[string group]
    {
        get
        {
            if (int.TryParse(group, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
                return number < Groups.Count ? Groups[number] : "";
            for (var i = 0; i < Names.Count; i++)
            {
                if (Names[i] == group)
                    return Groups[i + 1];
            }

            return "";
        }
    }

    /// <summary>Go's templates: $1, $name, ${name}, $$. What names no group is empty; a lone $ stays.</summary>
    /// <exception cref="FormatException">It is longer than <paramref name="longest"/>.</exception>
    public string Expand(string template, int longest = int.MaxValue)
    {
        var text = new StringBuilder();
        var rest = template.AsSpan();
        while (rest.IndexOf('$') is var at and >= 0)
        {
            text.Append(rest[..at]);
            rest = rest[(at + 1)..];
            if (rest.StartsWith("$"))
            {
                text.Append('$');
                rest = rest[1..];
            }
            else if (GroupName(rest, out var length) is { } name)
            {
                text.Append(this[name]);
                rest = rest[length..];
            }
            else
            {
                text.Append('$');
            }

            if (text.Length > longest)
                throw TooLong(longest);
        }

        return text.Append(rest).ToString();
    }

    /// <param name="places">Two positions for each group, as far as any was noted; -1 where a group matched nothing.</param>
    internal static GoMatch Of(string text, int[] places, IReadOnlyList<string> names) => new(
        [.. Enumerable.Range(0, names.Count + 1).Select(group => (2 * group) + 1 < places.Length && places[(2 * group) + 1] >= 0
            && places[2 * group] >= 0
            ? text[places[2 * group]..places[(2 * group) + 1]] : "")], names);

    internal static FormatException TooLong(int longest) => new($"a replacement of more than {longest} characters");

    static string? GroupName(ReadOnlySpan<char> text, out int length)
    {
        var braced = text.StartsWith("{");
        var name = braced ? text[1..] : text;
        var end = 0;
        while (end < name.Length && (char.IsLetterOrDigit(name[end]) || name[end] == '_'))
            end++;
        length = braced ? end + 2 : end;
        return end == 0 || (braced && (end == name.Length || name[end] != '}')) ? null : name[..end].ToString();
    }
}
