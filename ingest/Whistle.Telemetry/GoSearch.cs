using System.Text.RegularExpressions;

namespace Whistle.Telemetry;

/// <summary>
/// A regular expression in Go's notation that is looked for anywhere in a text, as Go's own functions do: the dot matches no line break. It
/// takes linear time.
/// </summary>
public sealed class GoSearch
{
    static readonly SharedPatterns<GoSearch> Known = new(p => new(p));

    readonly Regex _regex;
    readonly IReadOnlyList<string> _names;

    /// <exception cref="ArgumentException">The expression is not valid; the message says why.</exception>
    public GoSearch(string pattern)
    {
        (var text, _names, _) = GoRegexTranslator.Translate(pattern, dotAll: false);
        _regex = GoRegex.Compile(text);
    }

    /// <summary>One for all who use the same expression meanwhile.</summary>
    /// <exception cref="ArgumentException">The expression is not valid; the message says why.</exception>
    public static GoSearch Shared(string pattern) => Known[pattern];

    public bool IsMatch(string text) => _regex.IsMatch(text);

    /// <param name="text">Where it is looked for.</param>
    /// <param name="replacement">With $1 and ${name} for what groups matched.</param>
    /// <param name="longest">How many characters may be replaced or be put in their place.</param>
    /// <exception cref="FormatException">There are more.</exception>
    public string ReplaceAll(string text, string replacement, int longest)
    {
        var end = -1;
        var length = 0L;
        return _regex.Replace(text, match =>
        {
            // Go takes no empty match that follows another at once.
            if (match.Length == 0 && match.Index == end)
                return "";
            end = match.Index + match.Length;
            var expanded = new GoMatch([match.Value, .. Enumerable.Range(1, _names.Count).Select(i => match.Groups[i].Value)], _names).Expand(replacement, longest);
            // The replacement is read each time, whatever comes of it.
            length += Math.Max(expanded.Length, replacement.Length);
            return length <= longest ? expanded : throw GoMatch.TooLong(longest);
        });
    }
}
