using Microsoft.AspNetCore.Components;

using Whistle.Alerting.Tickets;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.Web.Clusters;
using Whistle.Web.Incidents;

namespace Whistle.Web.Acts;

/// <summary>The dialogs of all acts.</summary>
static class ActRequests
{
    static readonly TimeSpan[] Short = [TimeSpan.FromHours(1), TimeSpan.FromMinutes(30), TimeSpan.FromHours(4), TimeSpan.FromHours(8), TimeSpan.FromHours(24)];
    static readonly TimeSpan[] Long = [TimeSpan.FromHours(1), TimeSpan.FromHours(4), TimeSpan.FromHours(24), TimeSpan.FromDays(7)];

    public static ActRequest Acknowledge(IncidentRow row, PersonActs acts) => new()
    {
        Title = "Take this incident on",
        Text = "Nobody is paged for it meanwhile, and no repair begins that disturbs workloads. What only frees a disk goes on.",
        Durations = Short,
        Confirm = "Take it on",
        Done = "You have taken the incident on.",
        Do = input => acts.AcknowledgeAsync(row.Incident.Id, input.For),
    };

    public static ActRequest Release(IncidentRow row, PersonActs acts) => new()
    {
        Title = "Let this incident go",
        Text = $"{row.Taken?.Author} has it until {Quantity.Clock(row.Taken?.Until ?? default)}. Pages and repairs go on once it is let go.",
        Confirm = "Let it go",
        Done = "Pages and repairs go on.",
        Do = _ => acts.ReleaseAsync(row.Incident.Id),
    };

    public static ActRequest Approve(RunCard card, RenderFragment plan, PersonActs acts) => new()
    {
        Title = card.AskedStep.Length > 0 ? $"Approve {card.AskedStep}" : "Approve this plan",
        Text = card.AskedStep.Length > 0
            ? $"What follows this step is carried out on {card.Run.Node}, behind all other gates. Your yes is for exactly this step of this plan."
            : $"Whistle carries it out on {card.Run.Node}, behind all other gates. Your yes is for exactly this plan and for no other.",
        Body = plan,
        Durations = Short,
        Confirm = "Approve",
        Done = "Approved. The gates are asked at the next pass.",
        Do = input => acts.ApproveAsync(card.Run.Id, card.AskedStep, card.Run.PlanHash, input.For),
    };

    public static ActRequest Complete(Run run, PlanStep task, PersonActs acts) => new()
    {
        Title = $"Have you done {task.Name}?",
        Text = task.Parameters,
        NeedsReason = true,
        ReasonLabel = "What you have done",
        Confirm = "It is done",
        Done = "Thank you. The repair goes on.",
        Do = input => acts.CompleteAsync(run.Id, task.Name, input.Reason),
    };

    public static ActRequest Cancel(Run run, PersonActs acts) => new()
    {
        Title = "Cancel this run",
        Text = "What has begun on the node is waited for; nothing new begins. The runbook does not start again by itself in this incident.",
        NeedsReason = true,
        Confirm = "Cancel the run",
        IsDangerous = true,
        Done = "The run is called off.",
        Do = input => acts.CancelAsync(run.Id, input.Reason),
    };

    /// <summary>The narrowest first.</summary>
    public static ActRequest Pause(IReadOnlyList<(string Name, string Words, PauseScope Scope)> scopes, PersonActs acts) => new()
    {
        Title = "Pause repairs",
        Text = "Nothing new begins while the pause lasts. Detection, pages and tickets go on.",
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
        Text = $"{pause.Author} set it until {Quantity.Clock(pause.Until)}: {pause.Reason}. Repairs that it held back go on.",
        Confirm = "End the pause",
        Done = "The pause has ended.",
        Do = _ => acts.EndPauseAsync(pause.Id),
    };

    public static ActRequest Kill(KillSwitch kill, PersonActs acts) => kill.On
        ? new()
        {
            Title = "Let repairs go on",
            Text = $"{kill.Author} stopped them at {Quantity.Clock(kill.Since)}: {kill.Reason}. Every run is asked by all its gates again.",
            NeedsReason = true,
            Confirm = "Let repairs go on",
            Done = "Repairs go on.",
            Do = input => acts.KillAsync(false, input.Reason),
        }
        : new()
        {
            Title = "Stop all repairs",
            Text = "At once and everywhere: nothing is sent to any node, and no command that has not begun may begin. Detection, pages and tickets go on.",
            NeedsReason = true,
            Confirm = "Stop all repairs",
            IsDangerous = true,
            Done = "All repairs are stopped.",
            Do = input => acts.KillAsync(true, input.Reason),
        };

    public static ActRequest Mode(ClusterView cluster, RunbookInCluster runbook, PersonActs acts) => new()
    {
        Title = $"How far may {runbook.Runbook.Name} go?",
        Text = $"In cluster {cluster.Key.Cluster} of {cluster.Key.Tenant}. It is {Name(runbook.Mode)} now: {runbook.From}.",
        ChoicesLabel = "Mode",
        Choices = [.. new[] { RunbookMode.Observe, RunbookMode.Approve, RunbookMode.Automatic, RunbookMode.Off }.Select(m => new ActChoice(Name(m), Name(m), ClusterView.Words(m)))],
        Chosen = Name(runbook.Mode),
        Confirm = "Set the mode",
        Done = "The mode is set.",
        Do = input => acts.SetModeAsync(runbook.Runbook, cluster.Key, Enum.Parse<RunbookMode>(input.Choice, ignoreCase: true)),
    };

    public static ActRequest Move(Ticket ticket, PersonActs acts) => new()
    {
        Title = $"Move ticket {ticket.Id} on",
        Text = $"It is {TicketStates.Name(ticket.State)}.",
        ChoicesLabel = "To",
        Choices = [.. Enum.GetValues<TicketState>().Where(s => s != ticket.State && TicketStates.Refusal(ticket.State, s) is null).Select(s => new ActChoice(TicketStates.Name(s), TicketStates.Name(s)))],
        NeedsReason = true,
        ReasonLabel = "Remark",
        Confirm = "Move it",
        Done = "The ticket is moved on.",
        Do = input => acts.MoveTicketAsync(ticket.Id, TicketStates.Find(input.Choice)!.Value, input.Reason),
    };

    static string Name(RunbookMode mode) => mode.ToString().ToLowerInvariant();
}
