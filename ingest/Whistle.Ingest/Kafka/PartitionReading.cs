namespace Whistle.Ingest.Kafka;

/// <summary>A partition while this process reads it. Only the reader's thread touches what can be set.</summary>
sealed class PartitionReading(int partition, CancellationToken stopping)
{
    readonly CancellationTokenSource _ended = CancellationTokenSource.CreateLinkedTokenSource(stopping);
    long _heldSince;
    TimeSpan _heldFor;

    public int Partition { get; } = partition;

    public PartitionProgress Progress { get; } = new();

    /// <summary>Completes when the head has what the store has of its clusters.</summary>
    public Task Filled { get; set; } = Task.CompletedTask;

    public CancellationToken Ended => _ended.Token;

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
        if (Filled is { IsFaulted: true, Exception: { } e })
            throw new InvalidOperationException($"The head could not be filled for partition {Partition}.", e.GetBaseException());
    }

    public void End() => _ended.Cancel();
}
