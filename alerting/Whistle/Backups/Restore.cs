using System.Globalization;

using Whistle.Actions.Files;
using Whistle.Data;
using Whistle.State;
using Whistle.State.Files;

namespace Whistle.Backups;

/// <summary>Makes a data folder of a backup: beside its place, and then put there whole.</summary>
static class Restore
{
    public const string Partial = ".restoring";
    public const string Aside = ".before-";

    // Beside the files, for what the databases make at the first start.
    const long Spare = 64 << 20;

    /// <summary>Returns the manifest, and where the old folder is now.</summary>
    /// <exception cref="BackupException">It could not be done; the folder is as it was.</exception>
    public static (BackupManifest Manifest, string? Aside) Run(
        string backup, string folder, bool replace, TimeProvider time, Action<BackupProgress> progress, CancellationToken cancellation)
    {
        folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        var partial = folder + Partial;
        Check(backup, folder, partial, replace);
        var isNew = !Directory.Exists(folder);
        try
        {
            using var held = Lock(folder);
            // The folder may have changed before it was locked.
            Check(backup, folder, partial, replace);
            return Run(backup, folder, partial, replace, time, progress, cancellation);
        }
        catch (Exception e) when (isNew && e.InnerException is not FolderInUseException)
        {
            Unmake(folder);
            throw;
        }
    }

    static (BackupManifest Manifest, string? Aside) Run(
        string backup, string folder, string partial, bool replace, TimeProvider time, Action<BackupProgress> progress,
        CancellationToken cancellation)
    {
        var manifest = Backup.Verify(backup, progress, cancellation);
        BackupTarget.CheckSpace(folder, manifest.Bytes + Spare);
        try
        {
            FileCopy.MakeFolder(partial);
            Fill(backup, manifest, partial, progress, cancellation);
            if (replace)
                KeepAgent(folder, partial);
            FileCopy.WriteNew(Path.Combine(partial, RestoreMark.FileName), new RestoreMark(Lineage.NewGeneration(), manifest.At).ToBytes());
            BackupTarget.SyncFolders(partial);
            return (manifest, PutInPlace(partial, folder, time));
        }
        catch (Exception e)
        {
            var left = Backup.TryDelete(partial) ? "" : $" Delete what is left of it, {partial}.";
            if (e is StoreException or IOException or UnauthorizedAccessException or BackupException)
                throw new BackupException($"{backup} was not restored to {folder}: {e.Message.TrimEnd()}{left}", e);
            throw;
        }
    }

    static ServerLock Lock(string folder)
    {
        try
        {
            if (!Directory.Exists(folder))
                FileCopy.MakeFolder(folder);
            return ServerLock.Take(folder, "whistle backup restore");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException(e.Message, e);
        }
    }

    // Nothing but the lock is in it.
    static void Unmake(string folder)
    {
        try
        {
            File.Delete(Path.Combine(folder, ServerLock.FileName));
            Directory.Delete(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The reason why it is not needed is the one to say.
        }
    }

    static void Check(string backup, string folder, string partial, bool replace)
    {
        if (BackupTarget.IsWithin(BackupTarget.Resolve(folder), BackupTarget.Resolve(backup))
            || BackupTarget.IsWithin(BackupTarget.Resolve(backup), BackupTarget.Resolve(folder)))
            throw new BackupException($"{folder} is inside of the backup {backup} or around it. Name another folder.");
        BackupTarget.CheckOutsideOfBackups(BackupTarget.Resolve(folder));
        BackupTarget.CheckPlace(folder);
        if (Path.Exists(partial))
            throw new BackupException($"{partial} is in the way: it is what is left of a restore that did not finish. Delete it.");
        BackupTarget.CheckIsNoFile(folder);
        if (!replace)
            BackupTarget.CheckEmpty(folder, ignoring: ServerLock.FileName);
    }

    static void Fill(
        string backup, BackupManifest manifest, string partial, Action<BackupProgress> progress, CancellationToken cancellation)
    {
        var done = 0L;
        foreach (var file in manifest.Files)
        {
            cancellation.ThrowIfCancellationRequested();
            DataFiles.MakeFolders(partial, file.Path);
            if (FileCopy.Make(Path.Combine(backup, file.Path), partial, file.Path) != file)
                throw new BackupException($"{file.Path} has changed since it was verified.");
            progress(new("restoring", done += file.Size, manifest.Bytes));
        }
    }

    // What this machine's agent did since the backup only its journal knows, and its reports wait to be sent.
    static void KeepAgent(string folder, string partial)
    {
        var buffer = Path.Combine(folder, DataFiles.AgentBuffer);
        if (!Directory.Exists(buffer))
            return;
        foreach (var name in DataFiles.Of(buffer).Select(f => $"{DataFiles.AgentBuffer}/{f}"))
        {
            DataFiles.MakeFolders(partial, name);
            FileCopy.Make(Path.Combine(folder, name), partial, name);
        }
    }

    static string? PutInPlace(string partial, string folder, TimeProvider time)
    {
        var aside = BackupTarget.IsOccupied(folder, ignoring: ServerLock.FileName) ? AsideOf(folder, time) : null;
        if (Native.IsKnown && TryExchange(partial, folder, aside))
            return aside;
        if (aside is not null)
            Directory.Move(folder, aside);
        else
            File.Delete(Path.Combine(folder, ServerLock.FileName));
        try
        {
            BackupTarget.Publish(partial, folder);
            return aside;
        }
        catch when (aside is not null && !Directory.Exists(folder))
        {
            Directory.Move(aside, folder);
            throw;
        }
    }

    // The place is never empty, so that no server begins a new state there. A crash right
    // before the exchange leaves the restored folder beside it.
    static bool TryExchange(string partial, string folder, string? aside)
    {
        var beside = aside ?? partial;
        if (aside is not null)
            Directory.Move(partial, aside);
        if (Native.Exchange(beside, folder) != 0)
        {
            if (aside is not null)
                Directory.Move(aside, partial);
            return false;
        }

        if (aside is null)
            Backup.TryDelete(beside);
        Agent.Linux.Native.SyncFolder(BackupTarget.Parent(folder));
        return true;
    }

    static string AsideOf(string folder, TimeProvider time)
    {
        var aside = folder + Aside + time.GetUtcNow().ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);
        return Path.Exists(aside) ? throw new BackupException($"{aside} is in the way. Try again in a second.") : aside;
    }
}
