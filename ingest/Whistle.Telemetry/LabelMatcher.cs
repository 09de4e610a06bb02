namespace Whistle.Telemetry;

public enum MatchOperator
{
    Equal,
    NotEqual,
    Matches,
    NotMatches,
}

/// <summary>
/// One condition of a selector. An absent label counts as the empty string. Regular expressions are anchored at both
/// ends, the dot matches a line break (as in Prometheus 3), and matching takes linear time.
/// </summary>
public sealed class LabelMatcher
{
    readonly GoRegex? _regex;

    /// <exception cref="ArgumentException">The regular expression is not valid.</exception>
    public LabelMatcher(string name, MatchOperator op, string value)
    {
        Name = name;
        Operator = op;
        Value = value;
        if (op is MatchOperator.Matches or MatchOperator.NotMatches)
            _regex = GoRegex.Shared(value);
    }

    public string Name { get; }

    public MatchOperator Operator { get; }

    public string Value { get; }

    public bool IsMatch(string value) => Operator switch
    {
        MatchOperator.Equal => value == Value,
        MatchOperator.NotEqual => value != Value,
        MatchOperator.Matches => _regex!.IsMatch(value),
        MatchOperator.NotMatches => !_regex!.IsMatch(value),
        _ => throw new InvalidOperationException($"Unknown match operator {Operator}."),
    };

    public bool IsMatch(Labels labels) => IsMatch(labels[Name]);

    public override string ToString()
    {
        var op = Operator switch
        {
            MatchOperator.Equal => "=",
            MatchOperator.NotEqual => "!=",
            MatchOperator.Matches => "=~",
            MatchOperator.NotMatches => "!~",
            _ => throw new InvalidOperationException($"Unknown match operator {Operator}."),
        };
        return $"{Name}{op}\"{Value}\"";
    }
}
