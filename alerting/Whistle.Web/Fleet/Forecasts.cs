namespace Whistle.Web.Fleet;

/// <summary>The line that the page draws ahead: shown on the same conditions as the shipped forecast rules judge, but for their levels.</summary>
static class Forecasts
{
    // Slower is further away than anybody plans for.
    static readonly TimeSpan Horizon = TimeSpan.FromDays(30);

    /// <summary>
    /// The used part that is gained per second by filesystems that fill: over one and over six hours, to ever lower points, with
    /// nearly six hours of history. The slower of the two, as the rule needs both to reach the end.
    /// </summary>
    public static string Gain(string matchers)
    {
        var available = $"node_filesystem_avail_bytes{matchers}";
        return $"""
            -(
              (deriv({available}[1h]) > deriv({available}[6h]) or deriv({available}[6h])) < 0
              and deriv({available}[1h]) < 0
              and {available} < min_over_time({available}[2h] offset 90m)
              and min_over_time({available}[1h]) < min_over_time({available}[2h] offset 90m)
              and min_over_time({available}[2h] offset 90m) < min_over_time({available}[2h] offset 4h)
              and count_over_time({available}[30m] offset 330m) > 0
            ) / node_filesystem_size_bytes{matchers}
            """;
    }

    public static Forecast? Of(IReadOnlyList<ChartPoint> points, double gainPerSecond, DateTimeOffset now)
    {
        if (points.Count == 0 || !(gainPerSecond > 0))
            return null;
        var left = (1 - points[^1].Used) / gainPerSecond;
        return left <= Horizon.TotalSeconds ? new Forecast(gainPerSecond, now.AddSeconds(Math.Max(left, 0))) : null;
    }
}
