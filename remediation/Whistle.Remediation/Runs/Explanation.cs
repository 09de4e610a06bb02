using Whistle.Remediation.Commands;

namespace Whistle.Remediation.Runs;

/// <summary>One sentence on why nothing happens with a run at this moment, and when that is looked at again.</summary>
static class Explanation
{
    public static string Of(Run run, Command? command) => run.State switch
    {
        RunState.Proposed => "It was just proposed; the gates are asked at the next pass.",
        RunState.Waiting or RunState.AwaitingApproval =>
            $"It waits since {Clock(run.Since)}: {run.Reason} The gates are asked again every second.",
        RunState.Running => Step(run, command),
        RunState.Verifying => run.ClearSince is { } clear
            ? $"Its steps are done and the signals are clear since {Clock(clear)}; they must stay so for a while."
            : $"Its steps are done since {Clock(run.VerifyingSince!.Value)}; it waits for the signals to clear.",
        _ => $"It ended as {run.State.ToString().ToLowerInvariant()} at {Clock(run.EndedAt!.Value)}: {run.Reason}",
    };

    static string Step(Run run, Command? command) => command?.State switch
    {
        CommandState.Offered => $"The step {command.Step} is offered to the agent of {run.Node} since {Clock(command.OfferedAt)}; the agent has not taken it yet.",
        CommandState.Leased => $"The agent of {run.Node} has taken the step {command.Step} and not begun; its lease ends at {Clock(command.LeasedUntil!.Value)}.",
        CommandState.Begun => $"The agent of {run.Node} does the step {command.Step} since {Clock(command.BegunAt!.Value)}.",
        CommandState.Denied => $"The step {command.Step} was not let begin: {command.Reason}",
        _ => "A step has ended; the next one is looked at at the next pass.",
    };

    static string Clock(DateTimeOffset at) => $"{at:yyyy-MM-dd HH:mm:ss}Z";
}
