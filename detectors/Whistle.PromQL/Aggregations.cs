using System.Collections.Frozen;

using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary><paramref name="Parameter"/> is the type of the first argument where there are two.</summary>
sealed record AggregationDefinition(string Name, ExprType? Parameter, Func<AggregateExpr, Planner, VectorNode> Plan);

/// <summary>The aggregation operators by name. A new one is one entry here.</summary>
static class Aggregations
{
    static readonly FrozenDictionary<string, AggregationDefinition> All = new[]
    {
        Simple("sum", static () => new SumAccumulator()),
        Simple("avg", static () => new MeanAccumulator()),
        Simple("min", static () => new ExtremeAccumulator(-1)),
        Simple("max", static () => new ExtremeAccumulator(1)),
        Simple("count", static () => new CountAccumulator()),
        Simple("group", static () => new GroupAccumulator()),
        Simple("stdvar", static () => new VarianceAccumulator()),
        Simple("stddev", static () => new VarianceAccumulator { TakesRoot = true }),
        new("quantile", ExprType.Scalar, static (e, p) =>
            new AggregateNode(e, p.Vector(e.Operand), p.Scalar(e.Parameter!), static () => new QuantileAccumulator())),
        new("topk", ExprType.Scalar, static (e, p) => new TopNode(e, p.Vector(e.Operand), p.Scalar(e.Parameter!), largest: true)),
        new("bottomk", ExprType.Scalar, static (e, p) => new TopNode(e, p.Vector(e.Operand), p.Scalar(e.Parameter!), largest: false)),
        new("count_values", ExprType.Text, static (e, p) => new CountValuesNode(e, p.Vector(e.Operand), Planner.Text(e.Parameter!))),
    }.ToFrozenDictionary(static a => a.Name, StringComparer.OrdinalIgnoreCase);

    public static AggregationDefinition? Find(string name) => All.GetValueOrDefault(name);

    public static LabelMemo GroupMemo(AggregateExpr expr, params ReadOnlySpan<string> more)
    {
        var names = expr.Grouping.ToHashSet();
        foreach (var name in more)
            names.Add(name);
        if (!expr.Without)
            return new LabelMemo(labels => LabelSets.Keep(labels, names));
        names.Add(Labels.MetricName);
        return new LabelMemo(labels => LabelSets.Drop(labels, names));
    }

    static AggregationDefinition Simple(string name, Func<Accumulator> accumulator) =>
        new(name, null, (e, p) => new AggregateNode(e, p.Vector(e.Operand), null, accumulator));
}

/// <summary>Folds the values of one group; used again for the next step.</summary>
abstract class Accumulator
{
    public abstract void Start(double value);

    public abstract void Add(double value);

    public abstract double Result(double parameter);
}

sealed class SumAccumulator : Accumulator
{
    CompensatedSum _sum;

    public override void Start(double value) => _sum = new CompensatedSum(value);

    public override void Add(double value) => _sum.Add(value);

    public override double Result(double parameter) => _sum.Value;
}

sealed class MeanAccumulator : Accumulator
{
    CompensatedMean _mean;

    public override void Start(double value) => _mean = new CompensatedMean(value);

    public override void Add(double value) => _mean.Add(value);

    public override double Result(double parameter) => _mean.Value;
}

/// <summary>A NaN gives way to any number.</summary>
sealed class ExtremeAccumulator(int sign) : Accumulator
{
    double _value;

    public override void Start(double value) => _value = value;

    public override void Add(double value)
    {
        if (double.IsNaN(_value) || (sign > 0 ? value > _value : value < _value))
            _value = value;
    }

    public override double Result(double parameter) => _value;
}

sealed class CountAccumulator : Accumulator
{
    double _count;

    public override void Start(double value) => _count = 1;

    public override void Add(double value) => _count++;

    public override double Result(double parameter) => _count;
}

sealed class GroupAccumulator : Accumulator
{
    public override void Start(double value)
    {
    }

    public override void Add(double value)
    {
    }

    public override double Result(double parameter) => 1;
}

/// <summary>Population variance by Welford's method.</summary>
sealed class VarianceAccumulator : Accumulator
{
    double _count;
    double _mean;
    double _squares;

    public bool TakesRoot { get; init; }

    public override void Start(double value) =>
        (_count, _mean, _squares) = (1, value, double.IsFinite(value) ? 0 : double.NaN);

    public override void Add(double value)
    {
        _count++;
        var delta = value - _mean;
        _mean += delta / _count;
        _squares += delta * (value - _mean);
    }

    public override double Result(double parameter) => TakesRoot ? Math.Sqrt(_squares / _count) : _squares / _count;
}

sealed class QuantileAccumulator : Accumulator
{
    readonly List<double> _values = [];

    public override void Start(double value)
    {
        _values.Clear();
        _values.Add(value);
    }

    public override void Add(double value) => _values.Add(value);

    public override double Result(double parameter) => Quantiles.OfUnsorted(parameter, _values);
}

/// <summary>One accumulator a group; groups appear in the order of their first sample.</summary>
sealed class AggregateNode(AggregateExpr expr, VectorNode operand, ScalarNode? parameter, Func<Accumulator> create) : VectorNode
{
    readonly LabelMemo _groupOf = Aggregations.GroupMemo(expr);
    readonly Dictionary<Labels, Group> _groups = [];
    readonly List<Group> _active = [];
    readonly List<VectorSample> _result = [];
    long _step;

    public override List<VectorSample> At(long time)
    {
        _step++;
        _active.Clear();
        foreach (var (labels, value) in operand.At(time))
        {
            var group = Find(_groupOf[labels]);
            if (group.Step == _step)
            {
                group.Accumulator.Add(value);
                continue;
            }

            group.Step = _step;
            group.Accumulator.Start(value);
            _active.Add(group);
        }

        _result.Clear();
        var given = parameter?.At(time) ?? 0;
        foreach (var group in _active)
            _result.Add(new VectorSample(group.Labels, group.Accumulator.Result(given)));
        return _result;
    }

    Group Find(Labels labels)
    {
        if (!_groups.TryGetValue(labels, out var group))
            _groups.Add(labels, group = new Group(labels, create()));
        return group;
    }

    sealed class Group(Labels labels, Accumulator accumulator)
    {
        public Labels Labels { get; } = labels;

        public Accumulator Accumulator { get; } = accumulator;

        public long Step { get; set; }
    }
}

/// <summary>topk and bottomk: the samples themselves, best first within a group; NaN comes last.</summary>
sealed class TopNode(AggregateExpr expr, VectorNode operand, ScalarNode parameter, bool largest) : VectorNode
{
    readonly LabelMemo _groupOf = Aggregations.GroupMemo(expr);
    readonly Dictionary<Labels, List<VectorSample>> _groups = [];
    readonly List<VectorSample> _result = [];

    public override List<VectorSample> At(long time)
    {
        _result.Clear();
        var input = operand.At(time);
        var given = parameter.At(time);
        if (input.Count == 0 || given < 1)
            return _result;
        var limit = Limit(given);
        foreach (var group in _groups.Values)
            group.Clear();
        foreach (var sample in input)
            Keep(Find(_groupOf[sample.Labels]), sample, limit);
        foreach (var group in _groups.Values)
            _result.AddRange(group);
        return _result;
    }

    double Limit(double given)
    {
        if (double.IsNaN(given) || given >= long.MaxValue)
            throw PromQLException.Execution($"the parameter of {expr.Name} is {given}, which is no 64-bit integer");
        return Math.Truncate(given);
    }

    List<VectorSample> Find(Labels labels)
    {
        if (!_groups.TryGetValue(labels, out var group))
            _groups.Add(labels, group = []);
        return group;
    }

    // Sorted insertion, so that of equal values the first come stays.
    void Keep(List<VectorSample> group, VectorSample sample, double limit)
    {
        if (group.Count >= limit && !IsBetter(sample.Value, group[^1].Value))
            return;
        var (low, high) = (0, group.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (IsBetter(sample.Value, group[middle].Value))
                high = middle;
            else
                low = middle + 1;
        }

        if (group.Count >= limit)
            group.RemoveAt(group.Count - 1);
        group.Insert(low, sample);
    }

    bool IsBetter(double a, double b) => largest ? a > b || (double.IsNaN(b) && !double.IsNaN(a)) : a < b || (double.IsNaN(b) && !double.IsNaN(a));
}

/// <summary>Counts equal values; the value becomes a label.</summary>
sealed class CountValuesNode : VectorNode
{
    readonly LabelMemo _groupOf;
    readonly string _label;
    readonly VectorNode _operand;
    readonly Dictionary<(Labels Input, long Bits), Labels> _labels = [];
    readonly Dictionary<Labels, double> _counts = [];
    readonly List<VectorSample> _result = [];

    public CountValuesNode(AggregateExpr expr, VectorNode operand, string label)
    {
        if (label.Length == 0)
            throw PromQLException.Execution("count_values needs a label name that is not empty");
        // The new label takes part in the grouping: "by" keeps it, "without" can drop it.
        _groupOf = Aggregations.GroupMemo(expr, expr.Without ? [] : [label]);
        (_operand, _label) = (operand, label);
    }

    public override List<VectorSample> At(long time)
    {
        _counts.Clear();
        foreach (var (labels, value) in _operand.At(time))
        {
            var key = (labels, BitConverter.DoubleToInt64Bits(value));
            if (!_labels.TryGetValue(key, out var output))
                _labels.Add(key, output = Output(labels, value));
            _counts[output] = _counts.GetValueOrDefault(output) + 1;
        }

        _result.Clear();
        foreach (var (labels, count) in _counts)
            _result.Add(new VectorSample(labels, count));
        return _result;
    }

    Labels Output(Labels labels, double value) => _groupOf[labels.With(_label, GoNumber.WithoutExponent(value))];
}
