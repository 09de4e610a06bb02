using Whistle.Ingest.Series;

namespace Whistle.Ingest.Stores;

/// <summary>What one transaction writes: parallel columns, filled by the committer and used again and again.</summary>
sealed class CommitBatch
{
    const int UsualSize = 4096;

    // What an unusually large request grew past this is released.
    const int KeptSize = 256 * 1024;

    public List<HeadSeries> NewSeries { get; } = [];

    public HeadSeries[] Series { get; private set; } = new HeadSeries[UsualSize];

    public long[] Times { get; private set; } = new long[UsualSize];

    public double[] Values { get; private set; } = new double[UsualSize];

    /// <summary>True for what is not newer than all that its series already has.</summary>
    public bool[] Late { get; private set; } = new bool[UsualSize];

    /// <summary>What was the newest staged time of the series before.</summary>
    public long[] StagedBefore { get; private set; } = new long[UsualSize];

    public int Count { get; private set; }

    public long MinTime { get; private set; } = long.MaxValue;

    public void Add(HeadSeries series, long time, double value, bool late)
    {
        if (Count == Times.Length)
            Resize(Times.Length * 2);
        Series[Count] = series;
        StagedBefore[Count] = series.StagedTime;
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
        var (series, times, values, late, before) = (Series, Times, Values, Late, StagedBefore);
        Array.Resize(ref series, size);
        Array.Resize(ref times, size);
        Array.Resize(ref values, size);
        Array.Resize(ref late, size);
        Array.Resize(ref before, size);
        (Series, Times, Values, Late, StagedBefore) = (series, times, values, late, before);
    }
}
