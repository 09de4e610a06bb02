using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>The value of a series at one step; null leaves it out. The window is never empty.</summary>
delegate double? RangeFunction(RangeWindow window, ReadOnlySpan<double> scalars);

/// <summary>The new value of one sample; null leaves it out.</summary>
delegate double? SampleFunction(double value, ReadOnlySpan<double> scalars);

/// <summary>The scalar arguments of a call, at one time.</summary>
sealed class ScalarArguments(ScalarNode[] nodes)
{
    readonly double[] _values = new double[nodes.Length];

    public ReadOnlySpan<double> At(long time)
    {
        for (var i = 0; i < nodes.Length; i++)
            _values[i] = nodes[i].At(time);
        return _values;
    }
}

sealed class RangeFunctionNode(RangeSource range, ScalarNode[] scalars, RangeFunction function, bool keepsName, Planner planner)
    : DerivedNode(keepsName ? new DerivedSlots(range.Slots, static labels => labels) : DerivedSlots.WithoutName(range.Slots))
{
    readonly ScalarArguments _scalars = new(scalars);
    readonly Budget _budget = planner.Budget;
    readonly Uniqueness _uniqueness = planner.Uniqueness;

    public override ReadOnlySpan<Point> At(long time)
    {
        var given = _scalars.At(time);
        Result.Clear();
        range.MoveTo(time);
        for (var slot = 0; slot < range.Slots.Count; slot++)
        {
            if (slot % 64 == 0)
                _budget.Check();
            var window = range.Window(slot);
            if (window.Count > 0 && function(window, given) is { } value)
                Result.Add(SlotOf(slot), value);
        }

        RequireDistinct(_uniqueness);
        return Result.Span;
    }
}

sealed class EachNode(VectorNode operand, ScalarNode[] scalars, SampleFunction function)
    : DerivedNode(DerivedSlots.WithoutName(operand.Slots))
{
    readonly ScalarArguments _scalars = new(scalars);

    public override ReadOnlySpan<Point> At(long time)
    {
        var given = _scalars.At(time);
        Result.Clear();
        foreach (var (slot, value) in operand.At(time))
        {
            if (function(value, given) is { } result)
                Result.Add(SlotOf(slot), result);
        }

        RequireDistinct();
        return Result.Span;
    }
}

/// <summary>When each sample was taken; for anything but a plain selector that is the time of evaluation.</summary>
sealed class TimestampNode(VectorNode operand) : DerivedNode(DerivedSlots.WithoutName(operand.Slots))
{
    public override ReadOnlySpan<Point> At(long time)
    {
        var selector = operand as InstantSelectorNode;
        Result.Clear();
        foreach (var (slot, value) in selector is null ? operand.At(time) : selector.TimestampsAt(time))
            Result.Add(SlotOf(slot), selector is null ? time / 1000.0 : value);
        RequireDistinct();
        return Result.Span;
    }
}

/// <summary>Puts the points of a step in order; it matters to instant queries only.</summary>
sealed class SortNode(VectorNode operand, Func<SlotTable, Comparison<Point>> order) : VectorNode(operand.Slots)
{
    readonly Comparison<Point> _order = order(operand.Slots);

    public override ReadOnlySpan<Point> At(long time)
    {
        Result.Clear();
        Result.AddRange(operand.At(time));
        Result.Sort(_order);
        return Result.Span;
    }

    /// <summary>NaN comes last in both directions.</summary>
    public static Comparison<Point> ByValue(bool descending) => (a, b) =>
    {
        if (double.IsNaN(a.Value) || double.IsNaN(b.Value))
            return double.IsNaN(a.Value).CompareTo(double.IsNaN(b.Value));
        return descending ? b.Value.CompareTo(a.Value) : a.Value.CompareTo(b.Value);
    };

    /// <summary>By the values of these labels in natural order, then by the whole label set.</summary>
    public static Func<SlotTable, Comparison<Point>> ByLabels(string[] names, bool descending) => slots => (a, b) =>
    {
        var (left, right) = descending ? (slots[b.Slot], slots[a.Slot]) : (slots[a.Slot], slots[b.Slot]);
        foreach (var name in names)
        {
            if (NaturalOrder.Compare(left[name], right[name]) is not 0 and var order)
                return order;
        }

        return Labels.Compare(left, right);
    };
}

/// <summary>1 where nothing is present, with the labels that the selector's equality matchers tell.</summary>
sealed class AbsentNode : VectorNode
{
    readonly Func<long, bool> _isPresent;

    public AbsentNode(Expr argument, Func<long, bool> isPresent)
        : base(ListedSlots.Of(LabelsOf(argument))) => _isPresent = isPresent;

    public override ReadOnlySpan<Point> At(long time)
    {
        Result.Clear();
        if (!_isPresent(time))
            Result.Add(0, 1);
        return Result.Span;
    }

    // A label that two matchers name is left out, whichever they are.
    static Labels LabelsOf(Expr argument)
    {
        var matchers = Planner.Unwrap(argument) switch
        {
            VectorSelector selector => selector.Matchers,
            MatrixSelector matrix => matrix.Selector.Matchers,
            _ => [],
        };
        return Labels.From(matchers.Where(static m => m.Name != Labels.MetricName).GroupBy(static m => m.Name)
            .Where(static g => g.Count() == 1 && g.First().Operator == MatchOperator.Equal)
            .Select(static g => new Label(g.Key, g.First().Value)));
    }
}
