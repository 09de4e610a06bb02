using System.Collections.Concurrent;
using System.Data.Common;

using Prometheus;

using Quartz;

using Whistle.State.Health;
using Whistle.State.Jobs;

namespace Whistle.Jobs;

/// <summary>Runs a job, whoever asks for it: the scheduler when it is due, or a person.</summary>
sealed class JobRunner
{
    public const string Component = "jobs";

    readonly JobStore _store;
    readonly HealthBoard _health;
    readonly TimeProvider _time;
    readonly ILogger<JobRunner> _logger;
    // Failures that the state does not have, because it could not be written.
    readonly ConcurrentDictionary<string, DateTimeOffset> _unwritten = [];
    readonly Counter _runs;
    readonly Gauge _succeeded;

    public JobRunner(
        IEnumerable<ScheduledJob> jobs, JobStore store, HealthBoard health, IMetricFactory metrics, TimeProvider time,
        ILogger<JobRunner> logger)
    {
        Jobs = [.. jobs.OrderBy(j => j.Name, StringComparer.Ordinal)];
        if (Jobs.CountBy(j => j.Name).FirstOrDefault(j => j.Value > 1).Key is { } twice)
            throw new InvalidOperationException($"Two jobs have the name {twice}.");
        (_store, _health, _time, _logger) = (store, health, time, logger);
        _runs = metrics.CreateCounter("whistle_job_runs_total", "Runs of jobs that have ended on this server.", ["job", "outcome"]);
        _succeeded = metrics.CreateGauge(
            "whistle_job_last_success_timestamp_seconds", "When a run of the job last succeeded on this server.", ["job"]);
    }

    /// <summary>By name.</summary>
    public IReadOnlyList<ScheduledJob> Jobs { get; }

    public string Instance => _store.Instance;

    public ScheduledJob? Find(string name) => Jobs.FirstOrDefault(j => j.Name == name);

    public Task<IReadOnlyDictionary<string, JobRun>> LatestAsync(CancellationToken cancellation) => _store.LatestAsync(cancellation);

    public static DateTimeOffset? NextAfter(ScheduledJob job, DateTimeOffset at) =>
        new CronExpression(job.Schedule, TimeZoneInfo.Utc).GetNextValidTimeAfter(at);

    /// <summary>Runs it to its end, or leaves it out where another run of it has not ended.</summary>
    /// <exception cref="Exception">As the job throws it; it is reported and counted by then.</exception>
    public async Task RunAsync(ScheduledJob job, CancellationToken cancellation)
    {
        await using var hold = await _store.HoldAsync(job, cancellation);
        if (hold is null)
            _logger.JobLeftOut(job.Name);
        else
            await RunHeldAsync(job, await BeginAsync(job, cancellation), cancellation);
    }

    /// <summary>Null where another run of it has not ended.</summary>
    public Task<IAsyncDisposable?> HoldAsync(ScheduledJob job, CancellationToken cancellation) => _store.HoldAsync(job, cancellation);

    /// <summary>Writes that a run of it, which is held, begins.</summary>
    public async Task<DateTimeOffset> BeginAsync(ScheduledJob job, CancellationToken cancellation)
    {
        // As the state keeps it, so that whoever asked for the run finds it again.
        var now = DateTimeOffset.FromUnixTimeMilliseconds(_time.GetUtcNow().ToUnixTimeMilliseconds());
        try
        {
            await _store.BeginAsync(job, now, cancellation);
            return now;
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            _logger.JobFailed(e, job.Name);
            _runs.WithLabels(job.Name, "failed").Inc();
            _unwritten[job.Name] = now;
            Report(job, new(now, now, now, JobOutcome.Failed, e.Message.ReplaceLineEndings(" "), Instance));
            throw;
        }
    }

    /// <summary>Runs what has begun to its end.</summary>
    /// <exception cref="Exception">As the job throws it; it is reported and counted by then.</exception>
    public async Task RunHeldAsync(ScheduledJob job, DateTimeOffset begunAt, CancellationToken cancellation)
    {
        try
        {
            await job.RunAsync(cancellation);
            await EndAsync(job, JobOutcome.Done, null);
            _succeeded.WithLabels(job.Name).Set(_time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0);
            var now = _time.GetUtcNow();
            var seconds = (now - begunAt).TotalSeconds;
            // What is due each minute would fill the log.
            if (NextAfter(job, now) > now.AddMinutes(2))
                _logger.JobDone(job.Name, seconds);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            _logger.JobStopped(job.Name);
            await TryEndAsync(job, JobOutcome.Interrupted, null);
            throw;
        }
        catch (Exception e)
        {
            _logger.JobFailed(e, job.Name);
            await TryEndAsync(job, JobOutcome.Failed, e.Message.ReplaceLineEndings(" "));
            Report(job, new(_time.GetUtcNow(), null, _time.GetUtcNow(), JobOutcome.Failed, e.Message.ReplaceLineEndings(" "), Instance));
            throw;
        }
    }

    /// <summary>Puts on the health board which jobs failed last, whichever server ran them.</summary>
    public async Task ReportAsync(CancellationToken cancellation)
    {
        var latest = await _store.LatestAsync(cancellation);
        foreach (var job in Jobs)
        {
            // While it runs again, nothing is known to be over.
            if (latest.GetValueOrDefault(job.Name) is { EndedAt: { } ended } run
                && !(_unwritten.TryGetValue(job.Name, out var failed) && ended <= failed))
                Report(job, run);
        }
    }

    void Report(ScheduledJob job, JobRun run)
    {
        if (run.Outcome is JobOutcome.Done)
            _health.Clear(Component, job.Name);
        // A run that was stopped proves nothing.
        if (run.Outcome is not JobOutcome.Failed)
            return;

        var next = NextAfter(job, _time.GetUtcNow()) is { } at ? $" It runs again at {at:u}." : "";
        _health.Report(
            Component, job.Name, HealthState.Degraded,
            $"The job {job.Name} failed at {run.EndedAt:u} on {run.Instance}: {run.Reason?.TrimEnd('.')}.{next} "
            + $"Remove the cause, then run it with `whistle jobs run {job.Name}`.");
    }

    async Task EndAsync(ScheduledJob job, JobOutcome outcome, string? reason)
    {
        var now = _time.GetUtcNow();
        await _store.EndAsync(job, now, outcome, reason, CancellationToken.None);
        _runs.WithLabels(job.Name, outcome.ToString().ToLowerInvariant()).Inc();
        Report(job, new(now, null, now, outcome, reason, Instance));
    }

    async Task TryEndAsync(ScheduledJob job, JobOutcome outcome, string? reason)
    {
        try
        {
            await EndAsync(job, outcome, reason);
        }
        catch (Exception e) when (e is DbException or TimeoutException)
        {
            // The state reports itself; what the job threw counts more.
            _runs.WithLabels(job.Name, outcome.ToString().ToLowerInvariant()).Inc();
        }
    }
}
