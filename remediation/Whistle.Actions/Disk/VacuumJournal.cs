using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Contract;
using Whistle.Actions.Files;
using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;

namespace Whistle.Actions.Disk;

/// <summary>What was deleted, or would be.</summary>
sealed record VacuumReport
{
    const int MostExamples = 20;

    public required bool DryRun { get; init; }

    public long Files { get; set; }

    /// <summary>Allocated.</summary>
    public long Bytes { get; set; }

    public required long ArchivedBefore { get; init; }

    public long ArchivedAfter => ArchivedBefore - Bytes;

    /// <summary>The first paths, oldest first.</summary>
    public List<string> Examples { get; } = [];

    /// <summary>Why it ended early.</summary>
    public string? Stopped { get; set; }

    public void Count(ArchivedJournal file)
    {
        Files++;
        Bytes += file.Stat.Allocated;
        if (Examples.Count < MostExamples)
            Examples.Add(file.Path);
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(VacuumReport))]
sealed partial class VacuumJson : JsonSerializerContext;

/// <summary>
/// Deletes the oldest archived files of this machine's journal. It does so itself: journalctl chooses its files again when it runs, counts
/// the active ones too in some versions, goes by a file's first entry, and so can neither be planned nor held to what must stay.
/// </summary>
sealed class VacuumJournal : INodeAction
{
    internal static readonly ActionParameter MaximumBytes =
        new("maximumBytes", ParameterKind.Whole, "The archived journal shall have at most so much.") { Least = 0, Unit = "bytes" };

    internal static readonly ActionParameter MaximumAge = new("maximumAge", ParameterKind.Age, "Files whose last entry is older shall go.");

    internal static readonly ActionParameter On =
        new("mountPoint", ParameterKind.Text, "Only the journal on the file system of this folder; where there is none, it is refused.")
        { WithoutIt = "any" };

    public ActionDescriptor Descriptor { get; } = new()
    {
        Name = "disk.vacuum-journal",
        Summary = "Deletes the oldest archived files of systemd's journal.",
        Reads = "the headers of this machine's archived journal files",
        Changes = "these files",
        DryRun = "plans the same way and leaves out the deletion",
        Parameters = [MaximumBytes, MaximumAge, On],
        PolicyKeys = ["vacuumJournal"],
        Report = VacuumJson.Default.VacuumReport,
    };

    [ModuleInitializer]
    internal static void Add() => NodeActions.Add(new VacuumJournal());

    public string Allowance(NodePolicy? policy) => policy?.VacuumJournal is not { } rule
        ? "refused: the node's policy has no vacuumJournal"
        : $"all archived files but the newest {Bytes.Text(rule.KeepBytes)} and those with entries younger than {rule.KeepAge}";

    public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation) =>
        Task.Run(() => VacuumAsync(asked, context, cancellation), CancellationToken.None);

    static async Task<ActionReport> VacuumAsync(Arguments asked, ActionContext context, CancellationToken cancellation)
    {
        if (Rule(context, out var refusal) is not { } rule)
            return ActionReport.Refuse(refusal!);
        using var journal = new MachineJournal();
        if (journal.Open(asked.Text(On), context) is { } why)
            return ActionReport.Refuse(why);
        if (journal.Archived(cancellation) is not { } archived)
            return ActionReport.Refuse(ActionReport.OutOfTime);
        var run = new VacuumRun(rule, context, archived);
        foreach (var file in Doomed(archived, asked, rule, context.Time.GetUtcNow()))
        {
            if (!await run.DeleteAsync(file, cancellation).ConfigureAwait(false))
                break;
        }

        return run.Answer();
    }

    internal static JournalRule? Rule(ActionContext context, out string? refusal)
    {
        var policy = NodePolicy.Read(context.PolicyFile, context.ProtectedFolders, out refusal);
        if (policy is { VacuumJournal: null })
            refusal = $"The node's policy {context.PolicyFile} has no vacuumJournal, so the journal may not be touched.";
        return policy?.VacuumJournal;
    }

    /// <summary>The oldest first, up to the first that must stay or that nobody wants to go.</summary>
    static IEnumerable<ArchivedJournal> Doomed(
        IReadOnlyList<ArchivedJournal> archived, Arguments asked, JournalRule rule, DateTimeOffset now)
    {
        var keepFrom = now - Age.Parse(rule.KeepAge)!.Value;
        var wantedBefore = asked.Age(MaximumAge) is { } age ? now - age : DateTimeOffset.MinValue;
        var most = asked.Whole(MaximumBytes);
        var wantsAll = most is null && asked.Age(MaximumAge) is null;
        var rest = archived.Sum(f => f.Stat.Allocated);
        foreach (var file in archived)
        {
            var wanted = wantsAll || rest > most || file.LastEntry < wantedBefore;
            rest -= file.Stat.Allocated;
            if (!wanted || rest < rule.KeepBytes || file.LastEntry >= keepFrom)
                yield break;
            yield return file;
        }
    }
}

/// <summary>Deletes one file after the other, or only counts them. The plan is only as good as the policy that it was made under.</summary>
sealed class VacuumRun(JournalRule rule, ActionContext context, IReadOnlyList<ArchivedJournal> archived)
{
    readonly VacuumReport _report = new() { DryRun = context.DryRun, ArchivedBefore = archived.Sum(f => f.Stat.Allocated) };
    bool _failed;

    /// <summary>False where the run must end here.</summary>
    public async ValueTask<bool> DeleteAsync(ArchivedJournal file, CancellationToken cancellation)
    {
        if (cancellation.IsCancellationRequested)
            return Stop(ActionReport.OutOfTime);
        if (!context.DryRun)
        {
            if (!await MayDeleteAsync(cancellation).ConfigureAwait(false))
                return false;
            var error = file.Remove(context.BetweenLookAndAct);
            // journald may have vacuumed it itself by now.
            if (error == Native.NoEntry)
                return true;
            if (error != 0)
                return Fail($"{file.Path} could not be deleted: {Native.Text(error)}.");
        }

        _report.Count(file);
        return true;
    }

    public ActionReport Answer()
    {
        var done = $"{_report.Files} archived journal files of {Bytes.Text(_report.Bytes)}";
        var summary =
            (context.DryRun ? "Would delete " : "Deleted ") + $"{done}; {Bytes.Text(_report.ArchivedAfter)} of the archived journal stay.";
        var output = JsonSerializer.SerializeToElement(_report, VacuumJson.Default.VacuumReport);
        if (_report.Stopped is not { } stopped)
            return new ActionReport(CommandOutcome.Succeeded, summary, output);
        return new ActionReport(
            _report.Files == 0 && !_failed ? CommandOutcome.Refused : CommandOutcome.Failed, $"Stopped: {stopped} {summary}", output);
    }

    async ValueTask<bool> MayDeleteAsync(CancellationToken cancellation)
    {
        try
        {
            if (!await context.Guard.MayMutateAsync(cancellation).ConfigureAwait(false))
                return Stop(context.Guard.Refusal!);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return Stop(ActionReport.OutOfTime);
        }

        return VacuumJournal.Rule(context, out var refusal) == rule
            || Stop(refusal ?? "The node's policy for the journal was changed during the run.");
    }

    bool Fail(string why)
    {
        _failed = true;
        return Stop(why);
    }

    bool Stop(string why)
    {
        _report.Stopped = why;
        return false;
    }
}

/// <summary>
/// The open folders of this machine's own journal, as journald fills them: not those of other machines, containers or namespaces.
/// </summary>
sealed class MachineJournal : IDisposable
{
    readonly List<(string Path, int Folder, FileStat Stat)> _folders = [];

    /// <summary>Why there is nothing to vacuum, or null.</summary>
    public string? Open(string? mountPoint, ActionContext context)
    {
        if (MachineId(context.MachineIdFile) is not { } id)
            return $"{context.MachineIdFile} has no machine id, so this machine's journal is not known.";
        var refusals = context.JournalFolders.Select(f => Open(Path.Join(f, id))).OfType<string>().ToList();
        if (_folders.Count == 0)
            return "This node has no systemd journal to vacuum. " + string.Join(" ", refusals);
        return mountPoint is null ? null : Narrow(mountPoint);
    }

    /// <summary>The archived files by their last entry, oldest first; null where the time was over.</summary>
    public List<ArchivedJournal>? Archived(CancellationToken cancellation)
    {
        var files = new List<ArchivedJournal>();
        foreach (var (path, folder, stat) in _folders)
        {
            if (Native.Reopen(folder, out var again) != 0)
                continue;
            using var walk = new TreeWalk(again, stat);
            for (var step = walk.Next(); step != WalkStep.End; step = walk.Next())
            {
                if (cancellation.IsCancellationRequested)
                    return null;
                if (step == WalkStep.File && walk.Depth == 0 && ArchivedJournal.Read(path, folder, walk.Name, walk.Stat) is { } file)
                    files.Add(file);
            }
        }

        return [.. files.OrderBy(f => f.LastEntry).ThenBy(f => f.Path, StringComparer.Ordinal)];
    }

    public void Dispose()
    {
        foreach (var (_, folder, _) in _folders)
            Native.Close(folder);
    }

    static string? MachineId(string path)
    {
        try
        {
            var text = File.ReadAllText(path).Trim();
            return text.Length == 32 && text.All(char.IsAsciiHexDigitLower) ? text : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    string? Open(string path)
    {
        var folder = MountPoint.Open(path, out var stat, out var refusal);
        if (refusal is null)
            _folders.Add((path, folder, stat));
        return refusal;
    }

    string? Narrow(string mountPoint)
    {
        Native.Close(MountPoint.Open(mountPoint, out var mount, out var refusal));
        if (refusal is not null)
            return refusal;
        foreach (var (_, folder, _) in _folders.Where(f => f.Stat.Device != mount.Device))
            Native.Close(folder);
        _folders.RemoveAll(f => f.Stat.Device != mount.Device);
        return _folders.Count > 0
            ? null : $"The journal is on another file system than {mountPoint}, so vacuuming it would free nothing there.";
    }
}

/// <summary>A journal file that nothing is written to any more.</summary>
/// <param name="Name">Ends in 0.</param>
/// <param name="Path">Escaped, for people.</param>
sealed unsafe record ArchivedJournal(int Folder, byte[] Name, string Path, FileStat Stat, DateTimeOffset LastEntry)
{
    // systemd, docs/JOURNAL_FILE_FORMAT: signature, …, state at 16, …, time of the last entry in microseconds at 192.
    const int HeaderLength = 208;
    const int StateAt = 16;
    const int LastEntryAt = 192;
    const byte Archived = 2;

    // Some thousand years on, which is as far as a date goes.
    const ulong Latest = 1UL << 57;

    /// <summary>Null where it is no archived file, or has other names and so would free nothing.</summary>
    public static ArchivedJournal? Read(string folderPath, int folder, ReadOnlySpan<byte> name, FileStat stat)
    {
        // "system@….journal", or "system@….journal~" for one that was not closed well.
        var torn = name.EndsWith(".journal~"u8);
        if (stat.Links != 1 || !name.Contains((byte)'@') || !(torn || name.EndsWith(".journal"u8)))
            return null;
        byte[] terminated = [.. name, 0];
        Span<byte> header = stackalloc byte[HeaderLength];
        var readable = Native.ReadStart(folder, terminated, header) && header.StartsWith("LPKSHHRH"u8);
        if (!torn && (!readable || header[StateAt] != Archived))
            return null;
        var written = readable ? (long)Math.Min(BitConverter.ToUInt64(header[LastEntryAt..]), Latest) : 0;
        // What is torn may have lost its last time.
        var last = torn ? Math.Max(written, stat.Modified * 1_000_000) : written;
        var path = FileName.Escape([.. Encoding.UTF8.GetBytes(folderPath), (byte)'/', .. name]);
        return new ArchivedJournal(folder, terminated, path, stat, DateTimeOffset.UnixEpoch.AddMicroseconds(last));
    }

    /// <summary>0 or an errno. What a reader still holds open is freed too, as journald does it.</summary>
    public int Remove(Action<string>? betweenLookAndAct)
    {
        betweenLookAndAct?.Invoke(Path);
        fixed (byte* name = Name)
        {
            if (Native.OpenFile(Folder, name, write: true, out var file) is var error and not 0)
                return error == Native.IsALink ? Native.NoEntry : error;
            try
            {
                if ((error = Native.Stat(file, out var now)) != 0)
                    return error;
                if (now.Identity != Stat.Identity || now.Changed != Stat.Changed || now.Links != 1)
                    return Native.NoEntry;
                if ((error = Native.Unlink(Folder, name)) != 0)
                    return error;
                if (Native.Stat(file, out now) == 0 && now.Links == 0)
                    Native.FreeBlocks(file, now.Length);
                return 0;
            }
            finally
            {
                Native.Close(file);
            }
        }
    }
}
