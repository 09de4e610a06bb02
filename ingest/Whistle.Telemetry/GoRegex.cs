namespace Whistle.Telemetry;

/// <summary>
/// A regular expression in Go's notation (RE2), as Prometheus's matchers and label_replace take it: anchored at both ends, the dot
/// matches a line break, groups are numbered as they open, and matching takes linear time whatever the expression is: at most as many steps
/// a character as it has instructions, off the <see cref="MatchingBudget"/>.
/// </summary>
public sealed class GoRegex
{
    static readonly SharedPatterns<GoRegex> Known = new(p => new(p));

    readonly string _pattern;
    readonly GoProgram? _program;
    readonly GoAutomaton? _automaton;
    readonly HashSet<string>? _literals;
    readonly IReadOnlyList<string> _names;

    /// <exception cref="ArgumentException">The expression is not valid; the message says why.</exception>
    public GoRegex(string pattern)
    {
        _pattern = pattern;
        (var root, _names, var literals) = GoRegexParser.Parse(pattern);
        if (literals is not null)
        {
            _literals = [.. literals];
            return;
        }

        _program = new GoProgram(root);
        _automaton = new GoAutomaton(_program, pattern);
    }

    /// <summary>Shared by everybody who uses the same expression at the same time: what it learns while matching takes memory.</summary>
    /// <exception cref="ArgumentException">The expression is not valid; the message says why.</exception>
    public static GoRegex Shared(string pattern) => Known[pattern];

    /// <summary>Where it can match only these texts; null for any other.</summary>
    public IReadOnlyCollection<string>? Literals => _literals;

    /// <exception cref="MatchingException">The budget is used up.</exception>
    public bool IsMatch(string text) => _literals?.Contains(text) ?? _automaton!.IsMatch(text);

    /// <summary>What each group matched, the whole text as group 0; null where it does not match.</summary>
    /// <exception cref="MatchingException">The budget is used up.</exception>
    public GoMatch? Match(string text)
    {
        if (!IsMatch(text))
            return null;
        return _names.Count == 0
            ? new GoMatch([text], _names)
            : GoMatch.Of(text, new GoThreads(_program!, _pattern).Find(text, 0, whole: true)!, _names);
    }
}
