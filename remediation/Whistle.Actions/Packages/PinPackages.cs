using System.Text.Json;

using Whistle.Actions.Programs;
using Whistle.Telemetry;

namespace Whistle.Actions.Packages;

sealed record PinParameters
{
    /// <summary>Some of the policy's packages. <c>packages.pin</c> takes all where it is left out; <c>packages.unpin</c> needs it.</summary>
    public IReadOnlyList<string>? Packages { get; init; }
}

/// <param name="HeldBefore">Of those asked for.</param>
/// <param name="Changed">What was put on hold, or taken off it; <c>packages.unpin</c> takes it to undo exactly this.</param>
/// <param name="Missing">Those that are not installed.</param>
sealed record PinReport(bool DryRun, IReadOnlyList<string> HeldBefore, IReadOnlyList<string> Changed, IReadOnlyList<string> Missing);

/// <summary>Puts packages on hold, so that no upgrade touches them. It installs and removes nothing.</summary>
sealed class PinPackages : INodeAction
{
    public string Name => "packages.pin";

    public string Description => "Puts Debian packages on hold that the node's policy names.";

    public bool Mutates => true;

    public string Allowance(NodePolicy? policy) => Holds.Allowance(policy);

    public Task<ActionReport> RunAsync(JsonElement parameters, ActionContext context, CancellationToken cancellation) =>
        new Holds(Name, hold: true, context).RunAsync(parameters, cancellation);
}

/// <summary>Takes packages off hold again.</summary>
sealed class UnpinPackages : INodeAction
{
    public string Name => "packages.unpin";

    public string Description => "Takes Debian packages off hold that packages.pin has put on it.";

    public bool Mutates => true;

    public string Allowance(NodePolicy? policy) => Holds.Allowance(policy);

    public Task<ActionReport> RunAsync(JsonElement parameters, ActionContext context, CancellationToken cancellation) =>
        new Holds(Name, hold: false, context).RunAsync(parameters, cancellation);
}

/// <summary>One change of holds by apt-mark, looked at before and after.</summary>
sealed class Holds(string action, bool hold, ActionContext context)
{
    public static string Allowance(NodePolicy? policy) => policy is not { PinPackages.Count: > 0 }
        ? "refused: the node's policy names no pinPackages"
        : string.Join(' ', policy.PinPackages);

    public Task<ActionReport> RunAsync(JsonElement parameters, CancellationToken cancellation)
    {
        var asked = ActionParameters.Read(parameters, ActionsJson.Default.PinParameters, action, out var refusal);
        if (asked is not null && (asked.Packages is { Count: 0 } || (asked.Packages is null && !hold)))
            refusal = $"{action} needs packages: the names of those that packages.pin has put on hold, from the changed of its report.";
        if (refusal is not null)
            return Task.FromResult(ActionReport.Refuse(refusal));
        return NodeWork.RunAsync(context, () => RunAsync(asked!, cancellation), cancellation);
    }

    async Task<ActionReport> RunAsync(PinParameters asked, CancellationToken cancellation)
    {
        if (context.Policy(out var refusal) is not { } policy)
            return ActionReport.Refuse(refusal!);
        if (policy.PinPackages.Count == 0)
            return ActionReport.Refuse($"The node's policy {context.PolicyFile} names no pinPackages, so no hold may be changed.");
        IReadOnlyList<string> names = [.. (asked.Packages ?? policy.PinPackages).Distinct()];
        if (names.FirstOrDefault(n => !policy.PinPackages.Contains(n)) is { } foreign)
            return ActionReport.Refuse($"The node's policy {context.PolicyFile} does not name {foreign} in its pinPackages, so its hold may not be changed.");
        var (before, failure) = await Dpkg.QueryAsync(context, names, cancellation).ConfigureAwait(false);
        if (before is null)
            return ActionReport.Refuse($"What is on hold is not known: {failure}");
        var changes = before.Where(p => p.Held != hold).Select(p => p.Name).ToList();
        var report = new PinReport(context.DryRun, [.. before.Where(p => p.Held).Select(p => p.Name)], changes, [.. names.Except(before.Select(p => p.Name))]);
        if (context.DryRun || changes.Count == 0)
            return Answer(CommandOutcome.Succeeded, context.DryRun ? "Would " + (hold ? "put on hold" : "take off hold") : Done, report);
        if (await context.WhyNotAsync(p => names.All(p.PinPackages.Contains), cancellation).ConfigureAwait(false) is { } why)
            return ActionReport.Refuse(why);
        return await ChangeAsync(report, names, cancellation).ConfigureAwait(false);
    }

    string Done => hold ? "Put on hold" : "Took off hold";

    async Task<ActionReport> ChangeAsync(PinReport report, IReadOnlyList<string> names, CancellationToken cancellation)
    {
        var ended = await NodeProgram.RunAsync(context, "apt-mark", [hold ? "hold" : "unhold", "--", .. report.Changed], cancellation).ConfigureAwait(false);
        var (after, failure) = await Dpkg.QueryAsync(context, names, cancellation).ConfigureAwait(false);
        if (after is null)
            return Answer(CommandOutcome.Indeterminate, $"What is on hold now is not known: {failure} Wanted", report);
        var wrong = after.Where(p => report.Changed.Contains(p.Name) && p.Held != hold).Select(p => p.Name).ToList();
        report = report with { Changed = [.. report.Changed.Except(wrong)] };
        if (!ended.Well || wrong.Count > 0)
            return Answer(CommandOutcome.Failed, $"{(ended.Well ? "apt-mark did not do it all." : ended.Complaint("apt-mark"))} {Done}", report);
        return Answer(CommandOutcome.Succeeded, Done, report);
    }

    static ActionReport Answer(CommandOutcome outcome, string done, PinReport report)
    {
        var missing = report.Missing.Count > 0 ? $" Not installed: {string.Join(", ", report.Missing)}." : "";
        var changed = report.Changed.Count > 0 ? string.Join(", ", report.Changed) : "nothing more";
        return NodeWork.Report(outcome, $"{done}: {changed}.{missing}", report, ActionsJson.Default.PinReport);
    }
}
