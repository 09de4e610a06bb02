namespace Whistle.State.Jobs;

/// <summary>What becomes of a run that was due while no server ran, or that ended with its server.</summary>
public enum MissedRun
{
    /// <summary>It is made up for, once however many were missed, as soon as there is a server again.</summary>
    RunOnce,

    /// <summary>The next one that is due comes in its place.</summary>
    Skip,
}

/// <summary>
/// Work that is due at a time and belongs to the installation: of several servers on one state, one does it. A stage adds each of its jobs
/// to the services. Whatever a process does for itself, such as sealing its files, is no job.
/// </summary>
/// <param name="Name">In small letters with hyphens; no other job has it, in any version.</param>
/// <param name="Description">One sentence for people.</param>
/// <param name="Schedule">A cron expression of Quartz, in UTC: second, minute, hour, day of the month, month, day of the week.</param>
/// <param name="RunAsync">May be cancelled at any moment, and is run again then: it is done twice without harm.</param>
public sealed record ScheduledJob(
    string Name, string Description, string Schedule, MissedRun Missed, Func<CancellationToken, Task> RunAsync)
{
    /// <summary>Each server does it for itself, by the same schedule: it is about the server's own data folder.</summary>
    public bool IsOwn { get; init; }
}
