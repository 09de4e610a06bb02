using Whistle.Web.Places;
using Whistle.Web.Text;

namespace Whistle.Web.Charts;

/// <summary>
/// How something goes on if it grows as it did. The gains are parts of the whole a second: the expected one, and the fastest and slowest
/// that the past allows.
/// </summary>
/// <param name="Latest">Null where the slowest pace never gets there within the horizon.</param>
public sealed record Forecast(
    double Gain, double Fastest, double Slowest, DateTimeOffset Full, DateTimeOffset Earliest, DateTimeOffset? Latest)
{
    /// <summary>Such as <c>in 3 h 10 min (2 h 40 min to 5 h)</c>.</summary>
    public string Words(DateTimeOffset now) => Full <= now
        ? "now"
        : $"in {Quantity.Span(Full - now)} ({Quantity.Span(Earliest - now)} to "
            + $"{(Latest is { } latest ? Quantity.Span(latest - now) : "not at all")})";
}

/// <summary>A disk that a rule expects to be full.</summary>
public sealed record DueForecast(FilesystemKey Key, double Used, double Available, Forecast Forecast);

/// <summary>
/// The line that the pages draw ahead. Whether a disk fills is asked as the shipped forecast rules ask it, but for their levels; how fast
/// is a straight line through the last hour and one through the last six, and the band is what lies between the two with their own
/// uncertainty.
/// </summary>
static class Forecasts
{
    /// <summary>How far back the lines go.</summary>
    public static readonly TimeSpan Past = TimeSpan.FromHours(6);

    static readonly TimeSpan Lately = TimeSpan.FromHours(1);

    // Slower is further away than anybody plans for.
    static readonly TimeSpan Horizon = TimeSpan.FromDays(30);

    // A line that explains less of what happened is no forecast.
    const double LeastExplained = 0.8;
    const double Errors = 2;

    /// <summary>Filesystems that fill: over one and over six hours, to ever lower points, with nearly six hours of history.</summary>
    public static string Filling(string matchers)
    {
        var available = $"node_filesystem_avail_bytes{matchers}";
        return $"""
            deriv({available}[6h]) < 0
              and deriv({available}[1h]) < 0
              and {available} < min_over_time({available}[2h] offset 90m)
              and min_over_time({available}[1h]) < min_over_time({available}[2h] offset 90m)
              and min_over_time({available}[2h] offset 90m) < min_over_time({available}[2h] offset 4h)
              and count_over_time({available}[30m] offset 330m) > 0
            """;
    }

    /// <param name="points">Of the last <see cref="Past"/>, in time order.</param>
    /// <param name="clearly">It must be a line, not only a rise: for what no rule has judged.</param>
    public static Forecast? Of(IReadOnlyList<ChartPoint> points, DateTimeOffset now, bool clearly = false)
    {
        if (points.Count < 10)
            return null;
        var from = (now - Lately).ToUnixTimeMilliseconds();
        var (whole, late) = (Line.Through(points), Line.Through([.. points.Where(p => p.Time >= from)]));
        if (!(whole.Slope > 0 && late.Slope > 0)
            || clearly && (whole.Explained < LeastExplained || points[^1].Time - points[0].Time < Past.TotalMilliseconds * 0.8))
            return null;
        var gain = Math.Min(whole.Slope, late.Slope);
        var fastest = Math.Max(whole.Slope + (Errors * whole.Error), late.Slope + (Errors * late.Error));
        var slowest = Math.Min(whole.Slope - (Errors * whole.Error), late.Slope - (Errors * late.Error));
        return When(points[^1].Used, gain, now) is { } full && When(points[^1].Used, fastest, now) is { } earliest
            ? new(gain, fastest, Math.Max(slowest, 0), full, earliest, When(points[^1].Used, slowest, now))
            : null;
    }

    static DateTimeOffset? When(double used, double gain, DateTimeOffset now)
    {
        var seconds = gain > 0 ? (1 - used) / gain : double.PositiveInfinity;
        return seconds <= Horizon.TotalSeconds ? now.AddSeconds(Math.Max(seconds, 0)) : null;
    }

    /// <summary>A least-squares line: slope a second, its standard error, and how much of the scatter it explains.</summary>
    readonly record struct Line(double Slope, double Error, double Explained)
    {
        public static Line Through(IReadOnlyList<ChartPoint> points)
        {
            if (points.Count < 3)
                return new(double.NaN, double.NaN, 0);
            var x0 = points[0].Time;
            var meanX = points.Average(p => (p.Time - x0) / 1000.0);
            var meanY = points.Average(p => p.Used);
            double xx = 0, xy = 0, yy = 0;
            foreach (var point in points)
            {
                var (x, y) = (((point.Time - x0) / 1000.0) - meanX, point.Used - meanY);
                (xx, xy, yy) = (xx + (x * x), xy + (x * y), yy + (y * y));
            }

            var slope = xy / xx;
            var rest = Math.Max(yy - (slope * xy), 0);
            return new(slope, Math.Sqrt(rest / (points.Count - 2) / xx), yy > 0 ? 1 - (rest / yy) : 1);
        }
    }
}
