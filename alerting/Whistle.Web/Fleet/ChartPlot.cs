using System.Globalization;
using System.Text;

namespace Whistle.Web.Fleet;

/// <summary>A tick of the time axis at <paramref name="X"/>.</summary>
public readonly record struct ChartTick(double X, string Text);

/// <summary>A stretch without data.</summary>
public readonly record struct ChartGap(double X, double Width);

/// <summary>
/// A chart's geometry in the units of its drawing (<see cref="Width"/> × <see cref="Height"/>). The scale always runs from 0
/// to 100 %, so that charts compare; the time axis ends now, or four hours later where there is a forecast.
/// </summary>
public sealed class ChartPlot
{
    public const double Width = 360;
    public const double Height = 132;
    public const double Left = 34;
    public const double Right = 354;
    public const double Top = 8;
    public const double Bottom = 112;

    /// <summary>Levels with a line: half, and where the shipped critical rules begin to look (forecast) and fire (level).</summary>
    public static readonly IReadOnlyList<(double Ratio, string Class)> Levels = [(0, "base"), (0.5, "grid"), (0.8, "warn"), (0.97, "full")];

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
        var last = _chart.Points[^1];
        var end = Math.Min(_end, forecast.Full.ToUnixTimeMilliseconds());
        var used = last.Used + (forecast.GainPerSecond * (end - last.Time) / 1000);
        return $"M{Text(X(last.Time))} {Text(Y(last.Used))}L{Text(X(end))} {Text(Y(used))}";
    }

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
