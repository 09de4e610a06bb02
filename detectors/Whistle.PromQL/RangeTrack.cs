using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>
/// The values that one series gets over the steps of a range query. Which steps these were is kept only where there is a gap.
/// </summary>
sealed class RangeTrack
{
    double[] _values = new double[4];
    List<int>? _steps;
    int _count;
    int _first;

    /// <param name="step">Its number, higher than the one before.</param>
    /// <param name="value">What the series has there.</param>
    public void Add(int step, double value)
    {
        if (_count == 0)
            _first = step;
        else if (_steps is null && step != _first + _count)
            _steps = [.. Enumerable.Range(_first, _count)];
        _steps?.Add(step);
        if (_count == _values.Length)
            Array.Resize(ref _values, _count * 2);
        _values[_count++] = value;
    }

    /// <param name="labels">Of the series.</param>
    /// <param name="times">Of all steps; series with a value at each share it.</param>
    public SeriesSamples Build(Labels labels, long[] times)
    {
        Array.Resize(ref _values, _count);
        var mine =
            _steps is not null ? [.. _steps.Select(s => times[s])] : _count == times.Length ? times : times[_first..(_first + _count)];
        return new SeriesSamples(labels, mine, _values);
    }
}
