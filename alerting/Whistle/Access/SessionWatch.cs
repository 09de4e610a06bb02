using System.Data.Common;

using Whistle.Inventory.People;

namespace Whistle.Access;

/// <summary>Ends the open pages of sessions that ended in another process, or by their time.</summary>
sealed class SessionWatch(Sessions sessions) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Sessions.Freshness, TimeProvider.System);
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await timer.WaitForNextTickAsync(stoppingToken);
                await sessions.LookAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (DbException)
            {
                // The state reports it itself. Acts on those pages ask it too, and are refused.
            }
        }
    }
}
