namespace Whistle.Ingest;

/// <summary>What one transaction writes: parallel columns, filled by the committer and used again and again.</summary>
sealed class CommitBatch
{
    public List<HeadSeries> NewSeries { get; } = [];

    public HeadSeries[] Series { get; private set; } = new HeadSeries[4096];

    public long[] Times { get; private set; } = new long[4096];

    public double[] Values { get; private set; } = new double[4096];

    /// <summary>True for what is not newer than all that its series already has.</summary>
    public bool[] Late { get; private set; } = new bool[4096];

    public int Count { get; private set; }

    public long MinTime { get; private set; } = long.MaxValue;

    public void Add(HeadSeries series, long time, double value, bool late)
    {
        if (Count == Times.Length)
            Grow();
        Series[Count] = series;
        Times[Count] = time;
        Values[Count] = value;
        Late[Count++] = late;
        MinTime = Math.Min(MinTime, time);
    }

    public void Clear()
    {
        NewSeries.Clear();
        Array.Clear(Series, 0, Count);
        Count = 0;
        MinTime = long.MaxValue;
    }

    void Grow()
    {
        var size = Times.Length * 2;
        var (series, times, values, late) = (Series, Times, Values, Late);
        Array.Resize(ref series, size);
        Array.Resize(ref times, size);
        Array.Resize(ref values, size);
        Array.Resize(ref late, size);
        (Series, Times, Values, Late) = (series, times, values, late);
    }
}
