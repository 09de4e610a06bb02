using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>The part of a label set by which two vectors are matched.</summary>
static class MatchSignature
{
    public static LabelMemo Memo(VectorMatching matching)
    {
        var names = matching.Labels.ToHashSet();
        if (matching.On)
            return new LabelMemo(labels => LabelSets.Keep(labels, names));
        names.Add(Labels.MetricName);
        return new LabelMemo(labels => LabelSets.Drop(labels, names));
    }
}

/// <summary>A vector and a scalar.</summary>
sealed class ScalarSideNode(BinaryExpr binary, VectorNode vector, ScalarNode scalar, bool scalarIsLeft) : VectorNode
{
    readonly BinaryOperator _operator = binary.Operator;
    readonly bool _filters = binary.Operator.Kind == BinaryKind.Comparison && !binary.ReturnsBool;
    readonly LabelMemo _labels = new(LabelSets.WithoutName);
    readonly List<VectorSample> _result = [];

    public override List<VectorSample> At(long time)
    {
        _result.Clear();
        var other = scalar.At(time);
        foreach (var (labels, value) in vector.At(time))
        {
            var result = scalarIsLeft ? _operator.Apply(other, value) : _operator.Apply(value, other);
            if (!_filters)
                _result.Add(new VectorSample(_labels[labels], result));
            else if (result != 0)
                _result.Add(new VectorSample(labels, value));
        }

        if (_labels.HasCollisions)
            RequireDistinct(_result);
        return _result;
    }
}

/// <summary><c>and</c>, <c>or</c>, <c>unless</c>.</summary>
sealed class SetNode(BinaryOperator op, VectorNode left, VectorNode right, VectorMatching matching) : VectorNode
{
    readonly LabelMemo _signatures = MatchSignature.Memo(matching);
    readonly HashSet<Labels> _present = [];
    readonly List<VectorSample> _result = [];

    public override List<VectorSample> At(long time)
    {
        _result.Clear();
        _present.Clear();
        var (a, b) = (left.At(time), right.At(time));
        if (op.Text == "or")
        {
            _result.AddRange(a);
            Fill(a);
            Copy(b, wanted: false);
            // Otherwise both sides are subsets of one vector, whose labels were distinct already.
            RequireDistinct(_result);
        }
        else
        {
            Fill(b);
            Copy(a, wanted: op.Text == "and");
        }

        return _result;
    }

    void Fill(List<VectorSample> side)
    {
        foreach (var sample in side)
            _present.Add(_signatures[sample.Labels]);
    }

    void Copy(List<VectorSample> side, bool wanted)
    {
        foreach (var sample in side)
        {
            if (_present.Contains(_signatures[sample.Labels]) == wanted)
                _result.Add(sample);
        }
    }
}

/// <summary>Arithmetic and comparison of two vectors, one-to-one or with group_left / group_right.</summary>
sealed class MatchNode : VectorNode
{
    readonly BinaryExpr _binary;
    readonly VectorNode _left;
    readonly VectorNode _right;
    readonly VectorMatching _matching;
    readonly bool _grouped;
    readonly LabelMemo _signatures;
    readonly LabelMemo _manyLabels;
    readonly Dictionary<Labels, VectorSample> _one = [];
    readonly HashSet<Labels> _matched = [];
    readonly HashSet<(Labels Signature, Labels Result)> _matchedGrouped = [];
    readonly Dictionary<(Labels Many, Labels One), Labels> _included = [];
    readonly List<VectorSample> _result = [];

    public MatchNode(BinaryExpr binary, VectorNode left, VectorNode right, VectorMatching matching)
    {
        (_binary, _left, _right, _matching) = (binary, left, right, matching);
        _grouped = matching.Cardinality != MatchCardinality.OneToOne;
        _signatures = MatchSignature.Memo(matching);
        var names = matching.Labels.ToHashSet();
        var dropsName = binary.Operator.Kind == BinaryKind.Arithmetic || binary.ReturnsBool;
        _manyLabels = new LabelMemo(labels =>
        {
            if (!_grouped)
                labels = matching.On ? LabelSets.Keep(labels, names) : LabelSets.Drop(labels, names);
            return dropsName ? LabelSets.WithoutName(labels) : labels;
        });
    }

    public override List<VectorSample> At(long time)
    {
        _result.Clear();
        var (left, right) = (_left.At(time), _right.At(time));
        if (left.Count == 0 || right.Count == 0)
            return _result;
        var swapped = _matching.Cardinality == MatchCardinality.OneToMany;
        IndexOne(swapped ? left : right, swapped ? "left" : "right");
        _matched.Clear();
        _matchedGrouped.Clear();
        foreach (var many in swapped ? right : left)
        {
            var signature = _signatures[many.Labels];
            if (_one.TryGetValue(signature, out var one))
                Match(signature, many, one, swapped);
        }

        if (_grouped || _manyLabels.HasCollisions)
            RequireDistinct(_result);
        return _result;
    }

    void IndexOne(List<VectorSample> side, string hand)
    {
        _one.Clear();
        foreach (var sample in side)
        {
            var signature = _signatures[sample.Labels];
            if (_one.TryAdd(signature, sample))
                continue;
            throw PromQLException.Execution(
                $"found duplicate series for the match group {signature} on the {hand} hand-side of \"{_binary.Operator.Text}\": "
                + $"[{_one[signature].Labels}, {sample.Labels}]; many-to-many matching not allowed: matching labels must be unique on one side");
        }
    }

    void Match(Labels signature, VectorSample many, VectorSample one, bool swapped)
    {
        var (a, b) = swapped ? (one.Value, many.Value) : (many.Value, one.Value);
        var value = _binary.Operator.Apply(a, b);
        if (_binary.Operator.Kind == BinaryKind.Comparison && !_binary.ReturnsBool)
        {
            if (value == 0)
                return;
            value = a;
        }

        var labels = ResultLabels(many.Labels, one.Labels);
        if (!_grouped && !_matched.Add(signature))
        {
            throw PromQLException.Execution(
                $"multiple matches for labels {signature} of \"{_binary.Operator.Text}\": many-to-one matching must be explicit (group_left/group_right)");
        }

        if (_grouped && !_matchedGrouped.Add((signature, labels)))
        {
            throw PromQLException.Execution(
                $"multiple matches for labels {labels} of \"{_binary.Operator.Text}\": grouping labels must ensure unique matches");
        }

        _result.Add(new VectorSample(labels, value));
    }

    Labels ResultLabels(Labels many, Labels one)
    {
        var labels = _manyLabels[many];
        if (_matching.Include.Count == 0)
            return labels;
        if (_included.TryGetValue((many, one), out var known))
            return known;
        foreach (var name in _matching.Include)
            labels = labels.With(name, one[name]);
        return _included[(many, one)] = labels;
    }
}
