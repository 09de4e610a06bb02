using System.Text.RegularExpressions;

namespace Whistle.Telemetry;

/// <summary>
/// A regular expression in Go's notation that is looked for anywhere in a text, as Go's own functions do: the dot matches no line break. It
/// takes linear time.
/// </summary>
public sealed class GoSearch
{
    readonly Regex _regex;
    readonly IReadOnlyList<string> _names;

    /// <exception cref="ArgumentException">The expression is not valid; the message says why.</exception>
    public GoSearch(string pattern)
    {
        (var text, _names, _) = GoRegexTranslator.Translate(pattern, dotAll: false);
        _regex = GoRegex.Compile(text);
    }

    public bool IsMatch(string text) => _regex.IsMatch(text);

    /// <param name="text">Where it is looked for.</param>
    /// <param name="replacement">With $1 and ${name} for what groups matched.</param>
    public string ReplaceAll(string text, string replacement)
    {
        var end = -1;
        return _regex.Replace(text, match =>
        {
            // Go takes no empty match that follows another at once.
            if (match.Length == 0 && match.Index == end)
                return "";
            end = match.Index + match.Length;
            return new GoMatch([match.Value, .. Enumerable.Range(1, _names.Count).Select(i => match.Groups[i].Value)], _names).Expand(replacement);
        });
    }
}
