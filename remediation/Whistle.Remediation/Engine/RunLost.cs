using Whistle.Actions.Protocol;
using Whistle.Incidents;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

namespace Whistle.Remediation.Engine;

/// <summary>What follows where a run went on after the backup that its state was restored from.</summary>
static partial class RunEngine
{
    /// <summary>
    /// What was begun since is indeterminate: it is not done again, and the signals tell. Where a way back was begun, a person must look.
    /// </summary>
    /// <param name="runbook">Null where this release cannot read it.</param>
    /// <param name="begun">What agents have begun of it since, of which the state knows nothing.</param>
    public static RunDecision Lost(Run run, Runbook? runbook, IReadOnlyList<JournalEntry> begun, DateTimeOffset now)
    {
        var onItsWayBack = run.Undoing is not null || begun.Any(e => IsUndo(e, run, runbook));
        var next = run with { Reports = [.. run.Reports, .. begun.Select(e => Indeterminate(e, onItsWayBack, now))] };
        var notes = begun.Select(e => new RunNote(
            TimelineKind.Restored,
            $"After the backup this server was restored from, {e.Action} was begun ({e.Id}); the agent says: {e.Summary}"));
        return onItsWayBack
            ? Unwind(next, runbook, now, notes)
            : ToVerify(next, "Its outcome is unknown. It is not done again; the signals decide.", now, notes);
    }

    // Journals of earlier releases do not say. A run that verifies has mostly done its steps, so what follows is its way back.
    static bool IsUndo(JournalEntry entry, Run run, Runbook? runbook) =>
        entry.Undo || (entry.Step is null
            && (runbook is null ? run.State is RunState.Verifying : runbook.Steps.Any(s => s.Undo?.Action == entry.Action)));

    static StepReport Indeterminate(JournalEntry entry, bool undo, DateTimeOffset now) =>
        new(entry.Step ?? entry.Action, entry.Action, CommandOutcome.Indeterminate, $"Begun after the backup: {entry.Summary}", null, now)
        { Changed = !undo, Undo = undo };

    // Only to let go a cordon may be asked again: it carries its owner's name.
    static RunDecision Unwind(Run run, Runbook? runbook, DateTimeOffset now, IEnumerable<RunNote> notes)
    {
        var cordons = runbook?.Steps.Where(s => s.Action == ActionCatalogue.Cordon && run.Reports.Any(r => r.Changed && r.Step == s.Name))
            .Select(s => s.Name).ToList() ?? [];
        const string fault =
            "After the backup that this server was restored from, the way back was begun, and how far it came is not known.";
        var undoing = new Undoing(
            cordons, RunState.Failed, run.Undoing?.Reason ?? "It was not proven.", Faults: [.. run.Undoing?.Faults ?? [], fault]);
        return new(
            run with { State = RunState.Running, Reason = "", Since = now, RetryAt = null, StalledSince = null, Undoing = undoing },
            [.. notes, new(TimelineKind.Undo, fault)]);
    }
}
