using System.Collections.Frozen;

using Whistle.Actions.Contract;

namespace Whistle.Remediation.Runbooks;

/// <summary>
/// The actions that runbooks may name: those of the agents, and those of clusters and etcd, which are known to the gates and in
/// simulations. An agent that does not have an action refuses it.
/// </summary>
static class ActionCatalogue
{
    public const string Cordon = "kubernetes.cordon";
    public const string Uncordon = "kubernetes.uncordon";

    static readonly ActionParameter Member =
        new("member", ParameterKind.Text, "The etcd member; the one on the node where it is left out.");

    static readonly ActionDescriptor[] OfClusters =
    [
        new()
        {
            Name = Cordon,
            Summary = "Lets no further pod be placed on the node.",
            Reads = "the node's object",
            Changes = "the node's object",
            Disturbs = "the scheduler",
            Undo = Uncordon,
            ViaControlPlane = true,
        },
        new()
        {
            Name = Uncordon,
            Summary = "Lets pods be placed on the node again.",
            Reads = "the node's object",
            Changes = "the node's object",
            ViaControlPlane = true,
        },
        new()
        {
            Name = "kubernetes.drain",
            Summary = "Evicts the node's pods.",
            Reads = "the pods and their disruption budgets",
            Changes = "the pods",
            Disturbs = "the node's workloads",
            TakesNodeDown = true,
            ViaControlPlane = true,
            Parameters =
            [
                new("deleteEmptyDir", ParameterKind.Truth, "Pods may go though their emptyDir volumes go with them."),
                new("gracePeriod", ParameterKind.Text, "How long a pod may take to end."),
            ],
        },
        new()
        {
            Name = "node.reboot",
            Summary = "Reboots the node.",
            Reads = "nothing",
            Changes = "everything that runs on the node",
            Disturbs = "the node's workloads",
            TakesNodeDown = true,
            StopsVoter = true,
        },
        new()
        {
            Name = "etcd.move-leader",
            Summary = "Has another etcd member lead.",
            Reads = "the members",
            Changes = "the leader",
            Disturbs = "etcd",
            Parameters = [Member],
        },
        new()
        {
            Name = "etcd.replace-member",
            Summary = "Takes an etcd member out and lets another take its place.",
            Reads = "the members",
            Changes = "the members",
            Disturbs = "etcd",
            StopsVoter = true,
            ReplacesVoter = true,
            ViaControlPlane = true,
            Parameters = [Member],
        },
    ];

    static readonly FrozenDictionary<string, ActionDescriptor> Known =
        NodeActions.All.Select(a => a.Descriptor).Concat(OfClusters).ToFrozenDictionary(a => a.Name);

    public static IEnumerable<string> Names => Known.Keys.Order(StringComparer.Ordinal);

    public static ActionDescriptor? Find(string action) => Known.GetValueOrDefault(action);

    /// <param name="text">A parameter's text, as the node gets it; null where it is not given.</param>
    public static ActionTraits TraitsOf(string action, Func<string, string?> text) =>
        Find(action) is not { } known ? ActionTraits.Unknown : known.TraitsOf?.Invoke(text) ?? known.Traits;
}
