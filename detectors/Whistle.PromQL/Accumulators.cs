namespace Whistle.PromQL;

/// <summary>
/// Folds the values of one group; used again for the next step. A structure, so that a group costs no object and a sample no virtual call.
/// </summary>
interface IAccumulator
{
    void Start(double value);

    void Add(double value);

    double Result(double parameter);
}

struct SumAccumulator : IAccumulator
{
    CompensatedSum _sum;

    public void Start(double value) => _sum = new CompensatedSum(value);

    public void Add(double value) => _sum.Add(value);

    public readonly double Result(double parameter) => _sum.Value;
}

struct MeanAccumulator : IAccumulator
{
    CompensatedMean _mean;

    public void Start(double value) => _mean = new CompensatedMean(value);

    public void Add(double value) => _mean.Add(value);

    public readonly double Result(double parameter) => _mean.Value;
}

/// <summary>A NaN gives way to any number.</summary>
struct MinAccumulator : IAccumulator
{
    double _value;

    public void Start(double value) => _value = value;

    public void Add(double value)
    {
        if (double.IsNaN(_value) || value < _value)
            _value = value;
    }

    public readonly double Result(double parameter) => _value;
}

/// <summary>A NaN gives way to any number.</summary>
struct MaxAccumulator : IAccumulator
{
    double _value;

    public void Start(double value) => _value = value;

    public void Add(double value)
    {
        if (double.IsNaN(_value) || value > _value)
            _value = value;
    }

    public readonly double Result(double parameter) => _value;
}

struct CountAccumulator : IAccumulator
{
    double _count;

    public void Start(double value) => _count = 1;

    public void Add(double value) => _count++;

    public readonly double Result(double parameter) => _count;
}

struct GroupAccumulator : IAccumulator
{
    public readonly void Start(double value)
    {
    }

    public readonly void Add(double value)
    {
    }

    public readonly double Result(double parameter) => 1;
}

/// <summary>Population variance by Welford's method.</summary>
struct VarianceAccumulator : IAccumulator
{
    double _count;
    double _mean;
    double _squares;

    public void Start(double value) => (_count, _mean, _squares) = (1, value, double.IsFinite(value) ? 0 : double.NaN);

    public void Add(double value)
    {
        _count++;
        var delta = value - _mean;
        _mean += delta / _count;
        _squares += delta * (value - _mean);
    }

    public readonly double Result(double parameter) => _squares / _count;
}

struct DeviationAccumulator : IAccumulator
{
    VarianceAccumulator _variance;

    public void Start(double value) => _variance.Start(value);

    public void Add(double value) => _variance.Add(value);

    public readonly double Result(double parameter) => Math.Sqrt(_variance.Result(parameter));
}

struct QuantileAccumulator : IAccumulator
{
    List<double>? _values;

    public void Start(double value)
    {
        _values ??= [];
        _values.Clear();
        _values.Add(value);
    }

    public readonly void Add(double value) => _values!.Add(value);

    public readonly double Result(double parameter) => Quantiles.OfUnsorted(parameter, _values!);
}
