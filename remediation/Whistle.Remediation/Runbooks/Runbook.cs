using Whistle.Telemetry;

namespace Whistle.Remediation.Runbooks;

/// <summary>How far a runbook may go. The strictest of all that apply wins, so the order matters.</summary>
public enum RunbookMode
{
    Off,

    /// <summary>All is planned and shown, nothing is sent.</summary>
    Observe,

    /// <summary>A person must say yes to the plan.</summary>
    Approve,
    Automatic,
}

/// <summary>One valid runbook. Immutable; a reload makes another, and a run keeps the one it began with.</summary>
public sealed record Runbook
{
    public required string Name { get; init; }

    public required string Summary { get; init; }

    public required string File { get; init; }

    public required string Text { get; init; }

    /// <summary>SHA-256 of the text, in hexadecimal.</summary>
    public required string Hash { get; init; }

    public required RunbookMode Mode { get; init; }

    internal IReadOnlyList<AnsweredSignal> Answers { get; init; } = [];

    internal GateNumbers Gates { get; init; } = new();

    internal IReadOnlyList<RunbookStep> Steps { get; init; } = [];

    internal Verification Verify { get; init; } = new(TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(2), null);

    /// <summary>Steps whose reports go into a page.</summary>
    internal IReadOnlyList<string> PageAttaches { get; init; } = [];

    internal IReadOnlyList<string> TicketAttaches { get; init; } = [];

    internal bool IsAnswerTo(string name, Labels labels) => Answers.Any(a => a.Signal == name && a.Labels.All(m => m.IsMatch(labels)));
}

sealed record AnsweredSignal(string Signal, IReadOnlyList<LabelMatcher> Labels);

/// <summary>The numbers of a runbook's gates.</summary>
sealed record GateNumbers
{
    /// <summary>A lone signal must have fired for this long.</summary>
    public TimeSpan Sustained { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>The signals' last evaluation must be newer than this; two of their intervals.</summary>
    public TimeSpan Freshness { get; init; } = TimeSpan.FromMinutes(2);

    public TimeSpan CoolDown { get; init; } = TimeSpan.FromMinutes(15);

    public int Attempts { get; init; } = 2;

    /// <summary>The cool-down is multiplied by this after each further attempt.</summary>
    public double BackOff { get; init; } = 2;

    /// <summary>Runs at work at a time, by scope: node, cluster, tenant, fleet.</summary>
    public IReadOnlyDictionary<string, int> MaxConcurrent { get; init; } = new Dictionary<string, int> { ["node"] = 1, ["cluster"] = 5, ["fleet"] = 20 };
}

/// <param name="Parameters">A tree of text, numbers, truth values, lists and mappings; <c>${label}</c> in a text is the signal's label.</param>
/// <param name="GoesOn">After a failure the next step follows.</param>
sealed record RunbookStep(
    string Name, string Action, IReadOnlyDictionary<string, object?> Parameters, TimeSpan Timeout, bool DryRun, bool GoesOn)
{
    public ActionTraits Traits => ActionCatalogue.Find(Action) ?? ActionTraits.Unknown;
}

/// <param name="Within">The signals must clear within this time after the last step.</param>
/// <param name="For">They must stay clear for this long.</param>
/// <param name="Expression">PromQL that must yield something (or a scalar that is not 0); null where none is asked.</param>
sealed record Verification(TimeSpan Within, TimeSpan For, string? Expression);
