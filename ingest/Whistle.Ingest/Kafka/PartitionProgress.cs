namespace Whistle.Ingest.Kafka;

/// <summary>
/// How far a partition is stored. Records are taken in their order; some are still on their way, and some the store did not get: those are
/// read again. Offsets before <see cref="Committable"/> are never needed again.
/// </summary>
sealed class PartitionProgress
{
    readonly Lock _lock = new();
    readonly Queue<(long Offset, Task<bool> Stored)> _inFlight = new();
    // In order; the last grows while the store takes nothing.
    readonly LinkedList<OffsetRange> _unstored = new();
    long _done = -1;

    /// <summary>A record that was taken after all before it.</summary>
    /// <param name="stored">Completes with whether the store has it. Never fails.</param>
    public void Add(long offset, Task<bool> stored)
    {
        lock (_lock)
            _inFlight.Enqueue((offset, stored));
    }

    public int InFlight
    {
        get
        {
            lock (_lock)
                return _inFlight.Count;
        }
    }

    /// <summary>The offset to begin with where everything before it is in the store; null while nothing was taken.</summary>
    public long? Committable
    {
        get
        {
            lock (_lock)
            {
                Advance_NeedsLock();
                return _unstored.First is { } first ? first.Value.From
                    : _inFlight.TryPeek(out var next) ? next.Offset
                    : _done >= 0 ? _done + 1
                    : null;
            }
        }
    }

    /// <summary>The first records in a row that the store does not have.</summary>
    public OffsetRange? FirstUnstored
    {
        get
        {
            lock (_lock)
            {
                Advance_NeedsLock();
                return _unstored.First?.Value;
            }
        }
    }

    /// <summary>What was read again is in the store now.</summary>
    /// <param name="before">The first offset that is not.</param>
    public void Stored(long before)
    {
        lock (_lock)
        {
            while (_unstored.First is { } first && first.Value.From < before)
            {
                _unstored.RemoveFirst();
                if (first.Value.Until > before)
                    _unstored.AddFirst(first.Value with { From = before });
            }
        }
    }

    /// <summary>Completes when nothing is on its way.</summary>
    public Task DrainAsync()
    {
        lock (_lock)
            return Task.WhenAll(_inFlight.Select(i => i.Stored));
    }

    void Advance_NeedsLock()
    {
        while (_inFlight.TryPeek(out var next) && next.Stored.IsCompleted)
        {
            _inFlight.Dequeue();
            _done = next.Offset;
            if (next.Stored.IsCompletedSuccessfully && next.Stored.Result)
                continue;
            // Offsets can have gaps, of transactions for one; what is between two failures is read again at most.
            if (_unstored.Last is { } last && last.Value.Until == next.Offset)
                last.Value = last.Value with { Until = next.Offset + 1 };
            else
                _unstored.AddLast(new OffsetRange(next.Offset, next.Offset + 1));
        }
    }
}

/// <param name="From">The first.</param>
/// <param name="Until">The first after it.</param>
readonly record struct OffsetRange(long From, long Until);
