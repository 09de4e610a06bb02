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
    /// <summary>The last rung of every ladder: people.</summary>
    internal const string Escalate = "escalate";

    public required string Name { get; init; }

    public required string Summary { get; init; }

    public required string File { get; init; }

    public required string Text { get; init; }

    /// <summary>SHA-256 of the text, in hexadecimal.</summary>
    public required string Hash { get; init; }

    public required RunbookMode Mode { get; init; }

    /// <summary>Empty where it is only a rung of other runbooks' ladders.</summary>
    internal IReadOnlyList<AnsweredSignal> Answers { get; init; } = [];

    /// <summary>Names for texts made of the signal's labels; a step says <c>${name}</c>.</summary>
    internal IReadOnlyDictionary<string, string> Parameters { get; init; } = new Dictionary<string, string>();

    internal GateNumbers Gates { get; init; } = new();

    internal IReadOnlyList<RunbookStep> Steps { get; init; } = [];

    internal Verification Verify { get; init; } = new(TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(2), null);

    /// <summary>Steps whose reports go into a page.</summary>
    internal IReadOnlyList<string> PageAttaches { get; init; } = [];

    internal IReadOnlyList<string> TicketAttaches { get; init; } = [];

    /// <summary>
    /// The runbooks that are tried after this one, by name, in their order; without the last rung, which is always people.
    /// </summary>
    internal IReadOnlyList<string> Ladder { get; init; } = [];

    internal bool IsAnswerTo(string name, Labels labels) => Answers.Any(a => a.Signal == name && a.Labels.All(m => m.IsMatch(labels)));
}

sealed record AnsweredSignal(string Signal, IReadOnlyList<LabelMatcher> Labels);

enum WindowRule
{
    /// <summary>What takes a node down waits for the maintenance window.</summary>
    Auto,

    /// <summary>Whatever it does waits for the window.</summary>
    Required,

    /// <summary>It repairs what is broken already and waits for none. A change freeze still holds it.</summary>
    Ignored,
}

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

    /// <summary>Runs at work at a time, by scope.</summary>
    public IReadOnlyDictionary<string, int> MaxConcurrent { get; init; } =
        new Dictionary<string, int> { ["node"] = 1, ["zone"] = 3, ["cluster"] = 5, ["tenant"] = 10, ["fleet"] = 20 };

    /// <summary>More nodes than this, and more than <see cref="BlastPercent"/>, are in trouble: the cause is elsewhere.</summary>
    public int BlastNodes { get; init; } = 2;

    public int BlastPercent { get; init; } = 20;

    /// <summary>Nothing new starts for so long after a storm.</summary>
    public TimeSpan StormCoolDown { get; init; } = TimeSpan.FromMinutes(10);

    public WindowRule Window { get; init; }

    /// <summary>An incident that began this often within <see cref="FlappingWithin"/> is damped.</summary>
    public int FlappingOnsets { get; init; } = 4;

    public TimeSpan FlappingWithin { get; init; } = TimeSpan.FromHours(1);
}

enum StepKind
{
    /// <summary>An agent does it.</summary>
    Action,

    /// <summary>Until a PromQL expression yields something.</summary>
    Wait,

    /// <summary>A person does it and says so.</summary>
    Task,

    /// <summary>A person says yes to this plan.</summary>
    Approval,
}

/// <param name="Action">Empty where nobody but people or the detector is asked.</param>
/// <param name="Parameters">A tree of text, numbers, truth values, lists and mappings; <c>${label}</c> in a text is the signal's
/// label.</param>
/// <param name="GoesOn">After a failure the next step follows.</param>
sealed record RunbookStep(
    string Name, string Action, IReadOnlyDictionary<string, object?> Parameters, TimeSpan Timeout, bool DryRun, bool GoesOn)
{
    public StepKind Kind { get; init; }

    /// <summary>The expression of a wait, what a person is to do, or who says yes.</summary>
    public string Text { get; init; } = "";

    /// <summary>
    /// What takes back what the step changed. Its parameters may also name fields of the step's own report: <c>${output.before}</c>.
    /// </summary>
    public RunbookStep? Undo { get; init; }

    /// <summary>After an undo: PromQL that must yield something within its timeout, or it is not undone.</summary>
    public string? Proof { get; init; }
}

/// <param name="Within">The signals must clear within this time after the last step.</param>
/// <param name="For">They must stay clear for this long.</param>
/// <param name="Expression">PromQL that must yield something (or a scalar that is not 0); null where none is asked.</param>
sealed record Verification(TimeSpan Within, TimeSpan For, string? Expression);
