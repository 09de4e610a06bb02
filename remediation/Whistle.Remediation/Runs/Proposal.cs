using Whistle.Detectors.Incidents;
using Whistle.Detectors.Signals;
using Whistle.Remediation.Runbooks;

namespace Whistle.Remediation.Runs;

/// <summary>A new run with its whole plan, for an incident that a runbook answers.</summary>
static class Proposal
{
    /// <param name="before">The incident's runs, of any runbook.</param>
    public static (Run Run, IReadOnlyList<RunNote> Notes) Of(
        Incident incident, Runbook runbook, Signal signal, IReadOnlyList<Run> before, DateTimeOffset now)
    {
        var run = new Run
        {
            // The same in every process, so that only one of two that propose it at a time succeeds.
            Id = $"{incident.Id}-{before.Count + 1}",
            IncidentId = incident.Id,
            Tenant = incident.Tenant,
            Cluster = incident.Cluster,
            Node = signal.Labels["node"],
            Subject = incident.Subject,
            Labels = signal.Labels,
            Runbook = runbook.Name,
            RunbookHash = runbook.Hash,
            RunbookText = runbook.Text,
            PlanHash = "",
            State = RunState.Proposed,
            Since = now,
            CreatedAt = now,
            Attempt = before.Count(r => r.Runbook == runbook.Name && r.IsAttempt) + 1,
        };
        var proposed = new RunNote("proposed", $"It answers {signal.Name} on {run.Node}: {runbook.Summary}.");
        try
        {
            var plan = Rendering.Plan(runbook, signal.Labels);
            return (run with { PlanHash = plan.Hash }, [proposed, .. plan.Steps.Select(Planned)]);
        }
        catch (RenderException e)
        {
            return (run with { State = RunState.Escalated, Reason = e.Message, EndedAt = now }, [proposed, new("escalated", $"No plan can be made: {e.Message}")]);
        }
    }

    static RunNote Planned(PlannedStep planned, int index) => new(
        "plan",
        $"Step {index + 1}, {planned.Step.Name}: {planned.Step.Action} {planned.Parameters}, at most {planned.Step.Timeout.TotalSeconds:0} s"
            + (planned.Step.Traits.ReadOnly ? ", only reads." : planned.Step.DryRun ? ", a dry run." : "."));
}
