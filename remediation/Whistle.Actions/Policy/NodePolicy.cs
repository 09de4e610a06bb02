using System.Text.Json;

using Microsoft.Win32.SafeHandles;

using Whistle.Actions.Files;

namespace Whistle.Actions.Policy;

/// <summary>
/// What the owner of a node lets the agent change on it: a JSON file that only root can write. What it does not name is refused.
/// </summary>
public sealed record NodePolicy
{
    public const string DefaultFile = "/etc/whistle/policy.json";

    const int Largest = 256 << 10;

    // Set, not init, wherever there is a default: the generated reader would put null in its place.
    public IReadOnlyList<CleanRule> CleanPaths { get; set; } = [];

    /// <summary>
    /// Roots of <see cref="CleanPaths"/> and <see cref="PruneBackups"/> once more, where they lie among data that nobody can make again.
    /// </summary>
    public IReadOnlyList<string> VitalCleanRoots { get; set; } = [];

    /// <summary>What may be captured for a ticket; all of it where there is none.</summary>
    public DiagnosticsRule? Diagnostics { get; init; }

    public JournalRule? VacuumJournal { get; init; }

    public IReadOnlyList<UnitRule> RestartUnits { get; set; } = [];

    public IReadOnlyList<SysctlRule> RaiseSysctls { get; set; } = [];

    /// <summary>What <c>certificates.check</c> looks at instead of kubeadm's own folder.</summary>
    public IReadOnlyList<CertificateRule> Certificates { get; set; } = [];

    public RenewRule? RenewCertificates { get; init; }

    /// <summary>Images that no container uses may go.</summary>
    public bool PruneImages { get; init; }

    /// <summary>The program that asks the container runtime: its name or its path.</summary>
    public string Crictl { get; set; } = "crictl";

    /// <summary>Configurations that logrotate may be run with.</summary>
    public IReadOnlyList<string> RotateLogs { get; set; } = [];

    public IReadOnlyList<BackupRule> PruneBackups { get; set; } = [];

    /// <summary>Debian packages that may be put on hold and taken off it.</summary>
    public IReadOnlyList<string> PinPackages { get; set; } = [];

    /// <summary>Files may be deleted though there are processes whose open files the agent cannot see.</summary>
    public bool AcceptUnseenProcesses { get; init; }

    /// <summary>Reads it again. The refusal is null where it will do; a policy with any mistake lets nothing be done.</summary>
    public static NodePolicy? Read(string? path, IReadOnlyList<string> protectedFolders, out string? refusal)
    {
        if (path is null)
        {
            refusal = "This node has no policy file, so nothing may be changed on it. "
                + $"To allow it, write one as root and name it with --policy-file (usually {DefaultFile}).";
            return null;
        }

        try
        {
            var policy = JsonSerializer.Deserialize(ReadBytes(path), PolicyJson.Default.NodePolicy);
            refusal = policy is null ? $"The policy file {path} is empty." : policy.Mistake(path, protectedFolders);
            return refusal is null ? policy : null;
        }
        catch (JsonException e)
        {
            refusal = $"The policy file {path} cannot be read: {e.Message} Fix it; until then nothing may be changed.";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            refusal = e.Message;
        }

        return null;
    }

    /// <summary>
    /// What may be captured. Without a policy all of it, for that changes nothing; but a policy that cannot be read may forbid it.
    /// </summary>
    internal static DiagnosticsRule? ReadDiagnostics(string? path, IReadOnlyList<string> protectedFolders, out string? refusal)
    {
        refusal = null;
        if (path is null || IsMissing(path))
            return DiagnosticsRule.All;
        if (Read(path, protectedFolders, out refusal) is not { } policy)
            return null;
        var rule = policy.Diagnostics ?? DiagnosticsRule.All;
        refusal = rule.Nothing ? $"The node's policy {path} forbids to capture anything." : null;
        return refusal is null ? rule : null;
    }

    static bool IsMissing(string path)
    {
        Native.RequireLinux();
        var error = Native.OpenFile(path, out var opened);
        if (error == 0)
            Native.Close(opened);
        return error == Native.NoEntry;
    }

    static byte[] ReadBytes(string path)
    {
        Native.RequireLinux();
        // Whoever may write a folder on the way may put a policy of their own in this one's place.
        if (PathTrust.FaultOnTheWay(Path.GetFullPath(path), PathTrust.Root, followLast: false, out _) is { } open)
            throw new IOException($"The policy file {path} does not lie where only root can put it, so nothing may be changed: {open}");
        var error = Native.OpenFile(path, out var opened);
        if (error == Native.NoEntry)
            throw new IOException(
                $"The policy file {path} does not exist, so nothing may be changed on this node. To allow it, write one as root.");
        if (error != 0)
            throw new IOException($"The policy file {path} cannot be opened: "
                + $"{(error == Native.IsALink ? "it is a link; name the file itself" : Native.Text(error))}.");
        using var file = new SafeFileHandle(opened, ownsHandle: true);
        // Of what was opened, not of what the path names by now.
        if (Native.Stat(opened, out var stat) != 0 || !stat.IsFile || stat.Length > Largest)
            throw new IOException($"The policy file {path} is not a file of at most {Largest} bytes.");
        if (PathTrust.Fault(path, stat, PathTrust.Root) is { } fault)
            throw new IOException($"The policy file is not root's alone, so nothing may be changed: {fault}");
        var bytes = new byte[stat.Length];
        return bytes[..RandomAccess.Read(file, bytes, 0)];
    }

    string? Mistake(string path, IReadOnlyList<string> protectedFolders)
    {
        var mistake = Empty() ?? First(CleanPaths.Select(rule => rule.Mistake(protectedFolders, VitalCleanRoots))) ?? Nested()
            ?? VacuumJournal?.Mistake() ?? First(RestartUnits.Select(r => r.Mistake())) ?? First(RaiseSysctls.Select(r => r.Mistake()))
            ?? First(Certificates.Select(r => r.Mistake())) ?? RenewCertificates?.Mistake() ?? Tools()
            ?? First(PruneBackups.Select(r => r.Mistake(protectedFolders, VitalCleanRoots))) ?? Vital() ?? Diagnostics?.Mistake();
        return mistake is null ? null : $"The policy file {path} has a mistake, so nothing may be changed: {mistake}";
    }

    static string? First(IEnumerable<string?> mistakes) => mistakes.FirstOrDefault(m => m is not null);

    // The generated reader takes null in a list for what it is.
    string? Empty() => ((IEnumerable<object?>[])
    [
        CleanPaths, VitalCleanRoots, RestartUnits, RaiseSysctls, Certificates, RotateLogs, PruneBackups, PinPackages,
    ])
        .Any(list => list.Contains(null)) ? "a list has null in it." : null;

    string? Tools() =>
        Crictl.StartsWith('/')
            ? (Names.IsPath(Crictl) ? null : $"the path {Crictl} of crictl has a slash or a dot too many.")
        : Crictl.Length == 0 || Crictl.Contains('/') || Crictl[0] == '-' ? "crictl is neither a name nor an absolute path."
        : RotateLogs.FirstOrDefault(f => !Names.IsPath(f)) is { } file
            ? $"{file} of rotateLogs is not absolute, or has a slash or a dot too many."
        : PinPackages.FirstOrDefault(n => !Names.IsPackage(n)) is { } package
            ? $"{package} of pinPackages is not the name of a Debian package."
        : null;

    // A slip of the pen here would be found only when it is too late.
    string? Vital() =>
        VitalCleanRoots.FirstOrDefault(v => CleanPaths.All(r => r.Root != v) && PruneBackups.All(r => r.Root != v)) is { } stray
            ? $"vitalCleanRoots names {stray}, which is not a root of cleanPaths or pruneBackups. "
                + "Write it as it is written there, or take it out." : null;

    // What is counted twice would be promised twice.
    string? Nested()
    {
        var roots = CleanPaths.Select(r => r.Root).Distinct().ToList();
        foreach (var root in roots)
        {
            if (roots.FirstOrDefault(other => other != root && VitalFolders.IsWithin(other, root)) is { } inner)
                return $"the root {inner} lies in the root {root}. Give both rules the same root, or take one away.";
        }

        return null;
    }
}

/// <summary>Files below a root that may be deleted. A root may be named by several rules.</summary>
public sealed record CleanRule
{
    public required string Root { get; init; }

    /// <summary>For names, not paths: <c>*</c> is any run of characters, <c>?</c> one of them. All else is meant as written.</summary>
    public required IReadOnlyList<string> Patterns { get; init; }

    /// <summary>Since the file was changed, its owner, rights and names included: like <c>7d</c>.</summary>
    public required string MinimumAge { get; init; }

    /// <summary>A file with several names may lose one, which frees nothing before the last is gone.</summary>
    public bool AllowHardLinks { get; init; }

    internal string? Mistake(IReadOnlyList<string> protectedFolders, IReadOnlyList<string> vitalRoots)
    {
        if (VitalFolders.Refusal(Root, protectedFolders, vitalRoots) is { } refusal)
            return refusal;
        if (Root.EndsWith('/') || Root.Contains("//", StringComparison.Ordinal))
            return $"{Root} has a slash too many.";
        if (Patterns.Count == 0 || Patterns.Any(p => string.IsNullOrEmpty(p) || p.AsSpan().ContainsAny('/', '[', ']')))
            return $"the patterns of {Root} must be names with * and ?, like *.log, without a slash or brackets.";
        return Age.Parse(MinimumAge) is null ? Age.Refusal($"the minimumAge of {Root},", MinimumAge) : null;
    }

    internal bool SameAs(CleanRule other) => Root == other.Root && MinimumAge == other.MinimumAge && AllowHardLinks == other.AllowHardLinks
        && Patterns.SequenceEqual(other.Patterns);
}

/// <summary>How far the journal may be vacuumed. Both limits hold.</summary>
public sealed record JournalRule
{
    /// <summary>So much of the archived journal must stay.</summary>
    public long KeepBytes { get; init; }

    /// <summary>A file whose last entry is younger must stay, like <c>2d</c>.</summary>
    public string KeepAge { get; set; } = "0s";

    internal string? Mistake() => KeepBytes < 0 ? "keepBytes of vacuumJournal is below 0."
        : Age.Parse(KeepAge) is not { } age ? Age.Refusal("keepAge of vacuumJournal,", KeepAge)
        : KeepBytes == 0 && age == TimeSpan.Zero ? "vacuumJournal keeps nothing. Give it keepBytes or keepAge, or both." : null;
}
