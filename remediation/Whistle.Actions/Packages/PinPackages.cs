using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Contract;
using Whistle.Actions.Policy;
using Whistle.Actions.Programs;
using Whistle.Actions.Protocol;

namespace Whistle.Actions.Packages;

/// <param name="HeldBefore">Of those asked for.</param>
/// <param name="Changed">What was put on hold, or taken off it; <c>packages.unpin</c> takes it to undo exactly this.</param>
/// <param name="Missing">Those that are not installed.</param>
sealed record PinReport(bool DryRun, IReadOnlyList<string> HeldBefore, IReadOnlyList<string> Changed, IReadOnlyList<string> Missing);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PinReport))]
sealed partial class PinJson : JsonSerializerContext;

/// <summary>Puts packages on hold, so that no upgrade touches them. It installs and removes nothing.</summary>
sealed class PinPackages : INodeAction
{
    static readonly ActionParameter Packages =
        new("packages", ParameterKind.Texts, "Only these of the policy's `pinPackages`; another one is refused.")
        { WithoutIt = "all", Least = 1 };

    public ActionDescriptor Descriptor { get; } = new()
    {
        Name = "packages.pin",
        Summary = "Puts Debian packages on hold that the node's policy names.",
        Reads = "dpkg's list of packages",
        Changes = "their holds",
        DryRun = "lists what it would put on hold",
        Undo = UnpinPackages.Own.Name,
        Parameters = [Packages],
        PolicyKeys = ["pinPackages"],
        Report = PinJson.Default.PinReport,
    };

    [ModuleInitializer]
    internal static void Add() => NodeActions.Add(new PinPackages());

    public string Allowance(NodePolicy? policy) => PackageHolds.Allowance(policy);

    public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation) =>
        NodeWork.RunAsync(
            context, () => new PackageHolds(hold: true, context).ChangeAsync(asked.Texts(Packages), cancellation), cancellation);
}

/// <summary>Takes packages off hold again.</summary>
sealed class UnpinPackages : INodeAction
{
    static readonly ActionParameter Packages =
        new("packages", ParameterKind.Texts, "What to take off hold; all must be in the policy's `pinPackages`.")
        { Required = true, Least = 1, Example = """["kubelet"]""" };

    internal static ActionDescriptor Own { get; } = new()
    {
        Name = "packages.unpin",
        Summary = "Takes Debian packages off hold that packages.pin has put on it.",
        Reads = "dpkg's list of packages",
        Changes = "their holds",
        DryRun = "lists what it would take off hold",
        Parameters = [Packages],
        PolicyKeys = ["pinPackages"],
        Report = PinJson.Default.PinReport,
    };

    public ActionDescriptor Descriptor => Own;

    [ModuleInitializer]
    internal static void Add() => NodeActions.Add(new UnpinPackages());

    public string Allowance(NodePolicy? policy) => PackageHolds.Allowance(policy);

    public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation) =>
        NodeWork.RunAsync(
            context, () => new PackageHolds(hold: false, context).ChangeAsync(asked.Texts(Packages), cancellation), cancellation);
}

/// <summary>One change of holds by apt-mark, looked at before and after.</summary>
sealed class PackageHolds(bool hold, ActionContext context)
{
    public static string Allowance(NodePolicy? policy) => policy is not { PinPackages.Count: > 0 }
        ? "refused: the node's policy names no pinPackages"
        : string.Join(' ', policy.PinPackages);

    public async Task<ActionReport> ChangeAsync(IReadOnlyList<string>? asked, CancellationToken cancellation)
    {
        if (context.Policy(out var refusal) is not { } policy)
            return ActionReport.Refuse(refusal!);
        if (policy.PinPackages.Count == 0)
            return ActionReport.Refuse($"The node's policy {context.PolicyFile} names no pinPackages, so no hold may be changed.");
        IReadOnlyList<string> names = [.. (asked ?? policy.PinPackages).Distinct()];
        if (names.FirstOrDefault(n => !policy.PinPackages.Contains(n)) is { } foreign)
            return ActionReport.Refuse(
                $"The node's policy {context.PolicyFile} does not name {foreign} in its pinPackages, so its hold may not be changed.");
        var (before, failure) = await Dpkg.QueryAsync(context, names, cancellation).ConfigureAwait(false);
        if (before is null)
            return ActionReport.Refuse($"What is on hold is not known: {failure}");
        var changes = before.Where(p => p.Held != hold).Select(p => p.Name).ToList();
        var report = new PinReport(
            context.DryRun, [.. before.Where(p => p.Held).Select(p => p.Name)], changes, [.. names.Except(before.Select(p => p.Name))]);
        if (context.DryRun || changes.Count == 0)
            return Answer(CommandOutcome.Succeeded, context.DryRun ? "Would " + (hold ? "put on hold" : "take off hold") : Done, report);
        if (await context.WhyNotAsync(p => names.All(p.PinPackages.Contains), cancellation).ConfigureAwait(false) is { } why)
            return ActionReport.Refuse(why);
        return await ChangeAsync(report, names, cancellation).ConfigureAwait(false);
    }

    string Done => hold ? "Put on hold" : "Took off hold";

    async Task<ActionReport> ChangeAsync(PinReport report, IReadOnlyList<string> names, CancellationToken cancellation)
    {
        var ended = await NodeProgram.RunAsync(
            context, "apt-mark", [hold ? "hold" : "unhold", "--", .. report.Changed], cancellation).ConfigureAwait(false);
        var (after, failure) = await Dpkg.QueryAsync(context, names, cancellation).ConfigureAwait(false);
        if (after is null)
            return Answer(CommandOutcome.Indeterminate, $"What is on hold now is not known: {failure} Wanted", report);
        var wrong = after.Where(p => report.Changed.Contains(p.Name) && p.Held != hold).Select(p => p.Name).ToList();
        report = report with { Changed = [.. report.Changed.Except(wrong)] };
        if (!ended.Well || wrong.Count > 0)
            return Answer(
                CommandOutcome.Failed, $"{(ended.Well ? "apt-mark did not do it all." : ended.Complaint("apt-mark"))} {Done}", report);
        return Answer(CommandOutcome.Succeeded, Done, report);
    }

    static ActionReport Answer(CommandOutcome outcome, string done, PinReport report)
    {
        var missing = report.Missing.Count > 0 ? $" Not installed: {string.Join(", ", report.Missing)}." : "";
        var changed = report.Changed.Count > 0 ? string.Join(", ", report.Changed) : "nothing more";
        return NodeWork.Report(outcome, $"{done}: {changed}.{missing}", report, PinJson.Default.PinReport);
    }
}
