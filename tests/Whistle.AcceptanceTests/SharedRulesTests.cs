using Whistle.Detectors.Rules;
using Whistle.Fixtures;
using Whistle.PromQL;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// The rules that clusters share, as they are published: they load, and on a cluster's data they say what they say in Prometheus.
/// </summary>
public sealed class SharedRulesTests(ITestOutputHelper output)
{
    const int Interval = 15_000;
    const int Samples = 120;
    const double Tolerance = 1e-9;
    const double LeastAnswered = 0.95;

    // Both a whole number of minutes and of the three minutes that one group takes.
    const long Start = 1_735_689_600_000;
    const long End = Start + (Samples * Interval);

    static readonly Lazy<Task<Evaluated>> Rules = new(EvaluateAsync);

    [Theory]
    [InlineData("kubePrometheus-prometheusRule.yaml", 4, 8)]
    [InlineData("kubeStateMetrics-prometheusRule.yaml", 4, 0)]
    [InlineData("kubernetesControlPlane-prometheusRule.yaml", 63, 71)]
    [InlineData("nodeExporter-prometheusRule.yaml", 26, 15)]
    public async Task A_manifest_loads_unchanged_and_so_does_its_spec(string file, int alerts, int recordings)
    {
        var manifest = Path.Combine(Requirement.SharedRules(), file);
        var folder = Directory.CreateTempSubdirectory("whistle-shared-rules-");
        try
        {
            var lines = await File.ReadAllLinesAsync(manifest, TestContext.Current.CancellationToken);
            var plain = Path.Combine(folder.FullName, file);
            await File.WriteAllLinesAsync(
                plain, lines.SkipWhile(l => l != "spec:").Skip(1).Select(l => l.Length > 2 ? l[2..] : ""),
                TestContext.Current.CancellationToken);
            Assert.Equal((alerts, recordings), Counts(manifest));
            Assert.Equal((alerts, recordings), Counts(plain));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Nearly_every_expression_finds_something_in_a_cluster()
    {
        Requirement.SharedRules();
        var rules = (await Rules.Value).Rules;
        var empty = rules.Where(r => r.Value.Samples.Count == 0).ToList();
        var report = $"{rules.Count - empty.Count} of {rules.Count} expressions return something; these do not:\n"
            + string.Join('\n', empty.Select(r => $"{r.Rule.Identity}: {r.Rule.Expression.Text.Trim()}"));
        output.WriteLine(report);
        Assert.True(empty.Count <= (1 - LeastAnswered) * rules.Count, report);
    }

    [Fact]
    public async Task Only_a_few_things_are_in_trouble()
    {
        Requirement.SharedRules();
        foreach (var (rule, value) in (await Rules.Value).Rules.Where(r => r.Rule is AlertRule))
            Assert.True(value.Samples.Count <= 16, $"{value.Samples.Count} alerts {rule.Identity}");
    }

    [Fact]
    public async Task Every_expression_gives_what_Prometheus_gives()
    {
        var cancellation = TestContext.Current.CancellationToken;
        Requirement.SharedRules();
        await using var prometheus = await PrometheusServer.StartAsync("storage: {tsdb: {out_of_order_time_window: 1d}}", cancellation,
            "--storage.tsdb.retention.time=100y", "--storage.tsdb.min-block-duration=24h", "--storage.tsdb.max-block-duration=24h");
        var (data, rules) = await Rules.Value;
        await prometheus.WriteAsync(data.All(), cancellation);
        List<string> differences = [];
        foreach (var (rule, value) in rules)
        {
            var theirs = (VectorValue)await prometheus.InstantAsync(rule.Expression.Text, End, cancellation);
            if (Difference(theirs, value) is { } difference)
                differences.Add($"{rule.Identity}: {difference}\n{rule.Expression.Text}");
        }

        Assert.True(differences.Count == 0, $"{differences.Count} of {rules.Count} differ\n" + string.Join("\n\n", differences));
    }

    [Fact]
    public void A_node_and_a_cluster_have_the_series_that_are_promised()
    {
        Assert.Equal(507, KubernetesFixture.Nodes(3).Select(s => s.Labels).Distinct().Count());
        var fixture = new KubernetesFixture(5);
        Assert.Equal(fixture.Series.Count, fixture.Series.Select(s => s.Labels).Distinct().Count());
        foreach (var nodes in new[] { 1, 300 })
            output.WriteLine($"{new KubernetesFixture(nodes).Series.Count} series of {nodes} nodes");
    }

    static (int Alerts, int Recordings) Counts(string file)
    {
        var rules = Load(file).SelectMany(g => g.Rules).ToList();
        return (rules.OfType<AlertRule>().Count(), rules.OfType<RecordingRule>().Count());
    }

    static IReadOnlyList<RuleGroup> Load(string path)
    {
        var (rules, errors) = RuleSet.Load([path]);
        Assert.True(rules is not null, string.Join('\n', errors));
        return rules.Groups;
    }

    static async Task<Evaluated> EvaluateAsync()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var (data, groups) = (new GrowingSeries(), Load(Requirement.SharedRules()));
        var engine = new PromQLEngine(data);
        var feed = new RuleFeed(groups, data, engine);
        var fixture = new KubernetesFixture(nodes: 5);
        Labels[] labels = [.. fixture.Series.Select(s => s.Labels.With("cluster", "c"))];
        var values = new double[labels.Length];
        for (var sample = 0; sample <= Samples; sample++)
        {
            var time = Start + (sample * Interval);
            fixture.ValuesAt(sample, values);
            for (var i = 0; i < labels.Length; i++)
                data.Add(labels[i], time, values[i]);
            await feed.EvaluateAsync(time, cancellation);
        }

        // Once more, now that every rule's series of the last instant is there, as it will be in Prometheus.
        List<(Rule, VectorValue)> rules = [];
        foreach (var rule in groups.SelectMany(g => g.Rules))
            rules.Add((rule, (VectorValue)await engine.InstantAsync(rule.Expression.Text, End, cancellation)));
        return new Evaluated(data, rules);
    }

    static string? Difference(VectorValue theirs, VectorValue ours)
    {
        var (a, b) = (theirs.Samples.ToDictionary(s => s.Labels, s => s.Value), ours.Samples.ToDictionary(s => s.Labels, s => s.Value));
        foreach (var labels in a.Keys.Union(b.Keys))
        {
            if (!a.TryGetValue(labels, out var x) || !b.TryGetValue(labels, out var y))
                return $"only {(a.ContainsKey(labels) ? "Prometheus" : "Whistle")} has {labels}";
            if (!x.Equals(y) && !(Math.Abs(x - y) <= Tolerance * Math.Max(Math.Abs(x), Math.Abs(y))))
                return $"{labels} is {x:R} in Prometheus and {y:R} in Whistle";
        }

        return null;
    }

    sealed record Evaluated(GrowingSeries Data, List<(Rule Rule, VectorValue Value)> Rules);
}
