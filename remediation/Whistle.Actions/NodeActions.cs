using Whistle.Actions.Contract;

namespace Whistle.Actions;

/// <summary>All actions of this agent. Whatever is told of them, here or on the server, is read from their descriptors.</summary>
public static class NodeActions
{
    public static IReadOnlyList<INodeAction> All { get; } =
    [
        new Disk.LargestDirectories(),
        new Disk.CleanPaths(),
        new Disk.VacuumJournal(),
        new Disk.PruneBackups(),
        new Disk.PruneImages(),
        new Disk.RotateLogs(),
        new Diagnostics.Capture(),
        new Units.RestartUnit(),
        new Kernel.RaiseSysctl(),
        new Kernel.RestoreSysctl(),
        new Kernel.CheckClock(),
        new Certificates.CheckCertificates(),
        new Certificates.RenewCertificates(),
        new Packages.CheckPackages(),
        new Packages.PinPackages(),
        new Packages.UnpinPackages(),
    ];
}
