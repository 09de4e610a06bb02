using BenchmarkDotNet.Attributes;

using Whistle.Detectors.Rules;
using Whistle.Detectors.Signals;
using Whistle.Telemetry;

namespace Whistle.Benchmarks;

/// <summary>What it takes to find the inhibited ones among signals of which half are inhibited. Pairs of 5,000 are 25 million.</summary>
[MemoryDiagnoser]
public class InhibitionBenchmarks
{
    static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    List<Signal> _signals = [];
    IReadOnlyList<InhibitRule> _chain = [];
    IReadOnlyList<InhibitRule> _circles = [];
    IReadOnlyList<InhibitRule> _circle = [];

    [Params(2500, 5000, 10_000)]
    public int Pairs { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _signals = [.. Enumerable.Range(0, Pairs).SelectMany(i => new[] { Of("Silent", i), Of("Disk", i) })];
        _chain = Rules(("Silent", "Disk", "node"), ("Silent", "Disk", ""));
        _circles = Rules(("Silent", "Disk", "node"), ("Disk", "Silent", "node"));
        _circle = Rules(("Silent", "Disk", ""), ("Disk", "Silent", ""));
    }

    [Benchmark]
    public int Causes() => Inhibition.Apply(_chain, _signals).Count;

    [Benchmark]
    public int ACircleANode() => Inhibition.Apply(_circles, _signals).Count;

    [Benchmark]
    public int OneCircle() => Inhibition.Apply(_circle, _signals).Count;

    static IReadOnlyList<InhibitRule> Rules(params (string Source, string Target, string Equal)[] rules)
    {
        var file = Path.Combine(Directory.CreateTempSubdirectory("whistle-benchmark-inhibition-").FullName, "rules.yaml");
        File.WriteAllText(file, "inhibit_rules:\n" + string.Concat(rules.Select(r =>
            $"  - {{ source_matchers: ['alertname = {r.Source}'], target_matchers: ['alertname = {r.Target}'], equal: [{r.Equal}] }}\n")));
        try
        {
            return RuleSet.Load([file]).Rules!.InhibitRules;
        }
        finally
        {
            Directory.Delete(Path.GetDirectoryName(file)!, recursive: true);
        }
    }

    static Signal Of(string name, int node)
    {
        var labels = Labels.Of(("tenant", "t"), ("cluster", "c"), ("alertname", name), ("node", $"n{node}"));
        var since = Start.AddSeconds(node);
        return new()
        {
            Rule = "g\nr",
            Name = name,
            Labels = labels,
            Element = labels,
            Condition = new(SignalState.Firing, since, since, SignalState.Pending, since),
        };
    }
}
