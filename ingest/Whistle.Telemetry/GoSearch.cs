using System.Text;

namespace Whistle.Telemetry;

/// <summary>
/// A regular expression in Go's notation that is looked for anywhere in a text, as Go's own functions do: the dot matches no line break. It
/// takes linear time for each match, off the <see cref="MatchingBudget"/>.
/// </summary>
public sealed class GoSearch
{
    static readonly SharedPatterns<GoSearch> Known = new(p => new(p));

    readonly string _pattern;
    readonly GoProgram _program;
    readonly IReadOnlyList<string> _names;

    /// <exception cref="ArgumentException">The expression is not valid; the message says why.</exception>
    public GoSearch(string pattern)
    {
        _pattern = pattern;
        (var root, _names, _) = GoRegexParser.Parse(pattern, dotAll: false);
        _program = new GoProgram(root);
    }

    /// <summary>Shared by everybody who uses the same expression at the same time.</summary>
    /// <exception cref="ArgumentException">The expression is not valid; the message says why.</exception>
    public static GoSearch Shared(string pattern) => Known[pattern];

    /// <exception cref="MatchingException">The budget is used up.</exception>
    public bool IsMatch(string text) => new GoThreads(_program, _pattern).Find(text, 0, whole: false) is not null;

    /// <param name="text">Where it is looked for.</param>
    /// <param name="replacement">With $1 and ${name} for what groups matched.</param>
    /// <param name="longest">How many characters may be replaced or be put in their place.</param>
    /// <exception cref="FormatException">There are more.</exception>
    /// <exception cref="MatchingException">The budget is used up.</exception>
    public string ReplaceAll(string text, string replacement, int longest)
    {
        var threads = new GoThreads(_program, _pattern);
        var result = new StringBuilder();
        var (copied, end, length) = (0, -1, 0L);
        for (var from = 0; from <= text.Length && threads.Find(text, from, whole: false) is { } places;)
        {
            // Go takes no empty match that follows another at once.
            if (places[1] > places[0] || places[0] != end)
            {
                var expanded = GoMatch.Of(text, places, _names).Expand(replacement, longest);
                // The replacement is read each time, whatever comes of it.
                length += Math.Max(expanded.Length, replacement.Length);
                if (length > longest)
                    throw GoMatch.TooLong(longest);
                result.Append(text, copied, places[0] - copied).Append(expanded);
                (copied, end) = (places[1], places[1]);
            }

            from = places[1] > places[0] ? places[1] : places[1] + 1;
        }

        return result.Append(text, copied, text.Length - copied).ToString();
    }
}
