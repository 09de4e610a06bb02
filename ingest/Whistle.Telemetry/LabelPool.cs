namespace Whistle.Telemetry;

/// <summary>
/// Shares what series have in common: equal strings, and the array of names among series of one shape. Not thread-safe.
/// </summary>
public sealed class LabelPool
{
    readonly HashSet<string> _strings = [];
    readonly HashSet<string[]> _shapes = new(new ShapeComparer());

    public Labels Share(IReadOnlyList<Label> sorted)
    {
        var names = new string[sorted.Count];
        var values = new string[sorted.Count];
        for (var i = 0; i < sorted.Count; i++)
        {
            names[i] = sorted[i].Name;
            values[i] = Share(sorted[i].Value);
        }

        if (_shapes.TryGetValue(names, out var known))
            return Labels.FromSorted(known, values);
        for (var i = 0; i < names.Length; i++)
            names[i] = Share(names[i]);
        _shapes.Add(names);
        return Labels.FromSorted(names, values);
    }

    /// <summary>Shares the array of names only.</summary>
    public Labels ShareNames(Labels labels)
    {
        if (_shapes.TryGetValue(labels.Names, out var known))
            return ReferenceEquals(known, labels.Names) ? labels : Labels.FromSorted(known, labels.Values);
        _shapes.Add(labels.Names);
        return labels;
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

    sealed class ShapeComparer : IEqualityComparer<string[]>
    {
        public bool Equals(string[]? x, string[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(string[] names)
        {
            var hash = new HashCode();
            foreach (var name in names)
                hash.Add(name);
            return hash.ToHashCode();
        }
    }
}
