using Whistle.Inventory;
using Whistle.Web.Places;
using Whistle.Web.Signals;

namespace Whistle.Web.Nodes;

public enum NodeState
{
    Reporting,

    /// <summary>It is enrolled and has not been heard for more than two of its intervals.</summary>
    Silent,

    /// <summary>It is enrolled and has not been heard yet.</summary>
    Awaited,

    /// <summary>It was taken out of service.</summary>
    Archived,
}

/// <summary>A node of the page. NaN where a number is not known.</summary>
public sealed record NodeView
{
    public required NodeId Key { get; init; }

    public required NodeState State { get; init; }

    public DateTimeOffset? LastReport { get; init; }

    public double Load { get; init; } = double.NaN;

    public double Cores { get; init; } = double.NaN;

    /// <summary>Bytes.</summary>
    public double MemoryTotal { get; init; } = double.NaN;

    /// <summary>Bytes.</summary>
    public double MemoryAvailable { get; init; } = double.NaN;

    public DateTimeOffset? BootedAt { get; init; }

    /// <summary>The worst first.</summary>
    public IReadOnlyList<FilesystemView> Filesystems { get; init; } = [];

    /// <summary>Active signals about this node, the worst first.</summary>
    public IReadOnlyList<SignalView> Signals { get; init; } = [];

    public double MemoryUsed => 1 - (MemoryAvailable / MemoryTotal);

    public FilesystemView? Fullest => Filesystems.Where(f => double.IsFinite(f.Used)).MaxBy(f => f.Used);

    public bool IsTroubled => State is NodeState.Silent || Signals.Count > 0;

    /// <summary>Lower is worse.</summary>
    public int Rank
    {
        get
        {
            var ofState = State is NodeState.Silent ? SignalOrder.Rank("firing", "critical") : SignalOrder.Rank("", "");
            return Signals.Count > 0 ? Math.Min(ofState, Signals[0].Rank) : ofState;
        }
    }
}

/// <summary>A filesystem of the page. NaN where a number is not known, bytes otherwise.</summary>
public sealed record FilesystemView
{
    public required FilesystemKey Key { get; init; }

    public double Size { get; init; } = double.NaN;

    public double Available { get; init; } = double.NaN;

    public double Inodes { get; init; } = double.NaN;

    public double InodesFree { get; init; } = double.NaN;

    public bool ReadOnly { get; init; }

    /// <summary>The mount does not answer.</summary>
    public bool Failing { get; init; }

    public IReadOnlyList<SignalView> Signals { get; init; } = [];

    /// <summary>What programs cannot have any more, reserved blocks included: the rules look at the same.</summary>
    public double Used => Size > 0 ? 1 - (Available / Size) : double.NaN;

    public double InodesUsed => Inodes > 0 ? 1 - (InodesFree / Inodes) : double.NaN;
}
