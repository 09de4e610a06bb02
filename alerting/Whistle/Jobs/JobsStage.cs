using Whistle.Backups;
using Whistle.State;
using Whistle.State.Health;
using Whistle.State.Jobs;

namespace Whistle.Jobs;

static class JobsStage
{
    /// <param name="instance">A name of this server's own among all on the state.</param>
    public static IServiceCollection AddJobs(this IServiceCollection services, WhistleOptions options, string instance)
    {
        if (options.Backup.Schedule is { } schedule)
        {
            services.AddSingleton(s => new ScheduledJob(
                "backup", "Makes a backup of this server's data folder, and deletes the oldest.", schedule, MissedRun.RunOnce,
                c => ScheduledBackup.RunAsync(s.GetRequiredService<BackupApi>(), options.Backup, TimeProvider.System.GetUtcNow(), c))
            { IsOwn = true });
        }

        services.AddSingleton(s => new JobStore(s.GetRequiredService<StateDatabase>(), instance)).AddSingleton<JobRunner>();
        // Whoever sends digests needs the channels.
        var takesPart = options.Roles.HasFlag(ServerRoles.Alert);
        return !options.RunTimers ? services : services.AddHostedService(s => new JobsHost(
            s.GetRequiredService<JobRunner>(), s.GetRequiredService<JobStore>(), takesPart, () => options.ConnectionString,
            s.GetRequiredService<HealthBoard>(), options.Time, s.GetRequiredService<ILoggerFactory>()));
    }
}
