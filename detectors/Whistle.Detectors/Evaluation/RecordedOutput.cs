using Whistle.Telemetry;

namespace Whistle.Detectors.Evaluation;

/// <summary>
/// The series that a rule writes: those that it wrote at its evaluation before and does not write again get a staleness marker. Labels are
/// worked out once a series.
/// </summary>
sealed class RecordedOutput
{
    readonly Dictionary<object, Written> _byKey = [];
    readonly Dictionary<Labels, Written> _byLabels = [];
    readonly LabelPool _names = new();
    int _evaluation;

    public void Begin() => _evaluation++;

    /// <summary>The series of a key that was opened before and has not ended.</summary>
    public Written? Find(object key) => _byKey.GetValueOrDefault(key);

    /// <param name="key">What the labels follow from; null where they must be worked out each time.</param>
    /// <param name="labels">The series.</param>
    public Written Open(object? key, Labels labels)
    {
        if (!_byLabels.TryGetValue(labels, out var written))
        {
            labels = _names.ShareNames(labels);
            _byLabels.Add(labels, written = new Written(new RecordedSeries(labels)));
        }

        if (key is not null)
        {
            _byKey.Add(key, written);
            written.Keys.Add(key);
        }

        return written;
    }

    /// <exception cref="InvalidOperationException">The series was written in this evaluation already.</exception>
    public void Add(Written written, long at, double value, List<RecordedSample> into)
    {
        if (written.Evaluation == _evaluation)
            throw new InvalidOperationException(
                $"two elements become the same series {written.Series.Labels}; keep a label that distinguishes them");
        written.Evaluation = _evaluation;
        into.Add(new(written.Series, at, value));
    }

    /// <summary>Ends what was not written in this evaluation.</summary>
    public void End(long at, List<RecordedSample> into) =>
        into.AddRange(Ended().Select(w => new RecordedSample(w.Series, at, StaleMarker.Value)));

    /// <summary>What <see cref="End"/> gave is durable; else it is ended again the next time.</summary>
    public void Settle()
    {
        foreach (var written in Ended().ToList())
            Remove(written);
    }

    /// <summary>Forgets series that are another's to write from now on: they do not end.</summary>
    public void Forget(Func<Labels, bool> keeps)
    {
        foreach (var written in _byLabels.Values.Where(w => !keeps(w.Series.Labels)).ToList())
            Remove(written);
    }

    void Remove(Written written)
    {
        _byLabels.Remove(written.Series.Labels);
        written.Keys.ForEach(key => _byKey.Remove(key));
    }

    IEnumerable<Written> Ended() => _byLabels.Values.Where(w => w.Evaluation != _evaluation);

    public sealed class Written(RecordedSeries series)
    {
        public RecordedSeries Series => series;

        public List<object> Keys { get; } = new(1);

        public int Evaluation { get; set; }
    }
}
