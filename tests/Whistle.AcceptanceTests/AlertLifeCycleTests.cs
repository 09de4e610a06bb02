using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// The same rules and samples through a Prometheus and through Whistle, at the same instants: at every evaluation both have the same alerts,
/// and the same series of them. Where Prometheus has no such state, or forgets it when it is stopped, a test says what Whistle has in its place.
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
        ("""flapping{job="j",instance="a"}""", Repeat("9x1 0x1", 7) + " 0x30"),
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
              - { alert: AtOnce, expr: load > 5, annotations: { now: "{{ $value }} on {{ $labels.instance }}" } }
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
              - { alert: OfClock, expr: 'time() - ALERTS_FOR_STATE{alertname="Waits",group="GROUP"} > 3' }
        """;

    // What is so of each alert at its evaluations, one after the other: p pending, F firing, u unknown, . none.
    static readonly (string Alert, string Prometheus, string Whistle)[] Lives =
    [
        ("AtOnce", ".F.F.", ".F.F."),
        ("Waits", ".pF.pF.", ".pF.pF."),
        ("Keeps", ".F.F.", ".F.F."),
        ("Both", ".pF.pF.", ".pF.pF."),
        ("Flaps", "p.p.p.p.p.p.p.", "p.p.p.p.p.p.p."),
        ("FlapsAtOnce", "F.F.F.F.F.F.F.", "F.F.F.F.F.F.F."),
        ("FlapsKept", "F.", "F."),
        ("Ends", "pF.pF.", "pF.pF."),
        ("EndsKept", "F.F.", "F.F."),
        ("Missing", "pF.pF.", "pF.pF."),
        ("AcrossFiring", ".pFpF", ".pF"),
        ("AcrossAtOnce", ".F", ".F"),
        ("AcrossPending", ".pF", ".pF"),
        ("EndsBetween", ".F.", ".F."),
        ("KeptAcross", ".F.", ".F"),
        ("Slow", "pF.pF", "pFuF"),
        ("SlowPending", "p.pF", "pupF"),
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
        var whistle = await timeline.ReplayAsync(group, offset, Cancellation);
        var told = timeline.Told(group, offset);
        output.WriteLine($"{group}: {told.Count} of {whistle.Told.Count} evaluations, {told.Values.Sum(t => t.Count)} alerts");
        foreach (var (alert, theirs, ours) in Lives)
            output.WriteLine($"{alert}: {Life(told, alert)} {Life(whistle.Told, alert)}");
        foreach (var (at, alerts) in told.OrderBy(t => t.Key))
        {
            foreach (var x in alerts.Except(whistle.Told[at])) output.WriteLine($"{at} P {x}");
            foreach (var x in whistle.Told[at].Except(alerts)) output.WriteLine($"{at} W {x}");
        }
    }

    static string Life(Dictionary<long, HashSet<AlertSeen>> told, string alert)
    {
        var states = told.OrderBy(t => t.Key).Select(t => t.Value.Where(a => a.Name == alert).Select(a => a.State[0]).Append('.').First()).Select(c => c == 'f' ? 'F' : c);
        var life = "";
        foreach (var state in states.Where(s => life.Length == 0 || life[^1] != s))
            life += state;
        return life;
    }

    static string Repeat(string values, int times) => string.Join(' ', Enumerable.Repeat(values, times));
}
