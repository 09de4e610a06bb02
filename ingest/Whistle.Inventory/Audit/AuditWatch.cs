using System.Data.Common;

using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

using Whistle.State.Health;

namespace Whistle.Inventory.Audit;

/// <summary>
/// Verifies the audit at the start and once a day, reports what is wrong with it, and writes the refusals that were only counted. A damaged
/// audit keeps nothing from working.
/// </summary>
public sealed class AuditWatch(AuditLog audit, HealthBoard health, TimeProvider time, ILogger<AuditWatch> logger) : BackgroundService
{
    static readonly TimeSpan Every = TimeSpan.FromMinutes(1);
    static readonly TimeSpan VerifyEvery = TimeSpan.FromDays(1);

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await audit.FlushRefusalsAsync(all: true);
    }

    /// <summary>Walks the chain now, and puts what it finds on the health board.</summary>
    public async Task VerifyAsync(CancellationToken cancellation)
    {
        try
        {
            var check = await audit.VerifyAsync(null, cancellation);
            if (check.Fault is { } fault)
            {
                health.Report(
                    AuditLog.Component, "chain", HealthState.Degraded,
                    $"{fault.Reason} The audit is not what was written; docs/audit.md says what to do.");
                logger.AuditDamaged(fault.Reason);
            }
            else
            {
                health.Clear(AuditLog.Component, "chain");
                logger.AuditVerified(check.Entries, check.Head.Hash);
            }
        }
        catch (Exception e) when (e is DbException or TimeoutException)
        {
            health.Report(AuditLog.Component, "chain", HealthState.Degraded, $"The audit could not be verified: {e.Message}");
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var verifiedAt = DateTimeOffset.MinValue;
        using var timer = new PeriodicTimer(Every, time);
        try
        {
            do
            {
                if (time.GetUtcNow() - verifiedAt >= VerifyEvery)
                {
                    verifiedAt = time.GetUtcNow();
                    await VerifyAsync(stoppingToken);
                }

                await audit.FlushRefusalsAsync(all: false);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }
}
