using Whistle.Actions.Policy;

namespace Whistle.Actions.Contract;

/// <summary>What an action may use and must ask.</summary>
public sealed record ActionContext
{
    public required bool DryRun { get; init; }

    /// <summary>Asked before the first mutation and whenever the permit has run out.</summary>
    public required MutationGuard Guard { get; init; }

    public required TimeProvider Time { get; init; }

    /// <summary>The node's own say; see <see cref="NodePolicy"/>. Null where there is none.</summary>
    public string? PolicyFile { get; init; }

    /// <summary>Folders that no clean-up may touch, such as the agent's own.</summary>
    public IReadOnlyList<string> ProtectedFolders { get; init; } = [];

    public string ProcPath { get; init; } = "/proc";

    public string SysPath { get; init; } = "/sys";

    /// <summary>Names the folder of this machine's own journal.</summary>
    public string MachineIdFile { get; init; } = "/etc/machine-id";

    public IReadOnlyList<string> JournalFolders { get; init; } = ["/var/log/journal", "/run/log/journal"];

    /// <summary>Where the node's own programs are looked for, in this order.</summary>
    public IReadOnlyList<string> ProgramFolders { get; init; } =
        ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

    /// <summary>Where kubeadm keeps its certificates and kubeconfig files.</summary>
    public string KubernetesFolder { get; init; } = "/etc/kubernetes";

    /// <summary>How well the kernel's clock is kept; a test has another.</summary>
    internal Func<ClockReading> ReadClock { get; init; } = ClockReading.Read;

    /// <summary>Called between looking at a name and acting on it, so that a test can change the tree at the worst moment.</summary>
    internal Action<string>? BetweenLookAndAct { get; init; }
}
