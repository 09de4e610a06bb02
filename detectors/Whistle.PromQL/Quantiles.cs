using System.Runtime.InteropServices;

namespace Whistle.PromQL;

/// <summary>A bucket of a classic histogram: how many observations are ≤ its bound.</summary>
record struct Bucket(double UpperBound, double Count);

static class Quantiles
{
    /// <summary>Linear interpolation between the ranks; NaN sorts first. Sorts the list.</summary>
    public static double OfUnsorted(double q, List<double> values)
    {
        if (values.Count == 0 || double.IsNaN(q))
            return double.NaN;
        if (q < 0)
            return double.NegativeInfinity;
        if (q > 1)
            return double.PositiveInfinity;
        values.Sort();
        var rank = q * (values.Count - 1);
        var lower = (int)Math.Max(0, Math.Floor(rank));
        var upper = Math.Min(values.Count - 1, lower + 1);
        var weight = rank - Math.Floor(rank);
        return (values[lower] * (1 - weight)) + (values[upper] * weight);
    }

    /// <summary>
    /// The quantile of a classic histogram, interpolated within its bucket as histogram_quantile does. NaN without a +Inf
    /// bucket, with fewer than two buckets, or without observations. Changes the list.
    /// </summary>
    public static double OfBuckets(double q, List<Bucket> buckets)
    {
        if (double.IsNaN(q))
            return double.NaN;
        if (q < 0)
            return double.NegativeInfinity;
        if (q > 1)
            return double.PositiveInfinity;
        buckets.Sort(static (a, b) => a.UpperBound.CompareTo(b.UpperBound));
        if (!double.IsPositiveInfinity(buckets[^1].UpperBound))
            return double.NaN;
        Coalesce(buckets);
        EnsureMonotonic(buckets);
        if (buckets.Count < 2)
            return double.NaN;
        var observations = buckets[^1].Count;
        return observations == 0 ? double.NaN : Interpolate(q * observations, buckets);
    }

    /// <summary>
    /// The part of a classic histogram's observations that lies between two values, interpolated within buckets. NaN where
    /// <see cref="OfBuckets"/> knows nothing either. Changes the list.
    /// </summary>
    public static double Fraction(double lower, double upper, List<Bucket> buckets)
    {
        buckets.Sort(static (a, b) => a.UpperBound.CompareTo(b.UpperBound));
        if (!double.IsPositiveInfinity(buckets[^1].UpperBound))
            return double.NaN;
        Coalesce(buckets);
        var observations = buckets[^1].Count;
        if (observations == 0 || double.IsNaN(lower) || double.IsNaN(upper))
            return double.NaN;
        return lower >= upper ? 0 : (RankOf(upper, buckets) - RankOf(lower, buckets)) / observations;
    }

    // How many observations are below the value. The lowest bucket begins at -Inf: within it nothing can be interpolated (NaN).
    static double RankOf(double value, List<Bucket> buckets)
    {
        var (start, below, observations) = (double.NegativeInfinity, 0.0, buckets[^1].Count);
        foreach (var (end, count) in buckets)
        {
            if (value <= start)
                break;
            if (value < end)
            {
                below += (count - below) * (value - start) / (end - start);
                break;
            }

            (start, below) = (end, count);
        }

        return below > observations ? observations : below;
    }

    static double Interpolate(double rank, List<Bucket> buckets)
    {
        var index = 0;
        while (index < buckets.Count - 1 && !(buckets[index].Count >= rank))
            index++;
        if (index == buckets.Count - 1)
            return buckets[^2].UpperBound;
        var (end, count) = buckets[index];
        if (index == 0 && end <= 0)
            return end;
        var start = 0.0;
        if (index > 0)
        {
            start = buckets[index - 1].UpperBound;
            count -= buckets[index - 1].Count;
            rank -= buckets[index - 1].Count;
        }

        return start + ((end - start) * (rank / count));
    }

    // The same bound may come in two spellings ("1" and "1.0"), from two instances.
    static void Coalesce(List<Bucket> buckets)
    {
        var last = 0;
        for (var i = 1; i < buckets.Count; i++)
        {
            if (buckets[i].UpperBound == buckets[last].UpperBound)
                buckets[last] = buckets[last] with { Count = buckets[last].Count + buckets[i].Count };
            else
                buckets[++last] = buckets[i];
        }

        buckets.RemoveRange(last + 1, buckets.Count - last - 1);
    }

    // Buckets are scraped one after the other, so counts can be inconsistent; a difference below 1e-12 (relative) is rounding.
    static void EnsureMonotonic(List<Bucket> buckets)
    {
        var previous = buckets[0].Count;
        foreach (ref var bucket in CollectionsMarshal.AsSpan(buckets)[1..])
        {
            if (bucket.Count < previous || IsRounding(previous, bucket.Count))
                bucket.Count = previous;
            else
                previous = bucket.Count;
        }
    }

    static bool IsRounding(double a, double b)
    {
        const double Tolerance = 1e-12;
        if (a == b)
            return false;
        var difference = Math.Abs(a - b);
        var sum = Math.Abs(a) + Math.Abs(b);
        return difference / Math.Min(sum, double.MaxValue) < Tolerance;
    }
}
