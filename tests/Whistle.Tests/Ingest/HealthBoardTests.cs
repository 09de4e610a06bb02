using Microsoft.Extensions.Time.Testing;

using Whistle.State.Health;

using Xunit;

namespace Whistle.Tests.Ingest;

public sealed class HealthBoardTests
{
    readonly FakeTimeProvider _time = new();
    readonly HealthBoard _board;

    public HealthBoardTests() => _board = new HealthBoard(_time);

    [Fact]
    public void What_does_not_succeed_is_degraded_and_after_a_minute_failed_and_well_with_the_first_success()
    {
        _board.Failing("rules", "pass", "a");
        Assert.Equal(HealthState.Degraded, _board.State);
        _time.Advance(TimeSpan.FromSeconds(59));
        _board.Failing("rules", "pass", "b");
        Assert.Equal(HealthState.Degraded, _board.State);
        _time.Advance(TimeSpan.FromSeconds(1));
        _board.Failing("rules", "pass", "c");

        Assert.Equal(
            (HealthState.Failed, "c", _time.GetUtcNow().AddMinutes(-1)),
            Assert.Single(_board.Problems()) is var p ? (p.State, p.Reason, p.Since) : default);
        _board.Clear("rules", "pass");
        Assert.Equal(HealthState.Ok, _board.State);
        _board.Failing("rules", "pass", "d");
        Assert.Equal(HealthState.Degraded, _board.State);
    }

    [Fact]
    public void The_worst_is_first_and_says_the_state_of_all()
    {
        _board.Report("b", "", HealthState.Degraded, "");
        _board.Report("c", "", HealthState.Failed, "");
        _board.Report("a", "", HealthState.Degraded, "");

        Assert.Equal(["c", "a", "b"], _board.Problems().Select(p => p.Component));
        Assert.Equal(HealthState.Failed, _board.State);
    }
}
