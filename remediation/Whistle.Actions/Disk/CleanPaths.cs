using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Contract;
using Whistle.Actions.Files;
using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;

namespace Whistle.Actions.Disk;

sealed record CleanReport
{
    public required bool DryRun { get; init; }

    public List<CleanedRoot> Roots { get; } = [];

    public long Files => Roots.Sum(r => r.Files);

    public long Bytes => Roots.Sum(r => r.Bytes);

    /// <summary>Processes that the agent may not look into; a file that only they hold open was not told from the others.</summary>
    public int ProcessesUnseen { get; init; }

    /// <summary>Why it ended early.</summary>
    public string? Stopped { get; set; }
}

/// <summary>What was deleted below one root, or would be, and what was left and why.</summary>
sealed record CleanedRoot(string Root)
{
    const int MostExamples = 50;

    public string? NotCleaned { get; set; }

    public long Files { get; set; }

    /// <summary>Allocated; a file that keeps another name frees nothing and counts 0.</summary>
    public long Bytes { get; set; }

    public SortedDictionary<string, long> Left { get; } = new(StringComparer.Ordinal);

    /// <summary>The first paths, escaped.</summary>
    public List<string> Examples { get; } = [];

    public List<string> OpenExamples { get; } = [];

    public void Leave(string why) => Left[why] = Left.GetValueOrDefault(why) + 1;

    internal bool WantsExample => Examples.Count < MostExamples;

    internal bool WantsOpenExample => OpenExamples.Count < MostExamples;
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(CleanReport))]
sealed partial class CleanJson : JsonSerializerContext;

/// <summary>
/// Deletes regular files below roots that the node's policy names, by pattern and age. The dry run walks the same way and leaves out
/// nothing but the deletion itself. Its parameters can only narrow what the policy allows.
/// </summary>
sealed class CleanPaths : INodeAction
{
    internal static readonly ActionParameter On =
        new("mountPoint", ParameterKind.Text, "Only roots on the file system of this folder.") { WithoutIt = "any" };

    internal static readonly ActionParameter Roots =
        new("roots", ParameterKind.Texts, "Only these of the policy's roots; another one is refused.") { WithoutIt = "all" };

    internal static readonly ActionParameter Patterns = new("patterns", ParameterKind.Texts, "Names must match one of these too.")
    {
        WithoutIt = "all",
        Least = 1,
        Form = text => text.Length > 0,
        FormWords = "a name with * and ?",
    };

    internal static readonly ActionParameter MinimumAge =
        new("minimumAge", ParameterKind.Age, "Counts where it is more.") { WithoutIt = "the policy's" };

    public ActionDescriptor Descriptor { get; } = new()
    {
        Name = "disk.clean-paths",
        Summary = "Deletes old files below the folders that the node's policy names.",
        Reads = "these folders, and which files are open",
        Changes = "files below these folders",
        DryRun = "walks the same way and leaves out the deletion",
        Parameters = [On, Roots, Patterns, MinimumAge],
        PolicyKeys = ["cleanPaths", "vitalCleanRoots", "acceptUnseenProcesses"],
        Report = CleanJson.Default.CleanReport,
    };

    [ModuleInitializer]
    internal static void Add() => NodeActions.Add(new CleanPaths());

    public string Allowance(NodePolicy? policy) => policy is not { CleanPaths.Count: > 0 }
        ? "refused: the node's policy names no cleanPaths"
        : string.Join("; ", policy.CleanPaths.Select(r => $"{r.Root}: {string.Join(' ', r.Patterns)} older than {r.MinimumAge}"));

    public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation) =>
        Task.Run(() => CleanAsync(asked, context, cancellation), CancellationToken.None);

    static async Task<ActionReport> CleanAsync(Arguments asked, ActionContext context, CancellationToken cancellation)
    {
        if (NodePolicy.Read(context.PolicyFile, context.ProtectedFolders, out var refusal) is not { } policy)
            return ActionReport.Refuse(refusal!);
        using var roots = new CleanRoots(asked, context);
        if (roots.Open(policy) is { } why)
            return ActionReport.Refuse(why);
        var devices = roots.Devices;
        if (OpenFiles.Scan(context, devices, policy.AcceptUnseenProcesses, cancellation, out var unseen) is not { } open)
            return ActionReport.Refuse(unseen);
        var run = new CleanRun(asked, context, policy.AcceptUnseenProcesses, devices, open);
        foreach (var root in roots.Opened)
        {
            if (!await run.CleanAsync(root, cancellation).ConfigureAwait(false))
                break;
        }

        run.Report.Roots.AddRange(roots.NotCleaned);
        return run.Answer();
    }
}

/// <summary>A root that is open, with the rules for it. The walk takes the folder over.</summary>
sealed record OpenRoot(string Path, IReadOnlyList<CleanRule> Rules, int Folder, FileStat Stat);

/// <summary>Opens the roots that the policy names and the parameters want.</summary>
sealed class CleanRoots(Arguments asked, ActionContext context) : IDisposable
{
    readonly Queue<OpenRoot> _opened = new();
    readonly IReadOnlyList<string>? _roots = asked.Texts(CleanPaths.Roots);
    readonly string? _mountPoint = asked.Text(CleanPaths.On);

    public List<CleanedRoot> NotCleaned { get; } = [];

    public IReadOnlySet<ulong> Devices => _opened.Select(r => r.Stat.Device).ToHashSet();

    /// <summary>Each is the caller's to close.</summary>
    public IEnumerable<OpenRoot> Opened
    {
        get
        {
            while (_opened.TryDequeue(out var root))
                yield return root;
        }
    }

    /// <summary>Why there is nothing to clean, or null.</summary>
    public string? Open(NodePolicy policy)
    {
        if (policy.CleanPaths.Count == 0)
            return $"The node's policy {context.PolicyFile} names no cleanPaths, so no file may be deleted.";
        if (_roots?.FirstOrDefault(r => policy.CleanPaths.All(rule => rule.Root != r)) is { } foreign)
            return $"The node's policy {context.PolicyFile} does not name {foreign} in its cleanPaths, so nothing there may be deleted.";
        FileStat? mount = null;
        if (_mountPoint is { } path)
        {
            Native.Close(MountPoint.Open(path, out var stat, out var refusal));
            if (refusal is not null)
                return refusal;
            mount = stat;
        }

        foreach (var rules in policy.CleanPaths.GroupBy(r => r.Root).Where(g => _roots?.Contains(g.Key) ?? true))
            Open(rules.Key, [.. rules], mount, policy);
        if (_opened.Count > 0)
            return null;
        return "No root of the node's policy can be cleaned: " + string.Join(" ", NotCleaned.Select(r => r.NotCleaned).Take(10));
    }

    public void Dispose()
    {
        foreach (var root in Opened)
            Native.Close(root.Folder);
    }

    void Open(string path, IReadOnlyList<CleanRule> rules, FileStat? mount, NodePolicy policy)
    {
        var folder = MountPoint.Open(path, out var stat, out var refusal);
        if (refusal is null && mount is { } on && on.Device != stat.Device)
            refusal = $"{path} is on another file system than {_mountPoint}.";
        if (refusal is null)
            refusal = VitalFolders.Alias(path, stat, context.ProtectedFolders, policy.VitalCleanRoots);
        if (refusal is null && Native.MayWrite(folder) is Native.ReadOnly)
            refusal = $"{path} is on a file system that is mounted read-only.";
        if (refusal is null && _opened.Any(r => r.Stat.Identity == stat.Identity))
            refusal = $"{path} is another root under another name.";
        if (refusal is null)
        {
            _opened.Enqueue(new OpenRoot(path, rules, folder, stat));
            return;
        }

        Native.Close(folder);
        NotCleaned.Add(new CleanedRoot(path) { NotCleaned = refusal });
    }
}

/// <summary>One run over all roots. What is decided for a file does not depend on whether it is a dry run.</summary>
sealed class CleanRun(Arguments asked, ActionContext context, bool acceptUnseen, IReadOnlySet<ulong> devices, OpenFiles open)
{
    const int PolicyEvery = 256;
    const string Failure = "failed: ";

    readonly long _now = context.Time.GetUtcNow().ToUnixTimeSeconds();
    readonly byte[][]? _patterns = asked.Texts(CleanPaths.Patterns) is { } patterns ? Encode(patterns) : null;
    int _sincePolicy;
    OpenFiles _open = open;

    public CleanReport Report { get; } = new() { DryRun = context.DryRun, ProcessesUnseen = open.Unseen };

    /// <summary>False where the run must end here.</summary>
    public async ValueTask<bool> CleanAsync(OpenRoot root, CancellationToken cancellation)
    {
        var cleaned = new CleanedRoot(root.Path);
        Report.Roots.Add(cleaned);
        var rules = root.Rules.Select(r => new Rule(r, Encode(r.Patterns), Oldest(r))).ToArray();
        using var walk = new TreeWalk(root.Folder, root.Stat, context.BetweenLookAndAct);
        for (var step = walk.Next(); step != WalkStep.End; step = walk.Next())
        {
            if (cancellation.IsCancellationRequested)
                return Stop(ActionReport.OutOfTime);
            if (step != WalkStep.File)
                CountOther(step, cleaned);
            else if (Verdict(walk, rules, cleaned) is { } links
                && !await DeleteAsync(walk, root, cleaned, links, cancellation).ConfigureAwait(false))
                return false;
        }

        return true;
    }

    public ActionReport Answer()
    {
        var done = $"{Report.Files} files of {Bytes.Text(Report.Bytes)}";
        var left = Report.Roots.SelectMany(r => r.Left).GroupBy(l => l.Key, l => l.Value).ToDictionary(g => g.Key, g => g.Sum());
        var summary = (context.DryRun ? $"Would delete {done}." : $"Deleted {done}.") + string.Concat(left.Select(WorthSaying));
        var output = JsonSerializer.SerializeToElement(Report, CleanJson.Default.CleanReport);
        if (Report.Stopped is not { } stopped)
            return new ActionReport(
                Report.Files == 0 && left.Keys.Any(IsFailure) ? CommandOutcome.Failed : CommandOutcome.Succeeded, summary, output);
        var outcome = Report.Files == 0 ? CommandOutcome.Refused : CommandOutcome.Failed;
        return new ActionReport(outcome, $"Stopped: {stopped} {summary}", output);
    }

    static string WorthSaying(KeyValuePair<string, long> left) => left.Key switch
    {
        "open" or "hard-linked" => $" {left.Value} {left.Key} files were left, because deleting them would free nothing now.",
        _ when IsFailure(left.Key) => $" {left.Value} files could not be deleted ({left.Key[Failure.Length..]}).",
        _ => "",
    };

    static bool IsFailure(string left) => left.StartsWith(Failure, StringComparison.Ordinal);

    // How many names the file has, where it shall go; null where it stays.
    static uint? Decide(CleanedRoot root, string why)
    {
        root.Leave(why);
        return null;
    }

    uint? Verdict(TreeWalk walk, Rule[] rules, CleanedRoot root)
    {
        var file = walk.Stat;
        var name = walk.Name;
        if (_patterns is not null && !AnyMatches(_patterns, name))
            return Decide(root, "not-matching");
        var (matches, oldEnough, linksAllowed) = (false, false, false);
        foreach (var rule in rules)
        {
            if (!AnyMatches(rule.Patterns, name))
                continue;
            matches = true;
            if (Math.Max(file.Modified, file.Changed) > rule.Oldest)
                continue;
            oldEnough = true;
            linksAllowed |= rule.Source.AllowHardLinks;
        }

        if (!matches)
            return Decide(root, "not-matching");
        if (!oldEnough)
            return Decide(root, "too-young");
        if (file.Links > 1 && !linksAllowed)
            return Decide(root, "hard-linked");
        if (file.Fixed || walk.FolderLock != 0)
            return Decide(root, Failure + Native.Text(file.Fixed ? Native.NotPermitted : walk.FolderLock));
        return IsOpen(walk, root) ? null : file.Links;
    }

    bool IsOpen(TreeWalk walk, CleanedRoot root)
    {
        if (!_open.Contains(walk.Stat))
            return false;
        root.Leave("open");
        if (root.WantsOpenExample)
            root.OpenExamples.Add(FileName.Escape(walk.Path()));
        return true;
    }

    async ValueTask<bool> DeleteAsync(TreeWalk walk, OpenRoot root, CleanedRoot cleaned, uint links, CancellationToken cancellation)
    {
        var example = cleaned.WantsExample ? FileName.Escape(walk.Path()) : null;
        if (!context.DryRun)
        {
            var renewed = !context.Guard.IsOpen;
            if (renewed && !LookAgain(cancellation))
                return false;
            if (renewed && IsOpen(walk, cleaned))
                return true;
            if (!await MayDeleteAsync(root, renewed, cancellation).ConfigureAwait(false))
                return false;
            var error = walk.RemoveFile();
            if (error == Native.ReadOnly)
                return Stop("The file system was remounted read-only.");
            if (error != 0)
            {
                cleaned.Leave(error == Native.NoEntry ? "changed-meanwhile" : Failure + Native.Text(error));
                return true;
            }
        }

        cleaned.Files++;
        cleaned.Bytes += links > 1 ? 0 : walk.Stat.Allocated;
        if (example is not null)
            cleaned.Examples.Add(example);
        return true;
    }

    // A run may be long, and what was opened since is in use too. Before the permit, because it takes a while.
    bool LookAgain(CancellationToken cancellation)
    {
        if (!context.Guard.Begun)
            return true;
        if (OpenFiles.Scan(context, devices, acceptUnseen, cancellation, out var unseen) is not { } now)
            return Stop(unseen);
        _open = now;
        return true;
    }

    async ValueTask<bool> MayDeleteAsync(OpenRoot root, bool renewed, CancellationToken cancellation)
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

        if (!renewed && _sincePolicy++ < PolicyEvery)
            return true;
        _sincePolicy = 0;
        var policy = NodePolicy.Read(context.PolicyFile, context.ProtectedFolders, out var refusal);
        if (policy is null)
            return Stop(refusal!);
        if (policy.AcceptUnseenProcesses != acceptUnseen)
            return Stop("acceptUnseenProcesses of the node's policy was changed during the run.");
        var rules = policy.CleanPaths.Where(r => r.Root == root.Path).ToList();
        return (rules.Count == root.Rules.Count && rules.Zip(root.Rules).All(p => p.First.SameAs(p.Second)))
            || Stop($"The node's policy for {root.Path} was changed during the run.");
    }

    bool Stop(string why)
    {
        Report.Stopped = why;
        return false;
    }

    static void CountOther(WalkStep step, CleanedRoot root)
    {
        var why = step switch
        {
            WalkStep.Mount => "other-mount",
            WalkStep.TooDeep => "too-deep",
            WalkStep.Unreadable => "unreadable",
            WalkStep.Other => "no-regular-file",
            _ => null,
        };
        if (why is not null)
            root.Leave(why);
    }

    // An age of nothing holds whatever the clocks say.
    long Oldest(CleanRule rule)
    {
        var age = Age.Parse(rule.MinimumAge)!.Value;
        if (asked.Age(CleanPaths.MinimumAge) is { } more && more > age)
            age = more;
        return age == TimeSpan.Zero ? long.MaxValue : _now - (long)age.TotalSeconds;
    }

    static bool AnyMatches(byte[][] patterns, ReadOnlySpan<byte> name)
    {
        foreach (var pattern in patterns)
        {
            if (FileName.Matches(name, pattern))
                return true;
        }

        return false;
    }

    static byte[][] Encode(IEnumerable<string> patterns) => [.. patterns.Select(Encoding.UTF8.GetBytes)];

    readonly record struct Rule(CleanRule Source, byte[][] Patterns, long Oldest);
}
