using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

using Whistle.State.Health;

namespace Whistle.Ingest.Kafka;

/// <summary>Reads the log in a process that evaluates.</summary>
sealed class KafkaHost(KafkaOptions options, RecordTaker taker, PartitionHead heads, IngestMetrics metrics, HealthBoard health,
    TimeProvider time, ILogger<KafkaHost> logger)
    : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var letters = new DeadLetters(options, metrics, health, time, logger);
        var reader = new KafkaReader(options, taker, heads, letters, metrics, health, logger);
        var replay = new StoreReplay(options, taker, metrics, health, time, logger);
        await Task.WhenAll(
            Task.Factory.StartNew(
                () => reader.Run(stoppingToken), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default),
            replay.RunAsync(() => reader.Readings, stoppingToken));
    }
}
