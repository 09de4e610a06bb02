using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Whistle.Ingest;

/// <summary>Looks at disk, memory and handles once a second of real time, whatever clock the engine is on.</summary>
public sealed class ResourceHost(DiskWatch disk, ProcessWatch process, ILogger<ResourceHost> logger) : BackgroundService
{
    static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Every, TimeProvider.System);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
                Look();
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    void Look()
    {
        try
        {
            disk.Look();
            _ = process.Shortage;
        }
        catch (Exception e)
        {
            logger.WatchFailed(e);
        }
    }
}
