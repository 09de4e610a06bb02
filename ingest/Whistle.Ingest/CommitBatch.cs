namespace Whistle.Ingest;

/// <summary>What one transaction writes: parallel columns, filled by the committer and used again and again.</summary>
sealed class CommitBatch
{
    const int UsualSize = 4096;

    // What an unusually large request made grow past this is let go again.
    const int KeptSize = 256 * 1024;

    public List<HeadSeries> NewSeries { get; } = [];

    public HeadSeries[] Series { get; private set; } = new HeadSeries[UsualSize];

    public long[] Times { get; private set; } = new long[UsualSize];

    public double[] Values { get; private set; } = new double[UsualSize];

    /// <summary>True for what is not newer than all that its series already has.</summary>
    public bool[] Late { get; private set; } = new bool[UsualSize];

    public int Count { get; private set; }

    public long MinTime { get; private set; } = long.MaxValue;

    public void Add(HeadSeries series, long time, double value, bool late)
    {
        if (Count == Times.Length)
            Resize(Times.Length * 2);
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
        if (Times.Length > KeptSize)
            Resize(UsualSize);
        Count = 0;
        MinTime = long.MaxValue;
    }

    void Resize(int size)
    {
        var (series, times, values, late) = (Series, Times, Values, Late);
        Array.Resize(ref series, size);
        Array.Resize(ref times, size);
        Array.Resize(ref values, size);
        Array.Resize(ref late, size);
        (Series, Times, Values, Late) = (series, times, values, late);
    }
}
