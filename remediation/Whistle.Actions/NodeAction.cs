using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

using Whistle.Telemetry;

namespace Whistle.Actions;

/// <summary>Something an agent can do on its node. It never throws for bad parameters, a missing policy or a failing file; it says so.</summary>
public interface INodeAction
{
    string Name { get; }

    string Description { get; }

    /// <summary>Whether it changes the node where it is no dry run.</summary>
    bool Mutates { get; }

    /// <summary>What the node's policy lets it do, in a sentence.</summary>
    string Allowance(NodePolicy? policy);

    /// <summary>
    /// Runs it, or says what it would do. Where the token is cancelled (time limit, agent stops), it returns with what it did until then.
    /// </summary>
    Task<ActionReport> RunAsync(JsonElement parameters, ActionContext context, CancellationToken cancellation);
}

/// <param name="Summary">One sentence for a person.</param>
/// <param name="Output">The action's own report, of bounded size.</param>
public sealed record ActionReport(CommandOutcome Outcome, string Summary, JsonElement? Output = null)
{
    internal const string OutOfTime = "It was stopped, or its time was over.";

    internal static ActionReport Refuse(string reason) => new(CommandOutcome.Refused, reason);
}

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
    public IReadOnlyList<string> ProgramFolders { get; init; } = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

    /// <summary>Where kubeadm keeps its certificates and kubeconfig files.</summary>
    public string KubernetesFolder { get; init; } = "/etc/kubernetes";

    /// <summary>How well the kernel's clock is kept; a test has another.</summary>
    internal Func<Kernel.ClockReading> ReadClock { get; init; } = Kernel.ClockReading.Read;

    /// <summary>Called between looking at a name and acting on it, so that a test can change the tree at the worst moment.</summary>
    internal Action<string>? BetweenLookAndAct { get; init; }
}

/// <summary>All actions of this agent.</summary>
public static class NodeActions
{
    public static IReadOnlyList<INodeAction> All { get; } =
    [
        new Disk.LargestDirectories(), new Disk.CleanPaths(), new Disk.VacuumJournal(), new Disk.PruneBackups(), new Disk.PruneImages(), new Disk.RotateLogs(),
        new Diagnostics.Capture(), new Units.RestartUnit(), new Kernel.RaiseSysctl(), new Kernel.RestoreSysctl(), new Kernel.CheckClock(),
        new Certificates.CheckCertificates(), new Certificates.RenewCertificates(),
        new Packages.CheckPackages(), new Packages.PinPackages(), new Packages.UnpinPackages(),
    ];
}

static class ActionParameters
{
    /// <summary>Reads parameters of an action's own shape; the refusal is null where they will do.</summary>
    public static T? Read<T>(JsonElement parameters, JsonTypeInfo<T> type, string action, out string? refusal)
        where T : class, new()
    {
        refusal = null;
        if (parameters.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null)
            return new T();
        if (parameters.ValueKind != JsonValueKind.Object)
            refusal = $"The parameters of {action} are no JSON object.";
        else if (Unknown(parameters, type) is { } unknown)
            refusal = $"{action} has no parameter {unknown}. It takes {string.Join(", ", type.Properties.Select(p => p.Name))}.";
        if (refusal is not null)
            return null;
        try
        {
            return parameters.Deserialize(type);
        }
        catch (JsonException e)
        {
            refusal = $"The parameters of {action} cannot be read: {e.Message}";
            return null;
        }
    }

    static string? Unknown(JsonElement parameters, JsonTypeInfo type) => parameters.EnumerateObject().Select(p => p.Name)
        .FirstOrDefault(name => !type.Properties.Any(p => string.Equals(p.Name, name, StringComparison.OrdinalIgnoreCase)));
}
