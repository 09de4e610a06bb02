using Microsoft.Extensions.Logging.Abstractions;

using Prometheus;

using Whistle.Jobs;
using Whistle.State;
using Whistle.State.Health;
using Whistle.State.Jobs;
using Whistle.Tests.State;

using Xunit;

namespace Whistle.Tests.Jobs;

public sealed class JobsTests : IDisposable
{
    // Due next year, and every year before.
    const string Yearly = "0 0 0 1 1 ?";

    readonly StateFolder _folder = new();
    readonly HealthBoard _board = new(TimeProvider.System);
    readonly CollectorRegistry _registry = Metrics.NewCustomRegistry();

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_server_that_was_down_makes_up_for_a_retention_once_and_for_a_digest_not_at_all()
    {
        using var state = Open();
        var ran = new TaskCompletionSource();
        var runs = 0;
        var retention = Job("retention", MissedRun.RunOnce, () => Count(ref runs, ran));
        var digest = Job("digest", MissedRun.Skip, () => throw new InvalidOperationException("a digest came late"));
        var store = new JobStore(state, "a");
        foreach (var job in new[] { retention, digest })
            await store.KnowAsync(job, Now.AddYears(-3), Cancellation);

        await using (await StartAsync(state, retention, digest))
            await ran.Task.WaitAsync(Cancellation);

        var latest = await store.LatestAsync(Cancellation);
        Assert.Equal((1, JobOutcome.Done, "a"), (runs, latest["retention"].Outcome, latest["retention"].Instance));
        Assert.Null(latest["digest"].StartedAt);
        await using (await StartAsync(state, retention, digest))
            await SettledAsync(state);
        Assert.Equal(1, runs);
    }

    [Fact]
    public async Task Nothing_is_missed_by_a_job_that_was_not_known()
    {
        using var state = Open();
        await using (await StartAsync(state, Job("retention", MissedRun.RunOnce, () => throw new InvalidOperationException("it ran"))))
            await SettledAsync(state);

        Assert.Null((await new JobStore(state, "a").LatestAsync(Cancellation))["retention"].StartedAt);
        Assert.Empty(_board.Problems());
    }

    [Fact]
    public async Task A_stop_cancels_what_runs_waits_for_its_end_and_the_next_start_runs_it_again()
    {
        using var state = Open();
        var store = new JobStore(state, "a");
        var (begun, ended, again) = (new TaskCompletionSource(), false, new TaskCompletionSource());
        var slow = new ScheduledJob("slow", "It takes long.", Yearly, MissedRun.RunOnce, async cancellation =>
        {
            begun.SetResult();
            try
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellation);
            }
            finally
            {
                ended = true;
            }
        });
        await store.KnowAsync(slow, Now.AddYears(-3), Cancellation);

        await using (await StartAsync(state, slow))
            await begun.Task.WaitAsync(Cancellation);

        Assert.True(ended);
        Assert.Equal(JobOutcome.Interrupted, (await store.LatestAsync(Cancellation))["slow"].Outcome);
        await using (await StartAsync(state, Job("slow", MissedRun.RunOnce, again.SetResult)))
            await again.Task.WaitAsync(Cancellation);
        Assert.Equal(JobOutcome.Done, (await store.LatestAsync(Cancellation))["slow"].Outcome);
    }

    [Fact]
    public async Task A_run_that_was_killed_is_begun_again()
    {
        using var state = Open();
        var again = new TaskCompletionSource();
        var job = Job("retention", MissedRun.RunOnce, again.SetResult);
        await new JobStore(state, "a").BeginAsync(job, Now, Cancellation);

        await using (await StartAsync(state, job))
            await again.Task.WaitAsync(Cancellation);
    }

    [Fact]
    public async Task A_job_that_throws_is_on_the_board_of_every_server_until_it_succeeds()
    {
        using var state = Open();
        var isBroken = true;
        var job = Job("backup", MissedRun.RunOnce, () => _ = isBroken ? throw new IOException("No space.") : true);
        var (runner, other) = (Runner(state, "a", job), Runner(state, "b", job));

        await Assert.ThrowsAsync<IOException>(() => runner.RunAsync(job, Cancellation));
        await AssertReportedAsync();
        _board.Clear(JobRunner.Component, "backup");
        await other.ReportAsync(Cancellation);
        await AssertReportedAsync();

        isBroken = false;
        await runner.RunAsync(job, Cancellation);
        Assert.Empty(_board.Problems());
        Assert.Equal(1, runs("failed"));
        Assert.Equal(1, runs("done"));

        Task AssertReportedAsync()
        {
            var problem = Assert.Single(_board.Problems());
            Assert.Equal(("jobs", "backup", HealthState.Degraded), (problem.Component, problem.Subject, problem.State));
            Assert.Contains("on a: No space. It runs again at", problem.Reason, StringComparison.Ordinal);
            Assert.Contains("whistle jobs run backup", problem.Reason, StringComparison.Ordinal);
            return Task.CompletedTask;
        }

        double runs(string outcome) => Metrics.WithCustomRegistry(_registry)
            .CreateCounter("whistle_job_runs_total", "", ["job", "outcome"]).WithLabels("backup", outcome).Value;
    }

    [Fact]
    public async Task A_job_runs_once_at_a_time()
    {
        using var state = Open();
        var runs = 0;
        var job = Job("retention", MissedRun.RunOnce, () => runs++);
        var runner = Runner(state, "a", job);
        await using (await runner.HoldAsync(job, Cancellation))
            await runner.RunAsync(job, Cancellation);
        Assert.Equal(0, runs);

        await runner.RunAsync(job, Cancellation);
        Assert.Equal(1, runs);
    }

    static void Count(ref int runs, TaskCompletionSource ran)
    {
        Interlocked.Increment(ref runs);
        ran.TrySetResult();
    }

    StateDatabase Open()
    {
        var state = new StateDatabase(_folder.File);
        state.Add(JobStore.Tables);
        return state;
    }

    static ScheduledJob Job(string name, MissedRun missed, Action work) => new(name, "Does something.", Yearly, missed, _ =>
    {
        work();
        return Task.CompletedTask;
    });

    JobRunner Runner(StateDatabase state, string instance, params ScheduledJob[] jobs) => new(
        jobs, new JobStore(state, instance), _board, Metrics.WithCustomRegistry(_registry), TimeProvider.System,
        NullLogger<JobRunner>.Instance);

    async Task<StartedJobs> StartAsync(StateDatabase state, params ScheduledJob[] jobs)
    {
        var host = new JobsHost(
            Runner(state, "a", jobs), new JobStore(state, "a"), takesPart: true, () => null, _board, TimeProvider.System,
            NullLoggerFactory.Instance);
        await host.StartAsync(Cancellation);
        return new(host);
    }

    // A job of another name that is missed runs after the others were looked at.
    async Task SettledAsync(StateDatabase state)
    {
        var last = new TaskCompletionSource();
        var job = Job("zz-last", MissedRun.RunOnce, last.SetResult);
        await new JobStore(state, "z").KnowAsync(job, Now.AddYears(-3), Cancellation);
        await using (await StartAsync(state, job))
            await last.Task.WaitAsync(Cancellation);
    }

    sealed class StartedJobs(JobsHost host) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await host.StopAsync(CancellationToken.None);
            host.Dispose();
        }
    }
}
