using System.Text.Json;

using Whistle.Actions.Protocol;
using Whistle.Incidents;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

namespace Whistle.Remediation.Engine;

/// <summary>What a run is advanced by.</summary>
/// <param name="Command">The run's latest command; null before the first.</param>
/// <param name="Condition">The PromQL that the run waits for now holds, or none is asked.</param>
sealed record RunWorld(GateSnapshot Gates, Incident Incident, Command? Command, Plan Plan, bool Condition)
{
    /// <summary>The yes to the step that asks for one of its own.</summary>
    public Approval? StepApproval { get; init; }

    /// <summary>A person has done what the step asks.</summary>
    public TaskDone? Task { get; init; }

    public bool IsClear => Incident.Signals.All(s => s.IsClear);

    public PlannedStep Step(Run run) => Plan.Steps[run.Step];
}

/// <summary>The life of a run as a function of what is so now. Null means that nothing changes.</summary>
static partial class RunEngine
{
    /// <summary>An agent that takes no command for so long does not work.</summary>
    internal static readonly TimeSpan OfferFor = TimeSpan.FromMinutes(5);

    /// <summary>Past an action's own time limit, for the report's way.</summary>
    internal static readonly TimeSpan ReportGrace = TimeSpan.FromMinutes(1);

    /// <summary>A run that has changed something hangs no longer than this in the midst of its plan.</summary>
    internal static readonly TimeSpan LongestStall = TimeSpan.FromHours(1);

    public static RunDecision? Advance(Run run, RunWorld world, DateTimeOffset now) => run.State switch
    {
        _ when run.EndedAt is not null => null,
        _ when run.Undoing is not null => Undo(run, run.Undoing, world, now),
        RunState.Proposed or RunState.Waiting or RunState.AwaitingApproval or RunState.Verifying
            when world.Gates.Cancellation is { } called => Cancel(run, called, world, now),
        RunState.Proposed or RunState.Waiting or RunState.AwaitingApproval when !AtStepOfPeople(run, world) => Start(run, world, now),
        RunState.AwaitingApproval or RunState.Running => Work(run, world, now),
        RunState.Verifying => Verify(run, world, now),
        _ => null,
    };

    /// <summary>
    /// When the run is to be looked at again though nothing else happens; null where only something that happens moves it.
    /// </summary>
    public static DateTimeOffset? DueAt(Run run, Command? command, Runbook runbook, DateTimeOffset now)
    {
        if (run.EndedAt is not null)
            return null;
        var step = run.Step < runbook.Steps.Count ? runbook.Steps[run.Step] : null;
        return run switch
        {
            { State: RunState.Waiting or RunState.AwaitingApproval } when run.RetryAt is { } retry => retry,
            { Undoing: { Issued: false } or { Steps.Count: 0 } } => now,
            { Undoing.DoneAt: not null } => now + TimeSpan.FromSeconds(10),
            { State: RunState.Verifying, ClearSince: { } clear } => clear + runbook.Verify.For,
            { State: RunState.Verifying, VerifyingSince: { } since } => since + runbook.Verify.Within,
            { Undoing: null, State: RunState.Running or RunState.AwaitingApproval } when step is { Kind: not StepKind.Action } =>
                step.Kind is StepKind.Wait ? Least(run.Since + step.Timeout, now + TimeSpan.FromSeconds(30)) : run.Since + step.Timeout,
            _ => command switch
            {
                { State: CommandState.Begun, BegunAt: { } begun } => begun + TimeSpan.FromSeconds(command.TimeoutSeconds) + ReportGrace,
                { State: CommandState.Offered or CommandState.Leased } =>
                    Least(command.OfferedAt + OfferFor, now + TimeSpan.FromSeconds(30)),
                _ => now,
            },
        };
    }

    static DateTimeOffset Least(DateTimeOffset a, DateTimeOffset b) => a < b ? a : b;

    // A step that asks for a yes of its own waits in a state of its own.
    static bool AtStepOfPeople(Run run, RunWorld world) =>
        run.State is RunState.AwaitingApproval && run.Step < world.Plan.Steps.Count && world.Step(run).Step.Kind is StepKind.Approval;

    static RunDecision? Start(Run run, RunWorld world, DateTimeOffset now)
    {
        var used = BudgetGates.Attempts(world.Gates);
        if (used >= world.Gates.Runbook.Gates.Attempts)
            return GiveUp(run, world, $"The signals are back after {used} attempts.", now);
        if (world.IsClear)
            return run.Reports.Count > 0
                ? ToVerify(run, "The signals are clear; what is left of the plan is not needed.", now)
                : End(run, RunState.Cancelled, "The signals cleared before anything was done.", now);
        return Enter(run, world, [], now);
    }

    /// <summary>Begins the step that is next, once the gates let it.</summary>
    static RunDecision? Enter(Run run, RunWorld world, IReadOnlyList<RunNote> notes, DateTimeOffset now)
    {
        var planned = world.Step(run);
        if (planned.Step.Kind is not StepKind.Action)
            return EnterOther(run, planned, notes, now);
        if (GatePipeline.FirstRefusal(world.Gates) is { } refusal)
            return Noted(Wait(run, world, refusal, now), run, notes);
        return Executor(run, world, planned) is { } node
            ? Offer(run with { Generation = world.Gates.Generation }, planned, node, [.. notes, new(
                TimelineKind.Gates, $"Asked before {planned.Step.Name}. {GatePipeline.Summary(world.Gates)}", Repeats: true)], now)
            : Noted(Wait(run, world, NoExecutor(run), now), run, notes);
    }

    static RunDecision EnterOther(Run run, PlannedStep planned, IReadOnlyList<RunNote> notes, DateTimeOffset now)
    {
        var (name, text) = (planned.Step.Name, planned.Text);
        var (state, reason) = planned.Step.Kind switch
        {
            StepKind.Wait => (RunState.Running, $"{name}: waiting until {text} is true."),
            StepKind.Task => (RunState.Running, $"{name}: waiting for a person to do this: {text}"),
            StepKind.Approval => (RunState.AwaitingApproval, $"{name}: waiting for approval by {text}."),
            _ => throw new InvalidOperationException($"Unknown kind {planned.Step.Kind}."),
        };
        return new(
            run with { State = state, Reason = reason, Since = now, RetryAt = null, StalledSince = null },
            [.. notes, new(TimelineKind.Step, reason)]);
    }

    static RunDecision? Wait(Run run, RunWorld world, Refusal refusal, DateTimeOffset now)
    {
        var stalled = run.Reports.Any(r => r.Changed) ? run.StalledSince ?? now : (DateTimeOffset?)null;
        if (now - stalled >= LongestStall)
            return Fail(run, world, $"It was stuck in the middle of its plan for {LongestStall.TotalMinutes:0} min: {refusal.Reason}", now);
        var state = refusal.NeedsApproval ? RunState.AwaitingApproval : RunState.Waiting;
        var same = run.State == state && run.Reason == refusal.Reason;
        if (same && now < run.RetryAt)
            return null;
        var retry = now + (refusal.RetryAfter > TimeSpan.Zero ? refusal.RetryAfter : TimeSpan.FromMinutes(1));
        var next =
            run with { State = state, Reason = refusal.Reason, Since = same ? run.Since : now, RetryAt = retry, StalledSince = stalled };
        return new(next, [new(TimelineKind.Gates, GatePipeline.Summary(world.Gates), Repeats: true), refusal.Note]);
    }

    /// <summary>The node whose agent carries the step out; null where nobody can.</summary>
    static string? Executor(Run run, RunWorld world, PlannedStep planned)
    {
        if (!planned.Traits.ViaControlPlane)
            return run.Node;
        var able = world.Gates.Cluster?.Nodes.Where(n => n is { ControlPlane: true, Ready: true } && n.Name != run.Node
            && world.Gates.Restore?.Unheard.Contains(n.Name) is not true).Select(n => n.Name).Order(StringComparer.Ordinal).ToList();
        // Another each time, so that one that only seems well is not asked for ever.
        return able is { Count: > 0 } ? able[run.Issued % able.Count] : null;
    }

    static Refusal NoExecutor(Run run) => new(
        GateName.Executor, new GateReason.NoExecutor(run), TimeSpan.FromMinutes(1), NeedsApproval: false);

    static RunDecision Offer(Run run, PlannedStep planned, string node, IReadOnlyList<RunNote> notes, DateTimeOffset now)
    {
        var next =
            run with { State = RunState.Running, Reason = "", Since = now, RetryAt = null, StalledSince = null, Issued = run.Issued + 1 };
        var command = new Command
        {
            Id = next.CommandId,
            RunId = run.Id,
            Tenant = run.Tenant,
            Cluster = run.Cluster,
            Node = node,
            Step = planned.Step.Name,
            Action = planned.Step.Action,
            Parameters = planned.Traits.ViaControlPlane ? ForTarget(planned.Parameters, run) : planned.Parameters,
            DryRun = planned.Step.DryRun,
            TimeoutSeconds = (int)planned.Step.Timeout.TotalSeconds,
            OfferedAt = now,
            Undo = run.Undoing is not null,
        };
        var text = $"{planned.Step.Name}: {planned.Step.Action} {command.Parameters} offered to {node}.";
        return new(next, [.. notes, new(run.Undoing is null ? TimelineKind.Step : TimelineKind.Undo, text)]) { Offer = command };
    }

    // An agent that acts on another node is given the node and the owner: what is cordoned carries its owner's name.
    static string ForTarget(string parameters, Run run)
    {
        var tree = JsonSerializer.Deserialize(parameters, RunJson.Default.DictionaryStringJsonElement)!;
        tree["node"] = JsonSerializer.SerializeToElement(run.Node, RunJson.Default.String);
        tree["owner"] = JsonSerializer.SerializeToElement(run.Id, RunJson.Default.String);
        return JsonSerializer.Serialize(tree, RunJson.Default.DictionaryStringJsonElement);
    }

    static RunDecision? Work(Run run, RunWorld world, DateTimeOffset now)
    {
        if (world.Step(run).Step.Kind is not StepKind.Action)
            return WorkOther(run, world, world.Step(run), now);
        return world.Command switch
        {
            { State: CommandState.Offered or CommandState.Leased } command => Pending(run, world, command, now),
            { State: CommandState.Begun } command => Begun(run, world, command, now),
            { State: CommandState.Denied } command => Denied(run, command, now),
            { State: CommandState.Done } command => Done(run, world, command, now),
            _ => Start(run, world, now),
        };
    }

    static RunDecision? WorkOther(Run run, RunWorld world, PlannedStep planned, DateTimeOffset now)
    {
        if (world.Gates.Cancellation is { } called)
            return Cancel(run, called, world, now);
        if (world.IsClear)
            return Start(run, world, now);
        var step = planned.Step;
        var (done, summary) = step.Kind switch
        {
            StepKind.Wait => (world.Condition, "the condition is true."),
            StepKind.Task => (world.Task is not null, $"done by {world.Task?.Author}: {world.Task?.Note}"),
            _ => (PeopleGates.Approved(world.Gates, world.StepApproval).Allows, $"approved by {world.StepApproval?.Author}."),
        };
        if (!done && now - run.Since < step.Timeout)
            return null;
        var outcome = done ? CommandOutcome.Succeeded : CommandOutcome.Failed;
        var report = new StepReport(
            step.Name, step.Kind.ToString().ToLowerInvariant(), outcome,
            done ? summary : $"not within {step.Timeout.TotalMinutes:0.#} min.", null, now);
        var next = run with { Reports = [.. run.Reports, report] };
        var note = new RunNote(TimelineKind.Step, $"{step.Name} {Words(outcome)}: {report.Summary}");
        return done || step.GoesOn
            ? After(next with { Step = run.Step + 1 }, world, note, now)
            : Fail(next, world, $"The step {step.Name} {Words(outcome)}: {report.Summary}", now, note);
    }

    static RunDecision Cancel(Run run, Cancellation called, RunWorld world, DateTimeOffset now, params IEnumerable<RunNote> notes) =>
        Finish(
            run with { CancelledBy = called.Author }, world, RunState.Cancelled, $"Cancelled by {called.Author}: {called.Reason}", now,
            notes);

    static RunDecision? Pending(Run run, RunWorld world, Command command, DateTimeOffset now)
    {
        if (world.Gates.Cancellation is { } called)
            return Cancel(run, called, world, now) with { Withdraw = command.Id };
        if (world.IsClear)
            return Start(run, world, now)! with { Withdraw = command.Id };
        if (GatePipeline.FirstRefusal(world.Gates) is { } refusal)
            return Wait(run, world, refusal, now)! with { Withdraw = command.Id };
        if (now - command.OfferedAt >= OfferFor && (command.LeasedUntil is null || command.LeasedUntil <= now))
            return Fail(run, world, $"The agent of {command.Node} picked up no command for {OfferFor.TotalMinutes:0} min. "
                + "Check that it runs and can reach the server.", now) with
            { Withdraw = command.Id };
        return null;
    }

    static RunDecision? Begun(Run run, RunWorld world, Command command, DateTimeOffset now)
    {
        if (now - command.BegunAt!.Value < TimeSpan.FromSeconds(command.TimeoutSeconds) + ReportGrace)
            return null;
        var report = Report(command, CommandOutcome.Indeterminate, "No result came back; it is not sent again.", null, now);
        return ToVerify(
            run with { Reports = [.. run.Reports, report] },
            $"{command.Step}: no result came back. It is not sent again; the signals decide.", now);
    }

    static RunDecision Denied(Run run, Command command, DateTimeOffset now)
    {
        var reason = command.Reason ?? "The gates said no.";
        var stalled = run.Reports.Any(r => r.Changed) ? run.StalledSince ?? now : (DateTimeOffset?)null;
        var next = run with
        {
            State = RunState.Waiting,
            Reason = reason,
            Since = now,
            RetryAt = now + TimeSpan.FromMinutes(1),
            StalledSince = stalled,
        };
        return new(next, [new(TimelineKind.Gate, $"{command.Step} was not allowed to start: {reason}", Repeats: true)]);
    }

    static RunDecision Done(Run run, RunWorld world, Command command, DateTimeOffset now)
    {
        var outcome = command.Outcome!.Value;
        var report = Report(command, outcome, command.Summary ?? "", Output(command), now);
        var next = run with { Reports = [.. run.Reports, report] };
        var note = new RunNote(TimelineKind.Step, $"{command.Step} {Words(outcome)}: {command.Summary}");
        if (outcome is CommandOutcome.Indeterminate)
            return ToVerify(
                next, $"{command.Step}: outcome unknown, the agent stopped mid-run. It is not sent again; the signals decide.", now, note);
        if (outcome is not CommandOutcome.Succeeded && !world.Step(run).Step.GoesOn)
            return Fail(next, world, $"The step {command.Step} {Words(outcome)}: {command.Summary}", now, note);
        return After(next with { Step = run.Step + 1 }, world, note, now);
    }

    static RunDecision After(Run run, RunWorld world, RunNote note, DateTimeOffset now)
    {
        if (world.Gates.Cancellation is { } called)
            return Cancel(run, called, world, now, note);
        if (world.IsClear)
            return ToVerify(run, "The signals are clear; what is left of the plan is not needed.", now, note);
        // The gates are asked about the steps that are left.
        if (run.Step < world.Plan.Steps.Count)
            return Enter(run, world with { Gates = world.Gates with { Run = run, Traits = world.Plan.From(run.Step) } }, [note], now)!;
        if (run.Reports.Any(r => r.Changed))
            return ToVerify(run, "All steps are done; now the signals decide.", now, note);
        return Fail(run, world, $"Nothing was changed: {WhyUnchanged(run, world)}", now, note);
    }

    static string WhyUnchanged(Run run, RunWorld world)
    {
        var mutating = world.Plan.Steps.Where(s => !s.Traits.ReadOnly).Select(s => s.Step.Name).ToHashSet();
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
            return Finish(run, world, RunState.Cancelled, "What the incident was about is gone.", now);
        if (run.ClearSince is not { } since)
            return new(
                run with { ClearSince = now },
                [new(TimelineKind.Verify, $"All signals have cleared. They must stay clear for {verify.For.TotalMinutes:0.#} min.")]);
        if (now - since >= verify.For)
            return Finish(run, world, RunState.Succeeded, $"The signals have been clear since {since:yyyy-MM-dd HH:mm:ss}Z.", now);
        return null;
    }

    static RunDecision? NotYet(Run run, RunWorld world, DateTimeOffset now)
    {
        var verify = world.Gates.Runbook.Verify;
        if (now - run.VerifyingSince!.Value >= verify.Within)
            return Fail(run, world, $"Not proven within {verify.Within.TotalMinutes:0.#} min: {WhyNot(world)}", now);
        return run.ClearSince is null ? null : new(
            run with { ClearSince = null }, [new(TimelineKind.Verify, $"No longer clear: {WhyNot(world)}")]);
    }

    static string WhyNot(RunWorld world)
    {
        if (world.Incident.Signals.FirstOrDefault(s => s is { IsClear: false, Unknown: true }) is { } unknown)
            return $"{unknown.Name} is unknown, which does not prove a repair.";
        if (world.Incident.Signals.FirstOrDefault(s => !s.IsClear) is { } active)
            return $"{active.Name} ({active.Severity}) is still firing.";
        return "the runbook's expression is not true.";
    }

    static RunDecision ToVerify(Run run, string why, DateTimeOffset now, params IEnumerable<RunNote> notes) => new(
        run with
        {
            State = RunState.Verifying,
            Reason = "",
            Since = now,
            RetryAt = null,
            StalledSince = null,
            VerifyingSince = now,
            ClearSince = null,
        },
        [.. notes, new(TimelineKind.Verify, why)]);

    /// <summary>The last attempt of a rung hands over to the next, and that of the last rung to people.</summary>
    static RunDecision Fail(Run run, RunWorld world, string reason, DateTimeOffset now, params IEnumerable<RunNote> notes)
    {
        var most = world.Gates.Runbook.Gates.Attempts;
        return run.Attempt < most
            ? Finish(run, world, RunState.Failed, reason, now, notes)
            : GiveUp(run, world, $"{reason} That was attempt {run.Attempt} of {most}.", now, notes);
    }

    static RunDecision GiveUp(Run run, RunWorld world, string reason, DateTimeOffset now, params IEnumerable<RunNote> notes) =>
        run.Rungs.Count > 0
            ? Finish(run with { UsedUp = true }, world, RunState.Failed, $"{reason} The next rung is {run.Rungs[0]}.", now, notes)
            : Finish(run with { UsedUp = true }, world, RunState.Escalated, $"{reason} A person is needed.", now, notes);

    static RunDecision End(Run run, RunState state, string reason, DateTimeOffset now, params IEnumerable<RunNote> notes) => new(
        run with { State = state, Reason = reason, Since = now, EndedAt = now, RetryAt = null, Undoing = null },
        [.. notes, new(state is RunState.Escalated ? TimelineKind.Escalated : TimelineKind.Ended, $"{state}: {reason}")]);

    static RunDecision? Noted(RunDecision? decision, Run run, IReadOnlyList<RunNote> notes) =>
        notes.Count == 0 ? decision : decision is null ? new(run, notes) : decision with { Notes = [.. notes, .. decision.Notes] };

    static JsonElement? Output(Command command) => command.Output is null ? null : JsonDocument.Parse(command.Output).RootElement;

    static StepReport Report(Command command, CommandOutcome outcome, string summary, JsonElement? output, DateTimeOffset now) =>
        new(command.Step, command.Action, outcome, summary, output, now)
        {
            Changed = !command.Undo && !command.DryRun && command.BegunAt is not null && outcome is not CommandOutcome.Refused,
            Undo = command.Undo,
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
