using Whistle.Actions.Protocol;

using Xunit;

namespace Whistle.Tests.Actions;

/// <summary>Against programs that answer as systemctl and journalctl of systemd 252 do.</summary>
public sealed class RestartUnitTests : IDisposable
{
    const string Restart = "unit.restart";
    const string Kubelet = """{ "unit": "kubelet.service" }""";

    readonly ActionFixture _node = new() { Time = new LeapingTime() };

    public RestartUnitTests()
    {
        _node.WritePolicy(
            """{ "restartUnits": [ { "unit": "kubelet.service" }, { "unit": "chrony.service", "mostStartsIn20Minutes": 2 } ] }""");
        // The n-th look, or the last there is.
        _node.WriteProgram("systemctl", """
            if [ "$1" = restart ]; then touch restarted; cat restart.error >&2; exit $(cat restart.code); fi
            n=$(($(cat looks) + 1)); echo $n > looks
            while [ ! -f look.$n ]; do n=$((n - 1)); done
            cat look.$n
            """);
        _node.WriteForPrograms("looks", "0");
        _node.WriteForPrograms("restart.code", "0");
        _node.WriteForPrograms("restart.error", "");
        Look(1, "failed", "failed", 0);
        Look(2, "active", "running", 4711);
        Starts(1);
    }

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task A_service_is_restarted_and_both_states_are_told()
    {
        var report = await _node.RunAsync(Restart, Kubelet);
        Assert.True(report.Outcome == CommandOutcome.Succeeded, report.Summary);
        Assert.Equal(
            """{"dryRun":false,"unit":"kubelet.service","startsIn20Minutes":1,"mostStartsIn20Minutes":"""
            + """5,"stateBefore":"failed (failed)","stateAfter":"active (running)","mainProcessBefore":0,"mainProcessAfter":4711}""",
            report.Output!.Value.GetRawText());
        Assert.Contains("restart --no-pager -- kubelet.service", _node.Calls("systemctl"));
        var count = Assert.Single(_node.Calls("journalctl"));
        Assert.Contains(
            "_PID=1 UNIT=kubelet.service MESSAGE_ID=39f53479d3a045ac8e11786248231fbf MESSAGE_ID=be02cf6855d2428ba40df7e9d022f03d", count,
            StringComparison.Ordinal);
        Assert.Contains(
            $"--since=@{(_node.Time.GetUtcNow() - TimeSpan.FromMinutes(20)).ToUnixTimeSeconds()} ", count, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_waits_for_one_that_is_not_ready_yet()
    {
        Look(2, "activating", "start", 4711);
        Look(3, "activating", "start", 4711);
        Look(4, "active", "running", 4711);
        Assert.Equal(CommandOutcome.Succeeded, (await _node.RunAsync(Restart, Kubelet)).Outcome);
        Assert.Equal(4, _node.Calls("systemctl").Count(c => c.StartsWith("show", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task It_waits_a_minute_and_no_longer()
    {
        Look(2, "activating", "auto-restart", 0);
        var report = await _node.RunAsync(Restart, Kubelet);
        Assert.Equal(CommandOutcome.Failed, report.Outcome);
        Assert.Contains("is activating (auto-restart), not active", report.Summary, StringComparison.Ordinal);
        Assert.Equal(62, _node.Calls("systemctl").Count(c => c.StartsWith("show", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(0, CommandOutcome.Succeeded)]
    [InlineData(4, CommandOutcome.Succeeded)]
    [InlineData(5, CommandOutcome.Refused)]
    [InlineData(9, CommandOutcome.Refused)]
    public async Task After_many_starts_one_more_does_not_help(int starts, CommandOutcome outcome)
    {
        Starts(starts);
        var report = await _node.RunAsync(Restart, Kubelet);
        Assert.Equal(outcome, report.Outcome);
        Assert.Equal(starts, report.Output!.Value.GetProperty("startsIn20Minutes").GetInt32());
        Assert.Equal(outcome == CommandOutcome.Refused, report.Summary.Contains("Cordon the node", StringComparison.Ordinal));
        Assert.Equal(outcome == CommandOutcome.Succeeded, Restarted);
    }

    [Fact]
    public async Task The_policy_of_the_unit_says_how_many_starts_are_many()
    {
        Starts(2);
        Assert.Equal(CommandOutcome.Refused, (await _node.RunAsync(Restart, """{ "unit": "chrony.service" }""")).Outcome);
    }

    [Theory]
    [InlineData("not-found", "does not exist on this node")]
    [InlineData("masked", "systemctl unmask kubelet.service")]
    [InlineData("bad-setting", "Fix its file")]
    public async Task A_unit_that_is_not_loaded_is_refused(string state, string reason)
    {
        Look(1, "inactive", "dead", 0, state);
        await AssertRefusedAsync(Kubelet, reason);
    }

    [Theory]
    [InlineData("""{ "unit": "etcd.service" }""", "does not name etcd.service")]
    [InlineData("""{ "unit": "kubelet" }""", "with its ending")]
    [InlineData("""{ "unit": "-H.service" }""", "with its ending")]
    [InlineData("""{ "unit": "a b.service" }""", "with its ending")]
    [InlineData("{}", "unit.restart needs unit")]
    public async Task What_the_policy_does_not_name_or_is_no_name_is_refused(string parameters, string reason) =>
        await AssertRefusedAsync(parameters, reason);

    [Fact]
    public async Task Without_a_policy_a_permit_or_a_count_nothing_is_restarted()
    {
        _node.Begin = () => new BeginAnswer(false, 0, "paused by a person");
        await AssertRefusedAsync(Kubelet, "paused by a person");
        _node.Begin = () =>
        {
            _node.WritePolicy("{}");
            return new BeginAnswer(true, 10, null);
        };
        await AssertRefusedAsync(Kubelet, "changed during the run");
        await AssertRefusedAsync(Kubelet, "does not name kubelet.service");
        _node.WritePolicy("""{ "restartUnits": [ { "unit": "kubelet.service" } ] }""");
        _node.WriteProgram("journalctl", "exit 0");
        await AssertRefusedAsync(Kubelet, "keeps no journal");
        _node.WriteProgram("journalctl", "echo 'No journal files were opened due to insufficient permissions.' >&2; exit 1");
        await AssertRefusedAsync(Kubelet, "insufficient permissions");
        _node.WriteProgram(
            "systemctl", "echo \"System has not been booted with systemd as init system (PID 1). Can't operate.\" >&2; exit 1");
        await AssertRefusedAsync(Kubelet, "not been booted with systemd");
    }

    [Fact]
    public async Task A_dry_run_looks_and_counts_and_restarts_nothing()
    {
        var report = await _node.RunAsync(Restart, Kubelet, dryRun: true);
        Assert.Equal(
            (CommandOutcome.Succeeded, "Would restart kubelet.service, which is failed (failed)."), (report.Outcome, report.Summary));
        Assert.False(Restarted);
        Assert.Equal(0, _node.Begins);
    }

    [Fact]
    public async Task A_start_that_fails_is_told_in_the_words_of_systemd()
    {
        _node.WriteForPrograms("restart.code", "1");
        _node.WriteForPrograms("restart.error", """
            Job for kubelet.service failed because the control process exited with error code.
            See "systemctl status kubelet.service" and "journalctl -xeu kubelet.service" for details.
            """);
        Look(2, "failed", "failed", 0);
        var report = await _node.RunAsync(Restart, Kubelet);
        Assert.Equal(CommandOutcome.Failed, report.Outcome);
        Assert.Contains("failed because the control process exited", report.Summary, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_same_process_as_before_was_not_restarted()
    {
        Look(1, "active", "running", 4711);
        var report = await _node.RunAsync(Restart, Kubelet);
        Assert.Equal(CommandOutcome.Failed, report.Outcome);
        Assert.Contains("still with process 4711", report.Summary, StringComparison.Ordinal);
    }

    [Fact]
    public async Task When_the_time_is_over_during_the_restart_nobody_knows_how_it_ended()
    {
        ActionFixture.Run("mkfifo", Path.Join(_node.Programs, "hangs"));
        _node.WriteProgram("systemctl", """[ "$1" = show ] && exec cat look.1; echo > hangs; exec sleep 1000""");
        using var limit = new CancellationTokenSource();
        _node.Cancellation = limit.Token;
        var running = _node.RunAsync(Restart, Kubelet);
        await Task.Run(() => File.ReadAllText(Path.Join(_node.Programs, "hangs")));
        await limit.CancelAsync();
        Assert.Equal(CommandOutcome.Indeterminate, (await running).Outcome);
    }

    [Fact]
    public async Task When_the_time_is_over_while_it_waits_the_last_state_is_told()
    {
        using var limit = new CancellationTokenSource();
        _node.Cancellation = limit.Token;
        ((LeapingTime)_node.Time).Waits = limit.Cancel;
        Look(2, "activating", "start", 4711);
        var report = await _node.RunAsync(Restart, Kubelet);
        Assert.Equal(CommandOutcome.Indeterminate, report.Outcome);
        Assert.Equal("activating (start)", report.Output!.Value.GetProperty("stateAfter").GetString());
    }

    bool Restarted => File.Exists(Path.Join(_node.Programs, "restarted"));

    async Task AssertRefusedAsync(string parameters, string reason)
    {
        _node.WriteForPrograms("looks", "0");
        var report = await _node.RunAsync(Restart, parameters);
        Assert.Equal(CommandOutcome.Refused, report.Outcome);
        Assert.Contains(reason, report.Summary, StringComparison.Ordinal);
        Assert.False(Restarted);
    }

    void Look(int number, string active, string sub, int process, string load = "loaded") => _node.WriteForPrograms(
        $"look.{number}", $"MainPID={process}\nId=kubelet.service\nLoadState={load}\nActiveState={active}\nSubState={sub}\n");

    void Starts(int count)
    {
        const string entry =
            """{"__CURSOR":"s=1;i=1","__REALTIME_TIMESTAMP":"1800000000000000","__MONOTONIC_TIMESTAMP":"1","""
            + """ "_BOOT_ID":"1","MESSAGE_ID":"39f53479d3a045ac8e11786248231fbf"}""";
        _node.WriteForPrograms("starts", string.Concat(Enumerable.Repeat(entry + "\n", count)));
        // One entry of something else is in it always.
        _node.WriteForPrograms("other", entry + "\n");
        _node.WriteProgram("journalctl", """case "$*" in *UNIT=*) cat starts;; *) cat other;; esac""");
    }
}
