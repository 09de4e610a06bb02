using Whistle.Actions.Files;

namespace Whistle.Backups;

/// <summary>Where a backup, or a restored data folder, is written.</summary>
static class BackupTarget
{
    /// <exception cref="BackupException">A backup cannot go there.</exception>
    public static void Check(string folder, string dataFolder)
    {
        if (!Path.IsPathFullyQualified(folder))
            throw new BackupException($"\"{folder}\" is not an absolute path, and the server's own folder is not yours. Write it like /var/backups/whistle-1.");
        var (target, data) = (Resolve(folder), Resolve(dataFolder));
        if (IsWithin(target, data) || IsWithin(data, target))
            throw new BackupException($"{folder} is inside of the data folder {dataFolder} or around it. Name a folder elsewhere, best on another disk.");
        CheckEmpty(folder);
        CheckOwners(folder);
    }

    /// <exception cref="BackupException">Something is there.</exception>
    public static void CheckEmpty(string folder)
    {
        if (File.Exists(folder))
            throw new BackupException($"{folder} is a file. Name a folder that is empty or does not exist yet.");
        if (IsOccupied(folder))
            throw new BackupException($"{folder} is not empty. Name a folder that is empty or does not exist yet.");
    }

    public static bool IsOccupied(string folder)
    {
        try
        {
            return Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException($"{folder} cannot be read: {e.Message}", e);
        }
    }

    /// <exception cref="BackupException">The disk has less room than that.</exception>
    public static void CheckSpace(string folder, long bytes)
    {
        var free = new DriveInfo(Parent(folder)).AvailableFreeSpace;
        if (free < bytes)
            throw new BackupException($"About {Mebibytes(bytes)} MiB are needed, and {Parent(folder)} has {Mebibytes(free)} MiB free. Free some, or name a folder on another disk.");
    }

    /// <summary>Gives a finished folder its name, which nothing may have but an empty folder.</summary>
    public static void Publish(string partial, string folder)
    {
        if (Directory.Exists(folder))
            Directory.Delete(folder);
        Directory.Move(partial, Path.TrimEndingDirectorySeparator(folder));
        Agent.Collectors.Native.SyncFolder(Parent(folder));
    }

    /// <summary>What is in the folders is on the disk; their files were flushed one by one.</summary>
    public static void SyncFolders(string folder)
    {
        foreach (var inner in Directory.EnumerateDirectories(folder, "*", SearchOption.AllDirectories).Append(folder))
            Agent.Collectors.Native.SyncFolder(inner);
    }

    public static bool IsWithin(string path, string folder) => path == folder || path.StartsWith(Path.TrimEndingDirectorySeparator(folder) + Path.DirectorySeparatorChar, StringComparison.Ordinal);

    /// <summary>The path without links, as far as it exists.</summary>
    public static string Resolve(string path)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        if (Native.RealPath(full) is { } real)
            return real;
        return Path.GetDirectoryName(full) is { } parent ? Path.Combine(Resolve(parent), Path.GetFileName(full)) : full;
    }

    public static string Parent(string folder) => Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)))
        ?? throw new BackupException($"{folder} is the root of the file system. Name a folder below it.");

    // Whoever may rename a folder on the way, or write into it, could read the secrets or put others in their place.
    static void CheckOwners(string folder)
    {
        var parent = Parent(folder);
        if (!Directory.Exists(parent))
            throw new BackupException($"{parent} does not exist. Make it, for the server's user alone to write.");
        for (var at = Directory.Exists(folder) ? Resolve(folder) : Resolve(parent); ; at = Path.GetDirectoryName(at)!)
        {
            CheckOwner(at, mayBeSticky: at != Resolve(folder));
            if (Path.GetDirectoryName(at) is null)
                return;
        }
    }

    static void CheckOwner(string folder, bool mayBeSticky)
    {
        const int othersWrite = 0b010_010;
        const int sticky = 0b1_000_000_000;
        if (Native.StatFollowing(folder, out var stat) != 0 || Native.StatFollowing("/proc/self", out var self) != 0)
            throw new BackupException($"Nobody can tell who may write to {folder}. Name another folder.");
        if ((stat.Mode & othersWrite) != 0 && !(mayBeSticky && (stat.Mode & sticky) != 0))
            throw new BackupException($"Others than its owner may write to {folder}, and a backup holds secrets. Take that right away (chmod go-w), or name another folder.");
        if (stat.Owner != 0 && stat.Owner != self.Owner)
            throw new BackupException($"{folder} belongs to another user, and a backup holds secrets. Name a folder of the server's own user.");
    }

    static long Mebibytes(long bytes) => (bytes + (1 << 20) - 1) >> 20;
}
