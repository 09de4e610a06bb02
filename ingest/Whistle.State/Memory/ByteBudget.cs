using System.Collections.Concurrent;

namespace Whistle.State.Memory;

/// <summary>
/// What the process may hold in memory for work that others ask of it. Counts alone bound nothing where each thing may be large.
/// </summary>
public sealed record MemoryOptions
{
    /// <summary>Bodies of remote-write requests, as they came and decompressed, of all senders together.</summary>
    public long WriteBodies { get; init; } = Usual(256L << 20, 16);

    /// <summary>Samples that wait for the store, with the labels of new series among them.</summary>
    public long PendingSamples { get; init; } = Usual(256L << 20, 16);

    /// <summary>Bodies of all other requests.</summary>
    public long OtherBodies { get; init; } = Usual(64L << 20, 32);

    /// <summary>What queries load and answer, of all callers of the API together.</summary>
    public long Queries { get; init; } = Usual(1L << 30, 8);

    /// <summary>Labels of the series that one tenant may have at a time.</summary>
    public long SeriesLabels { get; init; } = Usual(1L << 30, 4);

    // A small machine, a container or a heap limit gives less.
    static long Usual(long most, int part) => Math.Min(most, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / part);
}

/// <summary>There is no memory, handle or room for this work now; it may come again.</summary>
public sealed class BusyException : Exception
{
    public BusyException()
    {
    }

    public BusyException(string message)
        : base(message)
    {
    }

    public BusyException(string message, Exception? inner)
        : base(message, inner)
    {
    }
}

/// <summary>Bytes that all work of one kind may hold at once. Thread-safe.</summary>
/// <param name="most">The bound.</param>
/// <param name="full">What holds them, for whoever it has no room for.</param>
/// <param name="within">What it takes is taken of this one too; <paramref name="full"/> is the whole sentence then.</param>
public sealed class ByteBudget(long most, string full, ByteBudget? within = null)
{
    long _held;

    public long Held => Volatile.Read(ref _held);

    public ByteShare Open() => new(this);

    internal void Take(long bytes)
    {
        within?.Take(bytes);
        if (Interlocked.Add(ref _held, bytes) <= most)
            return;
        Give(bytes);
        throw new BusyException(within is null ? $"{full} use as many bytes as they may together ({most >> 20} MiB)." : full);
    }

    internal void Give(long bytes)
    {
        Interlocked.Add(ref _held, -bytes);
        within?.Give(bytes);
    }
}

/// <summary>What one piece of work has taken of a budget. Given back when it is disposed.</summary>
public sealed class ByteShare(ByteBudget budget) : IDisposable
{
    long _taken;

    /// <exception cref="BusyException">There is no room for so many; what was taken before stays.</exception>
    public void Take(long bytes)
    {
        budget.Take(bytes);
        Interlocked.Add(ref _taken, bytes);
    }

    public void Dispose() => budget.Give(Interlocked.Exchange(ref _taken, 0));
}

/// <summary>A budget of which one alone may use no more than three quarters, so that it leaves room for the others.</summary>
/// <param name="full">What holds it.</param>
/// <param name="whose">Such as <c>tenant</c>.</param>
public sealed class FairBudgets(long most, string full, string whose)
{
    readonly ByteBudget _all = new(most, full);
    readonly ConcurrentDictionary<string, ByteBudget> _of = new();

    public long Held => _all.Held;

    public ByteShare Open(string name) => _of.GetOrAdd(name, n => new ByteBudget(
        most / 4 * 3,
        $"{full} of the {whose} {n} alone use as many bytes as one {whose}'s may (three quarters of {most >> 20} MiB).", _all)).Open();
}
