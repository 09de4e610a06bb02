using System.Text.Json;

using Whistle.Actions.Programs;
using Whistle.Telemetry;

namespace Whistle.Actions.Units;

sealed record RestartParameters
{
    /// <summary>As the policy names it: <c>kubelet.service</c>.</summary>
    public string? Unit { get; init; }
}

/// <param name="StartsIn20Minutes">Before this restart, whoever asked for them.</param>
/// <param name="StateBefore">Such as <c>failed (exit-code)</c>.</param>
/// <param name="StateAfter">Null where it was not restarted.</param>
/// <param name="MainProcessBefore">0 where there was none.</param>
sealed record RestartReport(
    bool DryRun, string Unit, int StartsIn20Minutes, int MostStartsIn20Minutes, string StateBefore, string? StateAfter, int MainProcessBefore, int? MainProcessAfter);

/// <summary>Restarts a service once, unless restarting it has not helped already.</summary>
sealed class RestartUnit : INodeAction
{
    static readonly TimeSpan Window = TimeSpan.FromMinutes(20);
    static readonly TimeSpan LongestSettling = TimeSpan.FromSeconds(60);
    static readonly TimeSpan BetweenLooks = TimeSpan.FromSeconds(1);

    public string Name => "unit.restart";

    public string Description => "Restarts a service that the node's policy names, and waits until it is active.";

    public bool Mutates => true;

    public string Allowance(NodePolicy? policy) => policy is not { RestartUnits.Count: > 0 }
        ? "refused: the node's policy names no restartUnits"
        : string.Join("; ", policy.RestartUnits.Select(r => $"{r.Unit} with fewer than {r.MostStartsIn20Minutes} starts in 20 minutes"));

    public Task<ActionReport> RunAsync(JsonElement parameters, ActionContext context, CancellationToken cancellation)
    {
        var asked = ActionParameters.Read(parameters, ActionsJson.Default.RestartParameters, Name, out var refusal);
        if (asked is not null && !Names.IsService(asked.Unit ?? ""))
            refusal = $"{Name} needs a unit: the name of a service with its ending, like kubelet.service.";
        if (refusal is not null)
            return Task.FromResult(ActionReport.Refuse(refusal));
        return NodeWork.RunAsync(context, () => RunAsync(asked!.Unit!, context, cancellation), cancellation);
    }

    static async Task<ActionReport> RunAsync(string unit, ActionContext context, CancellationToken cancellation)
    {
        if (Rule(context, unit, out var refusal) is not { } rule)
            return ActionReport.Refuse(refusal!);
        var (before, failure) = await SystemUnit.ShowAsync(context, unit, cancellation).ConfigureAwait(false);
        if (before is null)
            return ActionReport.Refuse($"The state of {unit} is not known, so it is not restarted: {failure}");
        if (before.LoadState != "loaded")
            return ActionReport.Refuse(NotLoaded(unit, before.LoadState));
        var (starts, uncounted) = await SystemUnit.StartsSinceAsync(context, unit, context.Time.GetUtcNow() - Window, cancellation).ConfigureAwait(false);
        if (starts is not { } count)
            return ActionReport.Refuse(uncounted!);
        var report = new RestartReport(context.DryRun, unit, count, rule.MostStartsIn20Minutes, before.State, null, before.MainProcess, null);
        if (count >= rule.MostStartsIn20Minutes)
        {
            return Answer(
                CommandOutcome.Refused,
                $"{unit} was started {count} times in the last 20 minutes, so that one restart more will not help. Cordon the node, and look into its journal.", report);
        }

        if (context.DryRun)
            return Answer(CommandOutcome.Succeeded, $"Would restart {unit}, which is {before.State}.", report);
        if (await context.WhyNotAsync(p => p.RestartUnits.Contains(rule), cancellation).ConfigureAwait(false) is { } why)
            return ActionReport.Refuse(why);
        var restart = await NodeProgram.RunAsync(context, "systemctl", ["restart", "--no-pager", "--", unit], cancellation).ConfigureAwait(false);
        // systemd goes on with the job when the one that waits for it is killed.
        if (restart.Killed)
            return Answer(CommandOutcome.Indeterminate, $"{unit} is being restarted, and did not come up in time.", report);
        return await SettleAsync(restart, report, context, cancellation).ConfigureAwait(false);
    }

    static UnitRule? Rule(ActionContext context, string unit, out string? refusal)
    {
        var policy = context.Policy(out refusal);
        var rule = policy?.RestartUnits.FirstOrDefault(r => r.Unit == unit);
        if (policy is not null && rule is null)
            refusal = $"The node's policy {context.PolicyFile} does not name {unit} in its restartUnits, so it may not be restarted.";
        return rule;
    }

    static string NotLoaded(string unit, string state) => state switch
    {
        "not-found" => $"{unit} does not exist on this node.",
        "masked" => $"{unit} is masked, so somebody wants it stopped. To allow it again: systemctl unmask {unit}.",
        _ => $"{unit} could not be loaded ({state}). Mend its file; systemctl status {unit} says what is wrong.",
    };

    /// <summary>A service that only had to be forked counts as started before it is ready, or dies.</summary>
    static async Task<ActionReport> SettleAsync(Ended restart, RestartReport report, ActionContext context, CancellationToken cancellation)
    {
        var began = context.Time.GetTimestamp();
        while (true)
        {
            var (after, failure) = await SystemUnit.ShowAsync(context, report.Unit, cancellation).ConfigureAwait(false);
            if (after is null)
                return Answer(CommandOutcome.Indeterminate, $"{report.Unit} was restarted, but its state is not known: {failure}", report);
            report = report with { StateAfter = after.State, MainProcessAfter = after.MainProcess };
            var settling = after.ActiveState is "activating" or "deactivating" or "reloading";
            if (!settling || context.Time.GetElapsedTime(began) >= LongestSettling)
                return Verdict(restart, after, report);
            // When the time is over, the next look says so, with what is known until then.
            await Task.Delay(BetweenLooks, context.Time, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    static ActionReport Verdict(Ended restart, SystemUnit after, RestartReport report)
    {
        if (!restart.Well)
            return Answer(CommandOutcome.Failed, $"{report.Unit} could not be restarted and is {after.State}: {restart.Complaint("systemctl")}", report);
        if (!after.IsActive)
            return Answer(CommandOutcome.Failed, $"{report.Unit} was restarted and is {after.State}, not active.", report);
        if (after.MainProcess != 0 && after.MainProcess == report.MainProcessBefore)
            return Answer(CommandOutcome.Failed, $"{report.Unit} is active, but still with process {after.MainProcess}: it was not restarted.", report);
        return Answer(CommandOutcome.Succeeded, $"Restarted {report.Unit}: {report.StateBefore} before, {report.StateAfter} now.", report);
    }

    static ActionReport Answer(CommandOutcome outcome, string summary, RestartReport report) =>
        NodeWork.Report(outcome, summary, report, ActionsJson.Default.RestartReport);
}
