using Whistle.State.Health;
using Whistle.State.Jobs;

namespace Whistle.Jobs;

/// <summary>
/// Has the jobs run when they are due, from when the server has started until it stops. Jobs of the installation are on a schedule that all
/// servers of a PostgreSQL share, those of this server alone on one in memory.
/// </summary>
/// <param name="takesPart">Whether it runs jobs of the installation at all.</param>
/// <param name="database">As <see cref="JobScheduler.BuildAsync"/> has it.</param>
sealed class JobsHost(
    JobRunner runner, JobStore store, bool takesPart, Func<string?> database, HealthBoard health, TimeProvider time, ILoggerFactory loggers)
    : BackgroundService
{
    const string Subject = "scheduler";

    static readonly TimeSpan Look = TimeSpan.FromMinutes(1);

    readonly ILogger _logger = loggers.CreateLogger<JobsHost>();
    readonly List<ScheduledJob> _jobs = [.. runner.Jobs.Where(j => j.IsOwn || takesPart)];
    List<JobScheduler> _schedulers = [];
    bool _isStarted;
    bool _hasEndedLeft;

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        foreach (var scheduler in _schedulers)
            await scheduler.DisposeAsync();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (!_isStarted)
                    await StartAsync(database(), stoppingToken);
                foreach (var (scheduler, job) in Places(_schedulers))
                    await scheduler.ScheduleAsync(job, stoppingToken);
                await runner.ReportAsync(stoppingToken);
                health.Clear(JobRunner.Component, Subject);
            }
            catch (Exception) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                _logger.SchedulerFailed(e);
                health.Failing(
                    JobRunner.Component, Subject,
                    $"Jobs are not scheduled: {e.Message.TrimEnd('.')}. It is tried again each minute; check that the state can be "
                    + "written, and on PostgreSQL that its user may make tables.");
            }

            // Not by the engine's clock: Quartz knows the real one alone.
            await Task.Delay(Look, TimeProvider.System, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    async Task StartAsync(string? shared, CancellationToken cancellation)
    {
        // Once: later, what runs is this process's own.
        if (!_hasEndedLeft)
            await store.EndLeftAsync(time.GetUtcNow(), cancellation);
        _hasEndedLeft = true;
        foreach (var job in _jobs)
            await store.KnowAsync(job, time.GetUtcNow(), cancellation);
        var latest = await store.LatestAsync(cancellation);
        List<JobScheduler> built = [];
        try
        {
            if (shared is null || takesPart)
                built.Add(await JobScheduler.BuildAsync(runner, shared, loggers, cancellation));
            if (shared is not null && _jobs.Any(j => j.IsOwn))
                built.Add(await JobScheduler.BuildAsync(runner, null, loggers, cancellation));
            foreach (var (scheduler, job) in Places(built))
            {
                await scheduler.ScheduleAsync(job, cancellation);
                await scheduler.MakeUpAsync(job, latest.GetValueOrDefault(job.Name), time.GetUtcNow(), cancellation);
            }

            foreach (var scheduler in built)
                await scheduler.StartAsync(cancellation);
            (_schedulers, built, _isStarted) = (built, [], true);
        }
        finally
        {
            // The next attempt begins from nothing.
            foreach (var scheduler in built)
                await scheduler.DisposeAsync();
        }
    }

    IEnumerable<(JobScheduler Scheduler, ScheduledJob Job)> Places(List<JobScheduler> schedulers) =>
        _jobs.Select(j => (schedulers[j.IsOwn ? ^1 : 0], j));
}
