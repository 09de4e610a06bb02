using System.Text;

using Whistle.Detectors.Signals;
using Whistle.PromQL;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// The same rules and samples through a Prometheus and through Whistle, at the same instants: at every evaluation both have the same
/// alerts, and the same series of them. Where Prometheus has no such state, or forgets it when it is stopped, a test says what Whistle has
/// in its place.
/// </summary>
public sealed class AlertLifeCycleTests(ITestOutputHelper output)
{
    const int Stop = 30;
    const int StartAgain = 35;
    const int End = 58;

    // The evaluations after a start before Prometheus looks up since when its alerts are active. Until then it writes nothing of them.
    const int BeforeRestored = 2;

    // The target b does not answer from 12 to 17. Seconds from 30 to 35 and some more nobody is running.
    static readonly (string, string)[] Script =
    [
        ("""up{job="j",instance="a"}""", "1x58"),
        ("""up{job="j",instance="b"}""", "1x11 0x5 1x40"),
        ("""load{job="j",instance="a"}""", "0x3 6+1x11 0x23 8x9 0x8"),
        ("""flapping{job="j",instance="a"}""", Repeat("9x1 0x1", 6) + " 0x34"),
        ("""disk{job="j",instance="a",mountpoint="/data"}""", "9x2 _ 9x6 stale _x3 9x3 stale"),
        ("""backup{job="j",instance="a"}""", "_x5 1x6 stale _x30 1x5"),
        ("""long{job="j",instance="a"}""", "0x14 9x43"),
        ("""brief{job="j",instance="a"}""", "0x21 9x9 0x26"),
        ("""kept{job="j",instance="a"}""", "0x19 9x6 0x30"),
        ("""slow{job="j",instance="b"}""", "9x11 stale _x5 9x40"),
    ];

    const string Alerts =
        """
              - record: evaluated
                expr: time()
              - { alert: AtOnce, expr: load > 5,
                  annotations: { now: "{{ $value }} on {{ $labels.instance }}",
                  then: '{{ query "time() - time() % 1" | first | value }}' } }
              - { alert: Waits, expr: load > 5, for: 5s, annotations: { now: "{{ $value }}" } }
              - { alert: Keeps, expr: load > 5, keep_firing_for: 4s, annotations: { now: "{{ $value }}" } }
              - { alert: Both, expr: load > 5, for: 3s, keep_firing_for: 4s, labels: { severity: page } }
              - { alert: Named, expr: load > 5, for: 2s, labels: { size: "{{ $value }}" } }
              - { alert: Flaps, expr: flapping > 5, for: 3s }
              - { alert: FlapsAtOnce, expr: flapping > 5 }
              - { alert: FlapsKept, expr: flapping > 5, keep_firing_for: 3s }
              - { alert: Ends, expr: disk > 5, for: 2s }
              - { alert: EndsKept, expr: disk > 5, keep_firing_for: 2s }
              - { alert: Missing, expr: absent(backup), for: 3s }
              - { alert: AcrossFiring, expr: long > 5, for: 3s }
              - { alert: AcrossAtOnce, expr: long > 5 }
              - { alert: AcrossPending, expr: long > 5, for: 25s }
              - { alert: EndsBetween, expr: brief > 5 }
              - { alert: KeptAcross, expr: kept > 5, keep_firing_for: 20s }
              - { alert: Slow, expr: slow > 5, for: 3s }
              - { alert: SlowPending, expr: slow > 5, for: 15s }
              - { alert: OfAlerts, expr: 'ALERTS{alertname="Waits",group="GROUP",alertstate="firing"} == 1' }
              - { alert: OfClock, expr: 'time() - time() % 1 - ALERTS_FOR_STATE{alertname="Waits",group="GROUP"} > 3' }
        """;

    // Prometheus has no state for these after a while: b's, because it does not answer; the others, because the stop comes in between.
    const string NotAlikeAfterSilence = "Slow|SlowPending";
    const string NotAlikeAfterStop = NotAlikeAfterSilence + "|AcrossPending|KeptAcross";

    // What becomes of each alert in Whistle: p pending, F firing, u unknown, . none.
    static readonly (string Alert, string Life)[] Lives =
    [
        ("AtOnce", "F.F."),
        ("Waits", "pF.pF."),
        ("Keeps", "F.F."),
        ("Both", "pF.pF."),
        ("Flaps", "p.p.p.p.p.p."),
        ("FlapsAtOnce", "F.F.F.F.F.F."),
        ("FlapsKept", "F."),
        ("Ends", "pF.pF."),
        ("EndsKept", "F.F."),
        ("Missing", "pF.pF."),
        ("AcrossFiring", "pF"),
        ("AcrossAtOnce", "F"),
        ("AcrossPending", "pF"),
        ("EndsBetween", "F."),
        ("KeptAcross", "F."),
        ("Slow", "pFuF"),
        ("SlowPending", "pupF"),
        ("OfAlerts", "F.F."),
        ("OfClock", "F.F."),
    ];

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Alerts_live_as_in_Prometheus_at_every_evaluation()
    {
        var folder = Directory.CreateTempSubdirectory("whistle-alerts-").FullName;
        try
        {
            var rules = Path.Combine(folder, "rules.yaml");
            await File.WriteAllTextAsync(
                rules,
                $"""
                groups:
                  - name: plain
                    interval: 1s
                    labels: {"{ group: plain }"}
                    rules:
                {Alerts.Replace("GROUP", "plain", StringComparison.Ordinal)}
                  - name: offset
                    interval: 1s
                    query_offset: 3s
                    labels: {"{ group: offset }"}
                    rules:
                {Alerts.Replace("GROUP", "offset", StringComparison.Ordinal)}
                """,
                Cancellation);
            await using var prometheus = await PrometheusServer.StartAsync(
                $"rule_files: [\"{rules}\"]", Cancellation, "--rules.alert.for-grace-period=0s");
            var timeline = await AlertTimeline.RunAsync(prometheus, rules, Script, Stop, StartAgain, End, Cancellation);
            await CompareAsync(timeline, prometheus, "plain", TimeSpan.Zero);
            await CompareAsync(timeline, prometheus, "offset", TimeSpan.FromSeconds(3));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    async Task CompareAsync(AlertTimeline timeline, PrometheusServer prometheus, string group, TimeSpan offset)
    {
        using var whistle = await timeline.ReplayAsync(group, offset, Cancellation);
        var told = timeline.Told(group, offset);
        var (before, after) = (
            whistle.Told.Keys.Where(i => i < timeline.StoppedAt).ToList(),
            whistle.Told.Keys.Where(i => i > timeline.StoppedAt).Skip(BeforeRestored).ToList());
        output.WriteLine(
            $"{group}: {told.Count} of {whistle.Told.Count} evaluations are told of, with {told.Values.Sum(t => t.Count)} alerts");
        Assert.True(told.Count > whistle.Told.Count / 2, "Too few answers are of one evaluation for sure.");
        foreach (var (alert, life) in Lives)
            Assert.Equal((alert, life), (alert, Life(whistle.Told, alert)));

        var silent = whistle.Told.First(t => Of(t.Value, "Slow") is { State: "unknown" }).Key;
        foreach (var at in before.Concat(after).Where(told.ContainsKey))
        {
            var others = at > timeline.StoppedAt ? NotAlikeAfterStop : at >= silent ? NotAlikeAfterSilence : "";
            Assert.Equal(Shown(told[at], others), Shown(whistle.Told[at], others));
        }

        foreach (var (instants, others) in new[]
        {
            (before.Skip(BeforeRestored).ToList(), NotAlikeAfterSilence), (after, NotAlikeAfterStop),
        })
        {
            var query = $"{{__name__=~\"ALERTS|ALERTS_FOR_STATE|evaluated\",group=\"{group}\",alertname!~\"{others}\"}}";
            var (first, last) = (instants[0] - (long)offset.TotalMilliseconds, instants[^1] - (long)offset.TotalMilliseconds);
            Assert.Equal(
                Shown((MatrixValue)await prometheus.RangeAsync(query, first, last, 1000, Cancellation)),
                Shown(await whistle.RangeAsync(query, first, last, Cancellation)));
        }

        WhatIsSilentIsUnknown(whistle, told, [.. before.Where(i => i >= silent && told.ContainsKey(i))]);
        TheStopIsLeftOut(whistle, told, [.. after.Where(told.ContainsKey)], timeline.StoppedAt, after[0] + (long)offset.TotalMilliseconds);
        Assert.All(whistle.Ended.Where(s => s.Name is "Ends" or "EndsKept"), s => Assert.Equal(SignalEnd.Gone, s.Condition.Reason));
        Assert.All(whistle.Ended.Where(s => s.Name is "AtOnce" or "Keeps"), s => Assert.Equal(SignalEnd.Cleared, s.Condition.Reason));
    }

    // Prometheus resolves it, and lets it wait again once the target answers. Whistle has
    // never resolved it; that is the only difference then.
    static void WhatIsSilentIsUnknown(AlertReplay whistle, Dictionary<long, HashSet<AlertSeen>> told, List<long> instants)
    {
        Assert.Equal(["none", "pending", "firing"], instants.Select(i => Of(told[i], "Slow")?.State ?? "none").Distinct());
        Assert.DoesNotContain(whistle.Ended, s => s.Name is "Slow" or "SlowPending");
        foreach (var at in instants.Where(i => Of(told[i], "Slow") is { State: "firing" }))
            Assert.Equal(Of(told[at], "Slow")! with { ActiveAt = 0 }, Of(whistle.Told[at], "Slow")! with { ActiveAt = 0 });
        var silence = whistle.Told.Values.Count(t => Of(t, "SlowPending") is { State: "unknown" });
        Assert.Equal(silence, whistle.Told.Values.Select(t => Of(t, "SlowPending")?.ActiveAt).Distinct().OfType<long>().Take(2).Aggregate(
            (first, second) => second - first));
    }

    // Both move activeAt on. Prometheus by the time from its last sample, which a query offset makes older, to the second evaluation after
    // the start, when it looks; Whistle leaves out only what is more than the usual interval. And Prometheus forgets at a stop that
    // keep_firing_for held an alert.
    static void TheStopIsLeftOut(
        AlertReplay whistle, Dictionary<long, HashSet<AlertSeen>> told, List<long> instants, long stopped, long lookedUp)
    {
        var most = ((lookedUp - whistle.Told.Keys.First(i => i > stopped)) / 1000) + 1;
        foreach (var at in instants)
        {
            var (theirs, ours) = (Of(told[at], "AcrossPending")!, Of(whistle.Told[at], "AcrossPending")!);
            Assert.InRange(theirs.ActiveAt - ours.ActiveAt, 1, most);
            Assert.All([theirs, ours], a => Assert.Contains(a.State, States((at / 1000) - a.ActiveAt - 25)));
            Assert.Null(Of(told[at], "KeptAcross"));
        }

        Assert.Equal("firing", Of(whistle.Told[instants[0]], "KeptAcross")!.State);
        var first = whistle.Told.Values.Select(t => Of(t, "AcrossPending")).First(a => a is not null)!;
        Assert.True(Of(whistle.Told[instants[0]], "AcrossPending")!.ActiveAt - first.ActiveAt >= StartAgain - Stop - 1);
    }

    // Prometheus's activeAt has a fraction then, which is not seen here.
    static string[] States(long pastFor) => pastFor < 0 ? ["pending"] : pastFor > 0 ? ["firing"] : ["pending", "firing"];

    static AlertSeen? Of(HashSet<AlertSeen> alerts, string name) => alerts.SingleOrDefault(a => a.Name == name);

    static string Shown(HashSet<AlertSeen> alerts, string others) =>
        string.Join('\n', alerts.Where(a => !others.Split('|').Contains(a.Name)).Select(a => a.ToString()).Order(StringComparer.Ordinal));

    // Each value with the number of its evaluation.
    static string Shown(MatrixValue matrix) => string.Join('\n', matrix.Series
        .Select(s => $"{s.Labels} {string.Join(
            ' ', s.Times.Zip(
                s.Values, (time, value) => $"{(time / 1000) - (matrix.Series.Min(x => x.Times[0]) / 1000)}:{Math.Floor(value)}"))}")
        .Order(StringComparer.Ordinal));

    static string Life(Dictionary<long, HashSet<AlertSeen>> told, string alert)
    {
        var life = new StringBuilder(".");
        foreach (var alerts in told.OrderBy(t => t.Key).Select(t => t.Value))
        {
            var state = Of(alerts, alert)?.State switch { null => '.', "firing" => 'F', var other => other[0] };
            if (life[^1] != state)
                life.Append(state);
        }

        return life.ToString().TrimStart('.');
    }

    static string Repeat(string values, int times) => string.Join(' ', Enumerable.Repeat(values, times));
}
