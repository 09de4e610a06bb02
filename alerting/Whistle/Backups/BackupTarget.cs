using Whistle.Actions.Files;

namespace Whistle.Backups;

/// <summary>Where a backup, or a restored data folder, is written.</summary>
static class BackupTarget
{
    /// <exception cref="BackupException">A backup cannot go there.</exception>
    public static void Check(string folder, string dataFolder)
    {
        if (!Path.IsPathFullyQualified(folder))
            throw new BackupException(
                $"\"{folder}\" is not an absolute path, and the server's own folder is not yours. Write it like /var/backups/whistle-1.");
        var (target, data) = (Resolve(folder), Resolve(dataFolder));
        if (IsWithin(target, data) || IsWithin(data, target))
            throw new BackupException(
                $"{folder} is inside of the data folder {dataFolder} or around it. Name a folder elsewhere, best on another disk.");
        CheckOutsideOfBackups(target);
        CheckEmpty(folder);
        CheckOwners(folder);
    }

    /// <exception cref="BackupException">It lies in a backup, which would not be whole with it.</exception>
    public static void CheckOutsideOfBackups(string resolved)
    {
        for (var above = Path.GetDirectoryName(resolved); above is not null; above = Path.GetDirectoryName(above))
        {
            if (File.Exists(Path.Combine(above, BackupManifest.FileName)))
                throw new BackupException($"{resolved} is inside of the backup {above}. Name a folder outside of it.");
        }
    }

    /// <summary>For a folder that takes the place of what is there: nobody else may exchange it or write beside it.</summary>
    /// <exception cref="BackupException">Somebody else may, or it is a link.</exception>
    public static void CheckPlace(string folder)
    {
        if (new FileInfo(folder).LinkTarget is { } leads)
            throw new BackupException($"{folder} is a link to {leads}, and would be replaced instead of it. Name the folder itself.");
        if (!Directory.Exists(Parent(folder)))
            throw new BackupException($"{Parent(folder)} does not exist. Make it first.");
        if (Native.IsKnown && PathTrust.FaultOnTheWay(folder, Native.EffectiveUser, followLast: false, out _) is { } fault)
            throw new BackupException($"A data folder holds secrets, and {folder} is not a safe place: {fault}");
    }

    /// <exception cref="BackupException">Something is there.</exception>
    public static void CheckEmpty(string folder, string? ignoring = null)
    {
        CheckIsNoFile(folder);
        if (IsOccupied(folder, ignoring))
            throw new BackupException($"{folder} is not empty. Name a folder that is empty or does not exist yet.");
    }

    /// <exception cref="BackupException">It is one.</exception>
    public static void CheckIsNoFile(string folder)
    {
        if (File.Exists(folder))
            throw new BackupException($"{folder} is a file. Name a folder that is empty or does not exist yet.");
    }

    /// <param name="ignoring">A name that does not count.</param>
    public static bool IsOccupied(string folder, string? ignoring = null)
    {
        try
        {
            return Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any(e => Path.GetFileName(e) != ignoring);
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
            throw new BackupException($"About {Mebibytes(bytes)} MiB are needed, and {Parent(folder)} has {Mebibytes(free)} MiB free. "
                + "Free some, or name a folder on another disk.");
    }

    /// <summary>Gives a finished folder its name, which nothing may have but an empty folder.</summary>
    public static void Publish(string partial, string folder)
    {
        if (Directory.Exists(folder))
            Directory.Delete(folder);
        Directory.Move(partial, Path.TrimEndingDirectorySeparator(folder));
        Agent.Linux.Native.SyncFolder(Parent(folder));
    }

    /// <summary>What is in the folders is on the disk; their files were flushed one by one.</summary>
    public static void SyncFolders(string folder)
    {
        foreach (var inner in Directory.EnumerateDirectories(folder, "*", SearchOption.AllDirectories).Append(folder))
            Agent.Linux.Native.SyncFolder(inner);
    }

    public static bool IsWithin(string path, string folder) => path == folder
        || path.StartsWith(Path.TrimEndingDirectorySeparator(folder) + Path.DirectorySeparatorChar, StringComparison.Ordinal);

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

    // Whoever may exchange a folder on the way, or write into it, could read the secrets or put others in their place.
    static void CheckOwners(string folder)
    {
        if (!Directory.Exists(Parent(folder)))
            throw new BackupException($"{Parent(folder)} does not exist. Make it, for the server's user alone to write.");
        if (Native.IsKnown && (PathTrust.FaultOnTheWay(Path.GetFullPath(folder), Native.EffectiveUser, followLast: true, out var real)
            ?? (Native.Stat(real, out var stat) == 0 ? PathTrust.Fault(real, stat, Native.EffectiveUser) : null)) is { } fault)
            throw new BackupException($"A backup holds secrets, and {folder} is not safe: {fault}");
    }

    static long Mebibytes(long bytes) => (bytes + (1 << 20) - 1) >> 20;
}
