using Microsoft.AspNetCore.Components;

using Whistle.Alerting.Tickets;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.Web.Clusters;
using Whistle.Web.Incidents;
using Whistle.Web.Text;

namespace Whistle.Web.Acts;

/// <summary>The dialogs of all acts.</summary>
static class ActRequests
{
    static readonly TimeSpan[] Short =
        [TimeSpan.FromHours(1), TimeSpan.FromMinutes(30), TimeSpan.FromHours(4), TimeSpan.FromHours(8), TimeSpan.FromHours(24)];
    static readonly TimeSpan[] Long = [TimeSpan.FromHours(1), TimeSpan.FromHours(4), TimeSpan.FromHours(24), TimeSpan.FromDays(7)];

    public static ActRequest Acknowledge(IncidentRow row, PersonActs acts) => new()
    {
        Title = "Acknowledge this incident",
        Text =
            "Until then nobody is paged for it, and no repair starts that disturbs workloads. Repairs that only free disk space continue.",
        Durations = Short,
        Confirm = "Acknowledge",
        Done = "Incident acknowledged.",
        Do = input => acts.AcknowledgeAsync(row.Incident.Id, input.For),
    };

    public static ActRequest Release(IncidentRow row, PersonActs acts) => new()
    {
        Title = "Release this incident",
        Text = $"Acknowledged by {row.Acknowledgement?.Author} until {Quantity.Clock(row.Acknowledgement?.Until ?? default)}. "
            + "Releasing it resumes pages and repairs.",
        Confirm = "Release",
        Done = "Incident released.",
        Do = _ => acts.ReleaseAsync(row.Incident.Id),
    };

    public static ActRequest Approve(RunCard card, RenderFragment plan, PersonActs acts) => new()
    {
        Title = card.AskedStep.Length > 0 ? $"Approve {card.AskedStep}" : "Approve this plan",
        Text = card.AskedStep.Length > 0
            ? $"The rest of the plan then runs on {card.Run.Node}, behind all other gates. "
                + "The approval covers exactly this step of this plan."
            : $"Whistle runs it on {card.Run.Node}, behind all other gates. The approval covers exactly this plan.",
        Body = plan,
        Durations = Short,
        Confirm = "Approve",
        Done = "Approved. The gates are checked at the next pass.",
        Do = input => acts.ApproveAsync(card.Run.Id, card.AskedStep, card.Run.PlanHash, input.For),
    };

    public static ActRequest Complete(Run run, PlanStep task, PersonActs acts) => new()
    {
        Title = $"Have you done {task.Name}?",
        Text = task.Parameters,
        NeedsReason = true,
        ReasonLabel = "What you did",
        Confirm = "Mark as done",
        Done = "Task done. The repair continues.",
        Do = input => acts.CompleteAsync(run.Id, task.Name, input.Reason),
    };

    public static ActRequest Cancel(Run run, PersonActs acts) => new()
    {
        Title = "Cancel this run",
        Text = "A step that is already running on the node may finish; no other starts. "
            + "The runbook does not start again by itself for this incident.",
        NeedsReason = true,
        Confirm = "Cancel the run",
        IsDangerous = true,
        Done = "Run cancelled.",
        Do = input => acts.CancelAsync(run.Id, input.Reason),
    };

    /// <summary>The narrowest first.</summary>
    public static ActRequest Pause(IReadOnlyList<(string Name, string Words, PauseScope Scope)> scopes, PersonActs acts) => new()
    {
        Title = "Pause repairs",
        Text = "No repair starts during the pause. Detection, pages and tickets continue.",
        ChoicesLabel = "Where",
        Choices = [.. scopes.Select(s => new ActChoice(s.Name, s.Words))],
        Durations = Long,
        NeedsReason = true,
        Confirm = "Pause",
        Done = "Repairs are paused.",
        Do = input => acts.PauseAsync(scopes.First(s => s.Name == input.Choice).Scope, input.Reason, input.For),
    };

    public static ActRequest EndPause(Pause pause, PersonActs acts) => new()
    {
        Title = "End this pause",
        Text = $"Set by {pause.Author} until {Quantity.Clock(pause.Until)}: {pause.Reason}. The repairs it held back resume.",
        Confirm = "End the pause",
        Done = "Pause ended.",
        Do = _ => acts.EndPauseAsync(pause.Id),
    };

    public static ActRequest Kill(KillSwitch kill, PersonActs acts) => kill.On
        ? new()
        {
            Title = "Resume repairs",
            Text = "Every waiting run passes all its gates again before it acts.",
            NeedsReason = true,
            Confirm = "Resume repairs",
            Done = "Repairs resumed.",
            Do = input => acts.KillAsync(false, input.Reason),
        }
        : new()
        {
            Title = "Stop all repairs",
            Text = "Takes effect at once and everywhere: nothing is sent to any node, and no command that is waiting may start. "
                + "Detection, pages and tickets continue.",
            TakesReason = true,
            Confirm = "Stop all repairs",
            IsDangerous = true,
            Done = "All repairs are stopped.",
            Do = input => acts.KillAsync(true, input.Reason),
        };

    public static ActRequest Mode(ClusterView cluster, RunbookInCluster runbook, PersonActs acts) => new()
    {
        Title = $"Mode of {runbook.Runbook.Name}",
        Text = $"In cluster {cluster.Key.Cluster} of tenant {cluster.Key.Tenant}. Now {Name(runbook.Mode)} ({runbook.From}).",
        ChoicesLabel = "Mode",
        Choices = [.. new[] { RunbookMode.Observe, RunbookMode.Approve, RunbookMode.Automatic, RunbookMode.Off }.Select(
            m => new ActChoice(Name(m), Name(m), ClusterView.Words(m)))],
        Chosen = Name(runbook.Mode),
        Confirm = "Set the mode",
        Done = "Mode set.",
        Do = input => acts.SetModeAsync(runbook.Runbook, cluster.Key, Enum.Parse<RunbookMode>(input.Choice, ignoreCase: true)),
    };

    public static ActRequest Move(Ticket ticket, PersonActs acts) => new()
    {
        Title = $"Change the state of ticket {ticket.Id}",
        Text = $"Now {TicketStates.Name(ticket.State)}.",
        ChoicesLabel = "To",
        Choices = [.. Enum.GetValues<TicketState>().Where(s => s != ticket.State && TicketStates.Refusal(ticket.State, s) is null)
            .Select(s => new ActChoice(TicketStates.Name(s), TicketStates.Name(s)))],
        NeedsReason = true,
        ReasonLabel = "Comment",
        Confirm = "Change state",
        Done = "Ticket state changed.",
        Do = input => acts.MoveTicketAsync(ticket.Id, TicketStates.Find(input.Choice)!.Value, input.Reason),
    };

    static string Name(RunbookMode mode) => mode.ToString().ToLowerInvariant();
}
