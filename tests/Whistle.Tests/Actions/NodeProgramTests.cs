using Whistle.Actions.Programs;

using Xunit;

namespace Whistle.Tests.Actions;

/// <summary>How actions run the programs of the node.</summary>
public sealed class NodeProgramTests : IDisposable
{
    readonly ActionFixture _node = new();

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task Arguments_arrive_as_they_are_and_no_shell_sees_them()
    {
        _node.WriteProgram("show", "for a in \"$@\"; do echo \"<$a>\"; done");
        var ended = await RunAsync("show", ["$(reboot)", "a b", ";", "*"]);
        Assert.Equal((0, "<$(reboot)>\n<a b>\n<;>\n<*>\n", false), (ended.ExitCode!.Value, ended.Output, ended.Cut));
    }

    [Fact]
    public async Task The_environment_is_small_and_nothing_comes_from_the_input()
    {
        _node.WriteProgram("show", "cat; env | cut -d= -f1 | sort | tr '\\n' ' '; echo $LC_ALL");
        var ended = await RunAsync("show", []);
        Assert.Equal("HOME LC_ALL OLDPWD PATH PWD C\n", ended.Output.Replace("_ ", "", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(false, "1\n2\n3\n4\n5\n")]
    [InlineData(true, "98\n99\n100\n")]
    public async Task Of_too_long_an_output_the_first_or_the_last_is_kept_and_it_is_said(bool keepEnd, string kept)
    {
        _node.WriteProgram("count", "seq 1 100");
        var ended = await RunAsync("count", [], kept.Length, keepEnd);
        Assert.Equal((kept, true), (ended.Output, ended.Cut));
        _node.WriteProgram("count", "seq 1 300000");
        ended = await RunAsync("count", [], 1000, keepEnd);
        Assert.Equal((1000, true), (ended.Output.Length, ended.Cut));
        Assert.Equal(keepEnd, ended.Output.EndsWith("299999\n300000\n", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_it_said_last_is_in_the_complaint_without_secrets()
    {
        _node.WriteProgram("bad", "echo out; echo 'password=hunter2 is wrong' >&2; exit 3");
        var ended = await RunAsync("bad", []);
        Assert.Equal("bad ended with 3: password=[redacted] is wrong", ended.Complaint("bad"));
    }

    [Fact]
    public async Task When_the_time_is_over_its_children_end_with_it()
    {
        ActionFixture.Run("mkfifo", Path.Join(Directory.CreateDirectory(_node.Programs).FullName, "started"));
        _node.WriteProgram("slow", "trap '' TERM; sleep 1000 & echo $! > started; wait; wait");
        using var limit = new CancellationTokenSource();
        var running = NodeProgram.RunAsync(_node.Context(false), "slow", [], limit.Token);
        var child = (await Task.Run(() => File.ReadAllText(Path.Join(_node.Programs, "started")))).Trim();
        await limit.CancelAsync();
        var ended = await running;
        Assert.True(ended.Killed);
        Assert.Contains("time was over", ended.Failure, StringComparison.Ordinal);
        while (IsAlive(child))
            await Task.Yield();
    }

    [Fact]
    public async Task What_others_than_root_can_write_or_what_is_not_there_is_not_run()
    {
        _node.WriteProgram("open", "echo");
        ActionFixture.Run("chmod", "g+w", Path.Join(_node.Programs, "open"));
        Assert.Contains("chown root", (await RunAsync("open", [])).Failure, StringComparison.Ordinal);
        Assert.Contains("is not on this node", (await RunAsync("no-such-program", [])).Failure, StringComparison.Ordinal);
        Assert.Empty(_node.Calls("open"));
    }

    static bool IsAlive(string process)
    {
        try
        {
            // "7 (sleep) Z …": dead, and only not yet collected by whoever inherited it.
            return !File.ReadAllText($"/proc/{process}/stat").Contains(") Z", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }

    Task<Ended> RunAsync(string program, string[] arguments, int most = 1 << 16, bool keepEnd = false) =>
        NodeProgram.RunAsync(_node.Context(false), program, arguments, CancellationToken.None, most, keepEnd);
}
