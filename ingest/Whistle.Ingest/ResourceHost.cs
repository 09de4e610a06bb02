using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Whistle.Ingest;

/// <summary>Runs checks once a second of real time, whatever clock the engine is on.</summary>
/// <param name="looks">One that fails is logged and keeps no other from running.</param>
public sealed class ResourceHost(IReadOnlyList<Func<CancellationToken, Task>> looks, ILogger<ResourceHost> logger) : BackgroundService
{
    static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Every, TimeProvider.System);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                foreach (var look in looks)
                    await LookAsync(look, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    async Task LookAsync(Func<CancellationToken, Task> look, CancellationToken cancellation)
    {
        try
        {
            await look(cancellation);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            logger.WatchFailed(e);
        }
    }
}
