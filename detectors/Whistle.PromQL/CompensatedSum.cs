namespace Whistle.PromQL;

/// <summary>
/// Kahan summation in Neumaier's form, with the result of an overflow kept: the compensation is dropped once the sum is
/// infinite. Prometheus sums in the same way, which matters where large values cancel.
/// </summary>
struct CompensatedSum(double first)
{
    public double Sum = first;
    public double Compensation;

    public readonly double Value => double.IsInfinity(Sum) ? Sum : Sum + Compensation;

    public void Add(double value)
    {
        var sum = Sum + value;
        if (double.IsInfinity(sum))
            Compensation = 0;
        else if (Math.Abs(Sum) >= Math.Abs(value))
            Compensation += Sum - sum + value;
        else
            Compensation += value - sum + Sum;
        Sum = sum;
    }
}

/// <summary>The mean as sum / count; from where the sum would overflow, as an incremental mean.</summary>
struct CompensatedMean(double first)
{
    CompensatedSum _sum = new(first);
    double _count = 1;
    bool _incremental;

    public readonly double Value =>
        _incremental ? _sum.Sum + _sum.Compensation : (_sum.Sum / _count) + (_sum.Compensation / _count);

    public void Add(double value)
    {
        _count++;
        if (!_incremental)
        {
            var next = _sum;
            next.Add(value);
            if (!double.IsInfinity(next.Sum))
            {
                _sum = next;
                return;
            }

            _incremental = true;
            _sum.Sum /= _count - 1;
            _sum.Compensation /= _count - 1;
        }

        var share = (_count - 1) / _count;
        _sum.Sum *= share;
        _sum.Compensation *= share;
        _sum.Add(value / _count);
    }
}
