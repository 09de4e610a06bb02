using System.Collections;
using System.Text;

namespace Whistle.Telemetry;

public readonly record struct Label(string Name, string Value);

/// <summary>
/// The identity of a series: label names with values, sorted by name (ordinal), each name once, no empty values.
/// The metric name is the label <see cref="MetricName"/>. Immutable.
/// </summary>
public sealed class Labels : IEquatable<Labels>, IReadOnlyList<Label>
{
    public const string MetricName = "__name__";

    public static readonly Labels Empty = new([], []);

    // Parallel and sorted by name. Apart, because series of one metric share the array of names.
    readonly string[] _names;
    readonly string[] _values;
    int _hash;

    Labels(string[] names, string[] values)
    {
        _names = names;
        _values = values;
    }

    internal string[] Names => _names;

    internal string[] Values => _values;

    /// <summary>Sorts; drops empty values, which mean "label absent". A name given twice is an error.</summary>
    /// <exception cref="ArgumentException">A name is given twice.</exception>
    public static Labels From(IEnumerable<Label> labels)
    {
        var sorted = labels.Where(l => l.Value.Length > 0).ToArray();
        Array.Sort(sorted, static (a, b) => string.CompareOrdinal(a.Name, b.Name));
        for (var i = 1; i < sorted.Length; i++)
        {
            if (sorted[i].Name == sorted[i - 1].Name)
                throw new ArgumentException($"The label {sorted[i].Name} is given twice.", nameof(labels));
        }

        return new Labels([.. sorted.Select(l => l.Name)], [.. sorted.Select(l => l.Value)]);
    }

    public static Labels Of(params (string Name, string Value)[] labels) => From(labels.Select(l => new Label(l.Name, l.Value)));

    public static Labels OfMetric(string metric, params (string Name, string Value)[] labels) =>
        From(labels.Select(l => new Label(l.Name, l.Value)).Append(new Label(MetricName, metric)));

    /// <summary>Takes the arrays over without a copy. The caller guarantees order, uniqueness and non-empty values.</summary>
    public static Labels FromSorted(string[] names, string[] values) => new(names, values);

    /// <summary>Prometheus's order: label by label, first by name, then by value.</summary>
    public static int Compare(Labels a, Labels b)
    {
        for (var i = 0; i < Math.Min(a.Count, b.Count); i++)
        {
            var order = string.CompareOrdinal(a[i].Name, b[i].Name);
            if (order == 0)
                order = string.CompareOrdinal(a[i].Value, b[i].Value);
            if (order != 0)
                return order;
        }

        return a.Count.CompareTo(b.Count);
    }

    public int Count => _names.Length;

    public Label this[int index] => new(_names[index], _values[index]);

    /// <summary>The value of the label, or the empty string where the series does not carry it, as PromQL has it.</summary>
    public string this[string name]
    {
        get
        {
            var index = Array.BinarySearch(_names, name, StringComparer.Ordinal);
            return index < 0 ? "" : _values[index];
        }
    }

    public string Name => this[MetricName];

    public bool Has(string name) => Array.BinarySearch(_names, name, StringComparer.Ordinal) >= 0;

    /// <summary>A copy with the label set; an empty value removes it.</summary>
    public Labels With(string name, string value) =>
        From(this.Where(l => l.Name != name).Append(new Label(name, value)));

    public Labels Keep(ICollection<string> names) => From(this.Where(l => names.Contains(l.Name)));

    public Labels Drop(ICollection<string> names) => From(this.Where(l => !names.Contains(l.Name)));

    public bool Equals(Labels? other)
    {
        if (ReferenceEquals(this, other))
            return true;
        return other is not null && GetHashCode() == other.GetHashCode()
            && _values.AsSpan().SequenceEqual(other._values) && _names.AsSpan().SequenceEqual(other._names);
    }

    public override bool Equals(object? obj) => Equals(obj as Labels);

    public override int GetHashCode()
    {
        if (_hash == 0)
        {
            var hash = new HashCode();
            for (var i = 0; i < _names.Length; i++)
            {
                hash.Add(_names[i]);
                hash.Add(_values[i]);
            }

            _hash = hash.ToHashCode() | 1;
        }

        return _hash;
    }

    public IEnumerator<Label> GetEnumerator()
    {
        for (var i = 0; i < _names.Length; i++)
            yield return this[i];
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Prometheus's notation: <c>name{a="b",c="d"}</c>.</summary>
    public override string ToString()
    {
        var text = new StringBuilder(Name);
        var separator = '{';
        foreach (var (name, value) in this)
        {
            if (name == MetricName)
                continue;
            text.Append(separator).Append(name).Append("=\"").Append(Escape(value)).Append('"');
            separator = ',';
        }

        if (separator == ',')
            text.Append('}');
        else if (text.Length == 0)
            text.Append("{}");
        return text.ToString();
    }

    static string Escape(string value) =>
        value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("\n", "\\n", StringComparison.Ordinal);
}
