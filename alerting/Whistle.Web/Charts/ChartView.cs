using Whistle.Web.Text;

namespace Whistle.Web.Charts;

/// <summary>A point of a chart: milliseconds since 1970 UTC, and the used part of the whole.</summary>
public readonly record struct ChartPoint(long Time, double Used);

/// <summary>A level with a meaning: where a shipped rule looks or fires.</summary>
public sealed record Threshold(double Ratio, string Words, bool IsWorst);

/// <summary>Something that a repair did, on the time axis.</summary>
public sealed record RepairMark(DateTimeOffset At, string Text);

public enum ChartKind
{
    Filesystem,
    Memory,
    Cpu,
}

/// <summary>The use of something over a range. Points are in time order; where samples are missing there is none.</summary>
public sealed record ChartView
{
    /// <summary>How far a forecast is drawn, and how early the shipped critical rule warns.</summary>
    public static readonly TimeSpan Ahead = TimeSpan.FromHours(4);

    /// <summary>Where the shipped critical rules begin to look (forecast) and fire (level).</summary>
    public static readonly IReadOnlyList<Threshold> OfFilesystems = [new(0.8, "critical if filling", false), new(0.97, "critical", true)];

    const int RowsOfText = 24;

    public required ChartKind Kind { get; init; }

    /// <summary>The mount point, or what is used.</summary>
    public required string Name { get; init; }

    public required ChartRange Range { get; init; }

    public required DateTimeOffset Now { get; init; }

    public required IReadOnlyList<ChartPoint> Points { get; init; }

    /// <summary>Null where it does not grow steadily.</summary>
    public Forecast? Forecast { get; init; }

    public IReadOnlyList<RepairMark> Marks { get; init; } = [];

    /// <summary>A filesystem that the node's newest report no longer has.</summary>
    public bool IsGone { get; init; }

    public IReadOnlyList<Threshold> Thresholds => Kind is ChartKind.Filesystem ? OfFilesystems : [];

    public long Start => End - (long)Range.Length.TotalMilliseconds;

    public long End => Now.ToUnixTimeMilliseconds();

    public double Last => Points.Count > 0 ? Points[^1].Used : double.NaN;

    /// <summary>The chart in words.</summary>
    public string Words
    {
        get
        {
            if (Points.Count == 0)
                return $"No data in the {Range.Words}.";
            var last = Quantity.ShortInstant(DateTimeOffset.FromUnixTimeMilliseconds(Points[^1].Time), Now);
            var text = $"{Quantity.Percent(Last)} used at {last}; {Range.Words}: minimum {Quantity.Percent(Points.Min(p => p.Used))}, "
                + $"maximum {Quantity.Percent(Points.Max(p => p.Used))}.";
            return Forecast is null ? text : $"{text} At this rate it is full {Forecast.Words(Now)}.";
        }
    }

    /// <summary>Evenly thinned points, the latest always among them, the latest first.</summary>
    public IEnumerable<ChartPoint> Thinned()
    {
        var stride = Math.Max(1, (Points.Count + RowsOfText - 1) / RowsOfText);
        for (var i = Points.Count - 1; i >= 0; i -= stride)
            yield return Points[i];
    }
}
