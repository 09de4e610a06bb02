using Whistle.Remediation.Commands;

namespace Whistle.Remediation.Runs;

/// <summary>One sentence on why nothing happens with a run at this moment, and when that is looked at again.</summary>
static class Explanation
{
    public static string Of(Run run, Command? command) => run.State switch
    {
        _ when run is { EndedAt: null, Undoing: { Steps.Count: > 0 } undoing } =>
            $"It takes back what it changed, and is at {undoing.Steps[0]}: {(run.State is RunState.Waiting ? $"{run.Reason} It is tried again every minute." : Step(run, command))}",
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
        _ when run.Reason.Length > 0 => $"Since {Clock(run.Since)}, {run.Reason} It is looked at again every second.",
        CommandState.Offered => $"The step {command.Step} is offered to the agent of {command.Node} since {Clock(command.OfferedAt)}; the agent has not taken it yet.",
        CommandState.Leased => $"The agent of {command.Node} has taken the step {command.Step} and not begun; its lease ends at {Clock(command.LeasedUntil!.Value)}.",
        CommandState.Begun => $"The agent of {command.Node} does the step {command.Step} since {Clock(command.BegunAt!.Value)}.",
        CommandState.Denied => $"The step {command.Step} was not let begin: {command.Reason}",
        _ => "A step has ended; the next one is looked at at the next pass.",
    };

    static string Clock(DateTimeOffset at) => $"{at:yyyy-MM-dd HH:mm:ss}Z";
}
