using System.Globalization;
using System.Text;

namespace Whistle.Web.Charts;

/// <summary>A tick of the time axis at <paramref name="X"/>.</summary>
readonly record struct ChartTick(double X, string Text);

/// <summary>A stretch without data.</summary>
readonly record struct ChartGap(double X, double Width);

/// <summary>
/// A chart's geometry in the units of its drawing (<see cref="Width"/> × <see cref="Height"/>). The scale always runs from 0
/// to 100 %, so that charts compare; the time axis ends now, or four hours later where there is a forecast.
/// </summary>
sealed class ChartPlot
{
    public const double Width = 360;
    public const double Height = 140;
    public const double Left = 34;
    public const double Right = 354;
    public const double Top = 12;
    public const double Bottom = 120;

    /// <summary>Levels with a line that carry no meaning.</summary>
    public static readonly IReadOnlyList<double> Grid = [0, 0.5, 1];

    // Labels nearer to the border than this would be cut off.
    const double TickMargin = 16;

    readonly ChartView _chart;
    readonly long _end;

    public ChartPlot(ChartView chart)
    {
        _chart = chart;
        _end = chart.End + (chart.Forecast is null ? 0 : (long)ChartView.Ahead.TotalMilliseconds);
    }

    public double NowX => X(_chart.End);

    public double X(long time) => Round(Left + ((Right - Left) * (time - _chart.Start) / (_end - _chart.Start)));

    public static double Y(double ratio) => Round(Bottom - ((Bottom - Top) * Math.Clamp(ratio, 0, 1)));

    public static string Text(double coordinate) => coordinate.ToString(CultureInfo.InvariantCulture);

    /// <summary>The line, lifted over gaps; a point on its own becomes a dot (round caps).</summary>
    public string Line()
    {
        var path = new StringBuilder();
        foreach (var run in Runs())
        {
            var separator = 'M';
            foreach (var point in run)
            {
                path.Append(separator).Append(Text(X(point.Time))).Append(' ').Append(Text(Y(point.Used)));
                separator = 'L';
            }

            if (run.Count == 1)
                path.Append("h0");
        }

        return path.ToString();
    }

    /// <summary>The ground under the line.</summary>
    public string Area()
    {
        var path = new StringBuilder();
        foreach (var run in Runs())
        {
            path.Append('M').Append(Text(X(run[0].Time))).Append(' ').Append(Text(Bottom));
            foreach (var point in run)
                path.Append('L').Append(Text(X(point.Time))).Append(' ').Append(Text(Y(point.Used)));
            path.Append('L').Append(Text(X(run[^1].Time))).Append(' ').Append(Text(Bottom)).Append('Z');
        }

        return path.ToString();
    }

    /// <summary>From the last point on, to the end of the axis or to full.</summary>
    public string ForecastLine()
    {
        if (_chart.Forecast is not { } forecast || _chart.Points.Count == 0)
            return "";
        return $"M{Start()}L{At(Reach(forecast.Gain), forecast.Gain)}";
    }

    /// <summary>Between the fastest and the slowest pace.</summary>
    public string ForecastBand()
    {
        if (_chart.Forecast is not { } forecast || _chart.Points.Count == 0)
            return "";
        var path = $"M{Start()}L{At(Reach(forecast.Fastest), forecast.Fastest)}";
        // Once full it stays so until the axis, or the slowest pace, ends.
        var slowest = Reach(forecast.Slowest);
        if (Reach(forecast.Fastest) < slowest)
            path += $"L{At(slowest, forecast.Fastest)}";
        return $"{path}L{At(slowest, forecast.Slowest)}Z";
    }

    /// <summary>Where repairs did something, within the axis.</summary>
    public IReadOnlyList<(double X, RepairMark Mark)> Marks() =>
        [.. _chart.Marks.Where(m => m.At.ToUnixTimeMilliseconds() is var at && at >= _chart.Start && at <= _end).Select(
            m => (X(m.At.ToUnixTimeMilliseconds()), m))];

    /// <summary>Between samples, and from the last one to now. Time before the first sample is no gap: nothing was expected.</summary>
    public IReadOnlyList<ChartGap> Gaps()
    {
        List<ChartGap> gaps = [];
        for (var i = 0; i < _chart.Points.Count; i++)
        {
            var from = _chart.Points[i].Time;
            var to = i + 1 < _chart.Points.Count ? _chart.Points[i + 1].Time : _chart.End;
            if (IsGap(from, to))
                gaps.Add(new(X(from), Round(X(to) - X(from))));
        }

        return gaps;
    }

    public IReadOnlyList<ChartTick> Ticks()
    {
        var step = (long)_chart.Range.Tick.TotalMilliseconds;
        var format = _chart.Range.Tick < TimeSpan.FromDays(1) ? "HH:mm" : "d MMM";
        List<ChartTick> ticks = [];
        for (var time = (_chart.Start + step - 1) / step * step; time <= _end; time += step)
        {
            if (X(time) is var x && x >= Left + TickMargin && x <= Right - TickMargin)
                ticks.Add(new(x, DateTimeOffset.FromUnixTimeMilliseconds(time).UtcDateTime.ToString(format)));
        }

        return ticks;
    }

    string Start() => $"{Text(X(_chart.Points[^1].Time))} {Text(Y(_chart.Last))}";

    long Reach(double gain)
    {
        var seconds = gain > 0 ? (1 - _chart.Last) / gain : double.PositiveInfinity;
        return (long)Math.Min(_end, _chart.Points[^1].Time + Math.Max(seconds * 1000, 0));
    }

    string At(long time, double gain) => $"{Text(X(time))} {Text(Y(_chart.Last + (gain * (time - _chart.Points[^1].Time) / 1000)))}";

    IEnumerable<IReadOnlyList<ChartPoint>> Runs()
    {
        List<ChartPoint> run = [];
        foreach (var point in _chart.Points)
        {
            if (run.Count > 0 && IsGap(run[^1].Time, point.Time))
            {
                yield return run;
                run = [];
            }

            run.Add(point);
        }

        if (run.Count > 0)
            yield return run;
    }

    bool IsGap(long from, long to) => to - from > _chart.Range.Step * 3 / 2;

    static double Round(double coordinate) => Math.Round(coordinate, 1);
}
