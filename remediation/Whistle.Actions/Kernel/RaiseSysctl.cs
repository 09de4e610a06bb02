using System.Runtime.CompilerServices;

using Whistle.Actions.Contract;
using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;

namespace Whistle.Actions.Kernel;

/// <summary>Raises one kernel limit, never above the policy's cap, until the node restarts.</summary>
sealed class RaiseSysctl : INodeAction
{
    /// <summary>No step is larger, up or down, so that a slip of one digit is the worst there is.</summary>
    public const int LargestFactor = 10;

    internal static readonly ActionParameter Name =
        new("name", ParameterKind.Text, "Such as `net.netfilter.nf_conntrack_max`, `fs.file-max` or `kernel.pid_max`.")
        { Required = true, Example = "\"fs.file-max\"" };

    static readonly ActionParameter Factor = new("factor", ParameterKind.Number, "What would come out above the cap becomes the cap.")
    {
        Above = 1,
        Most = LargestFactor,
        Example = "2",
    };

    static readonly ActionParameter Value =
        new("value", ParameterKind.Whole, "Instead of a factor: up to the cap, and to ten times what it is.");

    public ActionDescriptor Descriptor { get; } = new()
    {
        Name = "sysctl.raise",
        Summary = "Raises a kernel limit that the node's policy names, up to its cap.",
        Reads = "the limit, and how much of it is in use",
        Changes = "the limit, until the node restarts",
        DryRun = "says what it would become",
        Undo = RestoreSysctl.Own.Name,
        Parameters = [Name, Factor, Value],
        PolicyKeys = ["raiseSysctls"],
        Report = SysctlJson.Default.SysctlReport,
    };

    [ModuleInitializer]
    internal static void Add() => NodeActions.Add(new RaiseSysctl());

    public string Allowance(NodePolicy? policy) => policy is not { RaiseSysctls.Count: > 0 }
        ? "refused: the node's policy names no raiseSysctls"
        : string.Join("; ", policy.RaiseSysctls.Select(r => $"{r.Name} up to {r.Cap}"));

    public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation) =>
        asked.Number(Factor) is null == asked.Whole(Value) is null
            ? Task.FromResult(ActionReport.Refuse($"{Descriptor.Name} takes either a factor or a value."))
            : NodeWork.RunAsync(context, () => RaiseAsync(asked, context, cancellation), cancellation);

    static async Task<ActionReport> RaiseAsync(Arguments asked, ActionContext context, CancellationToken cancellation)
    {
        if (Rule(context, asked.Text(Name)!, out var refusal) is not { } rule)
            return ActionReport.Refuse(refusal!);
        var sysctl = new Sysctl(context, rule.Name);
        if (sysctl.Read(out refusal) is not { } was)
            return ActionReport.Refuse(refusal!);
        if (Target(asked.Number(Factor), asked.Whole(Value), rule, was, out refusal) is not { } target)
            return ActionReport.Refuse(refusal!);
        if (!context.DryRun && target > was)
        {
            if (await context.WhyNotAsync(p => p.RaiseSysctls.Contains(rule), cancellation).ConfigureAwait(false) is { } why)
                return ActionReport.Refuse(why);
            // The permit may have taken a while, and what was raised further in that time must not be lowered.
            if (sysctl.Read(out _) is var now && now != was)
                return ActionReport.Refuse($"{rule.Name} changed to {now} in the meantime, so it was left alone.");
            if (sysctl.Write(target) is { } failure)
                return sysctl.Failed(failure, was, rule.Cap);
        }

        var report = new SysctlReport(context.DryRun, rule.Name, was, target, rule.Cap, sysctl.InUse());
        var summary = target == was
            ? $"{rule.Name} is {was} already."
            : $"{(context.DryRun ? "Would raise" : "Raised")} {rule.Name} from {was} to {target}, until the node restarts.";
        return NodeWork.Report(CommandOutcome.Succeeded, summary, report, SysctlJson.Default.SysctlReport);
    }

    internal static SysctlRule? Rule(ActionContext context, string name, out string? refusal)
    {
        var policy = context.Policy(out refusal);
        var rule = policy?.RaiseSysctls.FirstOrDefault(r => r.Name == name);
        if (policy is not null && rule is null)
            refusal = $"The node's policy {context.PolicyFile} does not name {name} in its raiseSysctls, so it may not be changed.";
        return rule;
    }

    static long? Target(double? factor, long? value, SysctlRule rule, long was, out string? refusal)
    {
        refusal = null;
        var target = value ?? (long)Math.Min(Math.Ceiling(was * factor!.Value), rule.Cap);
        if (value > rule.Cap)
            refusal = $"{value} is above the cap of the node's policy for {rule.Name}, which is {rule.Cap}.";
        else if (factor is not null && was >= rule.Cap)
            refusal = $"{rule.Name} is {was}, which is at the cap of the node's policy ({rule.Cap}) or above. "
                + "Find what uses it up, or have the cap raised.";
        else if (target < was)
            refusal = $"{rule.Name} is {was} already, and {target} would lower it. sysctl.raise never does.";
        else if (target / LargestFactor > was)
            refusal = $"{target} is more than {LargestFactor} times {was}, which {rule.Name} is now. Raise it in steps.";
        return refusal is null ? target : null;
    }
}
