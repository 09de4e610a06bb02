using Microsoft.Extensions.Logging;

using Whistle.Ingest.Heads;
using Whistle.Ingest.Logs;
using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.State.Files;
using Whistle.State.Health;

namespace Whistle.Ingest.Kafka;

/// <summary>Gives the head what the store has of the clusters of a partition before that is read, and takes it away after.</summary>
sealed class PartitionHead(
    Head head, ITelemetryStore store, TelemetryLog log, OwnClusters own, Func<ClusterId, int> partitionOf,
    Func<CancellationToken, Task<IReadOnlyCollection<ClusterId>>> clusters, HealthBoard health, TimeProvider time, ILogger logger)
{
    static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);

    /// <summary>Completes when the head has what the store has. Tried until it is stopped.</summary>
    public Task FillAsync(int partition, CancellationToken stopping) => TryAsync(partition, async () =>
    {
        // What the server records of no cluster is one's like any other.
        HashSet<ClusterId> all = [.. await clusters(stopping), new ClusterId("", "")];
        all.RemoveWhere(c => partitionOf(c) != partition);
        HeadFiller.Fill(head, store, all, time, logger);
    }, stopping);

    /// <summary>Completes when the clusters are evaluated here. Tried until it is stopped.</summary>
    public Task OwnAsync(int partition, CancellationToken stopping) => TryAsync(partition, async () =>
    {
        await own.AddAsync(partition, stopping);
        logger.PartitionTaken(partition);
    }, stopping);

    async Task TryAsync(int partition, Func<Task> work, CancellationToken stopping)
    {
        var subject = $"partition {partition}";
        while (true)
        {
            stopping.ThrowIfCancellationRequested();
            try
            {
                await work();
                health.Clear(KafkaLog.Component, subject);
                return;
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                health.Failing(
                    KafkaLog.Component, subject,
                    $"The clusters of partition {partition} are not evaluated: what store and state have of them cannot be read. "
                    + $"{e.Message}");
                logger.ReadingFailed(e.Message);
                if (e is not (StoreException or System.Data.Common.DbException or Whistle.State.StateException))
                    throw;
            }

            await Task.Delay(Pause, time, stopping);
        }
    }

    /// <summary>Ends the evaluation of what lies in the partitions, which another process is given.</summary>
    public Task EndAsync(IReadOnlyCollection<int> partitions, CancellationToken cancellation)
    {
        foreach (var partition in partitions)
            health.Clear(KafkaLog.Component, $"partition {partition}");
        return own.RemoveAsync(partitions, cancellation);
    }

    /// <summary>Forgets their series.</summary>
    public void Drop(IReadOnlyCollection<int> partitions) =>
        log.Evict(series => partitions.Contains(partitionOf(ClusterId.Of(series.Labels))));
}
