using Whistle.Actions.Files;

namespace Whistle.Actions.Policy;

/// <summary>A service that may be restarted.</summary>
public sealed record UnitRule
{
    /// <summary>With its ending: <c>kubelet.service</c>.</summary>
    public required string Unit { get; init; }

    /// <summary>
    /// With so many starts in the last 20 minutes, whoever asked for them, it is not restarted: that has not helped. 1 to 100.
    /// </summary>
    public int MostStartsIn20Minutes { get; set; } = 5;

    internal string? Mistake() =>
        !Names.IsService(Unit)
            ? $"the unit \"{Unit}\" of restartUnits is not the name of a service. Write it with its ending, like kubelet.service."
        : Unit == "whistle-agent.service" ? "restartUnits names whistle-agent.service, which cannot report its own restart. Take it out."
        : MostStartsIn20Minutes is < 1 or > 100 ? $"mostStartsIn20Minutes of {Unit} is not within 1 to 100."
        : null;
}

/// <summary>A kernel limit of one whole number that may be raised, and set back.</summary>
public sealed record SysctlRule
{
    /// <summary>With dots: <c>net.netfilter.nf_conntrack_max</c>.</summary>
    public required string Name { get; init; }

    /// <summary>It is never raised above this.</summary>
    public required long Cap { get; init; }

    /// <summary>It is never set back below this.</summary>
    public long Floor { get; init; }

    internal string? Mistake() =>
        !Names.IsSysctl(Name) ? $"the name \"{Name}\" of raiseSysctls is none. Write it with dots, like fs.file-max."
        : Cap < 1 || Floor < 0 || Floor > Cap ? $"{Name} of raiseSysctls needs a cap of at least 1, and a floor from 0 to the cap."
        : null;
}

/// <summary>Certificates to be looked at.</summary>
public sealed record CertificateRule
{
    /// <summary>A PEM file, a kubeconfig with its certificate in it, or a folder of <c>*.crt</c> and <c>*.pem</c>.</summary>
    public required string Path { get; init; }

    internal string? Mistake() =>
        Names.IsPath(Path) ? null : $"the path \"{Path}\" of certificates is not absolute, or has a slash or a dot too many.";
}

/// <summary>Certificates that may be renewed, by kubeadm's names for them.</summary>
public sealed record RenewRule
{
    /// <summary>The name is added as its last argument.</summary>
    public IReadOnlyList<string> Command { get; set; } = ["kubeadm", "certs", "renew"];

    public required IReadOnlyList<string> Names { get; init; }

    /// <summary>Here the old files are kept, each time in a folder of its own that is named by the time.</summary>
    public required string BackupFolder { get; init; }

    internal string? Mistake() =>
        Command.Count == 0 || Command.Any(a => string.IsNullOrEmpty(a) || a.Any(char.IsControl))
            ? "command of renewCertificates is empty or has an empty argument."
        : Names.Count == 0 || Names.Any(n => n is null || !KubeadmFiles.Knows(n))
            ? $"names of renewCertificates must be some of {string.Join(", ", KubeadmFiles.Names)}."
        : !Policy.Names.IsPath(BackupFolder) ? "backupFolder of renewCertificates is not absolute, or has a slash or a dot too many."
        : null;

    internal bool SameAs(RenewRule? other) =>
        other is not null && BackupFolder == other.BackupFolder && Command.SequenceEqual(other.Command) && Names.SequenceEqual(other.Names);
}

/// <summary>Folders of old backups, of which the newest stay.</summary>
public sealed record BackupRule
{
    internal const string KubeadmBackups = "/etc/kubernetes/tmp";
    const int FewestPlain = 3;

    public required string Root { get; init; }

    /// <summary>
    /// For the names of folders right below the root: <c>*</c> and <c>?</c>, and at least three characters that are neither.
    /// </summary>
    public required string Pattern { get; init; }

    /// <summary>So many of the newest stay. At least 1.</summary>
    public required int Keep { get; init; }

    internal string? Mistake(IReadOnlyList<string> protectedFolders, IReadOnlyList<string> vitalRoots)
    {
        // The one place in /etc where something writes backups that nobody takes away.
        var refusal = Root == KubeadmBackups ? null : VitalFolders.Refusal(Root, protectedFolders, vitalRoots);
        if (refusal is not null)
            return refusal;
        if (!Names.IsPath(Root))
            return $"the root {Root} of pruneBackups has a slash or a dot too many.";
        if (Pattern.AsSpan().ContainsAny('/', '[', ']') || Pattern.Count(c => c is not ('*' or '?')) < FewestPlain)
            return $"the pattern \"{Pattern}\" of pruneBackups must be a name with * and ?, like kubeadm-backup-etcd-*, "
                + "and say something beside them.";
        return Keep < 1 ? $"keep of {Root} in pruneBackups is below 1: the newest backup always stays." : null;
    }
}

/// <summary>What <c>diagnostics.capture</c> may take along. All of it, but for what is set to false.</summary>
public sealed record DiagnosticsRule
{
    internal static readonly DiagnosticsRule All = new();

    public bool Load { get; set; } = true;

    /// <summary>Programs and the names of their options.</summary>
    public bool Processes { get; set; } = true;

    public bool Network { get; set; } = true;

    public bool Disk { get; set; } = true;

    public bool Journal { get; set; } = true;

    /// <summary>Only the journal of these; of all where there is no list.</summary>
    public IReadOnlyList<string>? JournalUnits { get; init; }

    internal bool Nothing => !(Load || Processes || Network || Disk || Journal);

    internal string? Mistake() => JournalUnits is { } units && (units.Count == 0 || units.Any(u => u is null || !Policy.Names.IsUnit(u)))
        ? "journalUnits of diagnostics must be names of units with their ending, like kubelet.service. "
            + "To take no journal along, write \"journal\": false." : null;
}
