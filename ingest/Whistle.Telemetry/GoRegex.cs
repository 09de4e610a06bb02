using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Whistle.Telemetry;

/// <summary>
/// A regular expression in Go's notation (RE2), as Prometheus's matchers and label_replace take it: anchored at both ends, the dot
/// matches a line break, groups are numbered as they open, and matching takes linear time whatever the expression is.
/// </summary>
public sealed class GoRegex
{
    static readonly SharedPatterns<GoRegex> Known = new(p => new(p));

    readonly Regex? _regex;
    readonly HashSet<string>? _literals;
    readonly IReadOnlyList<string> _names;

    /// <exception cref="ArgumentException">The expression is not valid; the message says why.</exception>
    public GoRegex(string pattern)
    {
        var (text, names, literals) = GoRegexTranslator.Translate(pattern);
        _names = names;
        if (literals is not null)
            _literals = [.. literals];
        else
            _regex = Compile($@"\A(?:{text})\z");
    }

    /// <summary>One for all who use the same expression meanwhile: what it learns while it matches takes room.</summary>
    /// <exception cref="ArgumentException">The expression is not valid; the message says why.</exception>
    public static GoRegex Shared(string pattern) => Known[pattern];

    /// <summary>Where it can match only these texts; null for any other.</summary>
    public IReadOnlyCollection<string>? Literals => _literals;

    public bool IsMatch(string text) => _literals?.Contains(text) ?? _regex!.IsMatch(text);

    /// <summary>What each group matched, the whole text as group 0; null where it does not match.</summary>
    public GoMatch? Match(string text)
    {
        if (_regex is null)
            return IsMatch(text) ? new GoMatch([text], _names) : null;
        var match = _regex.Match(text);
        return match.Success ? new GoMatch([text, .. Enumerable.Range(1, _names.Count).Select(i => match.Groups[i].Value)], _names) : null;
    }

    // NonBacktracking is what makes a hostile expression harmless.
    internal static Regex Compile(string text)
    {
        try
        {
            return new Regex(text, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (NotSupportedException)
        {
            throw new ArgumentException("bad regular expression: it is too large; repeat less in it");
        }
    }
}

/// <summary>From Go's notation to .NET's. Where the two differ for the same text, it writes out what Go means.</summary>
ref struct GoRegexTranslator
{
    const int MaxRepeat = 1000;
    const int MaxDepth = 250;
    const string Digits = "0-9";
    const string WordCharacters = "0-9A-Za-z_";
    const string Spaces = @"\t\n\f\r\x20";

    readonly string _pattern;
    readonly StringBuilder _out = new();
    readonly List<string> _names = [];
    readonly List<string> _literals = [];
    readonly StringBuilder _literal = new();
    bool _isLiteral = true;
    int _at;
    int _depth;
    int _notRepeated;

    GoRegexTranslator(string pattern) => _pattern = pattern;

    [Flags]
    enum Flags
    {
        None = 0,
        IgnoreCase = 1,
        MultiLine = 2,
        DotAll = 4,
        Ungreedy = 8,
    }

    /// <returns>.NET's text, the names of the groups, and the texts that alone can match where it is but a list of literals.</returns>
    public static (string Text, IReadOnlyList<string> Names, IReadOnlyList<string>? Literals) Translate(string pattern, bool dotAll = true)
    {
        var translator = new GoRegexTranslator(pattern);
        var flags = dotAll ? Flags.DotAll : Flags.None;
        translator.Alternatives(ref flags);
        if (translator._at < pattern.Length)
            throw translator.Error("unexpected )");
        translator._literals.Add(translator._literal.ToString());
        return (translator._out.ToString(), translator._names, translator._isLiteral ? translator._literals : null);
    }

    // Returns how often the most repeated part is repeated.
    int Alternatives(ref Flags flags)
    {
        if (++_depth > MaxDepth)
            throw Error("nested too deeply");
        var most = 1;
        while (_at < _pattern.Length && _pattern[_at] != ')')
        {
            if (_pattern[_at] == '|')
            {
                _at++;
                _out.Append('|');
                _literals.Add(_literal.ToString());
                _literal.Clear();
                continue;
            }

            most = Math.Max(most, Repeated(ref flags));
        }

        _depth--;
        return most;
    }

    int Repeated(ref Flags flags)
    {
        var start = _out.Length;
        var isEscape = _pattern[_at] == '\\';
        _notRepeated = 0;
        var times = Atom(ref flags, out var repeatable);
        if (isEscape)
            start += _notRepeated;
        if (_at >= _pattern.Length || !TryQuantifier(out var quantifier, out var repeat))
            return times;
        if (!repeatable)
            throw Error("missing argument to repetition operator");
        _isLiteral = false;
        var lazy = _at < _pattern.Length && _pattern[_at] == '?';
        if (lazy)
            _at++;
        if (_at < _pattern.Length && TryQuantifier(out _, out _))
            throw Error("invalid nested repetition operator");
        if (times * repeat > MaxRepeat)
            throw Error($"repeated more than {MaxRepeat} times");
        _out.Insert(start, "(?:").Append(')').Append(quantifier);
        if (lazy != flags.HasFlag(Flags.Ungreedy))
            _out.Append('?');
        return times * repeat;
    }

    bool TryQuantifier(out string quantifier, out int repeat)
    {
        (quantifier, repeat) = ("", 1);
        var c = _pattern[_at];
        if (c is '*' or '+' or '?')
        {
            quantifier = c.ToString();
            _at++;
            return true;
        }

        if (c != '{')
            return false;
        // What does not look like a count is a brace.
        var end = _pattern.IndexOf('}', _at);
        if (end < 0)
            return false;
        var parts = _pattern[(_at + 1)..end].Split(',');
        if (parts.Length > 2 || !Count(parts[0], out var least) || (parts.Length == 2 && parts[1].Length > 0 && !Count(parts[1], out _)))
            return false;
        var most = parts.Length == 1 ? least : parts[1].Length == 0 ? least : int.Parse(parts[1], CultureInfo.InvariantCulture);
        if (most < least || most > MaxRepeat)
            throw Error("invalid repeat count");
        quantifier = _pattern[_at..(end + 1)];
        repeat = Math.Max(most, 1);
        _at = end + 1;
        return true;

        static bool Count(string text, out int count) =>
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out count) && (text.Length == 1 || text[0] != '0');
    }

    int Atom(ref Flags flags, out bool repeatable)
    {
        repeatable = true;
        var c = _pattern[_at++];
        switch (c)
        {
            case '(':
                return Group(ref flags, out repeatable);
            case '[':
                Class(flags);
                return 1;
            case '.':
                Special(flags.HasFlag(Flags.DotAll) ? @"[\s\S]" : @"[^\n]");
                return 1;
            case '^':
                Special(flags.HasFlag(Flags.MultiLine) ? "(?m:^)" : @"\A");
                return 1;
            case '$':
                Special(flags.HasFlag(Flags.MultiLine) ? "(?m:$)" : @"\z");
                return 1;
            case '*' or '+' or '?':
                throw Error("missing argument to repetition operator");
            case '\\':
                Escape(flags);
                return 1;
            default:
                Literal(char.IsSurrogatePair(_pattern, _at - 1) ? _pattern.Substring(_at++ - 1, 2) : c.ToString(), flags);
                return 1;
        }
    }

    int Group(ref Flags flags, out bool repeatable)
    {
        repeatable = true;
        _isLiteral = false;
        var inner = flags;
        if (!_pattern.AsSpan(_at).StartsWith("?"))
        {
            Open("");
        }
        else if (_pattern.AsSpan(_at).StartsWith("?P<") || _pattern.AsSpan(_at).StartsWith("?<"))
        {
            var start = _pattern.IndexOf('<', _at) + 1;
            var end = _pattern.IndexOf('>', start);
            var name = end < 0 ? "" : _pattern[start..end];
            if (name.Length == 0 || !name.All(static c => char.IsAsciiLetterOrDigit(c) || c == '_'))
                throw Error("invalid named capture");
            if (_names.Contains(name))
                throw Error($"duplicate group name {name}");
            _at = end + 1;
            Open(name);
        }
        else
        {
            _at++;
            inner = FlagsOf(flags);
            if (_pattern[_at - 1] == ')')
            {
                // They hold to the end of the group around them.
                flags = inner;
                repeatable = false;
                return 1;
            }

            _out.Append("(?:");
        }

        var most = Alternatives(ref inner);
        if (_at >= _pattern.Length)
            throw Error("missing closing )");
        _at++;
        _out.Append(')');
        return most;
    }

    void Open(string name)
    {
        _names.Add(name);
        // Numbered openly: .NET would number named groups after the others.
        _out.Append(CultureInfo.InvariantCulture, $"(?<{_names.Count}>");
    }

    Flags FlagsOf(Flags flags)
    {
        var (on, any) = (true, false);
        while (_at < _pattern.Length)
        {
            var c = _pattern[_at++];
            if (c is ')' or ':')
                return any || c == ':' ? flags : throw Error("missing flags");
            if (c == '-' && on)
            {
                (on, any) = (false, false);
                continue;
            }

            any = true;
            var flag = c switch
            {
                'i' => Flags.IgnoreCase,
                'm' => Flags.MultiLine,
                's' => Flags.DotAll,
                'U' => Flags.Ungreedy,
                _ => throw Error($"invalid or unsupported group (?{c}: look-around and back-references are not part of RE2"),
            };
            flags = on ? flags | flag : flags & ~flag;
        }

        throw Error("missing closing )");
    }

    void Escape(Flags flags)
    {
        if (_at >= _pattern.Length)
            throw Error("trailing backslash");
        var c = _pattern[_at];
        if (c == 'Q')
        {
            var end = _pattern.IndexOf(@"\E", _at, StringComparison.Ordinal);
            var quoted = end < 0 ? _pattern[(_at + 1)..] : _pattern[(_at + 1)..end];
            _at = end < 0 ? _pattern.Length : end + 2;
            // A quantifier repeats only its last character.
            var before = _out.Length;
            if (quoted.Length > 1)
                Literal(quoted[..^1], flags);
            _notRepeated = _out.Length - before;
            Literal(quoted.Length == 0 ? "" : quoted[^1..], flags);
            return;
        }

        if (c is 'A' or 'z' or 'b' or 'B')
        {
            _at++;
            Special($@"\{c}");
            return;
        }

        if (ClassEscape() is { } set)
        {
            Special($"[{set}]", flags);
            return;
        }

        Literal(char.ConvertFromUtf32(CharacterEscape()), flags);
    }

    /// <summary>\d, \w, \s, \pL and their negations as the inside of a class; null where it is another escape, which is left there.</summary>
    string? ClassEscape()
    {
        switch (_pattern[_at])
        {
            case 'd':
                _at++;
                return Digits;
            case 'w':
                _at++;
                return WordCharacters;
            case 's':
                _at++;
                return Spaces;
            case 'D':
                _at++;
                return @"\x00-/:-\uffff";
            case 'W':
                _at++;
                return @"\x00-/:-@\[-\^`\{-\uffff";
            case 'S':
                _at++;
                return @"\x00-\x08\x0b\x0e-\x1f!-\uffff";
            case 'p' or 'P':
                return Category();
            default:
                return null;
        }
    }

    string Category()
    {
        var negated = _pattern[_at++] == 'P';
        var name = "";
        if (_at < _pattern.Length && _pattern[_at] != '{')
        {
            name = _pattern[_at++].ToString();
        }
        else if (_at < _pattern.Length && _pattern.IndexOf('}', _at) is > 0 and var end)
        {
            name = _pattern[(_at + 1)..end];
            _at = end + 1;
        }

        if (name.StartsWith('^'))
            (negated, name) = (!negated, name[1..]);
        if (name.Length is 0 or > 2 || !"LMNPSZC".Contains(name[0], StringComparison.Ordinal))
            throw Error($@"the character class \p{{{name}}} is not supported: take one of Unicode's general categories, as \pL");
        return $@"\{(negated ? 'P' : 'p')}{{{name}}}";
    }

    int CharacterEscape()
    {
        var c = _pattern[_at++];
        switch (c)
        {
            case 'a': return '\a';
            case 'f': return '\f';
            case 't': return '\t';
            case 'n': return '\n';
            case 'r': return '\r';
            case 'v': return '\v';
            case 'x': return Hexadecimal();
            case >= '0' and <= '7' when c == '0' || (_at < _pattern.Length && _pattern[_at] is >= '0' and <= '7'):
                return Octal(c - '0');
        }

        if (char.IsAscii(c) && !char.IsAsciiLetterOrDigit(c))
            return c;
        throw Error($@"invalid escape \{c}");
    }

    int Octal(int value)
    {
        for (var i = 0; i < 2 && _at < _pattern.Length && _pattern[_at] is >= '0' and <= '7'; i++)
            value = (value * 8) + _pattern[_at++] - '0';
        return value;
    }

    int Hexadecimal()
    {
        var braced = _at < _pattern.Length && _pattern[_at] == '{';
        var end = braced ? _pattern.IndexOf('}', _at) : Math.Min(_at + 2, _pattern.Length);
        var digits = end < 0 ? "" : _pattern[(braced ? _at + 1 : _at)..end];
        if ((!braced && digits.Length < 2) || !int.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) || !Rune.IsValid(value))
            throw Error(@"invalid escape \x");
        _at = braced ? end + 1 : end;
        return value;
    }

    void Class(Flags flags)
    {
        var set = new StringBuilder("[");
        if (_at < _pattern.Length && _pattern[_at] == '^')
        {
            _at++;
            set.Append('^');
        }

        var first = true;
        while (_at < _pattern.Length && (first || _pattern[_at] != ']'))
        {
            first = false;
            if (NamedClass() is { } named)
            {
                set.Append(named);
                continue;
            }

            if (_pattern[_at] == '\\' && _at + 1 < _pattern.Length)
            {
                _at++;
                if (ClassEscape() is { } escaped)
                {
                    set.Append(escaped);
                    continue;
                }

                _at--;
            }

            var low = ClassCharacter();
            var high = low;
            if (_at + 1 < _pattern.Length && _pattern[_at] == '-' && _pattern[_at + 1] != ']')
            {
                _at++;
                high = ClassCharacter();
            }

            if (high < low)
                throw Error("invalid character class range");
            set.Append(CultureInfo.InvariantCulture, $@"\u{low:x4}-\u{high:x4}");
        }

        if (_at >= _pattern.Length)
            throw Error("missing closing ]");
        _at++;
        Special(set.Append(']').ToString(), flags);
    }

    int ClassCharacter()
    {
        if (_at >= _pattern.Length)
            throw Error("missing closing ]");
        if (_pattern[_at] == '\\')
        {
            _at++;
            if (_at >= _pattern.Length)
                throw Error("trailing backslash");
            return Narrow(CharacterEscape());
        }

        return Narrow(char.IsSurrogate(_pattern[_at]) ? 0x10000 : _pattern[_at++]);
    }

    int Narrow(int character) => character <= 0xffff ? character : throw Error("characters beyond U+FFFF are not supported in a class");

    // [:alpha:] and [:^alpha:], only inside brackets.
    string? NamedClass()
    {
        if (!_pattern.AsSpan(_at).StartsWith("[:"))
            return null;
        var end = _pattern.IndexOf(":]", _at + 2, StringComparison.Ordinal);
        if (end < 0)
            return null;
        var name = _pattern[(_at + 2)..end];
        var negated = name.StartsWith('^');
        var set = (negated ? name[1..] : name) switch
        {
            "alnum" => "0-9A-Za-z",
            "alpha" => "A-Za-z",
            "ascii" => @"\x00-\x7f",
            "blank" => @"\t\x20",
            "cntrl" => @"\x00-\x1f\x7f",
            "digit" => Digits,
            "graph" => "!-~",
            "lower" => "a-z",
            "print" => @"\x20-~",
            "punct" => @"!-/:-@\[-`\{-~",
            "space" => @"\t-\r\x20",
            "upper" => "A-Z",
            "word" => WordCharacters,
            "xdigit" => "0-9A-Fa-f",
            _ => throw Error($"invalid character class [:{name}:]"),
        };
        _at = end + 2;
        return negated ? Complement(set) : set;
    }

    // .NET has no negation inside a class.
    static string Complement(string set)
    {
        var inside = new Regex($"[{set}]", RegexOptions.CultureInvariant);
        var outside = new StringBuilder();
        for (var c = 0; c < 0x80; c++)
        {
            if (!inside.IsMatch(((char)c).ToString()))
                outside.Append(CultureInfo.InvariantCulture, $@"\u{c:x4}");
        }

        return outside.Append(@"\u0080-\uffff").ToString();
    }

    void Special(string text, Flags flags = Flags.None)
    {
        _isLiteral = false;
        _out.Append(flags.HasFlag(Flags.IgnoreCase) ? $"(?i:{text})" : text);
    }

    void Literal(string text, Flags flags)
    {
        if (flags.HasFlag(Flags.IgnoreCase))
        {
            Special(Regex.Escape(text), flags);
            return;
        }

        _literal.Append(text);
        _out.Append(Regex.Escape(text));
    }

    readonly ArgumentException Error(string reason) => new($"bad regular expression at character {Math.Min(_at, _pattern.Length)}: {reason}");
}
