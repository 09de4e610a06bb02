using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Prometheus;

using Whistle.Remediation;
using Whistle.State.Health;
using Whistle.Tests.Remediation;

using Xunit;

namespace Whistle.Tests;

public sealed class PassWatchTests : IDisposable
{
    readonly FakeTimeProvider _clock = new();
    readonly CollectorRegistry _registry = Metrics.NewCustomRegistry();
    readonly HealthBoard _board;
    readonly PassWatch _watch;

    public PassWatchTests()
    {
        _board = new(_clock);
        _watch = new(_board, Metrics.WithCustomRegistry(_registry), _clock);
    }

    public void Dispose() => _watch.Dispose();

    [Fact]
    public async Task A_pass_that_is_stuck_is_reported_from_outside_until_one_succeeds()
    {
        var pass = _watch.Watch("remediation", TimeSpan.FromSeconds(1));
        pass.Begin();
        pass.Succeed();
        pass.Begin();

        _clock.Advance(TimeSpan.FromSeconds(60));
        Assert.Empty(_board.Problems());
        _clock.Advance(TimeSpan.FromSeconds(15));
        var problem = Assert.Single(_board.Problems());
        Assert.Equal(("remediation", HealthState.Failed), (problem.Component, problem.State));
        Assert.Contains("one has been running for 75 s", problem.Reason, StringComparison.Ordinal);
        Assert.Contains("whistle_pass_overdue_seconds{stage=\"remediation\"} 15", await ExposedAsync(), StringComparison.Ordinal);
        Assert.Contains(
            "whistle_pass_last_success_timestamp_seconds{stage=\"remediation\"} "
            + $"{_clock.GetUtcNow().AddSeconds(-75).ToUnixTimeSeconds()}",
            await ExposedAsync(), StringComparison.Ordinal);

        pass.Succeed();
        _clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Empty(_board.Problems());
        Assert.Contains("whistle_pass_overdue_seconds{stage=\"remediation\"} 0", await ExposedAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_pass_that_fails_each_time_or_never_begins_is_overdue_too()
    {
        var failing = _watch.Watch("rules", TimeSpan.FromSeconds(1));
        _watch.Watch("alerting", TimeSpan.FromMinutes(1));
        for (var i = 0; i < 70; i++)
        {
            failing.Begin();
            failing.Fail(new InvalidOperationException("the disk is full"));
            _clock.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Contains("the latest failed (the disk is full)", Assert.Single(_board.Problems()).Reason, StringComparison.Ordinal);
        _clock.Advance(TimeSpan.FromMinutes(10));
        Assert.Contains(_board.Problems(), p => p.Component == "alerting" && p.Reason.Contains("none has begun", StringComparison.Ordinal));
    }

    [Fact]
    public void A_clock_that_is_put_forward_makes_nothing_overdue()
    {
        var clock = new JumpingClock(_clock);
        using var watch = new PassWatch(_board, Metrics.WithCustomRegistry(Metrics.NewCustomRegistry()), clock);
        watch.Watch("rules", TimeSpan.FromSeconds(1)).Succeed();

        clock.Ahead = TimeSpan.FromDays(1);
        _clock.Advance(TimeSpan.FromSeconds(10));

        Assert.Empty(_board.Problems());
    }

    [Fact]
    public async Task The_pass_over_the_repairs_is_watched_while_the_host_runs()
    {
        using var bench = new RemediationBench();
        // Not a thread that is blocked: the clock's own would be, which the pass runs on.
        var (entered, left) = (new TaskCompletionSource(), new TaskCompletionSource());
        using var host = new RemediationHost(
            bench.Environment with
            {
                Watch = _watch,
                RefreshClusters = async (_, _, _) =>
                {
                    entered.TrySetResult();
                    await left.Task;
                },
            },
            _clock, NullLogger<RemediationHost>.Instance);
        await host.StartAsync(TestContext.Current.CancellationToken);
        while (!entered.Task.IsCompleted)
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        _clock.Advance(TimeSpan.FromMinutes(2));

        Assert.Contains(_board.Problems(), p => p.Component == "remediation" && p.State is HealthState.Failed);
        left.SetResult();
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    async Task<string> ExposedAsync()
    {
        using var stream = new MemoryStream();
        await _registry.CollectAndExportAsTextAsync(stream, TestContext.Current.CancellationToken);
        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }

    sealed class JumpingClock(TimeProvider inner) : TimeProvider
    {
        public TimeSpan Ahead { get; set; }

        public override DateTimeOffset GetUtcNow() => inner.GetUtcNow() + Ahead;

        public override long TimestampFrequency => inner.TimestampFrequency;

        public override long GetTimestamp() => inner.GetTimestamp();

        public override System.Threading.ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            inner.CreateTimer(callback, state, dueTime, period);
    }
}
