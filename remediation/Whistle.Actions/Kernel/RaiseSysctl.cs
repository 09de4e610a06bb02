using System.Text.Json;

using Whistle.Telemetry;

namespace Whistle.Actions.Kernel;

/// <summary>Either of factor and value is needed.</summary>
sealed record RaiseParameters
{
    public string? Name { get; init; }

    /// <summary>Above 1 and up to 10. What would come out above the policy's cap becomes the cap.</summary>
    public double? Factor { get; init; }

    /// <summary>At most the policy's cap, and ten times what it is.</summary>
    public long? Value { get; init; }
}

/// <summary>Raises one kernel limit, never above the policy's cap, until the node restarts.</summary>
sealed class RaiseSysctl : INodeAction
{
    /// <summary>No step is larger, up or down, so that a slip of one digit is the worst there is.</summary>
    public const int LargestFactor = 10;

    public string Name => "sysctl.raise";

    public string Description => "Raises a kernel limit that the node's policy names, up to its cap.";

    public bool Mutates => true;

    public string Allowance(NodePolicy? policy) => policy is not { RaiseSysctls.Count: > 0 }
        ? "refused: the node's policy names no raiseSysctls"
        : string.Join("; ", policy.RaiseSysctls.Select(r => $"{r.Name} up to {r.Cap}"));

    public Task<ActionReport> RunAsync(JsonElement parameters, ActionContext context, CancellationToken cancellation)
    {
        var asked = ActionParameters.Read(parameters, ActionsJson.Default.RaiseParameters, Name, out var refusal);
        if (asked is not null && asked.Factor is null == asked.Value is null)
            refusal = $"{Name} takes either a factor or a value.";
        if (asked?.Factor is { } factor && !(factor > 1 && factor <= LargestFactor))
            refusal = $"factor must be above 1 and at most {LargestFactor}.";
        if (refusal is not null)
            return Task.FromResult(ActionReport.Refuse(refusal));
        return NodeWork.RunAsync(context, () => RunAsync(asked!, context, cancellation), cancellation);
    }

    static async Task<ActionReport> RunAsync(RaiseParameters asked, ActionContext context, CancellationToken cancellation)
    {
        if (Rule(context, asked.Name, out var refusal) is not { } rule)
            return ActionReport.Refuse(refusal!);
        var sysctl = new Sysctl(context, rule.Name);
        if (sysctl.Read(out refusal) is not { } was)
            return ActionReport.Refuse(refusal!);
        if (Target(asked, rule, was, out refusal) is not { } target)
            return ActionReport.Refuse(refusal!);
        if (!context.DryRun && target > was)
        {
            if (await context.WhyNotAsync(p => p.RaiseSysctls.Contains(rule), cancellation).ConfigureAwait(false) is { } why)
                return ActionReport.Refuse(why);
            // The permit may have taken a while, and what was raised further meanwhile must not be lowered.
            if (sysctl.Read(out _) is var now && now != was)
                return ActionReport.Refuse($"{rule.Name} became {now} meanwhile, so it stays.");
            if (sysctl.Write(target) is { } failure)
                return sysctl.Failed(failure, was, rule.Cap);
        }

        var report = new SysctlReport(context.DryRun, rule.Name, was, target, rule.Cap, sysctl.InUse());
        var summary = target == was ? $"{rule.Name} is {was} already." : $"{(context.DryRun ? "Would raise" : "Raised")} {rule.Name} from {was} to {target}, until the node restarts.";
        return NodeWork.Report(CommandOutcome.Succeeded, summary, report, ActionsJson.Default.SysctlReport);
    }

    internal static SysctlRule? Rule(ActionContext context, string? name, out string? refusal)
    {
        var policy = context.Policy(out refusal);
        var rule = policy?.RaiseSysctls.FirstOrDefault(r => r.Name == name);
        if (policy is not null && rule is null)
            refusal = string.IsNullOrEmpty(name) ? "The parameter name is missing. Give it like fs.file-max."
                : $"The node's policy {context.PolicyFile} does not name {name} in its raiseSysctls, so it may not be changed.";
        return rule;
    }

    static long? Target(RaiseParameters asked, SysctlRule rule, long was, out string? refusal)
    {
        refusal = null;
        var target = asked.Value ?? (long)Math.Min(Math.Ceiling(was * asked.Factor!.Value), rule.Cap);
        if (asked.Value > rule.Cap)
            refusal = $"{asked.Value} is above the cap of the node's policy for {rule.Name}, which is {rule.Cap}.";
        else if (asked.Factor is not null && was >= rule.Cap)
            refusal = $"{rule.Name} is {was}, which is at the cap of the node's policy ({rule.Cap}) or above. Find what uses it up, or have the cap raised.";
        else if (target < was)
            refusal = $"{rule.Name} is {was} already, and {target} would lower it. sysctl.raise never does.";
        else if (target / LargestFactor > was)
            refusal = $"{target} is more than {LargestFactor} times {was}, which {rule.Name} is now. Raise it in steps.";
        return refusal is null ? target : null;
    }
}
