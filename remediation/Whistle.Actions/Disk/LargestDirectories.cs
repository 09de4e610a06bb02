using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Contract;
using Whistle.Actions.Files;
using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;

namespace Whistle.Actions.Disk;

/// <param name="Path">Escaped; see <see cref="FileName.Escape"/>.</param>
/// <param name="Bytes">Allocated on disk; of a directory with all that is below it.</param>
sealed record SizedPath(string Path, long Bytes);

/// <param name="Complete">False where time ran out, or something could not be read.</param>
/// <param name="HardLinksShared">There were more hard-linked files than could be remembered; of the rest each name counts as its
/// share.</param>
sealed record LargestReport(
    string MountPoint, long Bytes, long Files, long Directories, long OtherMounts, long Unreadable, long TooDeep, bool Complete,
    bool HardLinksShared, IReadOnlyList<SizedPath> LargestDirectories, IReadOnlyList<SizedPath> LargestFiles);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(LargestReport))]
sealed partial class LargestJson : JsonSerializerContext;

/// <summary>
/// Where the space of one file system went. It reads only, never crosses a mount and counts a file with several names once.
/// </summary>
sealed class LargestDirectories : INodeAction
{
    internal static readonly ActionParameter From = new("mountPoint", ParameterKind.Text, "Where it begins.") { Default = "/" };

    internal static readonly ActionParameter Depth =
        new("depth", ParameterKind.Whole, "Directories so many levels below are listed, each with all that is below it.")
        { Default = 4L, Least = 1, Most = 32, Unit = "levels" };

    internal static readonly ActionParameter Count =
        new("count", ParameterKind.Whole, "Of directories and of files each.") { Default = 20L, Least = 1, Most = 100 };

    public ActionDescriptor Descriptor { get; } = new()
    {
        Name = "disk.largest-directories",
        Summary = "Lists the largest directories and files below a mount point.",
        Reads = "the sizes of all files on one file system",
        Parameters = [From, Depth, Count],
        Report = LargestJson.Default.LargestReport,
    };

    [ModuleInitializer]
    internal static void Add() => NodeActions.Add(new LargestDirectories());

    public string Allowance(NodePolicy? policy) => "always allowed, because it changes nothing";

    // It reads for as long as the file system takes.
    public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation) =>
        Task.Run(() => Measure(asked, context, cancellation), CancellationToken.None);

    static ActionReport Measure(Arguments asked, ActionContext context, CancellationToken cancellation)
    {
        Native.RequireLinux();
        var folder = MountPoint.Open(asked.Text(From)!, out var stat, out var refusal);
        if (refusal is not null)
            return ActionReport.Refuse(refusal);
        using var walk = new TreeWalk(folder, stat, context.BetweenLookAndAct);
        var sizes = new TreeSizes(walk, asked.Text(From)!, (int)asked.Whole(Depth)!, (int)asked.Whole(Count)!);
        var report = sizes.Measure(cancellation);
        return NodeWork.Report(CommandOutcome.Succeeded, Summary(report), report, LargestJson.Default.LargestReport);
    }

    static string Summary(LargestReport report)
    {
        var incomplete = report.Complete ? "" : " (not all of it was seen)";
        var largest = report.LargestDirectories.Count > 0
            ? $" The largest directory is {report.LargestDirectories[0].Path} with {Bytes.Text(report.LargestDirectories[0].Bytes)}." : "";
        return $"{Bytes.Text(report.Bytes)} in {report.Files} files below {report.MountPoint}{incomplete}.{largest}";
    }
}

/// <summary>Adds up one walk in memory that does not grow with the number of files.</summary>
sealed class TreeSizes(TreeWalk walk, string mountPoint, int depth, int count)
{
    const int MostLinked = 1 << 18;

    readonly HashSet<ulong> _linked = [];
    readonly Largest _directories = new(count, mountPoint);
    readonly Largest _files = new(count, mountPoint);
    long _total;
    long _fileCount;
    long _directoryCount;
    long _mounts;
    long _unreadable;
    long _tooDeep;
    bool _shared;

    public LargestReport Measure(CancellationToken cancellation)
    {
        var complete = true;
        for (var step = walk.Next(); step != WalkStep.End; step = walk.Next())
        {
            Count(step);
            if (!cancellation.IsCancellationRequested)
                continue;
            // What is known so far is worth more than nothing: folders that are open are left with what was seen of them.
            complete = false;
            walk.WindUp();
        }

        return new LargestReport(
            mountPoint, _total, _fileCount, _directoryCount, _mounts, _unreadable, _tooDeep,
            complete && _unreadable + _tooDeep == 0, _shared,
            _directories.List(), _files.List());
    }

    void Count(WalkStep step)
    {
        switch (step)
        {
            case WalkStep.File:
                CountFile(walk.Stat);
                break;
            case WalkStep.Enter:
                _directoryCount++;
                Add(walk.Stat.Allocated);
                break;
            case WalkStep.Leave:
                CountDirectory();
                break;
            case WalkStep.Mount:
                _mounts++;
                break;
            case WalkStep.TooDeep:
                _tooDeep++;
                break;
            case WalkStep.Unreadable:
                _unreadable++;
                break;
        }
    }

    void CountFile(FileStat file)
    {
        _fileCount++;
        var size = file.Allocated;
        if (file.Links > 1)
            size = SizeOfLinked(file);
        Add(size);
        if (size > _files.Least)
            _files.Add(size, walk.Path());
    }

    long SizeOfLinked(FileStat file)
    {
        if (_linked.Contains(file.Inode))
            return 0;
        if (_linked.Count < MostLinked)
        {
            _linked.Add(file.Inode);
            return file.Allocated;
        }

        _shared = true;
        return file.Allocated / file.Links;
    }

    void Add(long size)
    {
        _total += size;
        walk.FolderTotal += size;
    }

    void CountDirectory()
    {
        if (walk.Depth == 0)
            return;
        var size = walk.FolderTotal;
        if (walk.Depth <= depth && size > _directories.Least)
            _directories.Add(size, walk.Path());
        walk.AddToParent(size);
    }

    /// <summary>The largest few of many.</summary>
    sealed class Largest(int count, string root)
    {
        readonly PriorityQueue<byte[], long> _paths = new();

        public long Least => _paths.Count < count ? 0 : _paths.TryPeek(out _, out var least) ? least : 0;

        public void Add(long size, byte[] path)
        {
            _paths.Enqueue(path, size);
            if (_paths.Count > count)
                _paths.Dequeue();
        }

        public List<SizedPath> List()
        {
            var list = new List<SizedPath>();
            while (_paths.TryDequeue(out var path, out var size))
                list.Insert(0, new SizedPath($"{root.TrimEnd('/')}/{FileName.Escape(path)}", size));
            return list;
        }
    }
}
