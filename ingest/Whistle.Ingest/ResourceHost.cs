using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Whistle.Ingest;

/// <summary>A look at what the process has left of something: disk, memory, handles, its own folder.</summary>
public sealed record ResourceCheck(Func<CancellationToken, Task> LookAsync)
{
    public static ResourceCheck Of(Action look) => new(_ =>
    {
        look();
        return Task.CompletedTask;
    });
}

/// <summary>Runs checks once a second of real time, whatever clock the engine is on.</summary>
/// <param name="checks">One that fails is logged and keeps no other from running.</param>
sealed class ResourceHost(IEnumerable<ResourceCheck> checks, ILogger<ResourceHost> logger) : BackgroundService
{
    static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Every, TimeProvider.System);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                foreach (var check in checks)
                    await LookAsync(check, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    async Task LookAsync(ResourceCheck check, CancellationToken cancellation)
    {
        try
        {
            await check.LookAsync(cancellation);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            logger.WatchFailed(e);
        }
    }
}
