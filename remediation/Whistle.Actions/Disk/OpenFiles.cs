using System.Globalization;

using Whistle.Actions.Contract;
using Whistle.Actions.Files;

namespace Whistle.Actions.Disk;

/// <summary>
/// The files that some process holds open or mapped, or that a loop device is made of, by device and inode. Deleting one frees nothing
/// until it is closed. Only what lies on the given devices is kept.
/// </summary>
sealed class OpenFiles
{
    // 16 bytes each and some for the table; a node with more than that on one file system is not one to clean by itself.
    const int Most = 250_000;

    // The kernel's fixed number of the namespace that all others lie in.
    const string OutermostProcesses = "pid:[4026531836]";

    readonly HashSet<(ulong, ulong)> _open = [];
    string _anUnseen = "";

    /// <summary>Processes whose files the agent may not see.</summary>
    public int Unseen { get; private set; }

    public bool Contains(FileStat file) => _open.Contains(file.Identity);

    /// <summary>Null where not all could be seen, which the node's policy may accept; the reason then says so.</summary>
    public static OpenFiles? Scan(
        ActionContext context, IReadOnlySet<ulong> devices, bool acceptUnseen, CancellationToken cancellation, out string reason)
    {
        var files = new OpenFiles();
        reason = "";
        try
        {
            files.AddAll(context.ProcPath, devices, cancellation);
            files.AddLoopDevices(context.SysPath, devices);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            reason = $"Which files are in use cannot be seen: {e.Message}";
            return null;
        }

        if (cancellation.IsCancellationRequested)
            reason = ActionReport.OutOfTime;
        else if (files._open.Count > Most)
            reason = $"More than {Most} files of these file systems are open, too many to be told from the others.";
        else if (files.Unseen > 0 && !acceptUnseen)
            reason = files.UnseenReason(context);
        return reason.Length == 0 ? files : null;
    }

    string UnseenReason(ActionContext context) =>
        $"The open files of {(Unseen == 1 ? "1 process" : $"{Unseen} processes")} cannot be seen (such as {_anUnseen}), "
        + "and a file in use must stay. Run the agent as root with CAP_SYS_PTRACE and"
        + $" the host's own /proc (--path.procfs), or accept it with \"acceptUnseenProcesses\": true in {context.PolicyFile}.";

    void AddAll(string proc, IReadOnlySet<ulong> devices, CancellationToken cancellation)
    {
        if (Hidden(proc) is { } hidden)
            CountUnseen(hidden);
        foreach (var process in Directory.EnumerateDirectories(proc).Where(
            p => int.TryParse(Path.GetFileName(p), NumberStyles.None, null, out _)))
        {
            if (cancellation.IsCancellationRequested || _open.Count > Most)
                break;
            Look(process, devices);
        }
    }

    // Where the first process is hidden, so are others; a container's own first process says that there are others outside.
    static string? Hidden(string proc)
    {
        var first = Path.Join(proc, "1");
        if (!Directory.Exists(first))
            return $"those that {proc} hides";
        try
        {
            var link = new FileInfo(Path.Join(first, "ns/pid")).LinkTarget;
            return link is null or OutermostProcesses ? null : $"those outside of the container whose processes {proc} shows";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Nor will it let its files be seen, which counts it.
            return null;
        }
    }

    void Look(string process, IReadOnlySet<ulong> devices)
    {
        try
        {
            AddOpen(process, devices);
            AddMapped(process, devices);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            // A process may end at any moment; what it held is closed then.
            if (e.HResult != Native.NoProcess && Directory.Exists(process))
                CountUnseen(Describe(process));
        }
    }

    void CountUnseen(string which)
    {
        if (Unseen++ == 0)
            _anUnseen = which;
    }

    static string Describe(string process)
    {
        try
        {
            return $"{Path.GetFileName(process)}, "
                + $"{FileName.Escape(File.ReadAllBytes(Path.Join(process, "comm")).AsSpan().TrimEnd((byte)'\n'))}";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Path.GetFileName(process);
        }
    }

    void AddOpen(string process, IReadOnlySet<ulong> devices)
    {
        foreach (var handle in Directory.EnumerateFileSystemEntries(Path.Join(process, "fd")))
        {
            var error = Native.StatFollowing(handle, out var stat);
            // Root may list the handles of a process that it may not look into.
            if (error is Native.NoAccess or Native.NotPermitted)
                throw new UnauthorizedAccessException();
            Add(error, stat, devices);
        }
    }

    void Add(int error, FileStat stat, IReadOnlySet<ulong> devices)
    {
        if (error == 0 && stat.IsFile && devices.Contains(stat.Device))
            _open.Add(stat.Identity);
    }

    // A line is "address rights offset major:minor inode path", the device in hexadecimal.
    void AddMapped(string process, IReadOnlySet<ulong> devices)
    {
        foreach (var line in File.ReadLines(Path.Join(process, "maps")))
        {
            var fields = line.Split(' ', 6, StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length < 5 || !ulong.TryParse(fields[4], NumberStyles.None, null, out var inode) || inode == 0)
                continue;
            var colon = fields[3].IndexOf(':', StringComparison.Ordinal);
            if (ulong.TryParse(fields[3].AsSpan(0, colon), NumberStyles.AllowHexSpecifier, null, out var major)
                && ulong.TryParse(fields[3].AsSpan(colon + 1), NumberStyles.AllowHexSpecifier, null, out var minor)
                && devices.Contains(major << 32 | minor))
                _open.Add((major << 32 | minor, inode));
        }
    }

    // The kernel itself holds these, so that no process shows them.
    void AddLoopDevices(string sys, IReadOnlySet<ulong> devices)
    {
        var block = Path.Join(sys, "block");
        if (!Directory.Exists(block))
            return;
        foreach (var device in Directory.EnumerateDirectories(block, "loop*"))
        {
            if (BackingFile(Path.Join(device, "loop", "backing_file")) is [.. var path, (byte)'\n'])
                Add(Native.StatFollowing([.. path, 0], out var stat), stat, devices);
        }
    }

    static byte[] BackingFile(string path)
    {
        try
        {
            using var file = File.OpenHandle(path);
            // The kernel shows one page at most, and calls it a page long however short it is.
            var buffer = new byte[4096];
            return buffer[..RandomAccess.Read(file, buffer, 0)];
        }
        catch (IOException)
        {
            // It has none, or not any more.
            return [];
        }
    }
}
