using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Contract;
using Whistle.Actions.Policy;
using Whistle.Actions.Programs;
using Whistle.Actions.Protocol;
using Whistle.Actions.Secrets;

namespace Whistle.Actions.Disk;

/// <param name="Problem">Null where logrotate ended well.</param>
/// <param name="Said">The last of what logrotate said: in a dry run what it would do, else mostly nothing.</param>
sealed record RotatedFile(string File, string? Problem, string Said);

/// <param name="Stopped">Why it ended early.</param>
sealed record RotateReport(bool DryRun, IReadOnlyList<RotatedFile> Files, string? Stopped);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(RotateReport))]
sealed partial class RotateJson : JsonSerializerContext;

/// <summary>
/// Runs logrotate with configurations that the policy names, and with none beside them. What is due, and what is kept, is up to these
/// files.
/// </summary>
sealed class RotateLogs : INodeAction
{
    const int MostSaid = 4 << 10;

    static readonly ActionParameter Files =
        new("files", ParameterKind.Texts, "Only these of the policy's `rotateLogs`; another one is refused.") { WithoutIt = "all" };

    public ActionDescriptor Descriptor { get; } = new()
    {
        Name = "logs.rotate",
        Summary = "Runs logrotate with the configurations that the node's policy names.",
        Reads = "these configurations, and the logs that they name",
        Changes = "these logs",
        DryRun = "runs `logrotate --debug`",
        Parameters = [Files],
        PolicyKeys = ["rotateLogs"],
        Report = RotateJson.Default.RotateReport,
    };

    [ModuleInitializer]
    internal static void Add() => NodeActions.Add(new RotateLogs());

    public string Allowance(NodePolicy? policy) => policy is not { RotateLogs.Count: > 0 }
        ? "refused: the node's policy names no rotateLogs"
        : string.Join("; ", policy.RotateLogs);

    public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation) =>
        NodeWork.RunAsync(context, () => RotateAsync(asked, context, cancellation), cancellation);

    static async Task<ActionReport> RotateAsync(Arguments asked, ActionContext context, CancellationToken cancellation)
    {
        if (context.Policy(out var refusal) is not { } policy)
            return ActionReport.Refuse(refusal!);
        if (policy.RotateLogs.Count == 0)
            return ActionReport.Refuse($"The node's policy {context.PolicyFile} names no rotateLogs, so no log may be rotated.");
        if (asked.Texts(Files)?.FirstOrDefault(f => !policy.RotateLogs.Contains(f)) is { } foreign)
            return ActionReport.Refuse(
                $"The node's policy {context.PolicyFile} does not name {foreign} in its rotateLogs, so it may not be used.");
        if (NodeProgram.Find(context, "logrotate", out refusal) is null)
            return ActionReport.Refuse(refusal!);
        var rotated = new List<RotatedFile>();
        foreach (var file in asked.Texts(Files) ?? policy.RotateLogs)
        {
            if (!context.DryRun
                && await context.WhyNotAsync(p => p.RotateLogs.Contains(file), cancellation).ConfigureAwait(false) is { } why)
                return Answer(new RotateReport(context.DryRun, rotated, why));
            var ended = await NodeProgram.RunAsync(
                context, "logrotate", context.DryRun ? ["--debug", file] : [file], cancellation, MostSaid,
                keepEnd: true).ConfigureAwait(false);
            if (ended.Killed || ended.ExitCode is null)
                return Answer(new RotateReport(context.DryRun, rotated, $"{file}: {ended.Failure}"), ended.Killed && !context.DryRun);
            // It says what it does on its error output.
            var said = Redaction.Redact(ended.Output + ended.Error, out _);
            rotated.Add(
                new RotatedFile(file, ended.Well ? null : ended.Complaint("logrotate"), said.Length > MostSaid ? said[^MostSaid..] : said));
        }

        return Answer(new RotateReport(context.DryRun, rotated, null));
    }

    static ActionReport Answer(RotateReport report, bool inDoubt = false)
    {
        var bad = report.Files.Where(f => f.Problem is not null).ToList();
        var outcome = inDoubt ? CommandOutcome.Indeterminate
            : report.Stopped is not null ? NodeWork.Stopped(report.Files.Count > 0)
            : bad.Count > 0 ? CommandOutcome.Failed : CommandOutcome.Succeeded;
        var summary = $"{(report.DryRun ? "Would run" : "Ran")} logrotate with {report.Files.Count} files"
            + (bad.Count > 0 ? $"; {bad.Count} went wrong, first {bad[0].File}: {bad[0].Problem}" : ".");
        return NodeWork.Report(
            outcome, report.Stopped is { } stopped ? $"Stopped: {stopped} {summary}" : summary, report, RotateJson.Default.RotateReport);
    }
}
