namespace Whistle.Ingest.Influx;

/// <summary>Which regular expressions mean the same for a text and for what <see cref="InfluxText"/> makes of it.</summary>
/// <remarks>
/// Letters that stay themselves, sets of them, groups, alternatives and repetitions. A wildcard for any number of letters matches what they
/// become, too; but it also matches parts of that, so with one the pattern may say yes where the text's own does not.
/// </remarks>
static class PlainPattern
{
    public static bool IsPlain(string pattern, out bool hasWildcard)
    {
        hasWildcard = false;
        var depth = 0;
        for (var i = 0; i < pattern.Length; i++)
        {
            var next = i + 1 < pattern.Length ? pattern[i + 1] : '\0';
            switch (pattern[i])
            {
                case '.' when next is '*' or '+':
                    hasWildcard = true;
                    i++;
                    break;
                case '\\' when next == '.':
                    i++;
                    break;
                case '(' when next == '?':
                    if (i + 2 >= pattern.Length || pattern[i + 2] != ':')
                        return false;
                    i += 2;
                    depth++;
                    break;
                case '(':
                    depth++;
                    break;
                // It would end the group that anchors the whole.
                case ')' when --depth < 0:
                    return false;
                case ')' or '|' or '*' or '+' or '?':
                    break;
                case '[':
                    if (EndOfSet(pattern, i + 1) is not { } end)
                        return false;
                    i = end;
                    break;
                case var letter when IsPlain(letter):
                    break;
                default:
                    return false;
            }
        }

        return depth == 0;
    }

    static int? EndOfSet(string pattern, int at)
    {
        for (var i = at; i < pattern.Length; i++)
        {
            if (pattern[i] == ']')
                return i > at ? i : null;
            if (!char.IsAsciiLetterOrDigit(pattern[i]))
                return null;
            if (i + 1 < pattern.Length && pattern[i + 1] == '-')
            {
                if (i + 2 >= pattern.Length || Kind(pattern[i]) != Kind(pattern[i + 2]) || Kind(pattern[i]) == 0)
                    return null;
                i += 2;
            }
        }

        return null;
    }

    static int Kind(char letter) =>
        char.IsAsciiDigit(letter) ? 1 : char.IsAsciiLetterLower(letter) ? 2 : char.IsAsciiLetterUpper(letter) ? 3 : 0;

    static bool IsPlain(char letter) => char.IsAsciiLetterOrDigit(letter) || letter is '_' or '-' or ':' or '/' or '@';
}
