namespace Whistle.Actions.Contract;

/// <summary>
/// All actions of this agent. Each adds itself in a module initializer, beside its code, so that no list has to be kept; a test holds that
/// none is forgotten. Whatever is told of them, here or on the server, is read from their descriptors.
/// </summary>
public static class NodeActions
{
    static readonly List<INodeAction> Added = [];

    /// <summary>By name.</summary>
    public static IReadOnlyList<INodeAction> All => field ??= [.. Added.OrderBy(a => a.Descriptor.Name, StringComparer.Ordinal)];

    internal static void Add(INodeAction action) => Added.Add(action);
}
