using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Whistle.Detectors.Yaml;

/// <summary>
/// Hands YAML on while it stays within bounds. The tree is built and read by recursion, so nesting could end the process; an alias stands
/// for all that its anchor holds, so a few lines can mean billions of nodes, or one that holds itself.
/// </summary>
sealed class BoundedParser(IParser parser) : IParser
{
    const int Deepest = 64;
    const int Most = 200_000;

    readonly Stack<(AnchorName Anchor, int Before)> _open = new();
    readonly Dictionary<AnchorName, int> _sizes = [];
    int _nodes;

    public ParsingEvent? Current => parser.Current;

    public bool MoveNext()
    {
        if (!parser.MoveNext())
            return false;
        switch (parser.Current)
        {
            case AnchorAlias alias:
                Count(alias, _sizes.TryGetValue(alias.Value, out var size) ? size : throw Fault(
                    alias, $"*{alias.Value} refers to no anchor before it"));
                break;
            case Scalar scalar:
                Count(scalar, 1);
                _sizes[scalar.Anchor] = 1;
                break;
            case NodeEvent node:
                Begin(node);
                break;
            case MappingEnd or SequenceEnd:
                End();
                break;
        }

        return true;
    }

    void Begin(NodeEvent node)
    {
        // What is inside cannot mean it by this name, nor an earlier one of the same name.
        if (!node.Anchor.IsEmpty)
            _sizes.Remove(node.Anchor);
        _open.Push((node.Anchor, _nodes));
        if (_open.Count > Deepest)
            throw Fault(node, $"it is nested more than {Deepest} deep");
        Count(node, 1);
    }

    void End()
    {
        var (anchor, before) = _open.Pop();
        if (!anchor.IsEmpty)
            _sizes[anchor] = _nodes - before;
    }

    void Count(ParsingEvent at, int nodes)
    {
        _nodes += nodes;
        if (_nodes > Most)
            throw Fault(at, $"it has more than {Most} values, those that aliases repeat included");
    }

    static YamlException Fault(ParsingEvent at, string reason) => new(at.Start, at.End, reason);
}
