using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Contract;
using Whistle.Actions.Files;
using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;

namespace Whistle.Actions.Disk;

sealed record PruneBackupsReport
{
    public required bool DryRun { get; init; }

    /// <summary>Folders that are gone, or would be.</summary>
    public List<SizedPath> Deleted { get; } = [];

    /// <summary>The newest of each rule, which stay.</summary>
    public List<string> Kept { get; } = [];

    public long Bytes { get; set; }

    /// <summary>Why folders or roots were left that should have gone.</summary>
    public List<string> Left { get; } = [];

    /// <summary>Why it ended early.</summary>
    public string? Stopped { get; set; }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PruneBackupsReport))]
sealed partial class PruneBackupsJson : JsonSerializerContext;

/// <summary>Deletes old backup folders as a whole, the oldest first, and keeps the newest of each rule.</summary>
sealed class PruneBackups : INodeAction
{
    static readonly ActionParameter On =
        new("mountPoint", ParameterKind.Text, "Only roots on the file system of this folder.") { WithoutIt = "any" };

    public ActionDescriptor Descriptor { get; } = new()
    {
        Name = "disk.prune-backups",
        Summary = "Deletes old backup folders, and keeps the newest.",
        Reads = "the folders that the node's policy names",
        Changes = "backup folders below these",
        DryRun = "walks the same way and leaves out the deletion",
        Parameters = [On],
        PolicyKeys = ["pruneBackups", "vitalCleanRoots"],
        Report = PruneBackupsJson.Default.PruneBackupsReport,
    };

    [ModuleInitializer]
    internal static void Add() => NodeActions.Add(new PruneBackups());

    public string Allowance(NodePolicy? policy) => policy is not { PruneBackups.Count: > 0 }
        ? "refused: the node's policy names no pruneBackups"
        : string.Join("; ", policy.PruneBackups.Select(r => $"{r.Root}/{r.Pattern} but the newest {r.Keep}"));

    public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation) =>
        NodeWork.RunAsync(context, () => PruneAsync(asked, context, cancellation), cancellation);

    static async Task<ActionReport> PruneAsync(Arguments asked, ActionContext context, CancellationToken cancellation)
    {
        if (context.Policy(out var refusal) is not { } policy)
            return ActionReport.Refuse(refusal!);
        if (policy.PruneBackups.Count == 0)
            return ActionReport.Refuse($"The node's policy {context.PolicyFile} names no pruneBackups, so no backup may be deleted.");
        FileStat mount = default;
        if (asked.Text(On) is { } path)
            Native.Close(MountPoint.Open(path, out mount, out refusal));
        if (refusal is not null)
            return ActionReport.Refuse(refusal);
        var run = new PruneRun(context);
        foreach (var rule in policy.PruneBackups)
        {
            if (!await run.PruneAsync(rule, policy, asked.Text(On) is null ? null : mount, cancellation).ConfigureAwait(false))
                break;
        }

        return run.Answer();
    }
}

sealed class PruneRun(ActionContext context)
{
    const int MostListed = 100;

    readonly PruneBackupsReport _report = new() { DryRun = context.DryRun };
    long _removed;

    /// <summary>False where the run must end here.</summary>
    public async Task<bool> PruneAsync(BackupRule rule, NodePolicy policy, FileStat? mount, CancellationToken cancellation)
    {
        var folder = MountPoint.Open(rule.Root, out var root, out var refusal);
        Native.Close(folder);
        const int GroupOrWorldWritable = 0x12;
        if (refusal is null && (root.Owner != 0 || (root.Mode & GroupOrWorldWritable) != 0))
            refusal = $"{rule.Root} can be written by others than root, so what lies in it may be no backup.";
        if (refusal is null && mount is { } on && on.Device != root.Device)
            refusal = $"{rule.Root} is on another file system.";
        if (refusal is null && rule.Root != BackupRule.KubeadmBackups)
            refusal = VitalFolders.Alias(rule.Root, root, context.ProtectedFolders, policy.VitalCleanRoots);
        if (refusal is not null)
            return Leave(refusal);
        var backups = Backups(rule, root);
        _report.Kept.AddRange(backups.Take(rule.Keep).Select(b => b.Path).Take(MostListed));
        foreach (var (path, _) in backups.Skip(rule.Keep).Reverse())
        {
            if (!await DeleteAsync(rule, path, cancellation).ConfigureAwait(false))
                return false;
        }

        return true;
    }

    public ActionReport Answer()
    {
        var summary = $"{(context.DryRun ? "Would delete" : "Deleted")} {_report.Deleted.Count} backups of {Bytes.Text(_report.Bytes)}."
            + (_report.Left.Count > 0 ? $" Left: {string.Join(" ", _report.Left.Take(3))}" : "");
        if (_report.Stopped is { } stopped)
            return Report(NodeWork.Stopped(_removed > 0), $"Stopped: {stopped} {summary}");
        return Report(_report.Left.Count > 0 && _report.Deleted.Count == 0
            && _report.Kept.Count == 0 ? CommandOutcome.Refused : CommandOutcome.Succeeded, summary);
    }

    ActionReport Report(CommandOutcome outcome, string summary) =>
        NodeWork.Report(outcome, summary, _report, PruneBackupsJson.Default.PruneBackupsReport);

    /// <summary>The newest first. Links and mounts are no backups.</summary>
    static List<(string Path, long Modified)> Backups(BackupRule rule, FileStat root)
    {
        var pattern = Encoding.UTF8.GetBytes(rule.Pattern);
        var found = new List<(string Path, long Modified)>();
        foreach (var path in Directory.EnumerateDirectories(rule.Root).Where(
            p => FileName.Matches(Encoding.UTF8.GetBytes(Path.GetFileName(p)), pattern)))
        {
            Native.Close(MountPoint.Open(path, out var stat, out var refusal));
            if (refusal is null && stat.SameMount(root))
                found.Add((path, stat.Modified));
        }

        return [.. found.OrderByDescending(b => b.Modified).ThenByDescending(b => b.Path, StringComparer.Ordinal)];
    }

    async Task<bool> DeleteAsync(BackupRule rule, string path, CancellationToken cancellation)
    {
        var opened = MountPoint.Open(path, out var stat, out var refusal);
        if (refusal is not null)
            return Leave(refusal);
        using var walk = new TreeWalk(opened, stat, context.BetweenLookAndAct);
        var (bytes, failure, folders) = (stat.Allocated, (string?)null, new Stack<string>([path]));
        for (var step = walk.Next(); step != WalkStep.End; step = walk.Next())
        {
            if (cancellation.IsCancellationRequested)
                return Stop(ActionReport.OutOfTime);
            if (step == WalkStep.Enter)
                folders.Push(Path.Join(path, Encoding.UTF8.GetString(walk.Path())));
            else if (step is not (WalkStep.File or WalkStep.Leave))
                failure ??= $"{path} holds {FileName.Escape(walk.Path())}, which is neither a file nor a folder of it.";
            bytes += step is WalkStep.File or WalkStep.Enter ? walk.Stat.Allocated : 0;
            if (step != WalkStep.File || context.DryRun)
                continue;
            if (await WhyNotAsync(rule, cancellation).ConfigureAwait(false) is { } why)
                return Stop(why);
            if (walk.RemoveFile() is var error && error is not (0 or Native.NoEntry))
                failure ??= $"{path} could not be emptied: {Native.Text(error)}.";
            _removed += error == 0 ? 1 : 0;
        }

        if (!context.DryRun && failure is null)
        {
            if (await WhyNotAsync(rule, cancellation).ConfigureAwait(false) is { } why)
                return Stop(why);
            failure = RemoveFolders(folders);
        }

        return failure is null ? Count(path, bytes) : Leave(failure);
    }

    ValueTask<string?> WhyNotAsync(BackupRule rule, CancellationToken cancellation) =>
        context.WhyNotAsync(p => p.PruneBackups.Contains(rule), cancellation);

    // Only empty ones can go, and a link is none.
    string? RemoveFolders(Stack<string> folders)
    {
        try
        {
            foreach (var folder in folders)
            {
                Directory.Delete(folder, recursive: false);
                _removed++;
            }

            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e.Message;
        }
    }

    bool Count(string path, long bytes)
    {
        if (_report.Deleted.Count < MostListed)
            _report.Deleted.Add(new SizedPath(FileName.Escape(Encoding.UTF8.GetBytes(path)), bytes));
        _report.Bytes += bytes;
        return true;
    }

    bool Leave(string why)
    {
        if (_report.Left.Count < MostListed)
            _report.Left.Add(why);
        return true;
    }

    bool Stop(string why)
    {
        _report.Stopped = why;
        return false;
    }
}
