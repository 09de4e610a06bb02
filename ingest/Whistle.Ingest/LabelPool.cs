using Whistle.Telemetry;

namespace Whistle.Ingest;

/// <summary>
/// Shares what series have in common: equal strings, and the array of names among series of one shape. Not thread-safe.
/// </summary>
sealed class LabelPool
{
    readonly HashSet<string> _strings = [];
    readonly Dictionary<string, string[]> _shapes = [];

    public Labels Share(IReadOnlyList<Label> sorted)
    {
        var shape = string.Join('\xff', sorted.Select(l => l.Name));
        if (!_shapes.TryGetValue(shape, out var names))
            _shapes[shape] = names = [.. sorted.Select(l => Share(l.Name))];
        return Labels.FromSorted(names, [.. sorted.Select(l => Share(l.Value))]);
    }

    /// <summary>Forgets what no living series uses.</summary>
    public void Rebuild(IEnumerable<Labels> living)
    {
        _strings.Clear();
        _shapes.Clear();
        foreach (var labels in living)
            Share(labels);
    }

    string Share(string text)
    {
        if (_strings.TryGetValue(text, out var shared))
            return shared;
        _strings.Add(text);
        return text;
    }
}
