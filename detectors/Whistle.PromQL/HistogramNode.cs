using System.Globalization;

using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>
/// Groups the buckets of classic histograms by all labels but le and the name. Buckets without le, or with one that is not a number,
/// are passed over.
/// </summary>
sealed class HistogramNode(VectorNode operand, ScalarNode[] scalars, HistogramFunction function)
    : DerivedNode(new DerivedSlots(operand.Slots, static labels => LabelSets.Drop(labels, Dropped)))
{
    const string BucketLabel = "le";

    static readonly HashSet<string> Dropped = [Labels.MetricName, BucketLabel];

    readonly ScalarArguments _scalars = new(scalars);
    readonly List<double?> _bounds = [];
    readonly List<List<Bucket>> _histograms = [];
    readonly List<int> _present = [];

    public override ReadOnlySpan<Point> At(long time)
    {
        foreach (var histogram in _present)
            _histograms[histogram].Clear();
        _present.Clear();
        foreach (var (slot, value) in operand.At(time))
        {
            if (BoundOf(slot) is not { } bound)
                continue;
            var histogram = SlotOf(slot);
            while (_histograms.Count <= histogram)
                _histograms.Add([]);
            if (_histograms[histogram].Count == 0)
                _present.Add(histogram);
            _histograms[histogram].Add(new Bucket(bound, value));
        }

        var given = _scalars.At(time);
        Result.Clear();
        foreach (var histogram in _present)
            Result.Add(histogram, function(_histograms[histogram], given));
        return Result.Span;
    }

    double? BoundOf(int slot)
    {
        while (_bounds.Count <= slot)
            _bounds.Add(Parse(operand.Slots.Peek(_bounds.Count)[BucketLabel]));
        return _bounds[slot];
    }

    static double? Parse(string text)
    {
        if (text.TrimStart('+').Equals("inf", StringComparison.OrdinalIgnoreCase))
            return double.PositiveInfinity;
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var bound) ? bound : null;
    }
}

/// <summary>What a classic histogram tells; it may change the list.</summary>
delegate double HistogramFunction(List<Bucket> buckets, ReadOnlySpan<double> scalars);
