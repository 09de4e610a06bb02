using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

namespace Whistle.Remediation.Engine;

/// <summary>What is to be tried next for an incident: a runbook that answers it, or the next rung of one that was tried.</summary>
sealed record Rung(Runbook Runbook, Runbook Origin, IReadOnlyList<string> Next)
{
    /// <summary>Null if nothing is to begin: a run goes on, a person cancelled it, or the ladder is at its end.</summary>
    /// <param name="runs">The incident's runs, of any runbook.</param>
    /// <param name="missing">The name of a rung that is not among the runbooks any more.</param>
    public static Rung? Of(Runbook origin, IEnumerable<RunSummary> runs, RunbookSet runbooks, out string? missing)
    {
        missing = null;
        var mine = runs.Where(r => r.Origin == origin.Name).ToList();
        if (mine.Exists(r => r.EndedAt is null || r.Cancelled || r.State is RunState.Escalated))
            return null;
        // Each rung that is used up says what is left; the shortest rest is where the ladder stands.
        var rest = mine.Where(r => r.Rungs is not null).MinBy(r => r.Rungs!.Count)?.Rungs;
        if (rest is null)
            return new(origin, origin, origin.Ladder);
        if (rest.Count == 0)
            return null;
        if (runbooks.Find(rest[0]) is { } next)
            return new(next, origin, [.. rest.Skip(1)]);
        missing = rest[0];
        return null;
    }
}

/// <summary>A new run with its whole plan, for an incident that a runbook answers.</summary>
static class Proposal
{
    /// <param name="before">The incident's runs, of any runbook.</param>
    /// <param name="suffix">See the suffix of the lineage.</param>
    public static (Run Run, IReadOnlyList<RunNote> Notes) Of(
        Incident incident, Rung rung, Signal signal, IReadOnlyList<RunSummary> before, DateTimeOffset now, string suffix = "")
    {
        var runbook = rung.Runbook;
        var run = new Run
        {
            // The same in every process, so that only one of two that propose it at a time succeeds.
            Id = $"{incident.Id}-{before.Count + 1}{suffix}",
            IncidentId = incident.Id,
            Tenant = incident.Tenant,
            Cluster = incident.Cluster,
            Node = signal.Labels["node"],
            Subject = incident.Subject,
            Labels = signal.Labels,
            Runbook = runbook.Name,
            RunbookHash = runbook.Hash,
            Origin = rung.Origin.Name,
            Answers = [.. rung.Origin.Answers.Select(a => a.Signal).Distinct()],
            Rungs = rung.Next,
            PlanHash = "",
            State = RunState.Proposed,
            Since = now,
            CreatedAt = now,
            Attempt = before.Count(r => r.Runbook == runbook.Name && r.IsAttempt) + 1,
        };
        var proposed = new RunNote(TimelineKind.Proposed, $"It answers {signal.Name} on {run.Node}: {runbook.Summary}.");
        try
        {
            var plan = Rendering.Plan(runbook, signal.Labels);
            return (run with { PlanHash = plan.Hash }, [proposed, .. plan.Steps.Select(Planned)]);
        }
        catch (RenderException e)
        {
            return (
                run with { State = RunState.Escalated, Reason = e.Message, EndedAt = now },
                [proposed, new(TimelineKind.Escalated, $"No plan can be made: {e.Message}")]);
        }
    }

    static RunNote Planned(PlannedStep planned, int index)
    {
        var step = PlanStep.Of(planned);
        return new(
            TimelineKind.Plan,
            $"Step {index + 1}, {step.Name}: {step.Action} {step.Parameters}, at most {step.Timeout.TotalSeconds:0} s"
                + (planned.Step.DryRun ? ", a dry run." : step.OnlyReads && planned.Step.Kind is StepKind.Action ? ", only reads." : "."));
    }
}
