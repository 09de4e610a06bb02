using Microsoft.Extensions.Time.Testing;

using Whistle.Demo;

using Xunit;

namespace Whistle.Tests.Demo;

public sealed class DemoClockTests
{
    static readonly DateTimeOffset Start = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task A_delay_ends_when_the_clock_is_moved_past_it_and_not_before()
    {
        var clock = new DemoClock(Start);
        var delay = Task.Delay(TimeSpan.FromMinutes(2), clock, TestContext.Current.CancellationToken);
        clock.Advance(TimeSpan.FromSeconds(119));
        Assert.False(delay.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(1));
        await delay.WaitAsync(TestContext.Current.CancellationToken);

        Assert.Equal(Start.AddMinutes(2), clock.GetUtcNow());
    }

    [Fact]
    public async Task A_period_goes_on_after_it_was_passed_over_and_fires_once_for_that()
    {
        var clock = new DemoClock(Start);
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(10), clock);
        clock.Advance(TimeSpan.FromSeconds(35));
        Assert.True(await timer.WaitForNextTickAsync(TestContext.Current.CancellationToken));
        var next = timer.WaitForNextTickAsync(TestContext.Current.CancellationToken).AsTask();
        clock.Advance(TimeSpan.FromSeconds(4));
        Assert.False(next.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(1));

        Assert.True(await next);
    }

    [Fact]
    public void A_token_that_was_disposed_of_or_cancelled_at_once_needs_no_move()
    {
        var clock = new DemoClock(Start);
        new CancellationTokenSource(TimeSpan.FromSeconds(1), clock).Dispose();
        var elapsed = clock.GetTimestamp();
        clock.Advance(TimeSpan.FromSeconds(5));

        Assert.Equal(TimeSpan.FromSeconds(5), clock.GetElapsedTime(elapsed));
    }

    [Theory]
    [InlineData(10)]
    [InlineData(60)]
    public void The_demo_goes_by_its_factor_until_it_has_caught_up_and_then_with_the_clock(double factor)
    {
        var real = new FakeTimeProvider(Start);
        var clock = new DemoClock(DemoPace.Start(Start, DemoOptions.Show, factor));
        var pace = new DemoPace(real, factor);
        var begun = clock.GetUtcNow();

        Run(TimeSpan.FromSeconds(10));
        Assert.InRange((clock.GetUtcNow() - begun).TotalSeconds, 10 * factor - 2, 10 * factor);
        Run(DemoOptions.Show / factor);
        Assert.InRange((real.GetUtcNow() - clock.GetUtcNow()).TotalSeconds, 0, 2);
        Run(TimeSpan.FromMinutes(5));
        Assert.InRange((real.GetUtcNow() - clock.GetUtcNow()).TotalSeconds, 0, 2);

        void Run(TimeSpan time)
        {
            for (var i = 0; i < time / TimeSpan.FromMilliseconds(10); i++)
            {
                real.Advance(TimeSpan.FromMilliseconds(10));
                while (pace.TryTake(DemoRun.Step, clock.GetUtcNow()))
                    clock.Advance(DemoRun.Step);
            }
        }
    }

    [Fact]
    public void A_machine_that_slept_does_not_make_up_for_it_at_once()
    {
        var real = new FakeTimeProvider(Start);
        var pace = new DemoPace(real, 10);
        var clock = new DemoClock(Start);
        real.Advance(TimeSpan.FromHours(8));
        var steps = 0;
        for (; pace.TryTake(DemoRun.Step, clock.GetUtcNow()); steps++)
            clock.Advance(DemoRun.Step);

        Assert.InRange(steps, 1, 10);
    }
}
