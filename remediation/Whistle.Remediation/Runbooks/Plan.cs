using Whistle.Actions.Contract;

namespace Whistle.Remediation.Runbooks;

/// <summary>A step of a run's plan, with its parameters as the node gets them (JSON).</summary>
/// <param name="Action">The action; for other steps what they are: wait, task, approval.</param>
/// <param name="Parameters">For other steps the condition, what a person is to do, or who says yes.</param>
/// <param name="OnlyReads">It changes nothing, by its nature or because it is a dry run.</param>
public sealed record PlanStep(string Name, string Action, string Parameters, TimeSpan Timeout, bool OnlyReads)
{
    internal static PlanStep Of(PlannedStep planned) => planned.Step.Kind is StepKind.Action
        ? new(planned.Step.Name, planned.Step.Action, planned.Parameters, planned.Step.Timeout, planned.Traits.ReadOnly)
        : new(planned.Step.Name, planned.Step.Kind.ToString().ToLowerInvariant(), planned.Text, planned.Step.Timeout, OnlyReads: true);
}

/// <summary>What a runbook makes of one signal: the commands, rendered.</summary>
sealed record Plan(string Hash, IReadOnlyList<PlannedStep> Steps)
{
    /// <summary>What must be known before the step of that index and all that follow.</summary>
    public ActionTraits From(int step) => Steps.Skip(step).Select(s => s.Traits).Aggregate(ActionTraits.None, (a, b) => a.And(b));
}

sealed record PlannedStep(RunbookStep Step, string Parameters)
{
    public required ActionTraits Traits { get; init; }

    /// <summary>The condition of a wait, what a person is to do, or who says yes.</summary>
    public string Text { get; init; } = "";
}
