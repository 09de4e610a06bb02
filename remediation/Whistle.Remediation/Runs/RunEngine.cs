using System.Text.Json;

using Whistle.Detectors.Incidents;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Gates;
using Whistle.Telemetry;

namespace Whistle.Remediation.Runs;

/// <summary>What a run is advanced by.</summary>
/// <param name="Command">The run's latest command; null before the first.</param>
/// <param name="Condition">The extra PromQL of the verification holds, or none is asked.</param>
sealed record RunWorld(GateSnapshot Gates, Incident Incident, Command? Command, Plan Plan, bool Condition)
{
    public bool IsClear => Incident.Signals.All(s => s.IsClear);

    public PlannedStep Step(Run run) => Plan.Steps[run.Step];
}

/// <param name="Repeats">Counted where the timeline says it already.</param>
sealed record RunNote(string Kind, string Text, bool Repeats = false);

/// <summary>The run as it is next, with what its timeline says, in one transaction with a command that is offered or taken back.</summary>
sealed record RunDecision(Run Run, IReadOnlyList<RunNote> Notes)
{
    public Command? Offer { get; init; }

    /// <summary>Only valid while the command has not begun; if it has meanwhile, the whole decision is void.</summary>
    public string? Withdraw { get; init; }
}

/// <summary>The life of a run as a function of what is so now. Null means that nothing changes.</summary>
static class RunEngine
{
    /// <summary>An agent that takes no command for so long does not work.</summary>
    static readonly TimeSpan OfferFor = TimeSpan.FromMinutes(5);

    /// <summary>Past an action's own time limit, for the report's way.</summary>
    static readonly TimeSpan ReportGrace = TimeSpan.FromMinutes(1);

    public static RunDecision? Advance(Run run, RunWorld world, DateTimeOffset now) => run.State switch
    {
        RunState.Proposed or RunState.Waiting or RunState.AwaitingApproval or RunState.Verifying when world.Gates.Cancellation is { } called => Cancel(run, called, now),
        RunState.Proposed => Start(run, world, now),
        RunState.Waiting or RunState.AwaitingApproval => Start(run, world, now),
        RunState.Running => Work(run, world, now),
        RunState.Verifying => Verify(run, world, now),
        _ => null,
    };

    static RunDecision? Start(Run run, RunWorld world, DateTimeOffset now)
    {
        var used = world.Gates.Earlier.Count(r => r.IncidentId == run.IncidentId);
        if (used >= world.Gates.Runbook.Gates.Attempts)
            return End(run, RunState.Escalated, $"It is back after {used} attempts, so a person is needed.", now);
        if (world.IsClear)
            return run.Reports.Count > 0
                ? ToVerify(run, "The signals are clear; what is left of the plan is not needed.", now)
                : End(run, RunState.Cancelled, "The signals cleared before anything was done.", now);
        return GatePipeline.FirstRefusal(world.Gates) is { } refusal ? Wait(run, refusal, now) : Offer(run, world, [], now);
    }

    static RunDecision? Wait(Run run, Refusal refusal, DateTimeOffset now)
    {
        var state = refusal.NeedsApproval ? RunState.AwaitingApproval : RunState.Waiting;
        var same = run.State == state && run.Reason == refusal.Reason;
        if (same && now < run.RetryAt)
            return null;
        var retry = now + (refusal.RetryAfter > TimeSpan.Zero ? refusal.RetryAfter : TimeSpan.FromMinutes(1));
        var next = run with { State = state, Reason = refusal.Reason, Since = same ? run.Since : now, RetryAt = retry };
        return new(next, [new("gate", $"{refusal.Gate}: {refusal.Reason}", Repeats: true)]);
    }

    static RunDecision Offer(Run run, RunWorld world, IReadOnlyList<RunNote> notes, DateTimeOffset now)
    {
        var planned = world.Step(run);
        var next = run with { State = RunState.Running, Reason = "", Since = now, RetryAt = null, Issued = run.Issued + 1 };
        var command = new Command
        {
            Id = next.CommandId,
            RunId = run.Id,
            Tenant = run.Tenant,
            Cluster = run.Cluster,
            Node = run.Node,
            Step = planned.Step.Name,
            Action = planned.Step.Action,
            Parameters = planned.Parameters,
            DryRun = planned.Step.DryRun,
            TimeoutSeconds = (int)planned.Step.Timeout.TotalSeconds,
            OfferedAt = now,
        };
        return new(next, [.. notes, new("step", $"{planned.Step.Name}: {planned.Step.Action} {planned.Parameters} is offered to {run.Node}.")]) { Offer = command };
    }

    static RunDecision? Work(Run run, RunWorld world, DateTimeOffset now) => world.Command switch
    {
        { State: CommandState.Offered or CommandState.Leased } command => Pending(run, world, command, now),
        { State: CommandState.Begun } command => Begun(run, world, command, now),
        { State: CommandState.Denied } command => Denied(run, command, now),
        { State: CommandState.Done } command => Done(run, world, command, now),
        _ => Start(run, world, now),
    };

    static RunDecision Cancel(Run run, Cancellation called, DateTimeOffset now, params IEnumerable<RunNote> notes) =>
        End(run with { CancelledBy = called.Author }, RunState.Cancelled, $"{called.Author} called it off: {called.Reason}", now, notes);

    static RunDecision? Pending(Run run, RunWorld world, Command command, DateTimeOffset now)
    {
        if (world.Gates.Cancellation is { } called)
            return Cancel(run, called, now) with { Withdraw = command.Id };
        if (world.IsClear)
            return Start(run, world, now)! with { Withdraw = command.Id };
        if (GatePipeline.FirstRefusal(world.Gates) is { } refusal)
            return Wait(run, refusal, now)! with { Withdraw = command.Id };
        if (now - command.OfferedAt >= OfferFor && (command.LeasedUntil is null || command.LeasedUntil <= now))
            return Fail(run, world, $"The agent of {run.Node} took up no command for {OfferFor.TotalMinutes:0} min; see that it runs and may reach the server.", now) with { Withdraw = command.Id };
        return null;
    }

    static RunDecision? Begun(Run run, RunWorld world, Command command, DateTimeOffset now)
    {
        if (now - command.BegunAt!.Value < TimeSpan.FromSeconds(command.TimeoutSeconds) + ReportGrace)
            return null;
        var report = Report(world, CommandOutcome.Indeterminate, "No result came back; it is not sent again.", null, now);
        return ToVerify(run with { Reports = [.. run.Reports, report] }, $"{command.Step}: no result came back; it is not sent again, the signals will tell.", now);
    }

    static RunDecision Denied(Run run, Command command, DateTimeOffset now)
    {
        var reason = command.Reason ?? "The gates said no.";
        var next = run with { State = RunState.Waiting, Reason = reason, Since = now, RetryAt = now + TimeSpan.FromMinutes(1) };
        return new(next, [new("gate", $"{command.Step} was not let begin: {reason}", Repeats: true)]);
    }

    static RunDecision Done(Run run, RunWorld world, Command command, DateTimeOffset now)
    {
        var outcome = command.Outcome!.Value;
        var output = command.Output is null ? (JsonElement?)null : JsonDocument.Parse(command.Output).RootElement;
        var report = Report(world, outcome, command.Summary ?? "", output, now);
        var next = run with { Reports = [.. run.Reports, report] };
        var note = new RunNote("step", $"{command.Step} {Words(outcome)}: {command.Summary}");
        if (outcome is CommandOutcome.Indeterminate)
            return ToVerify(next, $"{command.Step}: the agent does not know how far it came; it is not sent again, the signals will tell.", now, note);
        if (outcome is not CommandOutcome.Succeeded && !world.Step(run).Step.GoesOn)
            return Fail(next, world, $"The step {command.Step} {Words(outcome)}: {command.Summary}", now, note);
        return After(next with { Step = run.Step + 1 }, world, note, now);
    }

    static RunDecision After(Run run, RunWorld world, RunNote note, DateTimeOffset now)
    {
        if (world.Gates.Cancellation is { } called)
            return Cancel(run, called, now, note);
        if (world.IsClear)
            return ToVerify(run, "The signals are clear; what is left of the plan is not needed.", now, note);
        if (run.Step < world.Plan.Steps.Count)
            return GatePipeline.FirstRefusal(world.Gates) is { } refusal ? Noted(Wait(run, refusal, now)!, note) : Offer(run, world, [note], now);
        if (run.Reports.Any(r => r.Changed))
            return ToVerify(run, "All steps are done; the signals will tell.", now, note);
        return Fail(run, world, $"Nothing was changed: {WhyUnchanged(run, world)}", now, note);
    }

    static string WhyUnchanged(Run run, RunWorld world)
    {
        var mutating = world.Plan.Steps.Where(s => !s.Step.Traits.ReadOnly && !s.Step.DryRun).Select(s => s.Step.Name).ToHashSet();
        var said = run.Reports.Where(r => mutating.Contains(r.Step)).Select(r => $"{r.Step}: {r.Summary}").ToList();
        return said.Count > 0 ? string.Join(" ", said) : "the plan only reads.";
    }

    static RunDecision? Verify(Run run, RunWorld world, DateTimeOffset now)
    {
        var verify = world.Gates.Runbook.Verify;
        if (!world.IsClear || !world.Condition)
            return NotYet(run, world, now);
        // Closed at once, such as for an unmounted disk: nothing is proven, and nothing is left to repair.
        if (world.Incident is { State: IncidentState.Closed } incident && incident.ClosedAt == incident.ClearSince)
            return End(run, RunState.Cancelled, "What the incident was about is gone.", now);
        if (run.ClearSince is not { } since)
            return new(run with { ClearSince = now }, [new("verify", $"All signals are clear; they must stay so for {verify.For.TotalMinutes:0.#} min.")]);
        if (now - since >= verify.For)
            return End(run, RunState.Succeeded, $"The signals are clear since {since:yyyy-MM-dd HH:mm:ss}Z.", now);
        return null;
    }

    static RunDecision? NotYet(Run run, RunWorld world, DateTimeOffset now)
    {
        var verify = world.Gates.Runbook.Verify;
        if (now - run.VerifyingSince!.Value >= verify.Within)
            return Fail(run, world, $"Not proven within {verify.Within.TotalMinutes:0.#} min: {WhyNot(world)}", now);
        return run.ClearSince is null ? null : new(run with { ClearSince = null }, [new("verify", $"Not clear any more: {WhyNot(world)}")]);
    }

    static string WhyNot(RunWorld world)
    {
        if (world.Incident.Signals.FirstOrDefault(s => s is { IsClear: false, Unknown: true }) is { } unknown)
            return $"{unknown.Name} is unknown, and unknown is not repaired.";
        if (world.Incident.Signals.FirstOrDefault(s => !s.IsClear) is { } active)
            return $"{active.Name} ({active.Severity}) still fires.";
        return "the runbook's expression does not hold.";
    }

    static RunDecision ToVerify(Run run, string why, DateTimeOffset now, params IEnumerable<RunNote> notes) => new(
        run with { State = RunState.Verifying, Reason = "", Since = now, RetryAt = null, VerifyingSince = now, ClearSince = null },
        [.. notes, new("verify", why)]);

    /// <summary>The last attempt hands over to people.</summary>
    static RunDecision Fail(Run run, RunWorld world, string reason, DateTimeOffset now, params IEnumerable<RunNote> notes)
    {
        var most = world.Gates.Runbook.Gates.Attempts;
        return run.Attempt < most
            ? End(run, RunState.Failed, reason, now, notes)
            : End(run, RunState.Escalated, $"{reason} That was attempt {run.Attempt} of {most}, so a person is needed.", now, notes);
    }

    static RunDecision End(Run run, RunState state, string reason, DateTimeOffset now, params IEnumerable<RunNote> notes) => new(
        run with { State = state, Reason = reason, Since = now, EndedAt = now, RetryAt = null },
        [.. notes, new(state is RunState.Escalated ? "escalated" : "ended", $"{state}: {reason}")]);

    static RunDecision Noted(RunDecision decision, RunNote note) => decision with { Notes = [note, .. decision.Notes] };

    static StepReport Report(RunWorld world, CommandOutcome outcome, string summary, JsonElement? output, DateTimeOffset now) =>
        new(world.Command!.Step, world.Command.Action, outcome, summary, output, now)
        {
            Changed = world.Command.BegunAt is not null && outcome is not CommandOutcome.Refused,
        };

    static string Words(CommandOutcome outcome) => outcome switch
    {
        CommandOutcome.Succeeded => "succeeded",
        CommandOutcome.Failed => "failed",
        CommandOutcome.Refused => "was refused on the node",
        CommandOutcome.Indeterminate => "is indeterminate",
        _ => throw new InvalidOperationException($"Unknown outcome {outcome}."),
    };
}
