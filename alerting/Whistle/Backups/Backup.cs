using Whistle.Agent.Settings;
using Whistle.Data;
using Whistle.Ingest.Stores;
using Whistle.State;
using Whistle.State.Files;

namespace Whistle.Backups;

/// <summary>How far a backup or a restore is.</summary>
/// <param name="Doing">Such as <c>copying</c>.</param>
/// <param name="Total">In bytes, as was expected at its beginning.</param>
sealed record BackupProgress(string Doing, long Done, long Total);

/// <summary>What a backup is made of. A state in PostgreSQL is left to pg_dump, and telemetry in InfluxDB to its own means.</summary>
sealed record BackupSource(string DataFolder, StateDatabase State, DuckDbStore? Telemetry, TimeProvider Time);

/// <summary>
/// A consistent copy of a data folder, made while the server works. The state comes first and the telemetry after it: whatever the state
/// says (signals, incidents, runs) was said of samples that were durable before, so they are in the copy too. Samples that came in between
/// are like those of a server that died before it looked at them.
/// </summary>
static class Backup
{
    public const string StateFile = ServerFolder.State;
    public const string Telemetry = ServerFolder.Telemetry;
    public const string Partial = ".partial";

    // Room for what comes in while the backup is made, and for the disk's own needs.
    const long Spare = 64 << 20;

    /// <exception cref="BackupException">It could not be made; nothing is left in its place but where the message says so.</exception>
    public static async Task<BackupManifest> CreateAsync(
        BackupSource source, string folder, Action<BackupProgress> progress, CancellationToken cancellation)
    {
        BackupTarget.Check(folder, source.DataFolder);
        var partial = Path.TrimEndingDirectorySeparator(folder) + Partial;
        if (Path.Exists(partial))
            throw new BackupException(
                $"{partial} is in the way: it is what is left of a backup that did not finish. Delete it, or name another folder.");
        var expected = Expected(source);
        BackupTarget.CheckSpace(folder, expected + Spare);
        try
        {
            FileCopy.MakeFolder(partial);
            var manifest = await WriteAsync(source, partial, progress, expected, cancellation);
            BackupTarget.Publish(partial, folder);
            return manifest;
        }
        catch (Exception e)
        {
            var left = TryDelete(partial) ? "" : $" Delete what is left of it, {partial}.";
            if (e is StoreException or StateException or IOException or UnauthorizedAccessException or BackupException)
                throw new BackupException($"The backup to {folder} was not made: {e.Message.TrimEnd()}{left}", e);
            throw;
        }
    }

    /// <summary>Reads all of a backup, and opens its databases.</summary>
    /// <exception cref="BackupException">It is not whole.</exception>
    public static BackupManifest Verify(string folder, Action<BackupProgress> progress, CancellationToken cancellation)
    {
        var manifest = BackupManifest.Read(folder);
        var there = DataFiles.Of(folder).Where(f => f is not (BackupManifest.FileName or ServerLock.FileName))
            .ToHashSet(StringComparer.Ordinal);
        if (manifest.Files.FirstOrDefault(f => !there.Contains(f.Path)) is { } missing)
            throw new BackupException($"The backup in {folder} is not whole: {missing.Path} is missing. Use another backup.");
        if (there.Except(manifest.Files.Select(f => f.Path)).Order(StringComparer.Ordinal).FirstOrDefault() is { } foreign)
            throw new BackupException($"{foreign} in {folder} is not part of the backup. Take it away, if you know whose it is.");
        var done = 0L;
        foreach (var file in manifest.Files)
        {
            cancellation.ThrowIfCancellationRequested();
            if (Describe(folder, file.Path) != file)
                throw new BackupException($"The backup in {folder} is damaged: {file.Path} is not what was written. Use another backup.");
            progress(new("verifying", done += file.Size, manifest.Bytes));
        }

        var (hot, parquet) = Open(folder, manifest.State);
        if (hot != manifest.HotSamples || parquet != manifest.SealedSamples)
            throw new BackupException($"The backup in {folder} holds {hot + parquet} samples, and "
                + $"{manifest.HotSamples + manifest.SealedSamples} were written. Use another backup.");
        return manifest;
    }

    static async Task<BackupManifest> WriteAsync(
        BackupSource source, string partial, Action<BackupProgress> progress, long expected, CancellationToken cancellation)
    {
        var (files, done) = (new List<FileSum>(), 0L);
        var at = source.Time.GetUtcNow();
        void Copied(FileSum file)
        {
            files.Add(file);
            progress(new("copying", done += file.Size, Math.Max(done, expected)));
        }

        progress(new("copying", 0, expected));
        if (!source.State.IsPostgreSql)
        {
            source.State.CopyTo(Path.Combine(partial, StateFile));
            FileCopy.Settle(Path.Combine(partial, StateFile));
            Copied(FileCopy.Describe(partial, StateFile));
        }

        cancellation.ThrowIfCancellationRequested();
        var telemetry = Path.Combine(partial, Telemetry);
        FileCopy.MakeFolder(telemetry);
        source.Telemetry?.CopyTo(telemetry, file => Copied(file with { Path = $"{Telemetry}/{file.Path}" }), cancellation);
        CopyRest(source.DataFolder, partial, Copied, cancellation);
        progress(new("verifying", done, Math.Max(done, expected)));
        var engine = source.State.IsPostgreSql ? BackupManifest.PostgreSql : BackupManifest.Sqlite;
        var (hot, parquet) = Open(partial, engine);
        var manifest = new BackupManifest
        {
            Format = BackupManifest.CurrentFormat,
            Program = AgentOptions.Version,
            At = at,
            Instance = await source.State.IdentityAsync(cancellation),
            State = engine,
            HotSamples = hot,
            SealedSamples = parquet,
            Files = [.. files.OrderBy(f => f.Path, StringComparer.Ordinal)],
        };
        BackupTarget.SyncFolders(partial);
        FileCopy.WriteNew(Path.Combine(partial, BackupManifest.FileName), manifest.ToBytes());
        BackupTarget.SyncFolders(partial);
        return manifest;
    }

    static void CopyRest(string dataFolder, string partial, Action<FileSum> copied, CancellationToken cancellation)
    {
        foreach (var name in DataFiles.Of(dataFolder).Where(DataFiles.IsPlain))
        {
            cancellation.ThrowIfCancellationRequested();
            DataFiles.MakeFolders(partial, name);
            copied(FileCopy.Make(Path.Combine(dataFolder, name), partial, name));
        }
    }

    static (long Hot, long Sealed) Open(string folder, string engine)
    {
        if (engine == BackupManifest.Sqlite && StateDatabase.Damage(Path.Combine(folder, StateFile)) is { } damage)
            throw new BackupException($"The state in {folder} is damaged: {damage}");
        try
        {
            return DuckDbStore.Count(Path.Combine(folder, Telemetry));
        }
        catch (Exception e) when (e is StoreException or IOException)
        {
            throw new BackupException(e.Message, e);
        }
    }

    static FileSum? Describe(string folder, string name)
    {
        try
        {
            return FileCopy.Describe(folder, name);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException($"{name} of the backup in {folder} cannot be read: {e.Message}", e);
        }
    }

    // The hot database is written again, smaller; its log may hold what is not in it yet.
    static long Expected(BackupSource source) => DataFiles.Of(source.DataFolder)
        .Where(f => DataFiles.IsPlain(f) || f.StartsWith($"{Telemetry}/sealed/", StringComparison.Ordinal)
            || f.StartsWith($"{Telemetry}/hot.", StringComparison.Ordinal)
            || (!source.State.IsPostgreSql && f.StartsWith(StateFile, StringComparison.Ordinal)))
        .Sum(f => Length(Path.Combine(source.DataFolder, f)));

    static long Length(string path)
    {
        var file = new FileInfo(path);
        return file.Exists ? file.Length : 0;
    }

    public static bool TryDelete(string folder)
    {
        try
        {
            if (Directory.Exists(folder))
                Directory.Delete(folder, recursive: true);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
