using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>The part of a label set by which two vectors are matched.</summary>
static class MatchSignature
{
    public static Func<Labels, Labels> Of(VectorMatching matching)
    {
        var names = matching.Labels.ToHashSet();
        if (matching.On)
            return labels => LabelSets.Keep(labels, names);
        names.Add(Labels.MetricName);
        return labels => LabelSets.Drop(labels, names);
    }
}

/// <summary>A vector and a scalar.</summary>
sealed class ScalarSideNode : DerivedNode
{
    readonly BinaryOperator _operator;
    readonly VectorNode _vector;
    readonly ScalarNode _scalar;
    readonly bool _scalarIsLeft;

    ScalarSideNode(BinaryExpr binary, VectorNode vector, ScalarNode scalar, bool scalarIsLeft)
        : base(DerivedSlots.WithoutName(vector.Slots)) =>
        (_operator, _vector, _scalar, _scalarIsLeft) = (binary.Operator, vector, scalar, scalarIsLeft);

    public static VectorNode Of(BinaryExpr binary, VectorNode vector, ScalarNode scalar, bool scalarIsLeft) =>
        binary.Operator.Kind == BinaryKind.Comparison && !binary.ReturnsBool
            ? new FilterNode(binary.Operator, vector, scalar, scalarIsLeft) : new ScalarSideNode(binary, vector, scalar, scalarIsLeft);

    public override ReadOnlySpan<Point> At(long time)
    {
        var other = _scalar.At(time);
        Result.Clear();
        foreach (var (slot, value) in _vector.At(time))
            Result.Add(SlotOf(slot), _scalarIsLeft ? _operator.Apply(other, value) : _operator.Apply(value, other));
        RequireDistinct();
        return Result.Span;
    }
}

/// <summary>A comparison with a scalar that keeps what it holds for, name and value included.</summary>
sealed class FilterNode(BinaryOperator op, VectorNode vector, ScalarNode scalar, bool scalarIsLeft) : VectorNode(vector.Slots)
{
    public override ReadOnlySpan<Point> At(long time)
    {
        var other = scalar.At(time);
        Result.Clear();
        foreach (var (slot, value) in vector.At(time))
        {
            if ((scalarIsLeft ? op.Apply(other, value) : op.Apply(value, other)) != 0)
                Result.Add(slot, value);
        }

        return Result.Span;
    }
}

/// <summary><c>and</c>, <c>or</c>, <c>unless</c>.</summary>
sealed class SetNode : VectorNode
{
    readonly VectorNode _left;
    readonly VectorNode _right;
    readonly DerivedSlots _leftSignatures;
    readonly DerivedSlots _rightSignatures;
    readonly bool _wanted;
    readonly (DerivedSlots Left, DerivedSlots Right)? _union;
    readonly SlotMarks _present = new();
    readonly SlotMarks _seen = new();

    SetNode(
        BinaryOperator op, VectorNode left, VectorNode right, VectorMatching matching, SlotTable slots, (DerivedSlots, DerivedSlots)? union)
        : base(slots)
    {
        (_left, _right, _union, _wanted) = (left, right, union, op.Text == "and");
        var (signature, target) = (MatchSignature.Of(matching), new DistinctSlots(left.Slots.Shared));
        _leftSignatures = new DerivedSlots(left.Slots, signature, target);
        _rightSignatures = new DerivedSlots(right.Slots, signature, target);
    }

    public static SetNode Of(BinaryOperator op, VectorNode left, VectorNode right, VectorMatching matching)
    {
        // What and and unless yield is a part of the left side; only or brings two tables together.
        if (op.Text != "or")
            return new SetNode(op, left, right, matching, left.Slots, null);
        var both = new DistinctSlots(left.Slots.Shared);
        return new SetNode(
            op, left, right, matching, both.Table, (new(left.Slots, static l => l, both), new(right.Slots, static l => l, both)));
    }

    public override ReadOnlySpan<Point> At(long time)
    {
        Result.Clear();
        _present.Clear();
        if (_union is { } union)
        {
            _seen.Clear();
            foreach (var (slot, value) in _left.At(time))
            {
                _present.Add(_leftSignatures[slot]);
                AddDistinct(union.Left[slot], value);
            }

            foreach (var (slot, value) in _right.At(time))
            {
                if (!_present.Has(_rightSignatures[slot]))
                    AddDistinct(union.Right[slot], value);
            }

            return Result.Span;
        }

        var left = _left.At(time);
        foreach (var (slot, _) in _right.At(time))
            _present.Add(_rightSignatures[slot]);
        foreach (var (slot, value) in left)
        {
            if (_present.Has(_leftSignatures[slot]) == _wanted)
                Result.Add(slot, value);
        }

        return Result.Span;
    }

    void AddDistinct(int slot, double value)
    {
        if (!_seen.Add(slot))
            throw Duplicate(Slots[slot]);
        Result.Add(slot, value);
    }
}

/// <summary>Arithmetic and comparison of two vectors, one-to-one or with group_left / group_right.</summary>
sealed class MatchNode : VectorNode
{
    readonly BinaryExpr _binary;
    readonly VectorMatching _matching;
    readonly VectorNode _many;
    readonly VectorNode _one;
    readonly bool _swapped;
    readonly bool _grouped;
    readonly bool _filters;
    readonly DistinctSlots _signatures;
    readonly DerivedSlots _manySignatures;
    readonly DerivedSlots _oneSignatures;
    readonly DistinctSlots _results;
    readonly Budget _budget;
    readonly DerivedSlots _manyLabels;
    readonly Dictionary<(int Many, int One), int> _included = [];
    readonly SlotMarks _matched = new();
    readonly SlotMarks _seen = new();
    long[] _oneSteps = [];
    Point[] _ones = [];
    long _step;

    MatchNode(BinaryExpr binary, VectorNode left, VectorNode right, VectorMatching matching, DistinctSlots results, Budget budget)
        : base(results.Table)
    {
        (_binary, _matching, _results, _budget, _signatures) = (binary, matching, results, budget, new DistinctSlots(left.Slots.Shared));
        _swapped = matching.Cardinality == MatchCardinality.OneToMany;
        (_many, _one) = _swapped ? (right, left) : (left, right);
        _grouped = matching.Cardinality != MatchCardinality.OneToOne;
        _filters = binary.Operator.Kind == BinaryKind.Comparison && !binary.ReturnsBool;
        var signature = MatchSignature.Of(matching);
        _manySignatures = new DerivedSlots(_many.Slots, signature, _signatures);
        _oneSignatures = new DerivedSlots(_one.Slots, signature, _signatures);
        _manyLabels = new DerivedSlots(_many.Slots, ManyLabels(matching, !_filters), results);
    }

    public static MatchNode Of(BinaryExpr binary, VectorNode left, VectorNode right, VectorMatching matching, Budget budget) =>
        new(binary, left, right, matching, new DistinctSlots(left.Slots.Shared), budget);

    public override ReadOnlySpan<Point> At(long time)
    {
        Result.Clear();
        var many = _many.At(time);
        var one = _one.At(time);
        if (many.IsEmpty || one.IsEmpty)
            return Result.Span;
        IndexOne(one);
        _matched.Clear();
        _seen.Clear();
        foreach (var point in many)
        {
            var signature = _manySignatures[point.Slot];
            if ((uint)signature < (uint)_oneSteps.Length && _oneSteps[signature] == _step)
                Match(signature, point, _ones[signature]);
        }

        return Result.Span;
    }

    void IndexOne(ReadOnlySpan<Point> side)
    {
        _step++;
        foreach (var point in side)
        {
            var signature = _oneSignatures[point.Slot];
            if (signature >= _ones.Length)
            {
                Array.Resize(ref _ones, Math.Max(signature + 1, _ones.Length * 2));
                Array.Resize(ref _oneSteps, _ones.Length);
            }

            if (_oneSteps[signature] == _step)
                throw DuplicateOne(signature, _ones[signature].Slot, point.Slot);
            (_ones[signature], _oneSteps[signature]) = (point, _step);
        }
    }

    void Match(int signature, Point many, Point one)
    {
        var (a, b) = _swapped ? (one.Value, many.Value) : (many.Value, one.Value);
        var value = _binary.Operator.Apply(a, b);
        if (_filters)
        {
            if (value == 0)
                return;
            value = a;
        }

        var slot = ResultSlot(many.Slot, one.Slot);
        if (!_grouped && !_matched.Add(signature))
        {
            throw PromQLException.Execution(
                $"multiple matches for labels {_signatures.Table[signature]} of \"{_binary.Operator.Text}\": "
                + "many-to-one matching must be explicit (group_left/group_right)");
        }

        if (!_seen.Add(slot))
            throw _grouped ? PromQLException.Execution($"multiple matches for labels {Slots[slot]} of \"{_binary.Operator.Text}\": "
                + "grouping labels must ensure unique matches") : Duplicate(Slots[slot]);
        Result.Add(slot, value);
    }

    int ResultSlot(int many, int one)
    {
        if (_matching.Include.Count == 0)
            return _manyLabels[many];
        if (_included.TryGetValue((many, one), out var known))
            return known;
        var labels = _many.Slots[many];
        if (!_filters)
            labels = LabelSets.WithoutName(labels);
        foreach (var name in _matching.Include)
            labels = labels.With(name, _one.Slots[one][name]);
        return _included[(many, one)] = _results[_budget.Make(labels)];
    }

    static Func<Labels, Labels> ManyLabels(VectorMatching matching, bool dropsName)
    {
        var names = matching.Labels.ToHashSet();
        return labels =>
        {
            if (matching.Cardinality == MatchCardinality.OneToOne)
                labels = matching.On ? LabelSets.Keep(labels, names) : LabelSets.Drop(labels, names);
            return dropsName ? LabelSets.WithoutName(labels) : labels;
        };
    }

    PromQLException DuplicateOne(int signature, int first, int second) => PromQLException.Execution(
        $"found duplicate series for the match group {_signatures.Table[signature]} on the {(_swapped ? "left" : "right")} hand-side of "
        + $"\"{_binary.Operator.Text}\": "
        + $"[{_one.Slots[first]}, {_one.Slots[second]}]; many-to-many matching not allowed: matching labels must be unique on one side");
}
