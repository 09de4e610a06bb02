using Whistle.Remediation.Commands;
using Whistle.Remediation.Runs;

namespace Whistle.Remediation.Engine;

/// <summary>One sentence on why nothing happens with a run at this moment, and when that is looked at again.</summary>
static class Explanation
{
    public static string Of(Run run, Command? command) => run.State switch
    {
        _ when run is { EndedAt: null, Undoing: { Steps.Count: > 0 } undoing } =>
            $"Rolling back {undoing.Steps[0]}: "
            + $"{(run.State is RunState.Waiting ? $"{run.Reason} Retried every minute." : Step(run, command))}",
        RunState.Proposed => "Just proposed; the gates are checked at the next pass.",
        RunState.Waiting or RunState.AwaitingApproval =>
            $"Waiting since {Clock(run.Since)}: {run.Reason}",
        RunState.Running => Step(run, command),
        RunState.Verifying => run.ClearSince is { } clear
            ? $"All steps are done and the signals cleared at {Clock(clear)}. They must stay clear for a while."
            : $"All steps were done at {Clock(run.VerifyingSince!.Value)}. Waiting for the signals to clear.",
        _ => $"{Ending(run.State)} at {Clock(run.EndedAt!.Value)}: {run.Reason}",
    };

    static string Step(Run run, Command? command) => command?.State switch
    {
        _ when run.Reason.Length > 0 => $"Since {Clock(run.Since)}: {run.Reason}",
        CommandState.Offered => $"Step {command.Step} was offered to the agent of {command.Node} at {Clock(command.OfferedAt)}, "
            + "which has not picked it up yet.",
        CommandState.Leased => $"The agent of {command.Node} has picked up step {command.Step} but not started it. "
            + $"Its lease ends at {Clock(command.LeasedUntil!.Value)}.",
        CommandState.Begun => $"Step {command.Step} has been running on the agent of {command.Node} since {Clock(command.BegunAt!.Value)}.",
        CommandState.Denied => $"Step {command.Step} was not allowed to start: {command.Reason}",
        _ => "A step has ended; the next one starts at the next pass.",
    };

    static string Ending(RunState state) => state is RunState.RolledBack ? "Rolled back" : state.ToString();

    static string Clock(DateTimeOffset at) => $"{at:yyyy-MM-dd HH:mm:ss}Z";
}
