using Whistle.PromQL;

using YamlDotNet.RepresentationModel;

namespace Whistle.Detectors.Yaml;

/// <summary>The values of one mapping. What is not as it should be is noted with the reader and read as if it were not given.</summary>
public sealed class YamlFields
{
    readonly YamlReader _reader;
    readonly YamlMappingNode _mapping;
    readonly string _what;
    readonly Dictionary<string, YamlNode> _values;

    internal YamlFields(YamlReader reader, YamlMappingNode mapping, string what, Dictionary<string, YamlNode> values) =>
        (_reader, _mapping, _what, _values) = (reader, mapping, what, values);

    public IEnumerable<string> Keys => _values.Keys;

    public YamlNode? Find(string key) => _values.GetValueOrDefault(key);

    /// <summary>A fault at a key's value, or at the mapping where it has none.</summary>
    public void Fail(string key, string reason) => _reader.Fail(Find(key) ?? _mapping, reason);

    /// <summary>A text that must be there.</summary>
    public string? Required(string key)
    {
        if (Find(key) is null)
            Fail(key, $"{_what} needs {key}");
        return Text(key);
    }

    public string? Text(string key)
    {
        var node = Find(key);
        if (node is YamlScalarNode { Value: { Length: > 0 } value })
            return value;
        if (node is not null)
            Fail(key, $"{key} must be a text that is not empty");
        return null;
    }

    public TimeSpan? Duration(string key)
    {
        switch (Find(key))
        {
            case null:
                return null;
            case YamlScalarNode { Value: "0" }:
                return TimeSpan.Zero;
            case YamlScalarNode { Value: { } value } when Durations.TryParse(value, out var milliseconds):
                return TimeSpan.FromMilliseconds(milliseconds);
            case var node:
                Fail(key, $"{key}: \"{YamlReader.Shown(node)}\" is not a duration; write it like 30s, 5m or 1h30m");
                return null;
        }
    }

    public int? Number(string key, int least, int most = int.MaxValue)
    {
        if (Find(key) is not { } node)
            return null;
        if (node is YamlScalarNode { Value: { } value } && int.TryParse(value, out var number) && number >= least && number <= most)
            return number;
        Fail(key, $"{key}: \"{YamlReader.Shown(node)}\" is not a whole number{(most < int.MaxValue ? $" from {least} to {most}" : "")}");
        return null;
    }

    /// <summary>One of the known texts; the first where none is given.</summary>
    public string Choice(string key, params IReadOnlyList<string> known)
    {
        if (Find(key) is not { } node)
            return known[0];
        if (node is YamlScalarNode { Value: { } value } && known.Contains(value))
            return value;
        Fail(key, $"{key}: \"{YamlReader.Shown(node)}\" is not one of {string.Join(", ", known)}");
        return known[0];
    }

    /// <summary>As <see cref="YamlReader.Mapping"/>; null also where it is not given.</summary>
    public YamlFields? Mapping(string key, params IReadOnlyList<string> known) =>
        Find(key) is { } node ? _reader.Mapping(node, key, known) : null;

    /// <summary>The pairs of a mapping that may have any keys.</summary>
    public IEnumerable<KeyValuePair<YamlNode, YamlNode>> Pairs(string key, string kind = "a mapping")
    {
        switch (Find(key))
        {
            case null:
                return [];
            case YamlMappingNode mapping:
                return mapping.Children;
            default:
                Fail(key, $"{key} must be {kind}");
                return [];
        }
    }

    /// <summary>A list that may be empty or not given.</summary>
    public IEnumerable<YamlNode> Items(string key)
    {
        switch (Find(key))
        {
            case null or YamlScalarNode { Value: null or "" }:
                return [];
            case YamlSequenceNode sequence:
                return sequence.Children;
            default:
                Fail(key, $"{key} must be a list");
                return [];
        }
    }

    /// <summary>A list that must be there and hold something.</summary>
    public IEnumerable<YamlNode> RequiredItems(string key)
    {
        if (Find(key) is YamlSequenceNode { Children: { Count: > 0 } children })
            return children;
        Fail(key, $"{_what} needs {key}, a list that is not empty");
        return [];
    }
}
