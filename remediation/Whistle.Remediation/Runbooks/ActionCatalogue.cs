using System.Collections.Frozen;

namespace Whistle.Remediation.Runbooks;

/// <summary>What the gates must know of an action.</summary>
/// <param name="ReadOnly">It changes nothing.</param>
/// <param name="NodeLocal">It touches one node's own files and disturbs no workload: the gates about windows, groups and quorum have nothing to ask.</param>
sealed record ActionTraits(bool ReadOnly, bool NodeLocal)
{
    /// <summary>The worst is supposed.</summary>
    public static readonly ActionTraits Unknown = new(false, false);
}

/// <summary>The actions that agents have, as the server knows them.</summary>
static class ActionCatalogue
{
    static readonly FrozenDictionary<string, ActionTraits> Actions = new Dictionary<string, ActionTraits>
    {
        ["disk.largest-directories"] = new(ReadOnly: true, NodeLocal: true),
        ["disk.clean-paths"] = new(ReadOnly: false, NodeLocal: true),
        ["disk.vacuum-journal"] = new(ReadOnly: false, NodeLocal: true),
    }.ToFrozenDictionary();

    public static IEnumerable<string> Names => Actions.Keys.Order(StringComparer.Ordinal);

    public static ActionTraits? Find(string action) => Actions.GetValueOrDefault(action);
}
