using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Contract;
using Whistle.Actions.Files;
using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;

namespace Whistle.Actions.Disk;

/// <param name="Images">By name or id; in a dry run those that would go. The first 50.</param>
/// <param name="Bytes">What the runtime says of their size; layers that others share count for each.</param>
/// <param name="BytesFreed">By the file system itself, so that what others wrote during the run is in it; 0 in a dry run.</param>
/// <param name="Folder">Where the images lie; null where the runtime does not say.</param>
sealed record PruneImagesReport(bool DryRun, int Count, long Bytes, IReadOnlyList<string> Images, string? Folder, long BytesFreed);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PruneImagesReport))]
sealed partial class PruneImagesJson : JsonSerializerContext;

/// <summary>
/// Deletes images that no container uses, by <c>crictl rmi --prune</c>; the runtime decides which, and passes over those that are pinned.
/// </summary>
sealed class PruneImages : INodeAction
{
    const int MostListed = 50;

    static readonly ActionParameter On =
        new("mountPoint", ParameterKind.Text, "Refused where the images lie on another file system than this folder.")
        { WithoutIt = "any" };

    public ActionDescriptor Descriptor { get; } = new()
    {
        Name = "images.prune",
        Summary = "Deletes container images that no container uses.",
        Reads = "images and containers, by crictl",
        Changes = "images of the container runtime",
        DryRun = "lists images that no container uses",
        Parameters = [On],
        PolicyKeys = ["pruneImages", "crictl"],
        Report = PruneImagesJson.Default.PruneImagesReport,
    };

    [ModuleInitializer]
    internal static void Add() => NodeActions.Add(new PruneImages());

    public string Allowance(NodePolicy? policy) => policy is not { PruneImages: true }
        ? "refused: the node's policy does not have pruneImages"
        : $"all that no container uses, by {policy.Crictl}";

    public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation) =>
        NodeWork.RunAsync(context, () => PruneAsync(asked, context, cancellation), cancellation);

    static async Task<ActionReport> PruneAsync(Arguments asked, ActionContext context, CancellationToken cancellation)
    {
        if (context.Policy(out var refusal) is not { } policy)
            return ActionReport.Refuse(refusal!);
        if (!policy.PruneImages)
            return ActionReport.Refuse($"The node's policy {context.PolicyFile} does not have pruneImages, so no image may be deleted.");
        var runtime = new ImageRuntime(context, policy.Crictl);
        var folder = await runtime.FolderAsync(cancellation).ConfigureAwait(false);
        if (asked.Text(On) is { } mount && OnOther(folder, mount) is { } other)
            return ActionReport.Refuse(other);
        var (images, failure) = await runtime.ImagesAsync(cancellation).ConfigureAwait(false);
        var (used, unknown) = await runtime.UsedAsync(cancellation).ConfigureAwait(false);
        if (images is null || used is null)
            return ActionReport.Refuse($"What images there are is not known: {failure ?? unknown}");
        if (context.DryRun)
            return Answer(CommandOutcome.Succeeded, "Would delete", [.. images.Where(i => i.MayGo(used))], true, folder, 0);
        if (await context.WhyNotAsync(p => p.PruneImages && p.Crictl == policy.Crictl, cancellation).ConfigureAwait(false) is { } why)
            return ActionReport.Refuse(why);
        var before = Free(folder);
        var ended = await runtime.PruneAsync(cancellation).ConfigureAwait(false);
        var freed = Free(folder) - before;
        // Told by what is gone, because its own words differ from version to version.
        var (left, gone) = await runtime.ImagesAsync(cancellation).ConfigureAwait(false);
        if (ended.Killed || left is null)
            return new ActionReport(
                CommandOutcome.Indeterminate, $"Images were being deleted, and which is not known: {ended.Failure ?? gone}");
        var deleted = images.ExceptBy(left.Select(i => i.Id), i => i.Id).ToList();
        return ended.Well
            ? Answer(CommandOutcome.Succeeded, "Deleted", deleted, false, folder, freed)
            : Answer(CommandOutcome.Failed, $"{ended.Complaint(policy.Crictl)} Deleted", deleted, false, folder, freed);
    }

    static ActionReport Answer(CommandOutcome outcome, string done, List<NodeImage> images, bool dryRun, string? folder, long freed)
    {
        var report = new PruneImagesReport(
            dryRun, images.Count, images.Sum(i => i.Bytes), [.. images.Take(MostListed).Select(i => i.Name)], folder, freed);
        var told =
            dryRun || folder is null ? "" : $" {folder} has {Bytes.Text(Math.Abs(freed))} {(freed < 0 ? "less" : "more")} than before.";
        return NodeWork.Report(
            outcome, $"{done} {images.Count} images of {Bytes.Text(report.Bytes)}.{told}", report,
            PruneImagesJson.Default.PruneImagesReport);
    }

    static long Free(string? folder) => folder is null ? 0 : new DriveInfo(folder).AvailableFreeSpace;

    static string? OnOther(string? folder, string mountPoint)
    {
        Native.Close(MountPoint.Open(mountPoint, out var mount, out var refusal));
        if (refusal is not null)
            return refusal;
        if (folder is null)
            return "Where the images lie is not known: crictl imagefsinfo does not say.";
        return Native.StatFollowing(folder, out var images) == 0 && images.Device == mount.Device
            ? null : $"The images lie in {folder}, on another file system than {mountPoint}, so deleting them would free nothing there.";
    }
}

/// <param name="References">Its id, tags and digests, by any of which a container may name it.</param>
sealed record NodeImage(string Id, string Name, long Bytes, bool Pinned, IReadOnlyList<string> References)
{
    public bool MayGo(IReadOnlySet<string> used) => !Pinned && !References.Any(used.Contains);
}
