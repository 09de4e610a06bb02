using System.Text.Json;

using Whistle.Actions.Contract;
using Whistle.Actions.Disk;
using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;

namespace Whistle.Demo;

/// <summary>
/// The agent's actions on a model: the same names, parameters, permits and reports, and no way to a real file. These are all that the
/// agents of the demo have.
/// </summary>
static class SimulatedActions
{
    public static IReadOnlyList<INodeAction> For(NodeSpec node) => [new Largest(node), new Clean(node), new Vacuum(node)];

    /// <summary>Null where it may change something; else why not, and a report as of one that was stopped before its first file.</summary>
    static async Task<string?> RefusalAsync(ActionContext context, CancellationToken cancellation) =>
        context.DryRun || await context.Guard.MayMutateAsync(cancellation) ? null : context.Guard.Refusal;

    /// <summary>The disk that the folder is on.</summary>
    static DiskModel? DiskOf(NodeSpec node, string path) =>
        node.Disks.Where(d => d.Mountpoint == "/" || path == d.Mountpoint || path.StartsWith(d.Mountpoint + "/", StringComparison.Ordinal))
            .MaxBy(d => d.Mountpoint.Length);

    sealed class Largest(NodeSpec node) : INodeAction
    {
        const long BytesAFile = 1 << 20;

        public ActionDescriptor Descriptor { get; } =
            new LargestDirectories().Descriptor with { Summary = "Lists the largest directories of a simulated disk." };

        public string Allowance(NodePolicy? policy) => "always allowed, because it changes nothing";

        public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation)
        {
            var mountPoint = asked.Text(LargestDirectories.From);
            if (node.Disks.FirstOrDefault(d => d.Mountpoint == mountPoint) is not { } disk)
                return Task.FromResult(ActionReport.Refuse($"{mountPoint} does not exist on this node."));
            var now = context.Time.GetUtcNow();
            var folders = disk.FoldersAt(now).Where(f => f.Bytes > 0).Take((int)asked.Whole(LargestDirectories.Count)!)
                .Select(f => new SizedPath(f.Path, f.Bytes)).ToList();
            var used = disk.UsedAt(now);
            var report = new LargestReport(disk.Mountpoint, used, used / BytesAFile, 40 + folders.Count, 0, 0, 0, true, false, folders, []);
            var largest = folders.Count > 0 ? $" The largest directory is {folders[0].Path} with {Bytes.Text(folders[0].Bytes)}." : "";
            return Task.FromResult(new ActionReport(
                CommandOutcome.Succeeded, $"{Bytes.Text(used)} in {report.Files} files below {disk.Mountpoint}.{largest}",
                JsonSerializer.SerializeToElement(report, LargestJson.Default.LargestReport)));
        }
    }

    sealed class Clean(NodeSpec node) : INodeAction
    {
        public ActionDescriptor Descriptor { get; } =
            new CleanPaths().Descriptor with { Summary = "Takes old files off a simulated disk." };

        public string Allowance(NodePolicy? policy) =>
            string.Join("; ", node.Policy.CleanPaths.Select(r => $"{r.Root}: {string.Join(' ', r.Patterns)} older than {r.MinimumAge}"));

        public async Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation)
        {
            if (node.Policy.CleanPaths.Count == 0)
                return ActionReport.Refuse("The node's policy names no cleanPaths, so no file may be deleted.");
            var report = new CleanReport { DryRun = context.DryRun };
            var roots = asked.Texts(CleanPaths.Roots);
            foreach (var rule in node.Policy.CleanPaths.Where(r => roots?.Contains(r.Root) ?? true))
                await CleanAsync(rule, asked.Text(CleanPaths.On), report, context, cancellation);
            return Answer(report);
        }

        async Task CleanAsync(CleanRule rule, string? mountPoint, CleanReport report, ActionContext context, CancellationToken cancellation)
        {
            var cleaned = new CleanedRoot(rule.Root);
            report.Roots.Add(cleaned);
            if (DiskOf(node, rule.Root) is not { Cleanable: { } files } disk || (mountPoint is not null && disk.Mountpoint != mountPoint))
            {
                cleaned.NotCleaned = $"{rule.Root} is on another file system than {mountPoint}.";
                return;
            }

            var bytes = disk.CleanableAt(context.Time.GetUtcNow());
            if (bytes == 0)
                return;
            if (await RefusalAsync(context, cancellation) is { } refusal)
            {
                report.Stopped = refusal;
                return;
            }

            if (!context.DryRun)
                disk.Free(bytes);
            (cleaned.Bytes, cleaned.Files) = (bytes, bytes / files.FileBytes);
            cleaned.Examples.AddRange(Enumerable.Range(1, (int)Math.Min(cleaned.Files, 5)).Select(
                i => $"{rule.Root}/{files.Pattern.Replace("*", $"{4000 + i}", StringComparison.Ordinal)}"));
        }

        static ActionReport Answer(CleanReport report)
        {
            if (report.Roots.All(r => r.NotCleaned is not null))
                return ActionReport.Refuse(
                    "No root of the node's policy can be cleaned: " + string.Join(" ", report.Roots.Select(r => r.NotCleaned)));
            var summary = $"{(report.DryRun ? "Would delete" : "Deleted")} {report.Files} files of {Bytes.Text(report.Bytes)}.";
            var output = JsonSerializer.SerializeToElement(report, CleanJson.Default.CleanReport);
            return report.Stopped is { } stopped
                ? new ActionReport(
                    report.Files == 0 ? CommandOutcome.Refused : CommandOutcome.Failed, $"Stopped: {stopped} {summary}", output)
                : new ActionReport(CommandOutcome.Succeeded, summary, output);
        }
    }

    sealed class Vacuum(NodeSpec node) : INodeAction
    {
        const string Journal = "/var/log/journal";
        const long FileBytes = 64 << 20;

        // Read and changed by one command at a time, as the agent runs them.
        long _archived = 18 * FileBytes;

        public ActionDescriptor Descriptor { get; } =
            new VacuumJournal().Descriptor with { Summary = "Takes the oldest archived files off a simulated journal." };

        public string Allowance(NodePolicy? policy) => node.Policy.VacuumJournal is { } rule
            ? $"all archived files but the newest {Bytes.Text(rule.KeepBytes)}"
            : "refused: the node's policy has no vacuumJournal";

        public async Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation)
        {
            if (node.Policy.VacuumJournal is not { } rule)
                return ActionReport.Refuse("The node's policy has no vacuumJournal, so the journal may not be touched.");
            var disk = DiskOf(node, Journal)!;
            if (asked.Text(VacuumJournal.On) is { } mountPoint && disk.Mountpoint != mountPoint)
                return ActionReport.Refuse(
                    $"The journal is on another file system than {mountPoint}, so vacuuming it would free nothing there.");
            var files = Math.Max(_archived - Math.Max(rule.KeepBytes, asked.Whole(VacuumJournal.MaximumBytes) ?? 0), 0) / FileBytes;
            var report = new VacuumReport { DryRun = context.DryRun, ArchivedBefore = _archived };
            if (files > 0 && await RefusalAsync(context, cancellation) is { } refused)
                return Answer(CommandOutcome.Refused, $"Stopped: {refused}", report);
            (report.Files, report.Bytes) = (files, files * FileBytes);
            if (!context.DryRun)
            {
                disk.Free(report.Bytes);
                _archived -= report.Bytes;
            }

            var summary = $"{(context.DryRun ? "Would delete" : "Deleted")} {files} archived journal files of {Bytes.Text(report.Bytes)}; "
                + $"{Bytes.Text(report.ArchivedAfter)} of the archived journal stay.";
            return Answer(CommandOutcome.Succeeded, summary, report);
        }

        static ActionReport Answer(CommandOutcome outcome, string summary, VacuumReport report) =>
            new(outcome, summary, JsonSerializer.SerializeToElement(report, VacuumJson.Default.VacuumReport));
    }
}
