namespace Whistle.PromQL;

/// <summary>What counters and gauges did over a range. Algorithms: Prometheus 3.5, promql/functions.go.</summary>
static class Rates
{
    /// <summary>
    /// rate, increase and delta: the difference of last and first sample (over counter resets), extrapolated to the ends of
    /// the range where samples come near enough to them.
    /// </summary>
    public static double? Extrapolated(RangeWindow window, bool isCounter, bool perSecond)
    {
        if (window.Count < 2)
            return null;
        var values = window.Values;
        var difference = isCounter ? Increase(values) : values[^1] - values[0];
        var sampled = (window.Times[^1] - window.Times[0]) / 1000.0;
        var interval = sampled / (window.Count - 1);
        var toStart = Reach((window.Times[0] - window.Start) / 1000.0, interval);
        // A counter is never negative: its zero point bounds how far back it can be extrapolated.
        if (isCounter && difference > 0 && values[0] >= 0)
            toStart = Math.Min(toStart, sampled * (values[0] / difference));
        var toEnd = Reach((window.End - window.Times[^1]) / 1000.0, interval);
        var factor = (sampled + toStart + toEnd) / sampled;
        return difference * (perSecond ? factor / window.Seconds : factor);
    }

    /// <summary>irate and idelta: from the last two samples.</summary>
    public static double? Instant(RangeWindow window, bool isRate)
    {
        if (window.Count < 2)
            return null;
        var (previous, last) = (window.Values[^2], window.Values[^1]);
        var difference = isRate && last < previous ? last : last - previous;
        return isRate ? difference / ((window.Times[^1] - window.Times[^2]) / 1000.0) : difference;
    }

    public static double Resets(ReadOnlySpan<double> values)
    {
        var resets = 0;
        for (var i = 1; i < values.Length; i++)
            resets += values[i] < values[i - 1] ? 1 : 0;
        return resets;
    }

    public static double Changes(ReadOnlySpan<double> values)
    {
        var changes = 0;
        for (var i = 1; i < values.Length; i++)
            changes += values[i] != values[i - 1] && !(double.IsNaN(values[i]) && double.IsNaN(values[i - 1])) ? 1 : 0;
        return changes;
    }

    // Beyond 1.1 intervals the series is taken to begin (or end) inside the range, half an interval past its sample.
    static double Reach(double toBoundary, double interval) => toBoundary >= interval * 1.1 ? interval / 2 : toBoundary;

    // What each reset lost is added to the difference one by one: with extreme values another order gives another sum.
    static double Increase(ReadOnlySpan<double> values)
    {
        var increase = values[^1] - values[0];
        for (var i = 1; i < values.Length; i++)
        {
            if (values[i] < values[i - 1])
                increase += values[i - 1];
        }

        return increase;
    }
}

/// <summary>Least-squares lines through a window.</summary>
static class Regression
{
    public static double? Slope(RangeWindow window) => window.Count < 2 ? null : Fit(window, window.Times[0]).Slope;

    /// <summary>The line's value so many seconds after the time of evaluation.</summary>
    public static double? Predict(RangeWindow window, double seconds)
    {
        if (window.Count < 2)
            return null;
        var (slope, intercept) = Fit(window, window.Time);
        return (slope * seconds) + intercept;
    }

    // NaN differs from itself, so it is no constant.
    static bool IsConstant(ReadOnlySpan<double> values)
    {
        for (var i = 1; i < values.Length; i++)
        {
            if (values[i] != values[0])
                return false;
        }

        return true;
    }

    /// <summary>Slope per second, and the line's value at <paramref name="origin"/>.</summary>
    static (double Slope, double Intercept) Fit(RangeWindow window, long origin)
    {
        var values = window.Values;
        // A constant must give exactly itself, without the rounding of the sums.
        if (IsConstant(values))
            return double.IsInfinity(values[0]) ? (double.NaN, double.NaN) : (0, values[0]);
        CompensatedSum x = default, y = default, xy = default, xx = default;
        for (var i = 0; i < values.Length; i++)
        {
            var at = (window.Times[i] - origin) / 1e3;
            x.Add(at);
            y.Add(values[i]);
            xy.Add(at * values[i]);
            xx.Add(at * at);
        }

        double n = values.Length;
        var (sumX, sumY) = (x.Sum + x.Compensation, y.Sum + y.Compensation);
        var covariance = xy.Sum + xy.Compensation - (sumX * sumY / n);
        var variance = xx.Sum + xx.Compensation - (sumX * sumX / n);
        var slope = covariance / variance;
        return (slope, (sumY / n) - (slope * sumX / n));
    }
}

/// <summary>The values of a window as a population.</summary>
static class OverTime
{
    public static double Sum(ReadOnlySpan<double> values)
    {
        CompensatedSum sum = default;
        foreach (var value in values)
            sum.Add(value);
        return sum.Value;
    }

    public static double Mean(ReadOnlySpan<double> values)
    {
        var mean = new CompensatedMean(values[0]);
        foreach (var value in values[1..])
            mean.Add(value);
        return mean.Value;
    }

    /// <summary>A NaN gives way to any number.</summary>
    public static double Extreme(ReadOnlySpan<double> values, int sign)
    {
        var extreme = values[0];
        foreach (var value in values[1..])
        {
            if (double.IsNaN(extreme) || (sign > 0 ? value > extreme : value < extreme))
                extreme = value;
        }

        return extreme;
    }

    /// <summary>Population variance by Welford's method, both sums compensated.</summary>
    public static double Variance(ReadOnlySpan<double> values)
    {
        CompensatedSum mean = default, squares = default;
        var count = 0.0;
        foreach (var value in values)
        {
            count++;
            var delta = value - (mean.Sum + mean.Compensation);
            mean.Add(delta / count);
            squares.Add(delta * (value - (mean.Sum + mean.Compensation)));
        }

        return (squares.Sum + squares.Compensation) / count;
    }

    /// <summary>Where the last of the smallest (sign −1) or largest values is.</summary>
    public static int LastExtreme(ReadOnlySpan<double> values, int sign)
    {
        var extreme = 0;
        for (var i = 1; i < values.Length; i++)
        {
            if (double.IsNaN(values[extreme]) || (sign > 0 ? values[i] >= values[extreme] : values[i] <= values[extreme]))
                extreme = i;
        }

        return extreme;
    }

    /// <summary>The median of the distances to the median.</summary>
    public static double MedianDeviation(ReadOnlySpan<double> values)
    {
        List<double> distances = [.. values];
        var median = Quantiles.OfUnsorted(0.5, distances);
        for (var i = 0; i < distances.Count; i++)
            distances[i] = Math.Abs(distances[i] - median);
        return Quantiles.OfUnsorted(0.5, distances);
    }

    /// <summary>
    /// Holt's double exponential smoothing: a level that follows the values by <paramref name="smoothing"/> and a slope that follows
    /// the level by <paramref name="trend"/>. Null for fewer than two samples.
    /// </summary>
    public static double? Smoothed(ReadOnlySpan<double> values, double smoothing, double trend)
    {
        RequireFactor(smoothing, "smoothing");
        RequireFactor(trend, "trend");
        if (values.Length < 2)
            return null;
        var (before, level, slope) = (0.0, values[0], values[1] - values[0]);
        for (var i = 1; i < values.Length; i++)
        {
            if (i > 1)
                slope = (trend * (level - before)) + ((1 - trend) * slope);
            (before, level) = (level, (smoothing * values[i]) + ((1 - smoothing) * (level + slope)));
        }

        return level;
    }

    static void RequireFactor(double factor, string name)
    {
        if (!(factor > 0 && factor < 1))
            throw PromQLException.Execution($"the {name} factor of double_exponential_smoothing is {factor}, but must lie between 0 and 1");
    }

    public static double Quantile(ReadOnlySpan<double> values, double q) => Quantiles.OfUnsorted(q, [.. values]);
}

/// <summary>Functions of single values, where Go's differ from .NET's.</summary>
static class Elementwise
{
    /// <summary>Halves go up. Multiplies by the inverse, which has fewer rounding errors for steps such as 0.1.</summary>
    public static double Round(double value, double step)
    {
        var inverse = 1 / step;
        return Math.Floor((value * inverse) + 0.5) / inverse;
    }

    public static double? Clamp(double value, double min, double max) => max < min ? null : Max(min, Min(max, value));

    // An infinity wins over NaN, in Go.
    static double Max(double a, double b) =>
        double.IsPositiveInfinity(a) || double.IsPositiveInfinity(b) ? double.PositiveInfinity : Math.Max(a, b);

    static double Min(double a, double b) =>
        double.IsNegativeInfinity(a) || double.IsNegativeInfinity(b) ? double.NegativeInfinity : Math.Min(a, b);

    /// <summary>NaN outside the years 1 to 9999; Prometheus computes a meaningless date there.</summary>
    public static double DatePart(double seconds, Func<DateTime, int> part)
    {
        const double First = -62_135_596_800;
        const double Last = 253_402_300_799;
        seconds = Math.Truncate(seconds);
        return seconds is >= First and <= Last ? part(DateTime.UnixEpoch.AddSeconds(seconds)) : double.NaN;
    }
}
