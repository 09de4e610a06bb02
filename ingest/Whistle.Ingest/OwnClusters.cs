using System.Collections.Immutable;

using Whistle.Inventory;

namespace Whistle.Ingest;

/// <summary>
/// Which clusters this process evaluates: all, or those of the partitions of a log that it reads and whose recent samples it has.
/// </summary>
public sealed class OwnClusters
{
    readonly Func<ClusterId, int>? _partitionOf;
    ImmutableHashSet<int> _partitions = [];

    OwnClusters(Func<ClusterId, int>? partitionOf) => _partitionOf = partitionOf;

    /// <summary>A process that is alone.</summary>
    public static OwnClusters All { get; } = new(null);

    /// <summary>None at first.</summary>
    /// <param name="partitionOf">The same in every process.</param>
    internal static OwnClusters Of(Func<ClusterId, int> partitionOf) => new(partitionOf);

    public bool IsAll => _partitionOf is null;

    /// <summary>Called after each change, before the partitions are read or given away. May take its time.</summary>
    public Func<CancellationToken, Task>? Changed { get; set; }

    public IReadOnlySet<int> Partitions => Volatile.Read(ref _partitions);

    /// <summary>Where what has no cluster counts for one without a name.</summary>
    public bool Has(ClusterId cluster) => _partitionOf is null || Volatile.Read(ref _partitions).Contains(_partitionOf(cluster));

    internal async Task AddAsync(int partition, CancellationToken cancellation)
    {
        ImmutableInterlocked.Update(ref _partitions, set => set.Add(partition));
        await ChangedAsync(cancellation);
    }

    internal async Task RemoveAsync(IEnumerable<int> partitions, CancellationToken cancellation)
    {
        ImmutableInterlocked.Update(ref _partitions, set => set.Except(partitions));
        await ChangedAsync(cancellation);
    }

    Task ChangedAsync(CancellationToken cancellation) => Changed?.Invoke(cancellation) ?? Task.CompletedTask;
}
