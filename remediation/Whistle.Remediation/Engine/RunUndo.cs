using Whistle.Actions.Protocol;
using Whistle.Incidents;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

namespace Whistle.Remediation.Engine;

/// <summary>The way back: what the run changed is taken back in reverse, each step proven, before the run ends.</summary>
static partial class RunEngine
{
    const int MostTries = 3;

    static readonly TimeSpan UndoAgain = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Ends the run, after it has taken back what it must: all that can be where it did not help, and its own cordon in any case.
    /// </summary>
    static RunDecision Finish(Run run, RunWorld world, RunState state, string reason, DateTimeOffset now, params IEnumerable<RunNote> notes)
    {
        var back = ToUndo(run, world, cordonOnly: state is RunState.Succeeded);
        if (back.Count == 0)
            return End(run, state, reason, now, notes);
        var undoing = new Undoing(back, state, reason);
        return new(
            run with { State = RunState.Running, Reason = "", Since = now, RetryAt = null, StalledSince = null, Undoing = undoing },
            [.. notes, new(TimelineKind.Undo, $"{reason} Rolling back first: {string.Join(", ", back)}.")]);
    }

    static List<string> ToUndo(Run run, RunWorld world, bool cordonOnly)
    {
        var runbook = world.Gates.Runbook;
        var back = new List<string>();
        foreach (var report in run.Reports)
        {
            // What a later step of the plan let go is not let go again.
            if (report is { Action: ActionCatalogue.Uncordon, Outcome: CommandOutcome.Succeeded })
                back.RemoveAll(name => runbook.Steps.Any(s => s.Name == name && s.Action == ActionCatalogue.Cordon));
            else if (report is { Changed: true, Undo: false }
                && runbook.Steps.FirstOrDefault(s => s.Name == report.Step) is { Undo: not null } step
                && (!cordonOnly || step.Action == ActionCatalogue.Cordon))
                back.Add(step.Name);
        }

        // Whatever was reported: a cordon that still carries the run's name is its own.
        if (HasCordon(run, world) && runbook.Steps.FirstOrDefault(s => s.Action == ActionCatalogue.Cordon)?.Name is { } cordon
            && !back.Contains(cordon))
            back.Add(cordon);
        back.Reverse();
        return back;
    }

    static bool HasCordon(Run run, RunWorld world) => world.Gates.Cluster?.Find(run.Node)?.CordonedBy == run.Id;

    static RunDecision? Undo(Run run, Undoing undoing, RunWorld world, DateTimeOffset now)
    {
        if (undoing.Steps.Count == 0)
            return Undone(run, undoing, now);
        if (undoing.DoneAt is { } done)
            return Prove(run, undoing, world, done, now);
        if (!undoing.Issued)
            return IssueUndo(run, undoing, world, now);
        return world.Command switch
        {
            { State: CommandState.Offered or CommandState.Leased } command
                when now - command.OfferedAt >= OfferFor && !(command.LeasedUntil > now) =>
                Again(run, undoing, world, $"the agent of {command.Node} took it up for {OfferFor.TotalMinutes:0} min not once.", now) with
                {
                    Withdraw = command.Id,
                },
            { State: CommandState.Offered or CommandState.Leased } => null,
            { State: CommandState.Begun } command
                when now - command.BegunAt!.Value < TimeSpan.FromSeconds(command.TimeoutSeconds) + ReportGrace => null,
            { State: CommandState.Begun } command => Unknown(run, undoing, world, command, "no result came back.", now),
            { State: CommandState.Denied } command => Again(run, undoing, world, command.Reason ?? "the gates said no.", now),
            { State: CommandState.Done, Outcome: CommandOutcome.Succeeded } command => Proving(run, undoing, command, now),
            { State: CommandState.Done, Outcome: CommandOutcome.Indeterminate } command =>
                Unknown(run, undoing, world, command, command.Summary ?? "", now),
            { State: CommandState.Done } command => Again(
                run, undoing, world, $"{command.Step} {Words(command.Outcome!.Value)}: {command.Summary}", now, Reported(command, now)),
            _ => Again(run, undoing, world, "its command is not there any more.", now),
        };
    }

    static RunDecision? IssueUndo(Run run, Undoing undoing, RunWorld world, DateTimeOffset now)
    {
        if (now < run.RetryAt)
            return null;
        var step = StepOf(undoing, world);
        PlannedStep planned;
        try
        {
            planned = Rendering.Undo(
                world.Gates.Runbook, run.Labels, step.Undo!, run.Reports.LastOrDefault(r => r.Step == step.Name && !r.Undo)?.Output);
        }
        catch (RenderException e)
        {
            return Skip(run, undoing, e.Message, now);
        }

        var gates = world.Gates with { Traits = planned.Traits };
        var refusal = GatePipeline.FirstRefusal(gates, undoing: true);
        if (refusal is null && Executor(run, world, planned) is { } node)
            return Offer(
                run with { Generation = world.Gates.Generation, Undoing = undoing with { Issued = true, Tries = undoing.Tries + 1 } },
                planned, node, [], now);
        refusal ??= NoExecutor(run);
        var same = run.Reason == refusal.Reason;
        return new(
            run with { State = RunState.Waiting, Reason = refusal.Reason, Since = same ? run.Since : now, RetryAt = now + UndoAgain },
            [refusal.Note]);
    }

    static RunDecision Proving(Run run, Undoing undoing, Command command, DateTimeOffset now) => new(
        run with { Undoing = undoing with { DoneAt = now }, Reports = [.. run.Reports, Reported(command, now)], Since = now },
        [new(TimelineKind.Undo, $"{command.Step} rolled back: {command.Summary}")]);

    static RunDecision? Prove(Run run, Undoing undoing, RunWorld world, DateTimeOffset done, DateTimeOffset now)
    {
        var undo = StepOf(undoing, world).Undo!;
        if (undo.Action == ActionCatalogue.Uncordon && HasCordon(run, world))
            return now - done < undo.Timeout ? null : Again(
                run, undoing with { DoneAt = null }, world, $"{run.Node} still carries its cordon.", now);
        if (world.Condition)
            return Next(run, undoing, [], now);
        return now - done < undo.Timeout ? null : Skip(
            run, undoing,
            $"{undoing.Steps[0]} was rolled back, but {undo.Proof} is still not true after {undo.Timeout.TotalMinutes:0.#} min.", now);
    }

    // The cordon carries its owner, so letting go is asked under the condition that it is still this run's: it may be asked again.
    static RunDecision Unknown(Run run, Undoing undoing, RunWorld world, Command command, string why, DateTimeOffset now)
    {
        var report = Report(command, CommandOutcome.Indeterminate, why, null, now);
        if (command.Action == ActionCatalogue.Uncordon)
            return Again(run, undoing, world, why, now, report);
        // It is not sent again; where there is a proof, that tells.
        return StepOf(undoing, world).Undo!.Proof is not null
            ? new(
                run with { Undoing = undoing with { DoneAt = now }, Reports = [.. run.Reports, report] },
                [new(TimelineKind.Undo, $"{command.Step}: {why} It is not sent again; the proof decides.")])
            : Skip(run with { Reports = [.. run.Reports, report] }, undoing, $"unknown whether {command.Step} was rolled back: {why}", now);
    }

    static RunDecision Again(Run run, Undoing undoing, RunWorld world, string why, DateTimeOffset now, StepReport? report = null)
    {
        var next = report is null ? run : run with { Reports = [.. run.Reports, report] };
        if (undoing.Tries >= MostTries && StepOf(undoing, world).Undo!.Action != ActionCatalogue.Uncordon)
            return Skip(next, undoing, $"{undoing.Steps[0]} could not be rolled back: {why}", now);
        return new(
            next with
            {
                State = RunState.Waiting,
                Reason = why,
                Since = now,
                RetryAt = now + UndoAgain,
                Undoing = undoing with { Issued = false },
            },
            [new(TimelineKind.Undo, $"{undoing.Steps[0]} is not rolled back yet: {why}", Repeats: true)]);
    }

    static RunDecision Skip(Run run, Undoing undoing, string why, DateTimeOffset now) =>
        Next(run, undoing with { Faults = [.. undoing.Faults ?? [], why] }, [new(TimelineKind.Undo, why)], now);

    static RunDecision Next(Run run, Undoing undoing, IReadOnlyList<RunNote> notes, DateTimeOffset now)
    {
        var rest = undoing with { Steps = [.. undoing.Steps.Skip(1)], Issued = false, Tries = 0, DoneAt = null };
        if (rest.Steps.Count > 0)
            return new(run with { State = RunState.Running, Reason = "", Since = now, RetryAt = null, Undoing = rest }, notes);
        var end = Undone(run, rest, now);
        return end with { Notes = [.. notes, .. end.Notes] };
    }

    static RunDecision Undone(Run run, Undoing undoing, DateTimeOffset now) => undoing switch
    {
        { Faults: { Count: > 0 } faults } => End(
            run, RunState.Escalated,
            $"{undoing.Reason} Not everything could be rolled back: {string.Join(" ", faults)} A person is needed.", now),
        { As: RunState.Failed } => End(run, RunState.RolledBack, $"{undoing.Reason} Its changes were rolled back.", now),
        _ => End(run, undoing.As, undoing.Reason, now),
    };

    static RunbookStep StepOf(Undoing undoing, RunWorld world) => world.Gates.Runbook.Steps.First(s => s.Name == undoing.Steps[0]);

    static StepReport Reported(Command command, DateTimeOffset now) =>
        Report(command, command.Outcome!.Value, command.Summary ?? "", Output(command), now);
}
