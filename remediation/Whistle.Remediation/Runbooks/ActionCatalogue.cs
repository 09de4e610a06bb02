using System.Collections.Frozen;

namespace Whistle.Remediation.Runbooks;

/// <summary>What the gates must know of an action.</summary>
sealed record ActionTraits
{
    /// <summary>It changes nothing and needs no permit.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>It disturbs more than a node's own files: one at a time on a node, not in a storm, not under the hands of a person.</summary>
    public bool Disruptive { get; init; }

    /// <summary>The node's workloads go, or the node itself: only inside a window, and only where disruption budgets allow it.</summary>
    public bool TakesNodeDown { get; init; }

    /// <summary>An etcd member on the node counts as down meanwhile.</summary>
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

enum ParameterKind
{
    Text,
    Number,
    Truth,
    Texts,
    TextMap,
}

sealed record ActionParameter(string Name, ParameterKind Kind, bool Required = false);

/// <summary>An action as the server knows it.</summary>
sealed record KnownAction(string Name, ActionTraits Traits, params IReadOnlyList<ActionParameter> Parameters)
{
    /// <summary>Where the traits depend on a parameter, which is given as the node gets it.</summary>
    public Func<Func<string, string?>, ActionTraits>? TraitsOf { get; init; }
}

/// <summary>
/// The actions that runbooks may name. Those of etcd and the node's reboot are known to the gates and in simulations; an agent that does
/// not have an action refuses it.
/// </summary>
static class ActionCatalogue
{
    public const string Cordon = "kubernetes.cordon";
    public const string Uncordon = "kubernetes.uncordon";

    static readonly ActionTraits Reads = ActionTraits.None;
    static readonly ActionTraits Files = new();
    static readonly ActionTraits Component = new() { Disruptive = true };

    static readonly FrozenDictionary<string, KnownAction> Actions = new KnownAction[]
    {
        new("disk.largest-directories", Reads, Text("mountPoint"), Number("depth"), Number("count")),
        new("disk.clean-paths", Files, Text("mountPoint"), Texts("roots"), Texts("patterns"), Text("minimumAge")),
        new("disk.vacuum-journal", Files, Number("maximumBytes"), Text("maximumAge"), Text("mountPoint")),
        new("disk.prune-backups", Files, Text("mountPoint")),
        new("images.prune", Files, Text("mountPoint")),
        new("logs.rotate", Files, Texts("files")),
        new("diagnostics.capture", Reads, Text("unit")),
        new("unit.restart", Component, Text("unit", required: true)) { TraitsOf = text => OfUnit(text("unit")) },
        new("sysctl.raise", Files, Text("name", required: true), Number("factor"), Number("value")),
        new("sysctl.restore", Files, Text("name", required: true), Number("value", required: true), Number("expected", required: true)),
        new("certificates.check", Reads, Text("within")),
        new("certificates.renew", Files, Text("within", required: true), Texts("names")),
        new("clock.check", Reads),
        new("packages.check", Reads, new ActionParameter("packages", ParameterKind.TextMap, Required: true)),
        new("packages.pin", Files, Texts("packages")),
        new("packages.unpin", Files, Texts("packages", required: true)),
        new(Cordon, new() { Disruptive = true, ViaControlPlane = true }),
        new(Uncordon, new() { ViaControlPlane = true }),
        new("kubernetes.drain", new() { Disruptive = true, TakesNodeDown = true, ViaControlPlane = true }, Truth("deleteEmptyDir"), Text("gracePeriod")),
        new("node.reboot", ActionTraits.Unknown),
        new("etcd.move-leader", Component, Text("member")),
        new("etcd.replace-member", new() { Disruptive = true, StopsVoter = true, ReplacesVoter = true, ViaControlPlane = true }, Text("member")),
    }.ToFrozenDictionary(a => a.Name);

    public static IEnumerable<string> Names => Actions.Keys.Order(StringComparer.Ordinal);

    public static KnownAction? Find(string action) => Actions.GetValueOrDefault(action);

    /// <param name="text">A parameter's text, as the node gets it; null where it is not given.</param>
    public static ActionTraits TraitsOf(string action, Func<string, string?> text) =>
        Find(action) is not { } known ? ActionTraits.Unknown : known.TraitsOf?.Invoke(text) ?? known.Traits;

    // A new start of the time service may step the clock, which an etcd member may not survive in time.
    static ActionTraits OfUnit(string? unit)
    {
        if (unit is null)
            return ActionTraits.Unknown;
        if (unit.Contains("etcd", StringComparison.OrdinalIgnoreCase))
            return Component with { StopsVoter = true };
        string[] time = ["chrony", "ntp", "systemd-timesyncd", "openntpd", "ptp4l"];
        return Array.Exists(time, t => unit.StartsWith(t, StringComparison.OrdinalIgnoreCase)) ? new() { StopsVoter = true } : Component;
    }

    static ActionParameter Text(string name, bool required = false) => new(name, ParameterKind.Text, required);

    static ActionParameter Number(string name, bool required = false) => new(name, ParameterKind.Number, required);

    static ActionParameter Truth(string name) => new(name, ParameterKind.Truth);

    static ActionParameter Texts(string name, bool required = false) => new(name, ParameterKind.Texts, required);
}
