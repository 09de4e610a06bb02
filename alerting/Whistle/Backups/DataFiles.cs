using Whistle.Actions.Files;
using Whistle.Data;
using Whistle.Ingest.Stores;
using Whistle.State.Files;

namespace Whistle.Backups;

/// <summary>The files of a data folder, by what becomes of them in a backup.</summary>
static class DataFiles
{
    /// <summary>
    /// What the machine's own agent has not sent yet, and its journal of commands. A copy would be older than what it did since.
    /// </summary>
    public const string AgentBuffer = "agent/buffer";

    // The reserve has no content; the store's mark would be of another moment; and a lock and where it listens belong to a process.
    static readonly string[] Others =
    [
        $"{Backup.Telemetry}/hot.", $"{Backup.Telemetry}/sealed/", $"{Backup.Telemetry}/spill/",
        $"{Backup.Telemetry}/{DuckDbStore.CommitsFile}", Backup.StateFile,
        $"{AgentBuffer}/", "reserve/", RestoreMark.FileName, ServerLock.FileName, Listening.FileName,
    ];

    /// <summary>Copied as it is: neither a database nor what belongs to this moment alone.</summary>
    public static bool IsPlain(string name) =>
        !Others.Any(d => name.StartsWith(d, StringComparison.Ordinal)) && !name.EndsWith(".tmp", StringComparison.Ordinal);

    /// <summary>All below the folder, relative to it and with slashes, in order.</summary>
    /// <exception cref="BackupException">There is a link, and what it leads to is not this folder's, or something else that is not a
    /// file.</exception>
    public static IReadOnlyList<string> Of(string folder)
    {
        var found = new List<string>();
        Walk(new DirectoryInfo(folder), "", found);
        found.Sort(StringComparer.Ordinal);
        return found;
    }

    /// <summary>Makes the folders that the file needs.</summary>
    public static void MakeFolders(string folder, string name)
    {
        for (var slash = name.IndexOf('/', StringComparison.Ordinal); slash > 0; slash = name.IndexOf('/', slash + 1))
            FileCopy.MakeFolder(Path.Combine(folder, name[..slash]));
    }

    static void Walk(DirectoryInfo folder, string prefix, List<string> found)
    {
        foreach (var entry in folder.EnumerateFileSystemInfos())
        {
            if (entry.LinkTarget is not null)
                throw new BackupException(
                    $"{entry.FullName} is a link, and what it leads to is not taken into a backup. Put the file itself there.");
            if (entry is DirectoryInfo inner)
                Walk(inner, $"{prefix}{inner.Name}/", found);
            else if (Native.StatFollowing(entry.FullName, out var stat) == 0)
                found.Add(stat.IsFile
                    ? prefix + entry.Name
                    : throw new BackupException($"{entry.FullName} is not a regular file. Take it out of the folder."));
        }
    }
}
