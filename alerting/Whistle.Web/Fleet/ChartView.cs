namespace Whistle.Web.Fleet;

/// <summary>A point of a chart: milliseconds since 1970 UTC, and the used part of the size.</summary>
public readonly record struct ChartPoint(long Time, double Used);

/// <summary>How a disk goes on if it fills as it did: the used part gained per second, and when nothing is left.</summary>
public sealed record Forecast(double GainPerSecond, DateTimeOffset Full);

/// <summary>A filesystem's use over a range. Points are in time order; where samples are missing there is none.</summary>
public sealed record ChartView(ChartRange Range, DateTimeOffset Now, IReadOnlyList<ChartPoint> Points, Forecast? Forecast)
{
    /// <summary>How far a forecast is drawn, and how early the shipped critical rule warns.</summary>
    public static readonly TimeSpan Ahead = TimeSpan.FromHours(4);

    const int RowsOfText = 24;

    public long Start => End - (long)Range.Length.TotalMilliseconds;

    public long End => Now.ToUnixTimeMilliseconds();

    /// <summary>The chart in words.</summary>
    public string Words
    {
        get
        {
            if (Points.Count == 0)
                return $"No data in the {Range.Words}.";
            var last = Quantity.ShortInstant(DateTimeOffset.FromUnixTimeMilliseconds(Points[^1].Time), Now);
            var text = $"{Quantity.Percent(Points[^1].Used)} used at {last}; in the {Range.Words} at the least {Quantity.Percent(Points.Min(p => p.Used))}, at the most {Quantity.Percent(Points.Max(p => p.Used))}.";
            return Forecast is null ? text : $"{text} It is filling: at this pace it is full {FullWords}.";
        }
    }

    public string FullWords => Forecast is null ? "" : $"in about {Quantity.Span(Forecast.Full - Now)}";

    /// <summary>Evenly thinned points, the latest always among them, the latest first.</summary>
    public IEnumerable<ChartPoint> Thinned()
    {
        var stride = Math.Max(1, (Points.Count + RowsOfText - 1) / RowsOfText);
        for (var i = Points.Count - 1; i >= 0; i -= stride)
            yield return Points[i];
    }
}
