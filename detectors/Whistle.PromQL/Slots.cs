using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>One value at one time; the slot says whose, by the table of the node that made it.</summary>
readonly record struct Point(int Slot, double Value);

/// <summary>
/// The label sets that a node can yield. A slot keeps its labels as long as the node lives, so what follows from labels (groups,
/// matches, new labels) is worked out once a slot, and a step costs only values.
/// </summary>
/// <param name="shared">Where the labels that are derived from these are kept once; null where they live as long as one query.</param>
/// <param name="hasOneName">All have the same metric name, or none has one: without it they still differ.</param>
abstract class SlotTable(SharedLabels? shared, bool hasOneName)
{
    public SharedLabels? Shared => shared;

    public bool HasOneName => hasOneName;

    public abstract int Count { get; }

    public abstract Labels this[int slot] { get; }

    /// <summary>The labels to derive others from: they need not be kept.</summary>
    public virtual Labels Peek(int slot) => this[slot];

    public static bool HaveOneName(IReadOnlyList<LabelMatcher> matchers) =>
        matchers.Any(m => m is { Name: Labels.MetricName, Operator: MatchOperator.Equal });
}

/// <summary>Label sets one by one.</summary>
sealed class ListedSlots(SharedLabels? shared = null, bool hasOneName = false) : SlotTable(shared, hasOneName)
{
    readonly List<Labels> _labels = [];

    public override int Count => _labels.Count;

    public override Labels this[int slot] => _labels[slot];

    public static ListedSlots Of(Labels only)
    {
        var slots = new ListedSlots();
        slots.Add(only);
        return slots;
    }

    public int Add(Labels labels)
    {
        _labels.Add(labels);
        return _labels.Count - 1;
    }
}

/// <summary>The slots of a table of one name, without it. Only those that somebody looks at get labels.</summary>
sealed class UnnamedSlots(SlotTable named) : SlotTable(named.Shared, hasOneName: true)
{
    Labels?[] _known = [];

    public override int Count => named.Count;

    public override Labels this[int slot]
    {
        get
        {
            if (slot >= _known.Length)
                Array.Resize(ref _known, Math.Max(slot + 1, named.Count));
            return _known[slot] ??= Shared?.Share(Derived(slot)) ?? Derived(slot);
        }
    }

    public override Labels Peek(int slot) => slot < _known.Length && _known[slot] is { } known ? known : Derived(slot);

    Labels Derived(int slot) => LabelSets.WithoutName(named.Peek(slot));
}

/// <summary>
/// The label sets that the nodes of standing queries derive alike: each is kept once, with one array of names for all of a shape.
/// </summary>
sealed class SharedLabels
{
    readonly HashSet<Labels> _known = [];
    readonly LabelPool _names = new();

    public Labels Share(Labels labels)
    {
        if (_known.TryGetValue(labels, out var known))
            return known;
        labels = _names.ShareNames(labels);
        _known.Add(labels);
        return labels;
    }
}

/// <summary>A table in which every label set has one slot.</summary>
sealed class DistinctSlots(SharedLabels? shared, bool hasOneName = false)
{
    readonly Dictionary<Labels, int> _index = [];

    readonly ListedSlots _table = new(shared, hasOneName);

    public SlotTable Table => _table;

    public int this[Labels labels]
    {
        get
        {
            if (_index.TryGetValue(labels, out var slot))
                return slot;
            labels = shared?.Share(labels) ?? labels;
            _index.Add(labels, slot = _table.Add(labels));
            return slot;
        }
    }
}

/// <summary>
/// From the slots of one table to those of another, by what a function makes of the labels. A slot is derived when it
/// first yields a value. Knows whether two slots ever became one: only then must results be checked for duplicates.
/// </summary>
sealed class DerivedSlots
{
    const int Unknown = -1;

    readonly SlotTable _source;
    readonly Func<Labels, Labels>? _derive;
    readonly DistinctSlots? _target;
    int[] _map = [];
    int[] _takenBy = [];

    public DerivedSlots(SlotTable source, Func<Labels, Labels> derive)
        : this(source, derive, new DistinctSlots(source.Shared))
    {
    }

    public DerivedSlots(SlotTable source, Func<Labels, Labels> derive, DistinctSlots target) =>
        (_source, _derive, _target, Table) = (source, derive, target, target.Table);

    DerivedSlots(SlotTable same) => (_source, Table) = (same, same);

    public static DerivedSlots WithoutName(SlotTable source) => source switch
    {
        UnnamedSlots => new(source),
        { HasOneName: true } => new(new UnnamedSlots(source)),
        _ => new(source, LabelSets.WithoutName),
    };

    public SlotTable Table { get; }

    public bool HasCollisions => Collision >= 0;

    /// <summary>A slot that two came to; −1 while there is none.</summary>
    public int Collision { get; private set; } = Unknown;

    public int this[int slot]
    {
        get
        {
            if (_target is null)
                return slot;
            var map = _map;
            var known = (uint)slot < (uint)map.Length ? map[slot] : Unknown;
            return known >= 0 ? known : Derive(slot);
        }
    }

    int Derive(int slot)
    {
        if (slot >= _map.Length)
            Resize(ref _map, Math.Max(_source.Count, slot + 1));
        var derived = _target![_derive!(_source.Peek(slot))];
        _map[slot] = derived;
        if (derived >= _takenBy.Length)
            Resize(ref _takenBy, Math.Max(derived + 1, _takenBy.Length * 2));
        // A series that ended and came back has the same labels in another slot.
        if (_takenBy[derived] is >= 0 and var other && !_source.Peek(other).Equals(_source.Peek(slot)))
            Collision = derived;
        _takenBy[derived] = slot;
        return derived;
    }

    static void Resize(ref int[] array, int length)
    {
        var before = array.Length;
        Array.Resize(ref array, length);
        array.AsSpan(before).Fill(Unknown);
    }
}

/// <summary>A growing list of points that is refilled at every step.</summary>
sealed class PointList
{
    Point[] _points = [];

    public int Count { get; private set; }

    public ReadOnlySpan<Point> Span => _points.AsSpan(0, Count);

    public void Clear() => Count = 0;

    public void Add(int slot, double value)
    {
        if (Count == _points.Length)
            Array.Resize(ref _points, Math.Max(16, Count * 3 / 2));
        _points[Count++] = new Point(slot, value);
    }

    public void AddRange(ReadOnlySpan<Point> points)
    {
        if (Count + points.Length > _points.Length)
            Array.Resize(ref _points, Count + points.Length);
        points.CopyTo(_points.AsSpan(Count));
        Count += points.Length;
    }

    public void Sort(Comparison<Point> comparison) => _points.AsSpan(0, Count).Sort(comparison);
}

/// <summary>Slots that were marked at this step; a new step begins with none.</summary>
sealed class SlotMarks
{
    long[] _steps = [];
    long _step;

    public void Clear() => _step++;

    public bool Has(int slot) => (uint)slot < (uint)_steps.Length && _steps[slot] == _step;

    /// <summary>False where it is marked already.</summary>
    public bool Add(int slot)
    {
        if (slot >= _steps.Length)
            Array.Resize(ref _steps, Math.Max(slot + 1, _steps.Length * 2));
        if (_steps[slot] == _step)
            return false;
        _steps[slot] = _step;
        return true;
    }
}
