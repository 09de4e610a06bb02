namespace Whistle.Actions.Contract;

/// <summary>What the gates must know of an action.</summary>
public sealed record ActionTraits
{
    /// <summary>It changes nothing and needs no permit.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>More than a node's own files: one at a time on a node, not in a storm, not under the hands of a person.</summary>
    public bool Disruptive { get; init; }

    /// <summary>The node's workloads go, or the node itself: only inside a window, and only where disruption budgets allow it.</summary>
    public bool TakesNodeDown { get; init; }

    /// <summary>An etcd member on the node counts as down while it runs.</summary>
    public bool StopsVoter { get; init; }

    /// <summary>The member leaves etcd, and another takes its place.</summary>
    public bool ReplacesVoter { get; init; }

    /// <summary>The agent of another, healthy control-plane node carries it out.</summary>
    public bool ViaControlPlane { get; init; }

    /// <summary>The worst is supposed.</summary>
    public static readonly ActionTraits Unknown = new() { Disruptive = true, TakesNodeDown = true, StopsVoter = true };

    public static readonly ActionTraits None = new() { ReadOnly = true };

    /// <summary>What must be known before the first of both.</summary>
    public ActionTraits And(ActionTraits other) => new()
    {
        ReadOnly = ReadOnly && other.ReadOnly,
        Disruptive = Disruptive || other.Disruptive,
        TakesNodeDown = TakesNodeDown || other.TakesNodeDown,
        StopsVoter = StopsVoter || other.StopsVoter,
        ReplacesVoter = ReplacesVoter || other.ReplacesVoter,
        ViaControlPlane = ViaControlPlane || other.ViaControlPlane,
    };
}
