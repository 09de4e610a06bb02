using Whistle.Actions.Contract;
using Whistle.Actions.Kernel;
using Whistle.Actions.Protocol;

using Xunit;

namespace Whistle.Tests.Actions;

public sealed class SysctlTests : IDisposable
{
    readonly ActionFixture _node = new();
    readonly string _file;

    public SysctlTests()
    {
        _file = _node.WriteProc("sys/net/netfilter/nf_conntrack_max", "65536\n");
        _node.WriteProc("sys/net/netfilter/nf_conntrack_count", "60000\n");
        _node.WriteProc("sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
        _node.WritePolicy("""
            { "raiseSysctls": [
              { "name": "net.netfilter.nf_conntrack_max", "cap": 262144, "floor": 32768 },
              { "name": "net.ipv4.ip_local_port_range", "cap": 9 }, { "name": "fs.file-max", "cap": 9 } ] }
            """);
    }

    public void Dispose() => _node.Dispose();

    [Theory]
    [InlineData("\"factor\": 2", 131072)]
    [InlineData("\"factor\": 1.5", 98304)]
    [InlineData("\"factor\": 10", 262144)]
    [InlineData("\"value\": 70000", 70000)]
    [InlineData("\"value\": 65536", 65536)]
    public async Task A_limit_is_raised_and_never_above_the_cap(string by, long value)
    {
        var dry = await RaiseAsync(by, dryRun: true);
        Assert.Equal((CommandOutcome.Succeeded, "65536\n", 0), (dry.Outcome, File.ReadAllText(_file), _node.Begins));
        var report = await RaiseAsync(by);
        Assert.True(report.Outcome == CommandOutcome.Succeeded, report.Summary);
        Assert.Equal(
            $$"""{"dryRun":false,"name":"net.netfilter.nf_conntrack_max","was":65536,"is":{{value}},"limit":262144,"inUse":60000}""",
            report.Output!.Value.GetRawText());
        Assert.Equal($"{value}\n", File.ReadAllText(_file));
    }

    [Theory]
    [InlineData("net.netfilter.nf_conntrack_max", "\"value\": 262145", "above the cap")]
    [InlineData("net.netfilter.nf_conntrack_max", "\"value\": 65535", "never does")]
    [InlineData("net.netfilter.nf_conntrack_max", "\"factor\": 1", "above 1")]
    [InlineData("net.netfilter.nf_conntrack_max", "\"factor\": 11", "at most 10")]
    [InlineData("net.netfilter.nf_conntrack_max", "\"factor\": 2, \"value\": 70000", "either a factor or a value")]
    [InlineData("net.ipv4.ip_local_port_range", "\"factor\": 2", "not a single whole number")]
    [InlineData("fs.file-max", "\"factor\": 2", "This kernel has no fs.file-max")]
    [InlineData("kernel.panic", "\"factor\": 2", "does not name kernel.panic")]
    [InlineData("../../etc/passwd", "\"factor\": 2", "does not name")]
    public async Task What_would_lower_it_go_too_far_or_is_not_allowed_is_refused(string name, string by, string reason) =>
        AssertRefused(await _node.RunAsync("sysctl.raise", $$"""{ "name": "{{name}}", {{by}} }"""), reason);

    [Fact]
    public async Task At_the_cap_it_is_said_what_to_do()
    {
        File.WriteAllText(_file, "262144\n");
        AssertRefused(await RaiseAsync("\"factor\": 2"), "Find what uses it up");
    }

    [Fact]
    public async Task Without_a_permit_or_with_another_value_meanwhile_it_stays()
    {
        _node.Begin = () => new BeginAnswer(false, 0, "frozen");
        AssertRefused(await RaiseAsync("\"factor\": 2"), "frozen");
        Assert.Equal("65536\n", File.ReadAllText(_file));
        _node.Begin = () =>
        {
            File.WriteAllText(_file, "200000\n");
            return new BeginAnswer(true, 10, null);
        };
        AssertRefused(await RaiseAsync("\"factor\": 2"), "changed to 200000 in the meantime");
        Assert.Equal("200000\n", File.ReadAllText(_file));
    }

    [Fact]
    public async Task It_is_set_back_to_what_the_report_says_it_was()
    {
        _node.WriteProc("sys/net/netfilter/nf_conntrack_count", "1000\n");
        var raised = (await RaiseAsync("\"factor\": 2")).Output!.Value;
        var report = await RestoreAsync(raised.GetProperty("was").GetInt64(), raised.GetProperty("is").GetInt64());
        Assert.True(report.Outcome == CommandOutcome.Succeeded, report.Summary);
        Assert.Equal("65536\n", File.ReadAllText(_file));
        Assert.Contains("is 65536 already", (await RestoreAsync(65536, 131072)).Summary, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(60000, 65000, 10, "somebody else has set it")]
    [InlineData(70000, 65536, 10, "only sets back")]
    [InlineData(32767, 65536, 10, "below 32768")]
    [InlineData(50000, 65536, 48000, "below 60000")]
    public async Task It_is_not_set_back_where_that_would_harm(long value, long expected, int inUse, string reason)
    {
        _node.WriteProc("sys/net/netfilter/nf_conntrack_count", $"{inUse}\n");
        AssertRefused(await RestoreAsync(value, expected), reason);
        Assert.Equal("65536\n", File.ReadAllText(_file));
    }

    [Fact]
    public void The_kernels_own_files_are_written_too()
    {
        _node.ProcPath = "/proc";
        var limit = new Sysctl(_node.Context(dryRun: false), "kernel.pid_max");
        var now = limit.Read(out _)!.Value;
        // What it is already, so that the machine stays as it is.
        var failure = limit.Write(now);
        Assert.SkipWhen(failure?.Contains("denied", StringComparison.Ordinal) ?? false, $"This machine does not let it be set: {failure}");
        Assert.Null(failure);
        Assert.InRange(limit.InUse() ?? now, 1, now);
        Assert.Contains("could not be set", limit.Write(long.MaxValue), StringComparison.Ordinal);
        Assert.Equal(now, limit.Read(out _));
    }

    Task<ActionReport> RaiseAsync(string by, bool dryRun = false) =>
        _node.RunAsync("sysctl.raise", $$"""{ "name": "net.netfilter.nf_conntrack_max", {{by}} }""", dryRun);

    Task<ActionReport> RestoreAsync(long value, long expected) =>
        _node.RunAsync(
            "sysctl.restore", $$"""{ "name": "net.netfilter.nf_conntrack_max", "value": {{value}}, "expected": {{expected}} }""");

    static void AssertRefused(ActionReport report, string reason)
    {
        Assert.Equal(CommandOutcome.Refused, report.Outcome);
        Assert.Contains(reason, report.Summary, StringComparison.Ordinal);
    }
}
