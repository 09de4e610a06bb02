using DuckDB.NET.Data;

using Whistle.State.Files;

namespace Whistle.Ingest.Stores;

/// <summary>Looks at the telemetry of a server that does not run, and changes nothing.</summary>
public static class StoreInspection
{
    /// <summary>All parts, as they are looked at: hashing takes as long as reading all files.</summary>
    public static IEnumerable<DataFinding> Look(string folder, TimeProvider time)
    {
        if (!Path.Exists(folder))
            return [new("telemetry", false, $"There is no telemetry yet in {folder}.")];
        if (File.Exists(folder))
            return [new("telemetry", true, $"{folder} is a file, where a folder belongs. Move it away, and put the folder back.")];
        return
        [
            .. Part("format", () => [Format(folder)]),
            .. Part("sealed", () => Sealed(new SealedFolder(Path.Combine(folder, "sealed")))),
            .. Part(HotFile.Name, () => [Hot(folder, time)]),
            .. LookAside(folder, time),
        ];
    }

    /// <summary>What was set aside earlier, which a running server does not change either.</summary>
    public static IEnumerable<DataFinding> LookAside(string folder, TimeProvider time) =>
        Part(SetAside.FolderName, () => SetAsideBefore(folder, time));

    // Whatever one part does, the others are looked at.
    static List<DataFinding> Part(string part, Func<IEnumerable<DataFinding>> look)
    {
        try
        {
            return [.. look()];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or StoreException)
        {
            return [new(part, true, $"It cannot be read: {e.Message.TrimEnd()} Check that it is of the right kind and that this user may "
                + "read it; check the disk and its file system.")];
        }
    }

    static DataFinding Format(string folder)
    {
        var file = Path.Combine(folder, "format");
        return !Path.Exists(file)
            ? new("format", false, "There is no format file: the folder is of format 1, or new; the next start writes one.")
            : File.ReadAllText(file).Trim() == $"{HotFile.Format}" ? new("format", false, $"Format {HotFile.Format}.")
            : int.TryParse(File.ReadAllText(file), out var number) && number > HotFile.Format ? new("format", false, $"Format {number} is "
                + $"of a newer version of Whistle than this one, which knows {HotFile.Format} and may report what follows as damaged. "
                + "Use the newer version.")
            : new("format", true, $"It says \"{File.ReadAllText(file).Trim()}\", where this program writes {HotFile.Format}.");
    }

    static IEnumerable<DataFinding> Sealed(SealedFolder folder)
    {
        if (File.Exists(folder.FullPath))
            return [new("sealed", true, $"{folder.FullPath} is a file, where a folder belongs. Move it away, and put the folder back.")];
        var files =
            Directory.Exists(folder.FullPath) ? Directory.EnumerateFiles(folder.FullPath).Select(f => Path.GetFileName(f)).ToList() : [];
        return files.GroupBy(SealedHour.HourOf).Where(g => g.Key is not null).OrderBy(g => g.Key)
            .SelectMany(g => Part(SealedHour.NameOf(g.Key!.Value), () => [Hour(folder, g.Key.Value, g)]));
    }

    static DataFinding Hour(SealedFolder folder, long number, IEnumerable<string> files)
    {
        var name = SealedHour.NameOf(number);
        var manifestFile = folder.PathOf(name + SealedHour.ManifestSuffix);
        return !Path.Exists(manifestFile) ? new(name, true, $"No manifest says what {string.Join(", ", files)} must contain. "
            + "The next start takes it from the hot store, or sets the files aside.")
            : SealedHour.Read(File.ReadAllText(manifestFile), number) is not { } hour ? new(
                name, true, $"{manifestFile} is damaged. The next start writes it again from the hot store, or sets the files aside.")
            : folder.Fault(hour) is { } fault ? new(
                name, fault.IsDamage,
                $"{fault.Reason}. {(fault.IsDamage ? "The next start sets it aside." : "Let the server's user read it.")}")
            : new(name, false, $"Generation {hour.Generation}, {hour.Files.Sum(f => f.Bytes)} bytes.");
    }

    static DataFinding Hot(string folder, TimeProvider time)
    {
        var hot = new HotFile(new StoreOptions(folder, TimeSpan.Zero), new SetAside("", null, null, time), time, null);
        if (Directory.Exists(Path.Combine(folder, HotFile.Name)))
            return new(HotFile.Name, true, $"{HotFile.Name} is a folder, where a file belongs. Move it away, and put the file back.");
        var sealedFolder = Path.Combine(folder, "sealed");
        if (!hot.Exists)
            return new(
                HotFile.Name, Directory.Exists(sealedFolder) && Directory.EnumerateFiles(sealedFolder).Any(),
                $"{HotFile.Name} is missing; the next start makes a new one.");
        try
        {
            using var mark = new CommitMark(Path.Combine(folder, CommitMark.FileName));
            var (commits, marked) = (hot.Look(), mark.Read());
            return commits < (marked ?? 0) ? new(HotFile.Name, true, $"It holds {commits} commits of {marked}: "
                + "it is older than what was stored, or was truncated. The next start continues with what there is.")
                : marked is null ? new(
                    HotFile.Name, true,
                    "It can be read; whether it is whole is unknown, as the mark of the last commit is missing or damaged.")
                : new(HotFile.Name, false, $"{commits} commits, all of them readable.");
        }
        catch (DuckDBException e)
        {
            return HotFile.IsDamage(e.Message)
                ? new(HotFile.Name, true, $"{e.Message.TrimEnd()} The next start saves what can be read and sets the file aside.")
                : new(HotFile.Name, true, $"It cannot be opened now: {e.Message.TrimEnd()} Check which other process has it open, "
                    + "and that this user may read it.");
        }
    }

    static IEnumerable<DataFinding> SetAsideBefore(string folder, TimeProvider time)
    {
        var before = new SetAside(Path.Combine(folder, SetAside.FolderName), null, null, time);
        before.Load();
        return before.Known.Select(
            d => new DataFinding($"{SetAside.FolderName}/{Path.GetFileName(d.Folder)}", false, $"{d.Reason}.") { IsAside = true });
    }
}
