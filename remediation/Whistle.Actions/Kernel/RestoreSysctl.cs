using System.Text.Json;

using Whistle.Telemetry;

namespace Whistle.Actions.Kernel;

/// <summary>All are needed, and stand in the report of <c>sysctl.raise</c>.</summary>
sealed record RestoreParameters
{
    public string? Name { get; init; }

    /// <summary>What it was before.</summary>
    public long? Value { get; init; }

    /// <summary>What it was set to. Where it is something else by now, somebody else set it, and it stays.</summary>
    public long? Expected { get; init; }
}

/// <summary>
/// Sets a kernel limit back that was raised. The agent keeps no list of what it raised, so whatever is asked for is held to these: the value now is the
/// one expected; not below a tenth of it; not below the policy's floor; and not below what is in use and a quarter more.
/// </summary>
sealed class RestoreSysctl : INodeAction
{
    public string Name => "sysctl.restore";

    public string Description => "Sets a kernel limit back to what it was before sysctl.raise.";

    public bool Mutates => true;

    public string Allowance(NodePolicy? policy) => policy is not { RaiseSysctls.Count: > 0 }
        ? "refused: the node's policy names no raiseSysctls"
        : string.Join("; ", policy.RaiseSysctls.Select(r => $"{r.Name} down to {r.Floor} and never below what is in use"));

    public Task<ActionReport> RunAsync(JsonElement parameters, ActionContext context, CancellationToken cancellation)
    {
        var asked = ActionParameters.Read(parameters, ActionsJson.Default.RestoreParameters, Name, out var refusal);
        if (asked is not null && (asked.Value is not > 0 || asked.Expected is not > 0))
            refusal = $"{Name} needs value and expected, both above 0: what it was before, and what sysctl.raise made of it.";
        if (refusal is not null)
            return Task.FromResult(ActionReport.Refuse(refusal));
        return NodeWork.RunAsync(context, () => RunAsync(asked!, context, cancellation), cancellation);
    }

    static async Task<ActionReport> RunAsync(RestoreParameters asked, ActionContext context, CancellationToken cancellation)
    {
        if (RaiseSysctl.Rule(context, asked.Name, out var refusal) is not { } rule)
            return ActionReport.Refuse(refusal!);
        var sysctl = new Sysctl(context, rule.Name);
        if (sysctl.Read(out refusal) is not { } was)
            return ActionReport.Refuse(refusal!);
        var (value, expected, inUse) = (asked.Value!.Value, asked.Expected!.Value, sysctl.InUse());
        var limit = Limit(rule, expected, inUse);
        if (was != value && Refusal(rule, was, value, expected, limit) is { } no)
            return ActionReport.Refuse(no);
        if (!context.DryRun && was != value)
        {
            if (await context.WhyNotAsync(p => p.RaiseSysctls.Contains(rule), cancellation).ConfigureAwait(false) is { } why)
                return ActionReport.Refuse(why);
            // The permit may have taken a while.
            if (sysctl.Read(out _) is var now && now != was)
                return ActionReport.Refuse($"{rule.Name} became {now} meanwhile, so it stays.");
            if (sysctl.Write(value) is { } failure)
                return sysctl.Failed(failure, was, limit);
        }

        var summary = was == value ? $"{rule.Name} is {was} already." : $"{(context.DryRun ? "Would set" : "Set")} {rule.Name} back from {was} to {value}.";
        return NodeWork.Report(CommandOutcome.Succeeded, summary, new SysctlReport(context.DryRun, rule.Name, was, value, limit, inUse), ActionsJson.Default.SysctlReport);
    }

    static long Limit(SysctlRule rule, long expected, long? inUse) =>
        Math.Max(Math.Max(rule.Floor, expected / RaiseSysctl.LargestFactor), inUse is { } used ? used + used / 4 : 0);

    static string? Refusal(SysctlRule rule, long was, long value, long expected, long limit) =>
        was != expected ? $"{rule.Name} is {was} and not {expected}, so somebody else has set it since, and it stays."
        : value > was ? $"{value} is above {was}, which {rule.Name} is now. sysctl.restore only sets back; use sysctl.raise."
        : value < limit ? $"{rule.Name} may not be set back below {limit} now: the policy's floor, a tenth of what it is, or what is in use and a quarter more."
        : null;
}
