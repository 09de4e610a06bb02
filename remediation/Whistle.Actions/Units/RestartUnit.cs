using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Contract;
using Whistle.Actions.Policy;
using Whistle.Actions.Programs;
using Whistle.Actions.Protocol;

namespace Whistle.Actions.Units;

/// <param name="StartsIn20Minutes">Before this restart, whoever asked for them.</param>
/// <param name="StateBefore">Such as <c>failed (exit-code)</c>.</param>
/// <param name="StateAfter">Null where it was not restarted.</param>
/// <param name="MainProcessBefore">0 where there was none.</param>
sealed record RestartReport(
    bool DryRun, string Unit, int StartsIn20Minutes, int MostStartsIn20Minutes, string StateBefore, string? StateAfter,
    int MainProcessBefore, int? MainProcessAfter);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(RestartReport))]
sealed partial class RestartJson : JsonSerializerContext;

/// <summary>Restarts a service once, unless restarting it has not helped already.</summary>
sealed class RestartUnit : INodeAction
{
    static readonly TimeSpan Window = TimeSpan.FromMinutes(20);
    static readonly TimeSpan LongestSettling = TimeSpan.FromSeconds(60);
    static readonly TimeSpan BetweenLooks = TimeSpan.FromSeconds(1);

    static readonly string[] TimeServices = ["chrony", "ntp", "systemd-timesyncd", "openntpd", "ptp4l"];

    public ActionDescriptor Descriptor { get; } = new()
    {
        Name = "unit.restart",
        Summary = "Restarts a service that the node's policy names, and waits until it is active.",
        Reads = "the state of the unit, and its starts in the journal",
        Changes = "the unit's processes",
        Disturbs = "whoever uses the service",
        DryRun = "asks all that must be known and leaves out the restart",
        Parameters = [SystemUnit.Parameter],
        PolicyKeys = ["restartUnits"],
        Report = RestartJson.Default.RestartReport,
        TraitsOf = text => OfUnit(text(SystemUnit.Parameter.Name)),
    };

    [ModuleInitializer]
    internal static void Add() => NodeActions.Add(new RestartUnit());

    public string Allowance(NodePolicy? policy) => policy is not { RestartUnits.Count: > 0 }
        ? "refused: the node's policy names no restartUnits"
        : string.Join("; ", policy.RestartUnits.Select(r => $"{r.Unit} with fewer than {r.MostStartsIn20Minutes} starts in 20 minutes"));

    public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation) =>
        NodeWork.RunAsync(context, () => RestartAsync(asked.Text(SystemUnit.Parameter)!, context, cancellation), cancellation);

    // A new start of the time service may step the clock, which an etcd member may not survive in time.
    static ActionTraits OfUnit(string? unit)
    {
        if (unit is null)
            return ActionTraits.Unknown;
        if (unit.Contains("etcd", StringComparison.OrdinalIgnoreCase))
            return new() { Disruptive = true, StopsVoter = true };
        return Array.Exists(TimeServices, t => unit.StartsWith(t, StringComparison.OrdinalIgnoreCase))
            ? new() { StopsVoter = true } : new() { Disruptive = true };
    }

    static async Task<ActionReport> RestartAsync(string unit, ActionContext context, CancellationToken cancellation)
    {
        if (SystemUnit.RuleOf(context, unit, out var refusal) is not { } rule)
            return ActionReport.Refuse(refusal!);
        var (before, failure) = await SystemUnit.ShowAsync(context, unit, cancellation).ConfigureAwait(false);
        if (before is null)
            return ActionReport.Refuse($"The state of {unit} is not known, so it is not restarted: {failure}");
        if (before.LoadState != "loaded")
            return ActionReport.Refuse(NotLoaded(unit, before.LoadState));
        var (starts, uncounted) = await SystemUnit.StartsSinceAsync(
            context, unit, context.Time.GetUtcNow() - Window, cancellation).ConfigureAwait(false);
        if (starts is not { } count)
            return ActionReport.Refuse(uncounted!);
        var report = new RestartReport(
            context.DryRun, unit, count, rule.MostStartsIn20Minutes, before.State, null, before.MainProcess, null);
        if (count >= rule.MostStartsIn20Minutes)
        {
            return Answer(
                CommandOutcome.Refused,
                $"{unit} was started {count} times in the last 20 minutes, so that one restart more will not help. "
                + "Cordon the node, and look into its journal.", report);
        }

        if (context.DryRun)
            return Answer(CommandOutcome.Succeeded, $"Would restart {unit}, which is {before.State}.", report);
        if (await context.WhyNotAsync(p => p.RestartUnits.Contains(rule), cancellation).ConfigureAwait(false) is { } why)
            return ActionReport.Refuse(why);
        var restart = await NodeProgram.RunAsync(
            context, "systemctl", ["restart", "--no-pager", "--", unit], cancellation).ConfigureAwait(false);
        // systemd goes on with the job when the one that waits for it is killed.
        if (restart.Killed)
            return Answer(CommandOutcome.Indeterminate, $"{unit} is being restarted, and did not come up in time.", report);
        return await SettleAsync(restart, report, context, cancellation).ConfigureAwait(false);
    }

    static string NotLoaded(string unit, string state) => state switch
    {
        "not-found" => $"{unit} does not exist on this node.",
        "masked" => $"{unit} is masked, so somebody wants it stopped. To allow it again: systemctl unmask {unit}.",
        _ => $"{unit} could not be loaded ({state}). Fix its file; systemctl status {unit} says what is wrong.",
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
            return Answer(
                CommandOutcome.Failed, $"{report.Unit} could not be restarted and is {after.State}: {restart.Complaint("systemctl")}",
                report);
        if (!after.IsActive)
            return Answer(CommandOutcome.Failed, $"{report.Unit} was restarted and is {after.State}, not active.", report);
        if (after.MainProcess != 0 && after.MainProcess == report.MainProcessBefore)
            return Answer(
                CommandOutcome.Failed, $"{report.Unit} is active, but still with process {after.MainProcess}: it was not restarted.",
                report);
        return Answer(CommandOutcome.Succeeded, $"Restarted {report.Unit}: {report.StateBefore} before, {report.StateAfter} now.", report);
    }

    static ActionReport Answer(CommandOutcome outcome, string summary, RestartReport report) =>
        NodeWork.Report(outcome, summary, report, RestartJson.Default.RestartReport);
}
