using System.Text.RegularExpressions;

using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

using Xunit;

namespace Whistle.Tests.Remediation;

public sealed partial class GateTests
{
    static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "gates");

    /// <summary>Every line of <c>gates/*.txt</c>: what it is about: the facts => allow, skip, or how the refusal begins.</summary>
    public static TheoryData<string, string> Lines() => [.. Directory.EnumerateFiles(Folder, "*.txt").Order()
        .SelectMany(f => File.ReadLines(f).Where(l => l.Length > 0).Select(l => (Path.GetFileNameWithoutExtension(f), l)))];

    [Theory]
    [MemberData(nameof(Lines))]
    public void A_gate_answers_as_its_fixture_says(string gate, string line)
    {
        var (facts, expected) = Line().Match(line) is { Success: true } match
            ? (match.Groups[1].Value, match.Groups[2].Value)
            : throw new FormatException(line);

        Assert.NotEqual("", expected);
        var answer = GatePipeline.Gates.Single(g => g.Name.Word() == gate).Ask(GateFacts.Read(facts));

        Assert.StartsWith(expected, answer.Reason?.Text ?? (answer.NotAsked is null ? "allow" : "skip"));
        Assert.True(answer.Reason is null || answer.RetryAfter > TimeSpan.Zero, $"It says nothing of when to ask again: {answer}");
    }

    [Theory]
    [InlineData(GateName.CoolDown, "earlier -14m", 60)]
    [InlineData(GateName.Pause, "pause node n +1h", 3600)]
    public void A_gate_that_knows_when_it_allows_says_so(GateName gate, string facts, int seconds) => Assert.Equal(
        TimeSpan.FromSeconds(seconds), GatePipeline.Gates.Single(g => g.Name == gate).Ask(GateFacts.Read(facts)).RetryAfter);

    [Fact]
    public void Every_gate_has_fixtures_that_allow_and_that_refuse()
    {
        foreach (var gate in GatePipeline.Gates)
        {
            var lines = File.ReadLines(Path.Combine(Folder, $"{gate.Name.Word()}.txt"));
            var ends = lines.Select(l => Line().Match(l).Groups[2].Value).ToList();
            Assert.Contains("allow", ends);
            Assert.Contains(ends, e => e is not "allow" and not "skip");
        }
    }

    [Fact]
    public void The_gates_stand_in_the_order_of_the_specification() => Assert.Equal(
        [
            "kill-switch", "cancelled", "mode", "pause", "inhibited", "evidence", "fresh", "window", "exclusive", "concurrency",
            "blast-radius", "quorum", "workload-safety", "cool-down", "flapping",
        ],
        GatePipeline.Gates.Select(g => g.Name.Word()));

    [Fact]
    public void The_first_refusal_counts_and_the_summary_has_all()
    {
        var facts = GateFacts.Read("kill; mode off; earlier -1m");

        Assert.Equal(GateName.KillSwitch, GatePipeline.FirstRefusal(facts)!.Gate);
        Assert.Equal(
            "Yes: cancelled, pause, inhibited, evidence, fresh, exclusive, concurrency, flapping. No: kill-switch, mode, cool-down. "
            + "Not asked: window, blast-radius, quorum, workload-safety.",
            GatePipeline.Summary(facts));
    }

    [Theory]
    [InlineData("mode off; cancelled; signals; troubled n m k1", null)]
    [InlineData("kill", "kill-switch")]
    [InlineData("pause node n +1h", "pause")]
    [InlineData("action node.reboot; node k1; members a@k1+ b@k2- c@k3+", "quorum")]
    public void What_takes_back_a_change_waits_only_for_what_would_make_it_worse(string facts, string? gate) =>
        Assert.Equal(gate, GatePipeline.FirstRefusal(GateFacts.Read(facts), undoing: true)?.Gate.Word());

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
            e[0] is "exact" or "runbook" ? "b" : "", e[0] is "runbook" ? "" : "t", e[0] is "exact" or "cluster" ? "c" : "",
            Enum.Parse<RunbookMode>(e[1], true), "ann", GateFacts.Now));

        var runbook = GateFacts.Read("").Runbook with { Mode = RunbookMode.Approve };
        Assert.Equal(mode, ControlStore.ModeOf([.. entries], runbook, new("t", "c")).Mode);
    }

    [GeneratedRegex(@"\A[^:]+:(.*?)\s*=>\s*(.*?)\s*\z")]
    private static partial Regex Line();
}
