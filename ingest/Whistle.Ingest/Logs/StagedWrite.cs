using Whistle.Ingest.Heads;
using Whistle.Ingest.Series;
using Whistle.State.Files;
using Whistle.State.Memory;
using Whistle.Telemetry;

namespace Whistle.Ingest.Logs;

/// <summary>What became of a request: how many samples are durable now, and why the others are not.</summary>
/// <param name="Stored">Samples that are durable, those that were so before the request among them.</param>
/// <param name="Refused">Samples that can never be stored as they are.</param>
/// <param name="OverLimit">Samples of new series past one of the tenant's limits.</param>
/// <param name="Reason">The first refusal in words, where there is one.</param>
public readonly record struct AppendResult(int Stored, int Refused, int OverLimit, string? Reason)
{
    /// <summary>The store has none of them, only the head; a log keeps them.</summary>
    internal bool IsUnstored { get; init; }
}

/// <summary>A decoded request on its way to the committer: parallel columns of samples with their series.</summary>
sealed class StagedWrite : IDisposable
{
    const int UsualSize = 512;

    // A series, a time and a value.
    const int BytesPerSample = 24;

    readonly int _maxSamples;
    readonly ByteShare? _memory;

    /// <param name="tenant">Whose it is; empty for the server's own.</param>
    /// <param name="origin">Whence it comes.</param>
    /// <param name="maxSamples">The most that it takes.</param>
    /// <param name="memory">Owned by the write: given back when it is disposed.</param>
    /// <exception cref="BusyException">There is no memory for it now.</exception>
    public StagedWrite(string tenant, WriteOrigin origin, int maxSamples, ByteShare memory)
    {
        (Tenant, Origin, _maxSamples, _memory) = (tenant, origin, maxSamples, memory);
        Charge(UsualSize * BytesPerSample);
    }

    StagedWrite(StagedWrite whole, Range part)
    {
        (Tenant, Origin) = (whole.Tenant, whole.Origin);
        (Series, Times, Values) = (whole.Series[part], whole.Times[part], whole.Values[part]);
        Count = Times.Length;
    }

    public string Tenant { get; }

    public WriteOrigin Origin { get; }

    /// <summary>The store took none of it, and the head did.</summary>
    public bool IsUnstored { get; set; }

    public HeadSeries[] Series { get; private set; } = new HeadSeries[UsualSize];

    public long[] Times { get; private set; } = new long[UsualSize];

    public double[] Values { get; private set; } = new double[UsualSize];

    public int Count { get; private set; }

    /// <summary>How many of them the server added, so that nobody else can have written them.</summary>
    public int Proofs { get; private set; }

    /// <summary>Samples of metrics that only the server records, which were stored under another name.</summary>
    public int Renamed { get; set; }

    /// <summary>Samples that were durable before, because their sender got no answer and sent them again.</summary>
    public int Duplicates { get; set; }

    /// <summary>Samples that were not staged, by the reason that the metric names.</summary>
    public Dictionary<string, int> Refusals { get; } = [];

    public string? Reason { get; set; }

    public TaskCompletionSource<AppendResult> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Counts what the write makes the server hold besides its samples.</summary>
    /// <exception cref="BusyException">There is no memory for it now.</exception>
    public void Charge(long bytes) => _memory?.Take(bytes);

    /// <exception cref="RemoteWriteException">The request has too many samples.</exception>
    /// <exception cref="BusyException">There is no memory for it now.</exception>
    public void Add(HeadSeries series, long time, double value)
    {
        SampleRefusals.CheckCount(Count - Proofs + 1, _maxSamples);
        Append(series, time, value);
    }

    /// <summary>What no sender sent, and none hears of.</summary>
    public void AddProof(HeadSeries series, long time, double value)
    {
        Proofs++;
        Append(series, time, value);
    }

    public void Refuse(string reason, string message)
    {
        Refusals[reason] = Refusals.GetValueOrDefault(reason) + 1;
        Reason ??= message;
    }

    /// <summary>
    /// What it holds in writes of so many samples at most; itself where it has no more. They are of its memory, so it is disposed of after
    /// them.
    /// </summary>
    public IReadOnlyList<StagedWrite> Parts(int most)
    {
        if (Count <= most)
            return [this];
        Charge((long)Count * BytesPerSample);
        List<StagedWrite> parts = [];
        for (var from = 0; from < Count; from += most)
            parts.Add(new StagedWrite(this, from..Math.Min(Count, from + most)));
        (Series, Times, Values) = ([], [], []);
        return parts;
    }

    public AppendResult Result()
    {
        var overLimit = LimitReached.Reasons.Sum(reason => Refusals.GetValueOrDefault(reason));
        return new AppendResult(Count - Proofs, Refusals.Values.Sum() - overLimit, overLimit, Reason) { IsUnstored = IsUnstored };
    }

    public void Complete() => Completion.TrySetResult(Result());

    public void Dispose() => _memory?.Dispose();

    public void Fail(StoreException reason) => Completion.TrySetException(reason);

    void Append(HeadSeries series, long time, double value)
    {
        if (Count == Times.Length)
            Grow();
        Series[Count] = series;
        Times[Count] = time;
        Values[Count++] = value;
    }

    void Grow()
    {
        var size = Times.Length * 2;
        Charge(Times.Length * BytesPerSample);
        var (series, times, values) = (Series, Times, Values);
        Array.Resize(ref series, size);
        Array.Resize(ref times, size);
        Array.Resize(ref values, size);
        (Series, Times, Values) = (series, times, values);
    }
}
