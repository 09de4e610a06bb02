namespace Whistle.Ingest.Kafka;

/// <summary>A partition while this process reads it. Only the reader's thread touches what can be set.</summary>
sealed class PartitionReading : IDisposable
{
    readonly CancellationTokenSource _ended;
    readonly TaskCompletionSource _caughtUp = new(TaskCreationOptions.RunContinuationsAsynchronously);
    long _heldSince;
    TimeSpan _heldFor;

    public PartitionReading(int partition, CancellationToken stopping)
    {
        Partition = partition;
        _ended = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        Ended = _ended.Token;
    }

    public int Partition { get; }

    public PartitionProgress Progress { get; } = new();

    /// <summary>Completes when the head has what the store has of its clusters.</summary>
    public Task Filled { get; set; } = Task.CompletedTask;

    /// <summary>Completes when its clusters are evaluated here.</summary>
    public Task Owned { get; set; } = Task.CompletedTask;

    public CancellationToken Ended { get; }

    /// <summary>What was in the log when it began was read.</summary>
    public Task CaughtUp => _caughtUp.Task;

    public bool IsCaughtUp => _caughtUp.Task.IsCompleted;

    /// <summary>The first offset that need not be read before; null while that is not known.</summary>
    public long? Target { get; set; }

    /// <summary>When the last record that was taken was written to the log.</summary>
    public DateTimeOffset LastTimestamp { get; set; }

    /// <summary>The offset of the last record that was taken.</summary>
    public long LastTaken { get; set; } = -1;

    /// <summary>The first record that came and was not taken; it is read again.</summary>
    public long? HeldAt { get; set; }

    public bool IsPaused { get; set; }

    public long? Committed { get; set; }

    public bool IsReady => Filled.IsCompletedSuccessfully && TimeProvider.System.GetElapsedTime(_heldSince) >= _heldFor;

    public void Hold(long at, TimeSpan time) => (HeldAt, _heldSince, _heldFor) = (at, TimeProvider.System.GetTimestamp(), time);

    /// <summary>What went wrong with the head ends the process: it would never be evaluated.</summary>
    public void ThrowIfFailed()
    {
        if ((Filled.Exception ?? Owned.Exception) is { } e)
            throw new InvalidOperationException($"The head could not be filled for partition {Partition}.", e.GetBaseException());
    }

    public void CatchUp() => _caughtUp.TrySetResult();

    public void End() => _ended.Cancel();

    public void Dispose() => _ended.Dispose();
}
