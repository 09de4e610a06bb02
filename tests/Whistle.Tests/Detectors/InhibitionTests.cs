using Whistle.Detectors.Rules;
using Whistle.Detectors.Signals;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Detectors;

/// <summary>
/// Signals are written as <c>name label=value…</c>, of tenant t and cluster c unless they say otherwise; the earlier fires the longer. A
/// name that begins with ? is unknown after it fired, with ~ unknown after it was pending, with - pending.
/// </summary>
public sealed class InhibitionTests : IDisposable
{
    static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-inhibit-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("the same node", "Silent node=a; Disk node=a", "Disk by Silent")]
    [InlineData("another node", "Silent node=b; Disk node=a", "")]
    [InlineData("another cluster", "Silent node=a cluster=d; Disk node=a", "")]
    [InlineData("another tenant", "Silent node=a tenant=u; Disk node=a", "")]
    [InlineData("a label that both lack is equal", "Silent; Disk", "Disk by Silent")]
    [InlineData("a label that one lacks is not", "Silent node=a; Disk", "")]
    [InlineData(
        "other labels do not matter", "Silent node=a job=x; Disk node=a job=y; Disk node=a mountpoint=/", "Disk by Silent,Disk by Silent")]
    [InlineData("an unknown source that fired counts", "?Silent node=a; Disk node=a", "Disk by Silent")]
    [InlineData("one that never fired does not", "~Silent node=a; Disk node=a", "")]
    [InlineData("a pending one does not", "-Silent node=a; Disk node=a", "")]
    [InlineData("a pending target has nothing to inhibit", "Silent node=a; -Disk node=a", "")]
    [InlineData("an unknown target is inhibited", "Silent node=a; ?Disk node=a", "Disk by Silent")]
    [InlineData("a name that is no target", "Silent node=a; Other node=a", "")]
    [InlineData("a negative matcher", "Silent node=a; Disk node=a spare=yes", "")]
    public void A_signal_is_inhibited_by_its_cause_alone(string what, string signals, string inhibited) => AssertInhibited(
        what, signals, inhibited, Rule("""alertname = "Silent" """, """alertname =~ "Disk|Memory", spare != yes""", "node"));

    [Theory]
    [InlineData("critical inhibits warning", "A severity=critical; A severity=warning", "A by A")]
    [InlineData("and nothing else", "A severity=critical; B severity=warning; A severity=info", "")]
    public void One_thing_that_is_bad_and_worse_is_told_once(string what, string signals, string inhibited) =>
        AssertInhibited(what, signals, inhibited, Rule("severity = critical", "severity = warning", "alertname"));

    [Theory]
    [InlineData("no signal inhibits itself, nor one that is a source and a target as it is", "Down zone=a; Down zone=b", "")]
    [InlineData("one that is only a source inhibits it", "Up zone=a; Down zone=a", "Down by Up")]
    public void What_is_on_both_sides_is_not_inhibited_by_its_like(string what, string signals, string inhibited) =>
        AssertInhibited(what, signals, inhibited, Rule("alertname =~ \"Up|Down\"", "alertname = Down"));

    [Fact]
    public void What_is_inhibited_still_inhibits_and_the_end_of_the_chain_is_named() => AssertInhibited(
        "a chain", "Api; Node; Pod", "Node by Api,Pod by Api", Rule("alertname = Node", "alertname = Pod"),
        Rule("alertname = Api", "alertname = Node"));

    [Fact]
    public void Of_signals_that_hide_each_other_in_a_circle_the_one_that_fires_the_longest_is_told()
    {
        InhibitRule[] rules =
            [Rule("alertname = A", "alertname = B"), Rule("alertname = B", "alertname = C"), Rule("alertname = C", "alertname = A")];

        AssertInhibited("a circle", "B; C; A", "C by B,A by B", rules);
        AssertInhibited(
            "a circle with what hangs on it", "D; C; A; B", "D by C,A by C,B by C", [.. rules, Rule("alertname = B", "alertname = D")]);
    }

    [Theory]
    [InlineData("another rule", "A; B; C", "A by C,B by C", "C A")]
    [InlineData("the same rule", "A; B; C", "A by C,B by C", "C|B A")]
    [InlineData("what hangs on the circle and has another cause too", "A; B; E; F", "A by F,B by F,E by F", "A E;E A;F E")]
    [InlineData("what hangs on the circle and has none", "A; B; E", "B by A,E by A", "A E;E A")]
    [InlineData("another circle", "A; B; C; D", "A by C,B by C,D by C", "C D;D C;C A")]
    [InlineData("another circle that it inhibits as well", "A; B; C; D", "A by C,B by C,D by C", "C D;D C;C A;A C")]
    public void A_circle_with_a_cause_beside_it_tells_that(string what, string signals, string inhibited, string more) => AssertInhibited(
        what, signals, inhibited,
        [.. $"B A;A B;{more}".Split(';').Select(r => r.Split(' ')).Select(r => Rule($"alertname =~ \"{r[0]}\"", $"alertname = {r[1]}"))]);

    [Theory]
    [InlineData("node", 5000)]
    [InlineData("", 9999)]
    public void Of_five_thousand_circles_one_each_is_told_and_the_work_grows_with_the_signals(string equal, int inhibited)
    {
        string[] labels = equal.Length > 0 ? [equal] : [];
        InhibitRule[] rules = [Rule("alertname = A", "alertname = B", labels), Rule("alertname = B", "alertname = A", labels)];

        AssertLinear(rules, "A", "B", inhibited);
    }

    [Fact]
    public void Of_several_causes_the_one_that_fires_the_longest_is_named() =>
        AssertInhibited(
            "two causes", "Silent job=x; Silent job=y; Disk", "Disk by Silent", Rule("alertname = Silent", "alertname = Disk"),
            of: s => Assert.Equal("x", s.InhibitedBy!.Labels["job"]));

    [Fact]
    public void The_work_grows_with_the_signals_and_not_with_their_pairs()
    {
        var rules = RuleSet.Load([Path.Combine(AppContext.BaseDirectory, "rules")]).Rules!.InhibitRules;
        InhibitRule[] all =
            [.. rules, Rule("alertname = Silent", "alertname != Silent", "node"), Rule("alertname = Silent", "alertname = Disk")];

        AssertLinear(all, "Silent", "Disk", inhibited: 5000);
    }

    [Fact]
    public void Without_rules_or_hits_the_list_stays_as_it_is()
    {
        Signal[] signals = [Signal("A", 0)];

        Assert.Same(signals, Inhibition.Apply([], signals));
        Assert.Same(signals, Inhibition.Apply([Rule("alertname = B", "alertname = A")], signals));
    }

    [Fact]
    public void Every_error_of_a_file_is_reported_with_its_line_and_column()
    {
        var errors = Errors(
            """
            inhibit_rules:
              - source_matchers: ['alertname = "A"', 'severity ~ "x"']
                target_matchers: ['alertname =~ "(A"']
                equal: [no-name]
                colour: red
              - source_match: { alertname: A }
                target_match_re: { alertname: B|C }
              - target_matchers: []
              - source_matchers: [a = b c]
                target_matchers: [[x]]
            """);

        Assert.Collection(
            errors,
            e => Assert.Equal(
                "rules.yaml:5:5: unknown key \"colour\" in an inhibit rule; known are name, source_matchers, target_matchers, equal, "
                + "source_match, source_match_re, target_match, target_match_re",
                e),
            e => Assert.StartsWith(
                "rules.yaml:2:43: \"severity ~ \"x\"\" is not a matcher; write a label, one of =, !=, =~, !~, and a value in quotes", e),
            e => Assert.StartsWith("rules.yaml:3:37: ", e),
            e => Assert.Equal("rules.yaml:4:13: equal: \"no-name\" is not a label's name", e),
            e => Assert.Equal(
                "rules.yaml:6:19: source_match is Alertmanager's old form; write source_matchers: ['label = \"value\"'] instead", e),
            e => Assert.Equal(
                "rules.yaml:7:22: target_match_re is Alertmanager's old form; write target_matchers: ['label =~ \"value\"'] instead", e),
            e => Assert.Equal("rules.yaml:8:5: an inhibit rule needs source_matchers, a list that is not empty", e),
            e => Assert.StartsWith("rules.yaml:8:22: an inhibit rule needs target_matchers", e),
            e => Assert.StartsWith("rules.yaml:9:23: \"a = b c\" is not a matcher", e),
            e => Assert.StartsWith("rules.yaml:10:23: a matcher must be a text", e));
    }

    [Fact]
    public void Groups_stand_in_a_file_of_their_own() =>
        Assert.Equal(
            "rules.yaml:1:9: a file has either groups or inhibit_rules; move one of them to a file of its own",
            Assert.Single(Errors("groups: []\ninhibit_rules: []")));

    [Theory]
    [InlineData("alertname=A", "alertname=\"A\"")]
    [InlineData(" alertname =~ A|B , severity!=\"in,fo\"", "alertname=~\"A|B\" severity!=\"in,fo\"")]
    [InlineData("path !~ \"a\\\\.b\\\"c\"", "path!~\"a\\.b\"c\"")]
    [InlineData("spare = \"\"", "spare=\"\"")]
    public void Matchers_are_read_as_Alertmanager_reads_them(string text, string read) =>
        Assert.Equal(read, string.Join(' ', Rule(text, "a = b").Source.Matchers));

    /// <summary>A name that no alert has would inhibit nothing for ever, and nobody would see it.</summary>
    [Fact]
    public void The_shipped_file_speaks_only_of_alerts_that_there_are_and_hides_nothing_behind_what_is_milder()
    {
        var rules = RuleSet.Load([Path.Combine(AppContext.BaseDirectory, "rules")]).Rules!;
        Labels[] alerts = [.. rules.Groups.SelectMany(g => g.Rules.OfType<AlertRule>()).Select(
            a => Labels.Of(("alertname", a.Name), ("severity", a.Labels.Single(l => l.Name == "severity").Text), ("node", "n")))];
        var names = alerts.Select(a => a["alertname"]).ToHashSet();
        string[] order = ["info", "warning", "critical"];

        Assert.Equal(20, rules.InhibitRules.Count);
        foreach (var rule in rules.InhibitRules)
        {
            foreach (var matcher in rule.Source.Matchers.Concat(rule.Target.Matchers).Where(m => m.Name == "alertname"))
                Assert.All(Named(matcher), n => Assert.True(names.Contains(n), $"{rule.File}: no alert is named {n}"));
            var (sources, targets) = (alerts.Where(rule.Source.Matches).ToList(), alerts.Where(rule.Target.Matches).ToList());
            Assert.NotEmpty(sources);
            Assert.NotEmpty(targets);
            Assert.True(
                sources.Min(s => Array.IndexOf(order, s["severity"])) >= targets.Max(t => Array.IndexOf(order, t["severity"])),
                $"{string.Join(' ', rule.Source.Matchers)} is milder than {string.Join(' ', rule.Target.Matchers)}");
        }
    }

    [Theory]
    [InlineData(
        "groups: [{ name: g, rules: [{ alert: A, expr: x }, { alert: B, expr: x }] }]",
        ": inhibit rules name alerts that are not among these rules: Aa, C")]
    [InlineData("groups: []", null)]
    public void An_inhibit_rule_that_names_no_alert_is_warned_of(string alerts, string? warning)
    {
        var (rules, inhibitions) = (Path.Combine(_folder, "alerts.yaml"), Path.Combine(_folder, "inhibitions.yaml"));
        File.WriteAllText(rules, alerts);
        File.WriteAllText(
            inhibitions,
            """
            inhibit_rules:
              - source_matchers: ['alertname = "Aa"', 'severity = "D"']
                target_matchers: ['alertname =~ "A|B|C|A.*"', 'alertname =~ "B|C"', 'alertname != ""']
            """);

        Assert.Equal(warning is null ? [] : [inhibitions + warning], RuleSet.Load([rules, inhibitions]).Rules!.Warnings());
    }

    static IReadOnlyCollection<string> Named(LabelMatcher matcher) =>
        matcher.Operator is MatchOperator.Equal or MatchOperator.NotEqual
            ? [matcher.Value]
            : new GoRegex(matcher.Value).Literals ?? throw new FormatException($"{matcher} names no alerts one by one.");

    void AssertInhibited(string what, string signals, string inhibited, params InhibitRule[] rules) =>
        AssertInhibited(what, signals, inhibited, rules, null);

    void AssertInhibited(string what, string signals, string inhibited, InhibitRule rule, Action<Signal> of) =>
        AssertInhibited(what, signals, inhibited, [rule], of);

    static void AssertInhibited(string what, string signals, string inhibited, InhibitRule[] rules, Action<Signal>? of)
    {
        var found = Inhibition.Apply(rules, [.. signals.Split(';', StringSplitOptions.TrimEntries).Select(Signal)])
            .Where(s => s.InhibitedBy is not null).ToList();
        Assert.True(
            inhibited == string.Join(',', found.Select(s => $"{s.Name} by {s.InhibitedBy!.Name}")),
            $"{what}: {inhibited} was expected, it was {string.Join(',', found.Select(s => $"{s.Name} by {s.InhibitedBy}"))}");
        if (of is not null)
            Assert.All(found, of);
    }

    // Work is counted in bytes, which no other load of the machine changes; Whistle.Benchmarks measures its time.
    static void AssertLinear(InhibitRule[] rules, string source, string target, int inhibited)
    {
        var (half, whole) = (Signals(2500), Signals(5000));
        Inhibition.Apply(rules, half);
        var (before, _) = (GC.GetAllocatedBytesForCurrentThread(), Inhibition.Apply(rules, half));
        var (between, applied) = (GC.GetAllocatedBytesForCurrentThread(), Inhibition.Apply(rules, whole));
        var after = GC.GetAllocatedBytesForCurrentThread();

        Assert.Equal(inhibited, applied.Count(s => s.InhibitedBy is not null));
        Assert.InRange((after - between) / (double)(between - before), 1.5, 3);

        List<Signal> Signals(int count) =>
            [.. Enumerable.Range(0, count).SelectMany(i => new[] { Signal($"{source} node=n{i}", i), Signal($"{target} node=n{i}", i) })];
    }

    static Signal Signal(string text, int index)
    {
        var parts = text.Split(' ');
        var name = parts[0].TrimStart('?', '~', '-');
        var labels = Labels.Of([("tenant", "t"), ("cluster", "c"), ("alertname", name)]);
        foreach (var pair in parts[1..].Select(p => p.Split('=')))
            labels = labels.With(pair[0], pair[1]);
        var state = text[0] switch { '?' or '~' => SignalState.Unknown, '-' => SignalState.Pending, _ => SignalState.Firing };
        var since = Start.AddSeconds(index);
        return new()
        {
            Rule = "g\nr",
            Name = name,
            Labels = labels,
            Element = labels,
            Condition = new(
                state, since, since, text[0] is '?' ? SignalState.Firing : SignalState.Pending,
                state is SignalState.Pending ? null : since),
        };
    }

    InhibitRule Rule(string source, string target, params string[] equal)
    {
        var load = Load(
            $"inhibit_rules: [{{ source_matchers: ['{source}'], target_matchers: ['{target}'], equal: [{string.Join(',', equal)}] }}]");
        Assert.Empty(load.Errors);
        return Assert.Single(load.Rules!.InhibitRules);
    }

    IEnumerable<string> Errors(string text) => Load(text).Errors.Select(e => e.ToString()[(_folder.Length + 1)..]);

    RuleSetLoad Load(string text)
    {
        var file = Path.Combine(_folder, "rules.yaml");
        File.WriteAllText(file, text);
        return RuleSet.Load([file]);
    }
}
