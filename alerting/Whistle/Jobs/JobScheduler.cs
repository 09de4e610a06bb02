using Npgsql;

using Quartz;

using Whistle.State.Jobs;

namespace Whistle.Jobs;

/// <summary>What Quartz runs: it only names the job.</summary>
[DisallowConcurrentExecution]
sealed class DueJob(JobRunner runner) : IJob
{
    public async ValueTask Execute(IJobExecutionContext context, CancellationToken cancellationToken)
    {
        if (runner.Find(context.JobDetail.Key.Name) is { } job)
            await runner.RunAsync(job, cancellationToken);
        // Of another version, whose servers schedule it again while there are any.
        else
            await context.Scheduler.DeleteJob(context.JobDetail.Key, cancellationToken);
    }
}

/// <summary>
/// Quartz, with the jobs of this server. On PostgreSQL their times are kept there, and one server of all runs each; what a killed server
/// had begun, another begins again. In memory it is this server's alone, and what was missed is told from when the job last ran.
/// </summary>
sealed class JobScheduler : IAsyncDisposable
{
    // A server that has not said for so long that it lives is taken for dead.
    static readonly TimeSpan CheckIn = TimeSpan.FromSeconds(5);

    readonly ServiceProvider _services;
    readonly IScheduler _scheduler;
    readonly bool _isShared;

    JobScheduler(ServiceProvider services, IScheduler scheduler, bool isShared) =>
        (_services, _scheduler, _isShared) = (services, scheduler, isShared);

    /// <param name="database">The connection string of a PostgreSQL that several servers share; null for this server's memory.</param>
    public static async Task<JobScheduler> BuildAsync(
        JobRunner runner, string? database, ILoggerFactory loggers, CancellationToken cancellation)
    {
        var services = new ServiceCollection().AddSingleton(loggers).AddSingleton(typeof(ILogger<>), typeof(Logger<>))
            .AddSingleton(runner).AddQuartz(quartz =>
            {
                quartz.ConfigureScheduler(o =>
                {
                    (o.InstanceName, o.InstanceId) = ("whistle", runner.Instance);
                    // A job may take long, and is begun again by whoever is there next.
                    o.ShutdownJobInterruption = ShutdownJobInterruption.Always;
                });
                quartz.UseDefaultThreadPool(4);
                if (database is null)
                    quartz.UseInMemoryStore();
                else
                    quartz.UsePersistentStore(store => Share(store, database));
            }).BuildServiceProvider();
        try
        {
            var scheduler = await services.GetRequiredService<ISchedulerFactory>().GetScheduler(cancellation);
            return new(services, scheduler, database is not null);
        }
        catch
        {
            await services.DisposeAsync();
            throw;
        }
    }

    public ValueTask StartAsync(CancellationToken cancellation) => _scheduler.Start(cancellation);

    /// <summary>Schedules what is not scheduled yet, or by another time than it should.</summary>
    public async Task ScheduleAsync(ScheduledJob job, CancellationToken cancellation)
    {
        var trigger = TriggerBuilder.Create().WithIdentity(job.Name).ForJob(job.Name).WithCronSchedule(
            job.Schedule,
            cron => cron.InTimeZone(TimeZoneInfo.Utc).WithMisfireInstruction(
                job.Missed is MissedRun.RunOnce ? CronTriggerMisfireInstruction.FireAndProceed : CronTriggerMisfireInstruction.DoNothing))
            .Build();
        // One that stays as it is knows what it has missed.
        if (await _scheduler.GetTrigger(trigger.Key, cancellation) is ICronTrigger known
            && known.CronExpressionString == job.Schedule && known.MisfireInstruction == ((ICronTrigger)trigger).MisfireInstruction)
            return;
        var detail = JobBuilder.Create<DueJob>().WithIdentity(job.Name).WithDescription(job.Description)
            .RequestRecovery(job.Missed is MissedRun.RunOnce).StoreDurably().Build();
        await _scheduler.ScheduleJob(detail, [trigger], ScheduleJobOptions.Replacing, cancellation);
    }

    /// <summary>Runs once at once what was due while no server ran. A shared schedule does so by itself.</summary>
    public async Task MakeUpAsync(ScheduledJob job, JobRun? latest, DateTimeOffset now, CancellationToken cancellation)
    {
        if (_isShared || job.Missed is not MissedRun.RunOnce || latest is null)
            return;
        if (latest.Outcome is JobOutcome.Interrupted || JobRunner.NextAfter(job, latest.StartedAt ?? latest.KnownAt) <= now)
            await _scheduler.TriggerJob(new JobKey(job.Name), null, cancellation);
    }

    /// <summary>Begins nothing more, and has what runs end: cancelled, and waited for.</summary>
    public async ValueTask DisposeAsync()
    {
        await _scheduler.Shutdown(waitForJobsToComplete: true);
        await _services.DisposeAsync();
    }

    static void Share(IPersistentStoreBuilder store, string database)
    {
        store.UsePostgres(NpgsqlFactory.Instance, database);
        store.ProvisionSchema();
        store.UseClustering(o => (o.CheckinInterval, o.CheckinMisfireThreshold) = (CheckIn, 2 * CheckIn));
        store.ConfigureStore(o => o.RecoverFiringsCancelledByShutdown = true);
    }
}
