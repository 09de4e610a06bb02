using System.Globalization;

using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>The value of a series at one step; null leaves it out. The window is never empty.</summary>
delegate double? RangeFunction(RangeWindow window, ReadOnlySpan<double> scalars);

/// <summary>The new value of one sample; null leaves it out.</summary>
delegate double? SampleFunction(double value, ReadOnlySpan<double> scalars);

sealed class RangeFunctionNode(
    RangeSelector range, ScalarNode[] scalars, RangeFunction function, bool keepsName, CancellationToken cancellation) : VectorNode
{
    readonly double[] _scalars = new double[scalars.Length];
    readonly Labels?[] _labels = new Labels?[range.Count];
    readonly HashSet<Labels> _emitted = [];
    readonly List<VectorSample> _result = [];

    public override List<VectorSample> At(long time)
    {
        for (var i = 0; i < scalars.Length; i++)
            _scalars[i] = scalars[i].At(time);
        _result.Clear();
        for (var i = 0; i < range.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            var window = range.Window(i, time);
            if (window.Count > 0 && function(window, _scalars) is { } value)
                _result.Add(new VectorSample(_labels[i] ??= ResultLabels(i), value));
        }

        return _result;
    }

    // Two series that differ in name alone are refused even where they never meet in a step: so Prometheus does it.
    Labels ResultLabels(int index)
    {
        var labels = keepsName ? range.Labels(index) : LabelSets.WithoutName(range.Labels(index));
        return _emitted.Add(labels) ? labels : throw Duplicate(labels);
    }
}

sealed class EachNode(VectorNode operand, ScalarNode[] scalars, SampleFunction function) : VectorNode
{
    readonly double[] _scalars = new double[scalars.Length];
    readonly LabelMemo _labels = new(LabelSets.WithoutName);
    readonly List<VectorSample> _result = [];

    public override List<VectorSample> At(long time)
    {
        for (var i = 0; i < scalars.Length; i++)
            _scalars[i] = scalars[i].At(time);
        _result.Clear();
        foreach (var (labels, value) in operand.At(time))
        {
            if (function(value, _scalars) is { } result)
                _result.Add(new VectorSample(_labels[labels], result));
        }

        if (_labels.HasCollisions)
            RequireDistinct(_result);
        return _result;
    }
}

sealed class ToVectorNode(ScalarNode scalar) : VectorNode
{
    readonly List<VectorSample> _result = [];

    public override List<VectorSample> At(long time)
    {
        _result.Clear();
        _result.Add(new VectorSample(Labels.Empty, scalar.At(time)));
        return _result;
    }
}

/// <summary>When each sample was taken; for anything but a plain selector that is the time of evaluation.</summary>
sealed class TimestampNode : VectorNode
{
    readonly InstantSelectorNode? _selector;
    readonly VectorNode _operand;
    readonly LabelMemo _labels = new(LabelSets.WithoutName);
    readonly List<VectorSample> _result = [];

    public TimestampNode(Expr argument, Planner planner)
    {
        _operand = Planner.Unwrap(argument) is VectorSelector selector ? _selector = planner.Instant(selector) : planner.Vector(argument);
    }

    public override List<VectorSample> At(long time)
    {
        _result.Clear();
        foreach (var (labels, value) in _selector?.TimestampsAt(time) ?? _operand.At(time))
            _result.Add(new VectorSample(_labels[labels], _selector is null ? time / 1000.0 : value));
        if (_labels.HasCollisions)
            RequireDistinct(_result);
        return _result;
    }
}

sealed class SortNode(VectorNode operand, bool descending) : VectorNode
{
    readonly List<VectorSample> _result = [];

    public override List<VectorSample> At(long time)
    {
        _result.Clear();
        _result.AddRange(operand.At(time));
        _result.Sort(Compare);
        return _result;
    }

    // NaN comes last in both directions.
    int Compare(VectorSample a, VectorSample b)
    {
        if (double.IsNaN(a.Value) || double.IsNaN(b.Value))
            return double.IsNaN(a.Value).CompareTo(double.IsNaN(b.Value));
        return descending ? b.Value.CompareTo(a.Value) : a.Value.CompareTo(b.Value);
    }
}

/// <summary>1 where nothing is present, with the labels that the selector's equality matchers tell.</summary>
sealed class AbsentNode(Expr argument, Func<long, bool> isPresent) : VectorNode
{
    readonly Labels _labels = LabelsOf(argument);
    readonly List<VectorSample> _result = [];

    public override List<VectorSample> At(long time)
    {
        _result.Clear();
        if (!isPresent(time))
            _result.Add(new VectorSample(_labels, 1));
        return _result;
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

/// <summary>Groups the buckets of classic histograms by all labels but le and the name.</summary>
sealed class HistogramQuantileNode(ScalarNode quantile, VectorNode operand) : VectorNode
{
    const string BucketLabel = "le";

    static readonly HashSet<string> Dropped = [Labels.MetricName, BucketLabel];

    readonly LabelMemo _histogramOf = new(static labels => LabelSets.Drop(labels, Dropped));
    readonly Dictionary<Labels, List<Bucket>> _buckets = [];
    readonly List<VectorSample> _result = [];

    public override List<VectorSample> At(long time)
    {
        foreach (var buckets in _buckets.Values)
            buckets.Clear();
        foreach (var (labels, value) in operand.At(time))
        {
            if (TryParseBound(labels[BucketLabel], out var bound))
                Find(_histogramOf[labels]).Add(new Bucket(bound, value));
        }

        _result.Clear();
        var q = quantile.At(time);
        foreach (var (labels, buckets) in _buckets)
        {
            if (buckets.Count > 0)
                _result.Add(new VectorSample(labels, Quantiles.OfBuckets(q, buckets)));
        }

        return _result;
    }

    List<Bucket> Find(Labels labels)
    {
        if (!_buckets.TryGetValue(labels, out var buckets))
            _buckets.Add(labels, buckets = []);
        return buckets;
    }

    static bool TryParseBound(string text, out double bound)
    {
        if (text.TrimStart('+').Equals("inf", StringComparison.OrdinalIgnoreCase))
        {
            bound = double.PositiveInfinity;
            return true;
        }

        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out bound);
    }
}
