using Whistle.Telemetry;

namespace Whistle.Agent.Reporting;

/// <summary>
/// The series of one collector from report to report. Label sets and sample arrays are made once and used again, so a
/// report of known series allocates nothing. A pass is <see cref="Begin"/>, any number of <see cref="Add(string, double)"/>,
/// then <see cref="Commit"/> or <see cref="Abandon"/>. Not thread-safe.
/// </summary>
sealed class SeriesSet
{
    readonly Label[] _common;
    readonly Dictionary<Key, Series> _series;
    readonly Dictionary<Key, Series>.AlternateLookup<KeyView> _byView;
    readonly List<Key> _gone = [];
    int _pass;

    /// <param name="common">Labels that every series carries.</param>
    public SeriesSet(params Label[] common)
    {
        _common = common;
        _series = new Dictionary<Key, Series>(new KeyComparer());
        _byView = _series.GetAlternateLookup<KeyView>();
    }

    public int Count => _series.Count;

    /// <summary>Rises whenever a series comes or goes.</summary>
    public long Changes { get; private set; }

    public IEnumerable<(string Metric, Label[] Labels)> Known => _series.Keys.Select(key => (key.Metric, key.Labels));

    /// <summary>Takes a series as one of the last successful pass, before the first pass.</summary>
    public void Restore(string metric, Label[] labels)
    {
        var series = NewSeries(metric, labels);
        series.Committed = true;
        _series[new Key(metric, labels)] = series;
    }

    public void Begin() => _pass++;

    public void Add(string metric, double value) => Add(metric, value, []);

    public void Add(string metric, double value, string name, string label) => Add(metric, value, [new Label(name, label)]);

    /// <summary>A series given twice in one pass keeps its first value, as in node_exporter.</summary>
    public void Add(string metric, double value, params ReadOnlySpan<Label> labels)
    {
        var view = new KeyView(metric, labels);
        if (!_byView.TryGetValue(view, out var series))
        {
            series = NewSeries(metric, labels);
            _byView[view] = series;
            Changes++;
        }

        if (series.Pass == _pass)
            return;
        series.Pass = _pass;
        series.Value = value;
    }

    /// <summary>Nothing is known of this series in this pass: it is not reported, and it has not vanished either.</summary>
    public void Hold(string metric, params ReadOnlySpan<Label> labels)
    {
        if (_byView.TryGetValue(new KeyView(metric, labels), out var series) && series.Pass != _pass)
            series.HeldIn = _pass;
    }

    /// <summary>
    /// The pass succeeded: appends its series, and one staleness marker for each series that the last successful
    /// pass had and this one has not. The appended objects are valid until the next pass.
    /// </summary>
    public void Commit(long time, List<TimeSeries> report)
    {
        foreach (var (key, series) in _series)
        {
            if (series.HeldIn == _pass)
                continue;
            if (series.Pass != _pass)
                _gone.Add(key);
            var value = series.Pass == _pass ? series.Value : StaleMarker.Value;
            series.Committed = true;
            report.Add(series.At(time, value));
        }

        RemoveGone();
    }

    /// <summary>The pass failed: nothing is reported, and what the last successful pass had stays known.</summary>
    public void Abandon()
    {
        foreach (var (key, series) in _series)
        {
            if (!series.Committed)
                _gone.Add(key);
        }

        RemoveGone();
    }

    Series NewSeries(string metric, ReadOnlySpan<Label> labels) =>
        new(Labels.From([.. labels, .. _common, new Label(Labels.MetricName, metric)]));

    void RemoveGone()
    {
        Changes += _gone.Count;
        _gone.ForEach(key => _series.Remove(key));
        _gone.Clear();
    }

    sealed class Series
    {
        readonly Sample[] _sample = new Sample[1];
        readonly TimeSeries _reported;

        public Series(Labels labels) => _reported = new TimeSeries(labels, _sample);

        public int Pass { get; set; }

        public int HeldIn { get; set; }

        public double Value { get; set; }

        public bool Committed { get; set; }

        public TimeSeries At(long time, double value)
        {
            _sample[0] = new Sample(time, value);
            return _reported;
        }
    }

    sealed record Key(string Metric, Label[] Labels);

    readonly ref struct KeyView(string metric, ReadOnlySpan<Label> labels)
    {
        public readonly string Metric = metric;
        public readonly ReadOnlySpan<Label> Labels = labels;
    }

    sealed class KeyComparer : IEqualityComparer<Key>, IAlternateEqualityComparer<KeyView, Key>
    {
        public bool Equals(Key? x, Key? y) =>
            x is null || y is null ? ReferenceEquals(x, y) : Equals(new KeyView(x.Metric, x.Labels), y);

        public bool Equals(KeyView alternate, Key other) =>
            alternate.Metric == other.Metric && alternate.Labels.SequenceEqual(other.Labels);

        public int GetHashCode(Key key) => GetHashCode(new KeyView(key.Metric, key.Labels));

        public int GetHashCode(KeyView alternate)
        {
            var hash = new HashCode();
            hash.Add(alternate.Metric);
            foreach (var label in alternate.Labels)
                hash.Add(label.Value);
            return hash.ToHashCode();
        }

        public Key Create(KeyView alternate) => new(alternate.Metric, alternate.Labels.ToArray());
    }
}
