using System.Collections.Immutable;

using Whistle.Inventory;

namespace Whistle.Ingest;

/// <summary>
/// Which clusters this process evaluates: all, or those of the partitions of a log that it reads and whose recent samples it has.
/// </summary>
public sealed class OwnClusters : IDisposable
{
    readonly Func<ClusterId, int>? _partitionOf;
    readonly SemaphoreSlim _changes = new(1, 1);
    ImmutableHashSet<int> _partitions = [];

    OwnClusters(Func<ClusterId, int>? partitionOf) => _partitionOf = partitionOf;

    /// <summary>Those of a process that is alone.</summary>
    public static OwnClusters All { get; } = new(null);

    /// <summary>None at first.</summary>
    /// <param name="partitionOf">The same in every process.</param>
    public static OwnClusters Of(Func<ClusterId, int> partitionOf) => new(partitionOf);

    public bool IsAll => _partitionOf is null;

    public IReadOnlySet<int> Partitions => Volatile.Read(ref _partitions);

    /// <summary>
    /// Called for each change with what will be so, and what makes it so: to be called between two evaluations. A partition is read, or
    /// given away, once this has completed.
    /// </summary>
    public Func<IReadOnlySet<int>, Action, CancellationToken, Task>? Changing { get; set; }

    /// <summary>What has no cluster counts for one without a name.</summary>
    public bool Has(ClusterId cluster) =>
        _partitionOf is null || (Volatile.Read(ref _partitions) is { Count: > 0 } own && own.Contains(_partitionOf(cluster)));

    /// <exception cref="InvalidOperationException">There are no partitions.</exception>
    public int PartitionOf(ClusterId cluster) =>
        _partitionOf?.Invoke(cluster) ?? throw new InvalidOperationException("This process is alone: there are no partitions.");

    internal Task AddAsync(int partition, CancellationToken cancellation) => ChangeAsync(p => p.Add(partition), cancellation);

    internal Task RemoveAsync(IEnumerable<int> partitions, CancellationToken cancellation) =>
        ChangeAsync(p => p.Except(partitions), cancellation);

    public void Dispose()
    {
        if (!IsAll)
            _changes.Dispose();
    }

    async Task ChangeAsync(Func<ImmutableHashSet<int>, ImmutableHashSet<int>> change, CancellationToken cancellation)
    {
        await _changes.WaitAsync(cancellation);
        try
        {
            var next = change(_partitions);
            if (Changing is null)
                Volatile.Write(ref _partitions, next);
            else
                await Changing(next, () => Volatile.Write(ref _partitions, next), cancellation);
        }
        finally
        {
            _changes.Release();
        }
    }
}
