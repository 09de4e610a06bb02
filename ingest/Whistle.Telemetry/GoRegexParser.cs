using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;

namespace Whistle.Telemetry;

/// <summary>Reads Go's notation, with its limits of repetition.</summary>
ref struct GoRegexParser
{
    const int MaxRepeat = 1000;
    const int MaxDepth = 1000;
    const string Digits = "0-9";
    const string WordCharacters = "0-9A-Za-z_";
    const string Spaces = @"\t\n\f\r\x20";

    readonly string _pattern;
    readonly List<string> _names = [];
    readonly List<string> _literals = [];
    readonly StringBuilder _literal = new();
    bool _isLiteral = true;
    int _at;
    int _depth;

    // What the sequence that is read has so far; the last is what a quantifier repeats.
    List<GoNode> _parts = [];
    readonly Dictionary<string, GoCharSet> _sets = [];

    GoRegexParser(string pattern) => _pattern = pattern;

    [Flags]
    enum Flags
    {
        None = 0,
        IgnoreCase = 1,
        MultiLine = 2,
        DotAll = 4,
        Ungreedy = 8,
    }

    /// <returns>The expression, the names of its groups, and the texts that alone can match where it is but a list of literals.</returns>
    /// <exception cref="ArgumentException">The expression is not valid; the message says why.</exception>
    public static (GoNode Root, IReadOnlyList<string> Names, IReadOnlyList<string>? Literals) Parse(string pattern, bool dotAll = true)
    {
        var parser = new GoRegexParser(pattern);
        var flags = dotAll ? Flags.DotAll : Flags.None;
        var (root, _) = parser.Alternatives(ref flags);
        if (parser._at < pattern.Length)
            throw parser.Error("unexpected )");
        parser._literals.Add(parser._literal.ToString());
        return (root, parser._names, parser._isLiteral ? parser._literals : null);
    }

    // With how often the most repeated part is repeated.
    (GoNode Node, int Times) Alternatives(ref Flags flags)
    {
        if (++_depth > MaxDepth || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw Error("nested too deeply");
        var outer = _parts;
        var choices = new List<GoNode>();
        _parts = [];
        var most = 1;
        while (_at < _pattern.Length && _pattern[_at] != ')')
        {
            if (_pattern[_at] == '|')
            {
                _at++;
                choices.Add(new GoSequence(_parts));
                _parts = [];
                _literals.Add(_literal.ToString());
                _literal.Clear();
                continue;
            }

            most = Math.Max(most, Repeated(ref flags));
        }

        choices.Add(new GoSequence(_parts));
        _parts = outer;
        _depth--;
        return (choices is [var only] ? only : new GoChoice(choices), most);
    }

    int Repeated(ref Flags flags)
    {
        var times = Atom(ref flags, out var repeatable);
        if (_at >= _pattern.Length || !TryQuantifier(out var least, out var most))
            return times;
        // An empty quotation is nothing that could be repeated.
        if (!repeatable || _parts.Count == 0)
            throw Error("missing argument to repetition operator");
        _isLiteral = false;
        var lazy = _at < _pattern.Length && _pattern[_at] == '?';
        if (lazy)
            _at++;
        if (_at < _pattern.Length && TryQuantifier(out _, out _))
            throw Error("invalid nested repetition operator");
        times *= Math.Max(most ?? least, 1);
        if (times > MaxRepeat)
            throw Error($"repeated more than {MaxRepeat} times");
        _parts[^1] = new GoRepeat(_parts[^1], least, most, greedy: lazy == flags.HasFlag(Flags.Ungreedy));
        return times;
    }

    bool TryQuantifier(out int least, out int? most)
    {
        (least, most) = (0, null);
        var c = _pattern[_at];
        if (c is '*' or '+' or '?')
        {
            (least, most) = (c == '+' ? 1 : 0, c == '?' ? 1 : null);
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
        var highest = 0;
        if (parts.Length > 2 || !Count(parts[0], out least) || (parts.Length == 2 && parts[1].Length > 0 && !Count(parts[1], out highest)))
            return false;
        most = parts.Length == 1 ? least : parts[1].Length == 0 ? null : highest;
        if (most < least || least > MaxRepeat || most > MaxRepeat)
            throw Error("invalid repeat count");
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
                Asserts(flags.HasFlag(Flags.MultiLine) ? GoAssertion.BeginLine : GoAssertion.BeginText);
                return 1;
            case '$':
                Asserts(flags.HasFlag(Flags.MultiLine) ? GoAssertion.EndLine : GoAssertion.EndText);
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
        var number = 0;
        if (!_pattern.AsSpan(_at).StartsWith("?"))
        {
            number = Open("");
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
            number = Open(name);
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
        }

        var (node, most) = Alternatives(ref inner);
        if (_at >= _pattern.Length)
            throw Error("missing closing )");
        _at++;
        _parts.Add(number > 0 ? new GoGroup(number, node) : node);
        return most;
    }

    int Open(string name)
    {
        _names.Add(name);
        return _names.Count;
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
            for (var i = 0; i < quoted.Length; i++)
                Literal(char.IsSurrogatePair(quoted, i) ? quoted.Substring(i++, 2) : quoted[i].ToString(), flags);
            return;
        }

        if (c is 'A' or 'z' or 'b' or 'B')
        {
            _at++;
            Asserts(c switch
            {
                'A' => GoAssertion.BeginText,
                'z' => GoAssertion.EndText,
                'b' => GoAssertion.WordBoundary,
                _ => GoAssertion.NoWordBoundary,
            });
            return;
        }

        if (ClassEscape() is { } set)
        {
            Special($"[{set}]", flags);
            return;
        }

        Literal(char.ConvertFromUtf32(CharacterEscape()), flags);
    }

    /// <summary>
    /// \d, \w, \s, \pL and their negations as the inside of a class; null where it is another escape, which is left there.
    /// </summary>
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
        if ((!braced && digits.Length < 2)
            || !int.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) || !Rune.IsValid(value))
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

    void Asserts(GoAssertion assertion)
    {
        _isLiteral = false;
        _parts.Add(new GoAssert(assertion));
    }

    void Special(string set, Flags flags = Flags.None)
    {
        _isLiteral = false;
        _parts.Add(Take(flags.HasFlag(Flags.IgnoreCase) ? $"(?i:{set})" : set));
    }

    /// <param name="character">One, which may be a surrogate pair.</param>
    void Literal(string character, Flags flags)
    {
        _literal.Append(character);
        _isLiteral &= !flags.HasFlag(Flags.IgnoreCase);
        if (character.Length > 1)
            _parts.Add(new GoSequence([Take(Regex.Escape(character[..1])), Take(Regex.Escape(character[1..]))]));
        else if (flags.HasFlag(Flags.IgnoreCase))
            _parts.Add(Take($"(?i:{Regex.Escape(character)})"));
        else
            _parts.Add(Take(Regex.Escape(character)));
    }

    readonly GoTake Take(string set)
    {
        if (!_sets.TryGetValue(set, out var known))
            _sets[set] = known = new GoCharSet(set);
        return new GoTake(known);
    }

    readonly ArgumentException Error(string reason) =>
        new($"bad regular expression at character {Math.Min(_at, _pattern.Length)}: {reason}");
}
