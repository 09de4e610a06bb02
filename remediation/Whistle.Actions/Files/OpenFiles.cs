using System.Globalization;

namespace Whistle.Actions.Files;

/// <summary>
/// The files that some process holds open or mapped, by device and inode. Deleting one frees nothing until it is closed. Only what lies on the
/// given devices is kept.
/// </summary>
sealed class OpenFiles
{
    // 16 bytes each and some for the table; a node with more than that on one file system is not one to clean by itself.
    const int Most = 250_000;

    readonly HashSet<(ulong, ulong)> _open = [];

    /// <summary>Processes whose files the agent may not see.</summary>
    public int Unseen { get; private set; }

    public bool Contains(FileStat file) => _open.Contains(file.Identity);

    /// <summary>Null where not all could be seen; the reason then says so.</summary>
    public static OpenFiles? Scan(string proc, IReadOnlySet<ulong> devices, CancellationToken cancellation, out string reason)
    {
        var files = new OpenFiles();
        reason = "";
        foreach (var process in Directory.EnumerateDirectories(proc).Where(p => int.TryParse(Path.GetFileName(p), NumberStyles.None, null, out _)))
        {
            if (cancellation.IsCancellationRequested)
                break;
            files.Look(process, devices);
            if (files._open.Count <= Most)
                continue;
            reason = $"More than {Most} files of these file systems are open, too many to be told from the others.";
            return null;
        }

        return files;
    }

    void Look(string process, IReadOnlySet<ulong> devices)
    {
        try
        {
            AddOpen(process, devices);
            AddMapped(process, devices);
        }
        catch (UnauthorizedAccessException)
        {
            Unseen++;
        }
        catch (IOException)
        {
            // A process may end at any moment; what it held is closed then.
        }
    }

    void AddOpen(string process, IReadOnlySet<ulong> devices)
    {
        foreach (var handle in Directory.EnumerateFileSystemEntries(Path.Join(process, "fd")))
        {
            if (Native.StatFollowing(handle, out var stat) == 0 && stat.IsFile && devices.Contains(stat.Device))
                _open.Add(stat.Identity);
        }
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
}
