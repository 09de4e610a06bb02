using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

using Whistle.Ingest.Logs;
using Whistle.State.Health;

namespace Whistle.Ingest.Kafka;

/// <summary>Reads the log in a process that evaluates.</summary>
sealed class KafkaHost(
    KafkaOptions options, RecordTaker taker, PartitionHead heads, TelemetryLog log, IngestMetrics metrics, HealthBoard health,
    TimeProvider time, ILogger<KafkaHost> logger)
    : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var letters = new DeadLetters(options, metrics, health, time, logger);
        var reader = new KafkaReader(options, taker, heads, letters, metrics, health, logger);
        var replay = new StoreReplay(options, taker, log, metrics, health, time, logger);
        // Where one of the two ends, so does the other, and with them the process.
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        Task[] both =
        [
            Task.Factory.StartNew(
                () => reader.Run(either.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default),
            replay.RunAsync(() => reader.Readings, either.Token),
        ];
        await Task.WhenAny(both);
        await either.CancelAsync();
        await Task.WhenAll(both);
    }
}
