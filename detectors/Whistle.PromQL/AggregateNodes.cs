using System.IO.Hashing;
using System.Text;

using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>One accumulator a group; groups appear in the order of their first sample.</summary>
sealed class AggregateNode<T> : VectorNode
    where T : struct, IAccumulator
{
    readonly DerivedSlots _groupOf;
    readonly VectorNode _operand;
    readonly ScalarNode? _parameter;
    readonly SlotMarks _started = new();
    readonly List<int> _active = [];
    T[] _accumulators = [];

    AggregateNode(DerivedSlots groupOf, VectorNode operand, ScalarNode? parameter)
        : base(groupOf.Table) => (_groupOf, _operand, _parameter) = (groupOf, operand, parameter);

    public static AggregateNode<T> Of(AggregateExpr expr, VectorNode operand, ScalarNode? parameter) =>
        new(new DerivedSlots(operand.Slots, Aggregations.GroupOf(expr)), operand, parameter);

    public override ReadOnlySpan<Point> At(long time)
    {
        _started.Clear();
        _active.Clear();
        foreach (var (slot, value) in _operand.At(time))
        {
            var group = _groupOf[slot];
            if (group >= _accumulators.Length)
                Array.Resize(ref _accumulators, Math.Max(group + 1, _accumulators.Length * 2));
            if (_started.Add(group))
            {
                _accumulators[group].Start(value);
                _active.Add(group);
            }
            else
            {
                _accumulators[group].Add(value);
            }
        }

        Result.Clear();
        var given = _parameter?.At(time) ?? 0;
        foreach (var group in _active)
            Result.Add(group, _accumulators[group].Result(given));
        return Result.Span;
    }
}

/// <summary>topk and bottomk: the samples themselves, best first within a group; NaN comes last.</summary>
sealed class TopNode(AggregateExpr expr, VectorNode operand, ScalarNode parameter, bool largest) : VectorNode(operand.Slots)
{
    readonly DerivedSlots _groupOf = new(operand.Slots, Aggregations.GroupOf(expr));
    readonly List<List<Point>> _groups = [];
    readonly List<int> _active = [];

    public override ReadOnlySpan<Point> At(long time)
    {
        Result.Clear();
        var input = operand.At(time);
        var given = parameter.At(time);
        if (input.IsEmpty || given < 1)
            return Result.Span;
        var limit = Aggregations.Limit(expr, given);
        foreach (var group in _active)
            _groups[group].Clear();
        _active.Clear();
        foreach (var point in input)
        {
            var group = _groupOf[point.Slot];
            while (_groups.Count <= group)
                _groups.Add([]);
            if (_groups[group].Count == 0)
                _active.Add(group);
            Keep(_groups[group], point, limit);
        }

        foreach (var group in _active)
        {
            foreach (var (slot, value) in _groups[group])
                Result.Add(slot, value);
        }

        return Result.Span;
    }

    // Sorted insertion, so that of equal values the first come stays.
    void Keep(List<Point> group, Point point, double limit)
    {
        if (group.Count >= limit && !IsBetter(point.Value, group[^1].Value))
            return;
        var (low, high) = (0, group.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (IsBetter(point.Value, group[middle].Value))
                high = middle;
            else
                low = middle + 1;
        }

        if (group.Count >= limit)
            group.RemoveAt(group.Count - 1);
        group.Insert(low, point);
    }

    bool IsBetter(double a, double b) =>
        largest ? a > b || (double.IsNaN(b) && !double.IsNaN(a)) : a < b || (double.IsNaN(b) && !double.IsNaN(a));
}

/// <summary>limitk: of each group as many as are wanted, those that come first.</summary>
sealed class LimitNode(AggregateExpr expr, VectorNode operand, ScalarNode parameter) : VectorNode(operand.Slots)
{
    readonly DerivedSlots _groupOf = new(operand.Slots, Aggregations.GroupOf(expr));
    int[] _counts = [];

    public override ReadOnlySpan<Point> At(long time)
    {
        Result.Clear();
        var input = operand.At(time);
        var given = parameter.At(time);
        if (input.IsEmpty || given < 1)
            return Result.Span;
        var limit = Aggregations.Limit(expr, given);
        Array.Clear(_counts);
        foreach (var (slot, value) in input)
        {
            var group = _groupOf[slot];
            if (group >= _counts.Length)
                Array.Resize(ref _counts, Math.Max(group + 1, _counts.Length * 2));
            if (_counts[group]++ < limit)
                Result.Add(slot, value);
        }

        return Result.Span;
    }
}

/// <summary>
/// limit_ratio: about that part of the series, always the same ones, chosen by a hash of their labels. A negative ratio takes those that
/// one plus it leaves.
/// </summary>
sealed class LimitRatioNode(VectorNode operand, ScalarNode parameter) : VectorNode(operand.Slots)
{
    readonly List<double> _places = [];

    public override ReadOnlySpan<Point> At(long time)
    {
        Result.Clear();
        var input = operand.At(time);
        var ratio = parameter.At(time);
        if (double.IsNaN(ratio))
            throw PromQLException.Execution("the ratio of limit_ratio is NaN");
        ratio = Math.Clamp(ratio, -1, 1);
        foreach (var (slot, value) in input)
        {
            while (_places.Count <= slot)
                _places.Add(PlaceOf(Slots.Peek(_places.Count)));
            if (ratio >= 0 ? _places[slot] < ratio : _places[slot] >= 1 + ratio)
                Result.Add(slot, value);
        }

        return Result.Span;
    }

    // As Prometheus's release builds do: XXH64 over names and values, each behind its length, as a part of the whole range.
    static double PlaceOf(Labels labels)
    {
        List<byte> bytes = [];
        foreach (var (name, value) in labels)
        {
            Append(bytes, name);
            Append(bytes, value);
        }

        return XxHash64.HashToUInt64([.. bytes]) / (double)ulong.MaxValue;
    }

    static void Append(List<byte> bytes, string text)
    {
        var utf8 = Encoding.UTF8.GetBytes(text);
        if (utf8.Length < 255)
            bytes.Add((byte)utf8.Length);
        else
            bytes.AddRange([255, (byte)utf8.Length, (byte)(utf8.Length >> 8), (byte)(utf8.Length >> 16)]);
        bytes.AddRange(utf8);
    }
}

/// <summary>Counts equal values; the value becomes a label.</summary>
sealed class CountValuesNode : VectorNode
{
    readonly Func<Labels, Labels> _groupOf;
    readonly string _label;
    readonly VectorNode _operand;
    readonly Budget _budget;
    readonly DistinctSlots _results;
    readonly Dictionary<(int Slot, long Bits), int> _known = [];
    readonly SlotMarks _started = new();
    readonly List<int> _active = [];
    double[] _counts = [];

    CountValuesNode(Func<Labels, Labels> groupOf, VectorNode operand, string label, DistinctSlots results, Budget budget)
        : base(results.Table) => (_groupOf, _operand, _label, _results, _budget) = (groupOf, operand, label, results, budget);

    public static CountValuesNode Of(AggregateExpr expr, VectorNode operand, string label, Budget budget)
    {
        if (label.Length == 0)
            throw PromQLException.Execution("count_values needs a label name that is not empty");
        // The new label takes part in the grouping: "by" keeps it, "without" can drop it.
        return new(
            Aggregations.GroupOf(expr, expr.Without ? [] : [label]), operand, label, new DistinctSlots(operand.Slots.Shared), budget);
    }

    public override ReadOnlySpan<Point> At(long time)
    {
        _started.Clear();
        _active.Clear();
        foreach (var (slot, value) in _operand.At(time))
        {
            var key = (slot, BitConverter.DoubleToInt64Bits(value));
            if (!_known.TryGetValue(key, out var result))
                _known.Add(
                    key, result = _results[_budget.Make(_groupOf(_operand.Slots[slot].With(_label, GoNumber.WithoutExponent(value))))]);
            if (result >= _counts.Length)
                Array.Resize(ref _counts, Math.Max(result + 1, _counts.Length * 2));
            if (_started.Add(result))
            {
                _counts[result] = 0;
                _active.Add(result);
            }

            _counts[result]++;
        }

        Result.Clear();
        foreach (var result in _active)
            Result.Add(result, _counts[result]);
        return Result.Span;
    }
}
