using System.ComponentModel;

using Microsoft.AspNetCore.Http.HttpResults;

using Whistle.Detectors.Http;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.State.Jobs;

namespace Whistle.Jobs;

/// <param name="Schedule">A cron expression of Quartz, in UTC.</param>
/// <param name="Missed">What becomes of a run that was due while no server ran.</param>
/// <param name="StartedAt">Of the latest run; null while there was none.</param>
/// <param name="EndedAt">Null while it runs.</param>
/// <param name="Outcome">Done, failed or interrupted; null while it runs.</param>
/// <param name="Reason">Why it failed; null otherwise.</param>
/// <param name="Instance">The server that ran it last.</param>
/// <param name="NextAt">When it is due next; null where this server runs nothing by time.</param>
sealed record JobAnswer(
    string Name, string Description, string Schedule, MissedRun Missed, DateTimeOffset? StartedAt, DateTimeOffset? EndedAt,
    JobOutcome? Outcome, string? Reason, string? Instance, DateTimeOffset? NextAt);

/// <summary>Of <see cref="WhistleApi"/>: what runs when it is due, and running it now.</summary>
static class JobsApi
{
    public static void Map(WebApplication app)
    {
        var (runner, options) = (app.Services.GetRequiredService<JobRunner>(), app.Services.GetRequiredService<WhistleOptions>());
        var stopping = app.Lifetime.ApplicationStopping;
        var group = WhistleApi.Group(app, "jobs").NeedsEverywhere(Permission.ManageServer);
        group.MapGet("/jobs", async (CancellationToken cancellation) =>
        {
            var latest = await runner.LatestAsync(cancellation);
            return TypedResults.Ok(runner.Jobs.Select(j => Answer(j, latest.GetValueOrDefault(j.Name), options)).ToList());
        }).WithName("listJobs").WithSummary("The jobs that run when they are due, each with its latest run.");
        group.MapPost("/jobs/{name}/run", async Task<Results<Accepted<JobAnswer>, NotFound<ApiError>, Conflict<ApiError>>> (
            [Description("As the list has it.")] string name, CancellationToken cancellation) =>
        {
            if (runner.Find(name) is not { } job)
                return WhistleApi.NotFound($"There is no job {name}. `whistle jobs list` has the names.");
            if (await runner.HoldAsync(job, cancellation) is not { } hold)
                return WhistleApi.Conflict($"The job {name} runs already. `whistle jobs list` says since when.");
            DateTimeOffset begunAt;
            try
            {
                await AuditAct.WriteCurrentAsync(cancellation);
                begunAt = await runner.BeginAsync(job, cancellation);
            }
            catch
            {
                await hold.DisposeAsync();
                throw;
            }

            _ = Task.Run(() => RunAsync(runner, job, hold, begunAt, stopping), CancellationToken.None);
            var run = new JobRun(begunAt, begunAt, null, null, null, runner.Instance);
            return TypedResults.Accepted($"{WhistleApi.Root}/jobs", Answer(job, run, options));
        }).WithName("runJob").WithSummary("Runs a job now, on this server, besides its schedule.");
    }

    static JobAnswer Answer(ScheduledJob job, JobRun? run, WhistleOptions options) => new(
        job.Name, job.Description, job.Schedule, job.Missed, run?.StartedAt, run?.EndedAt, run?.Outcome, run?.Reason, run?.Instance,
        options.RunTimers ? JobRunner.NextAfter(job, TimeProvider.System.GetUtcNow()) : null);

    static async Task RunAsync(
        JobRunner runner, ScheduledJob job, IAsyncDisposable hold, DateTimeOffset begunAt, CancellationToken stopping)
    {
        await using var held = hold;
        try
        {
            await runner.RunHeldAsync(job, begunAt, stopping);
        }
        catch (Exception)
        {
            // The runner has logged, counted and reported it.
        }
    }
}
