using Whistle.Detectors.Rules;
using Whistle.Detectors.Signals;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors.Evaluation;

/// <summary>How a rule's last evaluation went. Replaced whole, so that readers need no lock.</summary>
sealed record RuleReport(IReadOnlyList<Signal> Signals, string? Error, DateTimeOffset? At, TimeSpan Duration)
{
    public static readonly RuleReport None = new([], null, null, TimeSpan.Zero);
}

/// <summary>What is kept of a rule between evaluations. Only its group's evaluation writes here.</summary>
sealed class RuleState(Rule rule, string key, RuleSources sources)
{
    public Rule Rule => rule;

    /// <summary>Group key and rule identity: what signals in the database refer to.</summary>
    public string Key => key;

    public RuleSources Sources => sources;

    /// <summary>Active signals by their labels.</summary>
    public Dictionary<Labels, Signal> Signals { get; init; } = [];

    /// <summary>The expression on what the head has; null where there is no head.</summary>
    public StandingQuery? Standing { get; init; }

    /// <summary>The standing query's latest result; kept for its room.</summary>
    public List<StandingPoint> Points { get; } = [];

    /// <summary>The series that the rule writes.</summary>
    public RecordedOutput Recorded { get; init; } = new();

    public RuleReport Report
    {
        get => Volatile.Read(ref field);
        set => Volatile.Write(ref field, value);
    } = RuleReport.None;
}
