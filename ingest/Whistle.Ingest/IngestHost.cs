using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

using Whistle.Ingest.Heads;
using Whistle.Ingest.Logs;
using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.State.Health;

namespace Whistle.Ingest;

/// <summary>Fills the head, runs the log's committer, and keeps head and store in order.</summary>
sealed class IngestHost(
    TelemetryLog log, Head head, OwnClusters own, SeriesLimits limits, ITelemetryStore store, FleetRegister register,
    IngestMetrics metrics, HealthBoard health, TimeProvider time, ILogger<IngestHost> logger)
    : BackgroundService
{
    static readonly TimeSpan UpkeepInterval = TimeSpan.FromMinutes(2);

    /// <summary>Returns once the head is filled, so that nothing is asked of it before.</summary>
    public override Task StartAsync(CancellationToken cancellationToken)
    {
        // Where others have a share, each partition is filled before it is read.
        if (own.IsAll)
            HeadFiller.Fill(head, store, null, time, logger);
        metrics.HeadSeries.Set(head.SeriesCount);
        return base.StartAsync(cancellationToken);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(
            log.RunAsync(stoppingToken), Task.Run(() => KeepUpAsync(stoppingToken), CancellationToken.None),
            Task.Run(() => CountAsync(stoppingToken), CancellationToken.None));

    /// <summary>One round of upkeep: head pruned, finished hours sealed, retention applied.</summary>
    public void KeepUp()
    {
        try
        {
            log.Prune();
            limits.Report(head, metrics, health);
            store.Maintain(register.Latest.Retentions);
            health.Clear("telemetry-store", "upkeep");
        }
        // Out of memory, for one: the next round tries again.
        catch (Exception e)
        {
            health.Report(
                "telemetry-store", "upkeep", HealthState.Degraded,
                $"Finished hours could not be sealed, or hours past retention not dropped: {e.Message}");
            metrics.StoreFailures.WithLabels("maintain").Inc();
            logger.MaintenanceFailed(e.Message);
        }
    }

    async Task KeepUpAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(UpkeepInterval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping))
            {
                await ReadRegisterAsync(stopping);
                KeepUp();
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
        }
    }

    // Whoever sends has it read; where nobody does, it is read here.
    async Task ReadRegisterAsync(CancellationToken stopping)
    {
        try
        {
            await register.StandingAsync(stopping);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // What was read last counts.
            logger.MaintenanceFailed(e.Message);
        }
    }

    // Apart from the rest, for it reads the labels of all that is stored.
    async Task CountAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(UpkeepInterval, time);
        try
        {
            do
                Count(stopping);
            while (await timer.WaitForNextTickAsync(stopping));
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
        }
    }

    void Count(CancellationToken stopping)
    {
        try
        {
            limits.Renew(store, stopping);
        }
        // As above.
        catch (Exception e) when (e is not OperationCanceledException)
        {
            metrics.StoreFailures.WithLabels("count").Inc();
            logger.MaintenanceFailed(e.Message);
        }
    }
}
