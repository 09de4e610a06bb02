using Whistle.Actions.Contract;
using Whistle.Actions.Protocol;

using Xunit;

namespace Whistle.Tests.Actions;

public sealed class ClockTests : IDisposable
{
    readonly ActionFixture _node = new();

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task The_clock_and_the_service_that_keeps_it_are_told()
    {
        // chronyd.service is another name of chrony.service on Debian.
        _node.WriteProgram("systemctl", """
            for u in chrony chrony;
            do printf 'MainPID=5\nId=%s.service\nLoadState=loaded\nActiveState=active\nSubState=running\n\n' $u; done
            printf 'MainPID=0\nId=ntp.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n'
            """);
        var report = await _node.RunAsync("clock.check");
        Assert.Equal(
            (CommandOutcome.Succeeded, "The clock is synchronised, 2.5 ms off. chrony.service is active."),
            (report.Outcome, report.Summary));
        Assert.Equal("""{"chrony.service":"active"}""", report.Output!.Value.GetProperty("services").GetRawText());
        Assert.Equal((0.0025, 0.016), (report.Output.Value.GetProperty("offsetSeconds").GetDouble(), report.Output.Value.GetProperty(
            "maximumErrorSeconds").GetDouble()));
    }

    [Fact]
    public async Task One_that_is_not_kept_is_said_even_where_systemd_is_silent()
    {
        _node.ClockSynchronised = false;
        _node.WriteProgram("systemctl", "echo 'Failed to connect to bus: Host is down' >&2; exit 1");
        var report = await _node.RunAsync("clock.check");
        Assert.Equal((CommandOutcome.Succeeded, "The clock is not synchronised."), (report.Outcome, report.Summary));
        Assert.Contains("Host is down", report.Output!.Value.GetProperty("servicesUnknown").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 0x2001, 2_500_000, true, 0.0025)]
    [InlineData(0, 0x0001, 2_500, true, 0.0025)]
    [InlineData(0, 0x2000, 0, true, null)]
    [InlineData(5, 0x0040, 0, false, null)]
    [InlineData(0, 0x0040, 0, false, null)]
    public void The_kernels_words_are_read_as_they_are_meant(int state, int status, long offset, bool synchronised, double? seconds) =>
        Assert.Equal(new ClockReading(synchronised, seconds, 0.016, 0.0005), ClockReading.From(state, status, offset, 16_000, 500));

    [Fact]
    public void The_machines_own_clock_can_be_read() => Assert.True(ClockReading.Read().MaximumError >= 0);
}
