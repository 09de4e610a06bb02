using Whistle.Detectors.Signals;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Remediation;

public sealed class GateTests
{
    static readonly DateTimeOffset Now = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    static readonly Dictionary<string, Func<GateSnapshot, GateSnapshot>> Cases = new()
    {
        ["all is well"] = s => s,
        ["the kill switch"] = s => s with { Kill = new(true, "stop", "ann", Now), Mode = RunbookMode.Off },
        ["mode off"] = s => s with { Mode = RunbookMode.Off },
        ["mode observe"] = s => s with { Mode = RunbookMode.Observe },
        ["no approval"] = s => s with { Mode = RunbookMode.Approve },
        ["an approval of another plan"] = s => s with { Mode = RunbookMode.Approve, Approval = new("r", "other", "ann", Now, Now.AddHours(1)) },
        ["an approval that has ended"] = s => s with { Mode = RunbookMode.Approve, Approval = new("r", "plan", "ann", Now, Now) },
        ["an approval"] = s => s with { Mode = RunbookMode.Approve, Approval = new("r", "plan", "ann", Now, Now.AddHours(1)) },
        ["a cancellation"] = s => s with { Cancellation = new("r", "ann", "not today", Now) },
        ["an acknowledgement"] = s => s with { Acknowledgement = new("i", "ann", Now, Now.AddHours(1)) },
        ["an acknowledgement before what could disrupt"] = s => s with
        {
            Acknowledgement = new("i", "ann", Now, Now.AddHours(1)),
            Runbook = s.Runbook with { Steps = [new("x", "node.reboot", new Dictionary<string, object?>(), default, false, false)] },
        },
        ["a pause of the node"] = s => s with { Pauses = [PauseOf(node: "n")] },
        ["a pause of another node"] = s => s with { Pauses = [PauseOf(node: "m")] },
        ["a pause of the runbook"] = s => s with { Pauses = [PauseOf(runbook: "b")] },
        ["an unknown signal beside a firing one"] = s => s with { Signals = [.. s.Signals, SignalOf("B", SignalState.Unknown, 60)] },
        ["no signal"] = s => s with { Signals = [] },
        ["a lone signal that is young"] = s => s with { Signals = [SignalOf("A", SignalState.Firing, 1)] },
        ["warning and critical of one alert that are young"] = s => s with { Signals = [SignalOf("A", SignalState.Firing, 1), SignalOf("A", SignalState.Firing, 1)] },
        ["two young signals"] = s => s with { Signals = [SignalOf("A", SignalState.Firing, 1), SignalOf("B", SignalState.Firing, 1)] },
        ["a signal not evaluated of late"] = s => s with { Signals = [SignalOf("A", SignalState.Firing, 60, evaluated: 3)] },
        ["another run on the disk"] = s => s with { AtWork = [RunOf("o", "n", "/data")] },
        ["another run on the node"] = s => s with { AtWork = [RunOf("o", "n", "/other")] },
        ["another run in the cluster"] = s => s with { AtWork = [RunOf("o", "m", "/data")] },
        ["five other runs in the cluster"] = s => s with { AtWork = [.. "12345".Select(c => RunOf("o" + c, "m" + c, "/data"))] },
        ["an attempt a while ago"] = s => s with { Earlier = [RunOf("o", "n", "/data", ended: 16)] },
        ["an attempt just now"] = s => s with { Earlier = [RunOf("o", "n", "/data", ended: 14)] },
        ["a success in another incident just now"] = s => s with { Earlier = [RunOf("o", "n", "/data", ended: 14) with { IncidentId = "j" }] },
        ["two attempts"] = s => s with { Earlier = [RunOf("o", "n", "/data", ended: 500), RunOf("p", "n", "/data", ended: 400)] },
        ["an action that could disrupt"] = s => s with { Runbook = s.Runbook with { Steps = [new("x", "node.reboot", new Dictionary<string, object?>(), default, false, false)] } },
    };

    [Theory]
    [InlineData("all is well", null)]
    [InlineData("the kill switch", "kill-switch: The kill switch is on since 2026-01-01 12:00:00Z (ann: stop).")]
    [InlineData("mode off", "mode: The mode is off (test).")]
    [InlineData("mode observe", "mode: The mode is observe (test)")]
    [InlineData("no approval", "mode: The plan waits for somebody's approval.")]
    [InlineData("an approval of another plan", "mode: The approval by ann is for another plan")]
    [InlineData("an approval that has ended", "mode: The approval by ann ended at 2026-01-01 12:00:00Z")]
    [InlineData("an approval", null)]
    [InlineData("a cancellation", "cancelled: ann calls it off: not today")]
    [InlineData("an acknowledgement", null)]
    [InlineData("an acknowledgement before what could disrupt", "pause: ann has taken the incident on until 2026-01-01 13:00:00Z.")]
    [InlineData("a pause of the node", "pause: Paused by ann until 2026-01-01 13:00:00Z: work.")]
    [InlineData("a pause of another node", null)]
    [InlineData("a pause of the runbook", "pause: ")]
    [InlineData("an unknown signal beside a firing one", "evidence: B is unknown")]
    [InlineData("no signal", "evidence: No signal")]
    [InlineData("a lone signal that is young", "evidence: A is alone and must have fired until 2026-01-01 12:01:00Z.")]
    [InlineData("warning and critical of one alert that are young", "evidence: A is alone")]
    [InlineData("two young signals", null)]
    [InlineData("a signal not evaluated of late", "fresh: A was last evaluated at 2026-01-01 11:57:00Z")]
    [InlineData("another run on the disk", "exclusive: Run o of b is at work on the same target.")]
    [InlineData("another run on the node", "concurrency: As many runs as may be (1) are at work in the node.")]
    [InlineData("another run in the cluster", null)]
    [InlineData("five other runs in the cluster", "concurrency: As many runs as may be (5) are at work in the cluster.")]
    [InlineData("an attempt a while ago", null)]
    [InlineData("an attempt just now", "cool-down: It cools down until 2026-01-01 12:01:00Z")]
    [InlineData("a success in another incident just now", "cool-down: It cools down until 2026-01-01 12:01:00Z")]
    [InlineData("two attempts", "cool-down: All 2 attempts in this incident are used up.")]
    [InlineData("an action that could disrupt", "window: The gate about maintenance windows and change freezes is not built yet, and node.reboot needs it.")]
    public void The_first_refusal_names_its_gate_and_its_reason(string what, string? refusal)
    {
        var answer = GatePipeline.FirstRefusal(Cases[what](Well()));

        if (refusal is null)
            Assert.Null(answer);
        else
            Assert.StartsWith(refusal, $"{answer!.Gate}: {answer.Reason}");
        Assert.True(answer is null || answer.RetryAfter > TimeSpan.Zero);
    }

    [Fact]
    public void The_gates_stand_in_the_order_of_the_specification() => Assert.Equal(
        ["kill-switch", "cancelled", "mode", "pause", "evidence", "fresh", "window", "exclusive", "concurrency", "blast-radius", "quorum", "workload-safety", "cool-down", "flapping"],
        GatePipeline.Gates.Select(g => g.Name));

    [Theory]
    [InlineData("", RunbookMode.Observe)]
    [InlineData("cluster automatic", RunbookMode.Approve)]
    [InlineData("cluster automatic, exact automatic", RunbookMode.Automatic)]
    [InlineData("exact automatic", RunbookMode.Automatic)]
    [InlineData("runbook automatic", RunbookMode.Observe)]
    [InlineData("exact automatic, tenant observe", RunbookMode.Observe)]
    [InlineData("exact automatic, runbook off", RunbookMode.Off)]
    public void The_strictest_mode_wins_and_a_new_cluster_is_only_watched(string set, RunbookMode mode)
    {
        var entries = set.Split(", ", StringSplitOptions.RemoveEmptyEntries).Select(e => e.Split(' ')).Select(e => new ModeEntry(
            e[0] is "exact" or "runbook" ? "b" : "", e[0] is "runbook" ? "" : "t", e[0] is "exact" or "cluster" ? "c" : "", Enum.Parse<RunbookMode>(e[1], true), "ann", Now));

        Assert.Equal(mode, ControlStore.ModeOf([.. entries], Well().Runbook with { Mode = RunbookMode.Approve }, "t", "c").Mode);
    }

    static GateSnapshot Well() => new()
    {
        Now = Now,
        Kill = new(false, "", "", Now),
        Mode = RunbookMode.Automatic,
        ModeFrom = "test",
        Approval = null,
        Cancellation = null,
        Acknowledgement = null,
        Pauses = [],
        Runbook = new()
        {
            Name = "b",
            Summary = "",
            File = "",
            Text = "",
            Hash = "",
            Mode = RunbookMode.Automatic,
            Steps = [new("x", "disk.clean-paths", new Dictionary<string, object?>(), default, false, false)],
        },
        Run = RunOf("r", "n", "/data"),
        Signals = [SignalOf("A", SignalState.Firing, 60)],
        AtWork = [],
        Earlier = [],
    };

    static Run RunOf(string id, string node, string mountpoint, double ended = 0) => new()
    {
        Id = id,
        IncidentId = "i",
        Tenant = "t",
        Cluster = "c",
        Node = node,
        Subject = Labels.Of(("node", node), ("mountpoint", mountpoint)),
        Labels = Labels.Empty,
        Runbook = "b",
        RunbookHash = "",
        RunbookText = "",
        PlanHash = "plan",
        State = RunState.Running,
        Since = Now,
        CreatedAt = Now,
        Attempt = 1,
        EndedAt = ended > 0 ? Now.AddMinutes(-ended) : null,
    };

    static Signal SignalOf(string name, SignalState state, double minutes, double evaluated = 0) => new()
    {
        Rule = "r",
        Name = name,
        Labels = Labels.Empty,
        Element = Labels.Empty,
        Condition = new(state, Now.AddMinutes(-minutes), Now.AddMinutes(-evaluated)) { FiringSince = Now.AddMinutes(-minutes) },
    };

    static Pause PauseOf(string node = "", string runbook = "") => new(1, "", "", node, runbook, "work", "ann", Now, Now.AddHours(1));
}
