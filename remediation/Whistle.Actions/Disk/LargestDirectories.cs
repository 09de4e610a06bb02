using System.Text.Json;

using Whistle.Actions.Files;
using Whistle.Telemetry;

namespace Whistle.Actions.Disk;

/// <param name="Path">Escaped; see <see cref="FileName.Escape"/>.</param>
/// <param name="Bytes">Allocated on disk; of a directory with all that is below it.</param>
sealed record SizedPath(string Path, long Bytes);

// Set, not init: the generated reader would put nothing in the place of what is left out.
sealed record LargestParameters
{
    public string MountPoint { get; set; } = "/";

    /// <summary>Directories so many levels below the mount point are listed, with all that is below them. 1 to 32.</summary>
    public int Depth { get; set; } = 4;

    /// <summary>Of directories and of files each. 1 to 100.</summary>
    public int Count { get; set; } = 20;
}

/// <param name="Complete">False where time ran out, or something could not be read.</param>
/// <param name="HardLinksShared">There were more hard-linked files than could be remembered; of the rest each name counts as its share.</param>
sealed record LargestReport(
    string MountPoint, long Bytes, long Files, long Directories, long OtherMounts, long Unreadable, long TooDeep, bool Complete, bool HardLinksShared,
    IReadOnlyList<SizedPath> LargestDirectories, IReadOnlyList<SizedPath> LargestFiles);

/// <summary>Where the space of one file system went. It reads only, never crosses a mount and counts a file with several names once.</summary>
sealed class LargestDirectories : INodeAction
{
    public string Name => "disk.largest-directories";

    public string Description => "Lists the largest directories and files below a mount point.";

    public bool Mutates => false;

    public string Allowance(NodePolicy? policy) => "always allowed, because it changes nothing";

    public Task<ActionReport> RunAsync(JsonElement parameters, ActionContext context, CancellationToken cancellation)
    {
        var asked = ActionParameters.Read(parameters, ActionsJson.Default.LargestParameters, Name, out var refusal);
        if (asked is not null && asked is not { Depth: >= 1 and <= 32, Count: >= 1 and <= 100 })
            refusal = $"{Name} takes a depth of 1 to 32 and a count of 1 to 100.";
        if (refusal is not null)
            return Task.FromResult(ActionReport.Refuse(refusal));
        // It reads for as long as the file system takes.
        return Task.Run(() => Measure(asked!, context, cancellation), CancellationToken.None);
    }

    static ActionReport Measure(LargestParameters asked, ActionContext context, CancellationToken cancellation)
    {
        Native.RequireLinux();
        var folder = MountPoint.Open(asked.MountPoint, out var stat, out var refusal);
        if (refusal is not null)
            return ActionReport.Refuse(refusal);
        using var walk = new TreeWalk(folder, stat, context.BetweenLookAndAct);
        var sizes = new TreeSizes(walk, asked);
        var report = sizes.Measure(cancellation);
        return new ActionReport(CommandOutcome.Succeeded, Summary(report), JsonSerializer.SerializeToElement(report, ActionsJson.Default.LargestReport));
    }

    static string Summary(LargestReport report)
    {
        var incomplete = report.Complete ? "" : " (not all of it was seen)";
        var largest = report.LargestDirectories.Count > 0 ? $" The largest directory is {report.LargestDirectories[0].Path} with {Bytes.Text(report.LargestDirectories[0].Bytes)}." : "";
        return $"{Bytes.Text(report.Bytes)} in {report.Files} files below {report.MountPoint}{incomplete}.{largest}";
    }
}

/// <summary>Adds up one walk in memory that does not grow with the number of files.</summary>
sealed class TreeSizes(TreeWalk walk, LargestParameters asked)
{
    const int MostLinked = 1 << 18;

    readonly HashSet<ulong> _linked = [];
    readonly Largest _directories = new(asked.Count, asked.MountPoint);
    readonly Largest _files = new(asked.Count, asked.MountPoint);
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
            asked.MountPoint, _total, _fileCount, _directoryCount, _mounts, _unreadable, _tooDeep, complete && _unreadable + _tooDeep == 0, _shared,
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
        if (walk.Depth <= asked.Depth && size > _directories.Least)
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
