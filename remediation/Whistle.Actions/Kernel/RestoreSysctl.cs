using System.Runtime.CompilerServices;

using Whistle.Actions.Contract;
using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;

namespace Whistle.Actions.Kernel;

/// <summary>
/// Sets a kernel limit back that was raised. The agent keeps no list of what it raised, so whatever is asked for is held to these: the
/// value now is the one expected; not below a tenth of it; not below the policy's floor; and not below what is in use and a quarter more.
/// </summary>
sealed class RestoreSysctl : INodeAction
{
    static readonly ActionParameter Name = RaiseSysctl.Name with { Meaning = "As in `sysctl.raise`." };

    static readonly ActionParameter Value = new("value", ParameterKind.Whole, "What it shall be again: `was` of that report.")
    {
        Required = true,
        Above = 0,
        Example = "65536",
    };

    static readonly ActionParameter Expected = new("expected", ParameterKind.Whole, "What it must be now: `is` of that report.")
    {
        Required = true,
        Above = 0,
        Example = "131072",
    };

    internal static ActionDescriptor Own { get; } = new()
    {
        Name = "sysctl.restore",
        Summary = "Sets a kernel limit back to what it was before sysctl.raise.",
        Reads = "the limit, and how much of it is in use",
        Changes = "the limit, until the node restarts",
        DryRun = "says what it would become",
        Parameters = [Name, Value, Expected],
        PolicyKeys = ["raiseSysctls"],
        Report = SysctlJson.Default.SysctlReport,
    };

    public ActionDescriptor Descriptor => Own;

    [ModuleInitializer]
    internal static void Add() => NodeActions.Add(new RestoreSysctl());

    public string Allowance(NodePolicy? policy) => policy is not { RaiseSysctls.Count: > 0 }
        ? "refused: the node's policy names no raiseSysctls"
        : string.Join("; ", policy.RaiseSysctls.Select(r => $"{r.Name} down to {r.Floor} and never below what is in use"));

    public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation) =>
        NodeWork.RunAsync(context, () => RestoreAsync(asked, context, cancellation), cancellation);

    static async Task<ActionReport> RestoreAsync(Arguments asked, ActionContext context, CancellationToken cancellation)
    {
        if (RaiseSysctl.Rule(context, asked.Text(Name)!, out var refusal) is not { } rule)
            return ActionReport.Refuse(refusal!);
        var sysctl = new Sysctl(context, rule.Name);
        if (sysctl.Read(out refusal) is not { } was)
            return ActionReport.Refuse(refusal!);
        var (value, expected, inUse) = (asked.Whole(Value)!.Value, asked.Whole(Expected)!.Value, sysctl.InUse());
        var limit = Limit(rule, expected, inUse);
        if (was != value && Refusal(rule, was, value, expected, limit) is { } no)
            return ActionReport.Refuse(no);
        if (!context.DryRun && was != value)
        {
            if (await context.WhyNotAsync(p => p.RaiseSysctls.Contains(rule), cancellation).ConfigureAwait(false) is { } why)
                return ActionReport.Refuse(why);
            // The permit may have taken a while.
            if (sysctl.Read(out _) is var now && now != was)
                return ActionReport.Refuse($"{rule.Name} changed to {now} in the meantime, so it was left alone.");
            if (sysctl.Write(value) is { } failure)
                return sysctl.Failed(failure, was, limit);
        }

        var summary = was == value
            ? $"{rule.Name} is {was} already."
            : $"{(context.DryRun ? "Would set" : "Set")} {rule.Name} back from {was} to {value}.";
        var report = new SysctlReport(context.DryRun, rule.Name, was, value, limit, inUse);
        return NodeWork.Report(CommandOutcome.Succeeded, summary, report, SysctlJson.Default.SysctlReport);
    }

    static long Limit(SysctlRule rule, long expected, long? inUse) =>
        Math.Max(Math.Max(rule.Floor, expected / RaiseSysctl.LargestFactor), inUse is { } used ? used + used / 4 : 0);

    static string? Refusal(SysctlRule rule, long was, long value, long expected, long limit) =>
        was != expected ? $"{rule.Name} is {was} and not {expected}, so somebody else has set it since, and it stays."
        : value > was ? $"{value} is above {was}, which {rule.Name} is now. {Own.Name} only sets back; use sysctl.raise."
        : value < limit ? $"{rule.Name} may not be set back below {limit} now: the policy's floor, a tenth of what it is, "
            + "or what is in use and a quarter more."
        : null;
}
