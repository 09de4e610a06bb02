using System.Text.Json.Serialization.Metadata;

namespace Whistle.Actions.Contract;

/// <summary>
/// An action as agent, server, command line and documentation know it. It stands beside the action; whatever is said of an action
/// elsewhere is read from here.
/// </summary>
public sealed record ActionDescriptor
{
    /// <summary>A group and a verb: <c>unit.restart</c>.</summary>
    public required string Name { get; init; }

    /// <summary>One sentence for a person.</summary>
    public required string Summary { get; init; }

    /// <summary>What it looks at, as the end of "It reads …".</summary>
    public required string Reads { get; init; }

    /// <summary>What it changes, as the end of "It changes …". Null where it only reads and so needs no permit.</summary>
    public string? Changes { get; init; }

    /// <summary>
    /// Who feels it beyond the node's own files, as the end of "It disturbs …". Such actions run one at a time on a node, not in a storm,
    /// and not under the hands of a person.
    /// </summary>
    public string? Disturbs { get; init; }

    /// <summary>How its dry run tells what it would do; null where it only reads.</summary>
    public string? DryRun { get; init; }

    /// <summary>The action that takes it back.</summary>
    public string? Undo { get; init; }

    public IReadOnlyList<ActionParameter> Parameters { get; init; } = [];

    /// <summary>Keys of the node's policy (<see cref="Policy.NodePolicy"/>) that let it do something, or hold it back.</summary>
    public IReadOnlyList<string> PolicyKeys { get; init; } = [];

    /// <summary>The shape of its report; null where no agent has the action yet.</summary>
    public JsonTypeInfo? Report { get; init; }

    /// <summary>How long a step may take where its runbook does not say.</summary>
    public TimeSpan TimeLimit { get; init; } = DefaultTimeLimit;

    /// <summary>The node's workloads go, or the node itself.</summary>
    public bool TakesNodeDown { get; init; }

    /// <summary>An etcd member on the node counts as down while it runs.</summary>
    public bool StopsVoter { get; init; }

    /// <summary>The member leaves etcd, and another takes its place.</summary>
    public bool ReplacesVoter { get; init; }

    /// <summary>The agent of another, healthy control-plane node carries it out.</summary>
    public bool ViaControlPlane { get; init; }

    /// <summary>Where the traits depend on a parameter: asked with what gives a parameter's text, or null where it is left out.</summary>
    public Func<Func<string, string?>, ActionTraits>? TraitsOf { get; init; }

    public static TimeSpan DefaultTimeLimit { get; } = TimeSpan.FromMinutes(5);

    public bool Mutates => Changes is not null;

    public ActionTraits Traits => new()
    {
        ReadOnly = !Mutates,
        Disruptive = Disturbs is not null,
        TakesNodeDown = TakesNodeDown,
        StopsVoter = StopsVoter,
        ReplacesVoter = ReplacesVoter,
        ViaControlPlane = ViaControlPlane,
    };

    public ActionParameter? Find(string parameter) => Parameters.FirstOrDefault(p => p.Name == parameter);
}
