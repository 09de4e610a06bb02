using System.Runtime.InteropServices;

using Whistle.Telemetry;

namespace Whistle.Ingest.Stores;

/// <summary>
/// Gathers the samples of series from rows. Nearly all come in time order, so they are appended; what does not waits apart. Where a time
/// comes twice, the first stays.
/// </summary>
sealed class StoredSamples
{
    readonly Dictionary<uint, Track> _byId = [];
    readonly Dictionary<Labels, Track> _tracks = [];

    /// <summary>From here on, rows are of a source whose ids mean these series. Two ids may mean the same one.</summary>
    public void Begin(Dictionary<uint, Labels> series)
    {
        _byId.Clear();
        foreach (var (id, labels) in series)
            _byId[id] = TrackOf(labels);
    }

    /// <summary>
    /// Rows of one series that follow each other are taken at once; those of a series that is not wanted are passed over.
    /// </summary>
    /// <returns>How many were taken.</returns>
    public int Add(ReadOnlySpan<uint> series, ReadOnlySpan<long> times, ReadOnlySpan<double> values)
    {
        var taken = 0;
        for (int from = 0, to; from < series.Length; from = to)
        {
            to = series[from..].IndexOfAnyExcept(series[from]) is > 0 and var length ? from + length : series.Length;
            if (!_byId.TryGetValue(series[from], out var track))
                continue;
            track.Add(times[from..to], values[from..to]);
            taken += to - from;
        }

        return taken;
    }

    public void Add(SeriesSamples samples) => Add(samples.Labels, samples.Times, samples.Values);

    public void Add(Labels labels, ReadOnlySpan<long> times, ReadOnlySpan<double> values) => TrackOf(labels).Add(times, values);

    public List<SeriesSamples> Build() => [.. _tracks.Where(t => t.Value.HasAny).Select(t => t.Value.Build(t.Key))];

    Track TrackOf(Labels labels) => CollectionsMarshal.GetValueRefOrAddDefault(_tracks, labels, out _) ??= new Track();

    sealed class Track
    {
        readonly List<long> _times = [];
        readonly List<double> _values = [];
        SortedList<long, double>? _rest;

        public bool HasAny => _times.Count > 0;

        public void Add(ReadOnlySpan<long> times, ReadOnlySpan<double> values)
        {
            if (IsAscending(times))
            {
                _times.AddRange(times);
                _values.AddRange(values);
                return;
            }

            for (var i = 0; i < times.Length; i++)
            {
                if (IsAscending(times.Slice(i, 1)))
                {
                    _times.Add(times[i]);
                    _values.Add(values[i]);
                }
                else
                {
                    (_rest ??= []).TryAdd(times[i], values[i]);
                }
            }
        }

        public SeriesSamples Build(Labels labels)
        {
            if (_rest is null)
                return new SeriesSamples(labels, [.. _times], [.. _values]);
            for (var i = 0; i < _times.Count; i++)
                _rest[_times[i]] = _values[i];
            return new SeriesSamples(labels, [.. _rest.Keys], [.. _rest.Values]);
        }

        bool IsAscending(ReadOnlySpan<long> times)
        {
            var last = _times.Count > 0 ? _times[^1] : long.MinValue;
            foreach (var time in times)
            {
                if (time <= last)
                    return false;
                last = time;
            }

            return true;
        }
    }
}
