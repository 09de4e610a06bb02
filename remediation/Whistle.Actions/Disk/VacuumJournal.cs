using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;

using Whistle.Actions.Files;
using Whistle.Telemetry;

namespace Whistle.Actions.Disk;

/// <summary>Both are optional; where both are left out, as much goes as the node's policy allows.</summary>
sealed record VacuumParameters
{
    /// <summary>The archived journal shall have at most so much.</summary>
    public long? MaximumBytes { get; init; }

    /// <summary>What is older shall go, like <c>7d</c>.</summary>
    public string? MaximumAge { get; init; }

    /// <summary>Only where the journal lies on the file system of this folder.</summary>
    public string? MountPoint { get; init; }
}

/// <param name="Files">Archived files that the plan deletes.</param>
/// <param name="ArchivedAfter">Null in a dry run.</param>
/// <param name="Journalctl">What it said.</param>
sealed record VacuumReport(
    bool DryRun, IReadOnlyList<string> Command, long Files, long Bytes, IReadOnlyList<string> Examples, long ArchivedBefore, long? ArchivedAfter, string Journalctl);

/// <summary>Lets journald's own program delete the oldest archived journal files, within the node's policy.</summary>
sealed class VacuumJournal : INodeAction
{
    public string Name => "disk.vacuum-journal";

    public string Description => "Deletes the oldest archived files of systemd's journal.";

    public bool Mutates => true;

    public string Allowance(NodePolicy? policy) => policy?.VacuumJournal is not { } rule
        ? "refused: the node's policy has no vacuumJournal"
        : $"all but {Bytes.Text(rule.KeepBytes)} and what is younger than {rule.KeepAge}";

    public Task<ActionReport> RunAsync(JsonElement parameters, ActionContext context, CancellationToken cancellation)
    {
        var asked = ActionParameters.Read(parameters, ActionsJson.Default.VacuumParameters, Name, out var refusal);
        if (asked?.MaximumAge is { } age && Age.Parse(age) is null)
            refusal = Age.Refusal("maximumAge", age);
        if (refusal is not null)
            return Task.FromResult(ActionReport.Refuse(refusal));
        return Task.Run(() => RunAsync(asked!, context, cancellation), CancellationToken.None);
    }

    static async Task<ActionReport> RunAsync(VacuumParameters asked, ActionContext context, CancellationToken cancellation)
    {
        if (Rule(context, out var refusal) is not { } rule || JournalPlan.Make(asked, rule, context, out refusal) is not { } plan)
            return ActionReport.Refuse(refusal!);
        if (context.DryRun)
            return await SayAsync(plan, cancellation).ConfigureAwait(false);
        if (plan.Doomed.Count == 0)
            return plan.Answer("Nothing to delete: the archived journal is within the limits already.", false, plan.Archived, "");
        if (!await context.Guard.MayMutateAsync(cancellation).ConfigureAwait(false))
            return ActionReport.Refuse(context.Guard.Refusal!);
        // The plan is only as good as the policy that it was made under.
        if (Rule(context, out refusal) != rule)
            return ActionReport.Refuse(refusal ?? "The node's policy for the journal was changed during the run.");
        return await VacuumAsync(plan, cancellation).ConfigureAwait(false);
    }

    static JournalRule? Rule(ActionContext context, out string? refusal)
    {
        var policy = NodePolicy.Read(context.PolicyFile, context.ProtectedFolders, out refusal);
        if (policy is { VacuumJournal: null })
            refusal = $"The node's policy {context.PolicyFile} has no vacuumJournal, so the journal may not be touched.";
        return policy?.VacuumJournal;
    }

    static async Task<ActionReport> SayAsync(JournalPlan plan, CancellationToken cancellation)
    {
        var (code, said) = await RunAsync(plan.Program, ["--disk-usage"], cancellation).ConfigureAwait(false);
        return code == 0
            ? plan.Answer($"Would delete {plan.Doomed.Count} archived journal files of {Bytes.Text(plan.DoomedBytes)}.", true, null, said)
            : ActionReport.Refuse($"{plan.Program} --disk-usage failed: {said}");
    }

    static async Task<ActionReport> VacuumAsync(JournalPlan plan, CancellationToken cancellation)
    {
        var (code, said) = await RunAsync(plan.Program, plan.Arguments, cancellation).ConfigureAwait(false);
        var after = plan.Measure();
        var freed = $"The archived journal went from {Bytes.Text(plan.Archived)} to {Bytes.Text(after)}.";
        var report = plan.Answer(code == 0 ? freed : $"{plan.Program} failed ({code}): {said} {freed}", false, after, said);
        return code == 0 ? report : report with { Outcome = CommandOutcome.Failed };
    }

    static async Task<(int Code, string Said)> RunAsync(string program, IEnumerable<string> arguments, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        start.Environment.Clear();
        start.Environment["LC_ALL"] = "C";
        start.Environment["SYSTEMD_COLORS"] = "0";
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        try
        {
            var said = await Task.WhenAll(ReadAsync(process.StandardOutput, cancellation), ReadAsync(process.StandardError, cancellation)).ConfigureAwait(false);
            await process.WaitForExitAsync(cancellation).ConfigureAwait(false);
            return (process.ExitCode, string.Join(' ', said).Trim());
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            process.Kill(entireProcessTree: true);
            return (-1, "It was stopped, or its time was over.");
        }
    }

    // Reads to the end, so that the program never waits, and keeps the first part.
    static async Task<string> ReadAsync(StreamReader reader, CancellationToken cancellation)
    {
        const int most = 4000;
        var text = new StringBuilder();
        var buffer = new char[1024];
        while (await reader.ReadAsync(buffer, cancellation).ConfigureAwait(false) is var read and > 0)
            text.Append(buffer, 0, Math.Min(read, most - text.Length));
        return text.ToString().Trim();
    }
}

/// <summary>What <c>journalctl --vacuum-…</c> is told, and which files it will delete for it.</summary>
sealed class JournalPlan
{
    const int MostExamples = 20;

    VacuumParameters _asked = new();
    List<string> _folders = [];

    public required string Program { get; init; }

    public List<string> Arguments { get; } = [];

    public List<ArchivedFile> Doomed { get; } = [];

    public long DoomedBytes => Doomed.Sum(f => f.Bytes);

    public long Archived { get; private set; }

    /// <summary>Null where there is nothing to plan; the refusal says why.</summary>
    public static JournalPlan? Make(VacuumParameters asked, JournalRule rule, ActionContext context, out string? refusal)
    {
        refusal = Limit(asked, rule, out var bytes, out var age);
        if (refusal is not null)
            return null;
        if (context.JournalPrograms.FirstOrDefault(File.Exists) is not { } program)
        {
            refusal = $"This node has no systemd journal to vacuum: there is no {context.JournalPrograms[0]}.";
            return null;
        }

        var plan = new JournalPlan { Program = program, _asked = asked, _folders = Folders(context) };
        refusal = plan.Refusal();
        if (refusal is not null)
            return null;
        if (bytes is { } most)
            plan.Arguments.Add($"--vacuum-size={most}");
        if (age is { } oldest)
            plan.Arguments.Add($"--vacuum-time={(long)oldest.TotalSeconds}s");
        foreach (var folder in plan._folders)
            plan.Doom(folder, bytes, age is { } a ? context.Time.GetUtcNow() - a : null);
        return plan;
    }

    /// <summary>Bytes of the archived files now.</summary>
    public long Measure() => _folders.SelectMany(ArchivedFile.In).Sum(f => f.Bytes);

    public ActionReport Answer(string summary, bool dryRun, long? after, string said)
    {
        var examples = Doomed.Take(MostExamples).Select(f => FileName.Escape(Encoding.UTF8.GetBytes(f.Path))).ToList();
        var report = new VacuumReport(dryRun, [Program, .. Arguments], Doomed.Count, DoomedBytes, examples, Archived, after, said);
        return new ActionReport(CommandOutcome.Succeeded, summary, JsonSerializer.SerializeToElement(report, ActionsJson.Default.VacuumReport));
    }

    // journalctl deletes what either limit names, so each must be within the policy on its own; 0 would mean no limit to it.
    static string? Limit(VacuumParameters asked, JournalRule rule, out long? bytes, out TimeSpan? age)
    {
        var keepAge = Age.Parse(rule.KeepAge)!.Value;
        (bytes, age) = (asked.MaximumBytes, Age.Parse(asked.MaximumAge));
        if (bytes is null && age is null)
        {
            bytes = rule.KeepBytes > 0 ? rule.KeepBytes : null;
            age = rule.KeepBytes > 0 ? null : keepAge;
        }

        if (bytes is { } size && keepAge > TimeSpan.Zero)
            return $"The node's policy keeps what is younger than {rule.KeepAge}, which a limit of {size} bytes could delete. Ask for maximumAge, or take keepAge from the policy.";
        if (age is not null && rule.KeepBytes > 0)
            return $"The node's policy keeps {rule.KeepBytes} bytes, which a limit of age could delete. Ask for maximumBytes, or take keepBytes from the policy.";
        if (bytes < Math.Max(1, rule.KeepBytes))
            return $"The node's policy keeps {rule.KeepBytes} bytes of the archived journal; maximumBytes of {bytes} is below it (or below 1).";
        if (age < keepAge || age < TimeSpan.FromSeconds(1))
            return $"The node's policy keeps {rule.KeepAge} of the journal; a maximumAge of {asked.MaximumAge ?? rule.KeepAge} is below it (or below 1s).";
        return null;
    }

    static List<string> Folders(ActionContext context) =>
        [.. context.JournalFolders.Where(Directory.Exists).SelectMany(Directory.GetDirectories).Where(f => Directory.EnumerateFiles(f, "*.journal*").Any())];

    string? Refusal()
    {
        if (_folders.Count == 0)
            return "This node has no systemd journal to vacuum: no journal files were found.";
        if (_asked.MountPoint is not { } mount)
            return null;
        Native.Close(MountPoint.Open(mount, out var stat, out var refusal));
        if (refusal is not null)
            return refusal;
        return _folders.Any(f => Native.StatFollowing(f, out var folder) == 0 && folder.Device == stat.Device)
            ? null
            : $"The journal is on another file system than {mount}, so vacuuming it would free nothing there.";
    }

    // As systemd does it: each folder by itself, oldest first, what is active counting for nothing.
    void Doom(string folder, long? bytes, DateTimeOffset? oldest)
    {
        var files = ArchivedFile.In(folder);
        var sum = files.Sum(f => f.Bytes);
        Archived += sum;
        foreach (var file in files.OrderBy(f => f.Time))
        {
            if (!(sum > bytes) && !(file.Time < oldest))
                break;
            Doomed.Add(file);
            sum -= file.Bytes;
        }
    }
}

/// <param name="Time">Of its first entry.</param>
sealed record ArchivedFile(string Path, DateTimeOffset Time, long Bytes)
{
    /// <summary>
    /// Names are <c>system@(id)-(number)-(time).journal</c>, or <c>system@(time)-(random).journal~</c> for a file that was not closed well; times are
    /// microseconds in hexadecimal.
    /// </summary>
    public static List<ArchivedFile> In(string folder)
    {
        var files = new List<ArchivedFile>();
        foreach (var path in Directory.EnumerateFiles(folder, "*@*.journal*"))
        {
            if (TimeOf(System.IO.Path.GetFileName(path)) is { } time && Native.StatFollowing(path, out var stat) == 0)
                files.Add(new ArchivedFile(path, time, stat.Allocated));
        }

        return files;
    }

    static DateTimeOffset? TimeOf(string name)
    {
        var parts = name[(name.IndexOf('@', StringComparison.Ordinal) + 1)..].Split('-', '.');
        var hex = name.EndsWith(".journal~", StringComparison.Ordinal) ? parts[0] : parts.Length == 4 && parts[3] == "journal" ? parts[2] : "";
        return long.TryParse(hex, NumberStyles.AllowHexSpecifier, null, out var microseconds) && microseconds is > 0 and < 1L << 57
            ? DateTimeOffset.UnixEpoch.AddMicroseconds(microseconds)
            : null;
    }
}
