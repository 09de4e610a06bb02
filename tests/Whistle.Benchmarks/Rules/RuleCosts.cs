using System.Diagnostics;
using System.Globalization;

using Microsoft.Extensions.Logging.Abstractions;

using Prometheus;

using Whistle.Detectors;
using Whistle.Fixtures;
using Whistle.Ingest.Heads;
using Whistle.Ingest.Series;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.State;

namespace Whistle.Benchmarks.Rules;

/// <summary>Where the time of rules goes: the rule engine on a head in this process, cycle by cycle, without log and store.</summary>
static class RuleCosts
{
    const int Shown = 25;

    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        var nodes = arguments.Count > 0 ? int.Parse(arguments[0], CultureInfo.InvariantCulture) : 100;
        var cycles = arguments.Count > 1 ? int.Parse(arguments[1], CultureInfo.InvariantCulture) : 20;
        var folder = arguments.Count > 2 ? arguments[2] : Path.Combine("..", "shared", "data", "prometheus-rules");
        var fixture = new KubernetesFixture(nodes);
        var rules = Directory.CreateTempSubdirectory("whistle-benchmark-rules-");
        SharedRules.Prepare(folder, rules.FullName);
        var clock = new Clock();
        var head = new Head(clock, int.MaxValue);
        var series =
            fixture.Series.Select(s => head.GetOrAdd(UInt128.Zero, [.. s.Labels.With("cluster", "c").With("tenant", "t")])!).ToList();
        using var database = StateDatabase.InMemory();
        using var host = Host(rules.FullName, head, clock, database);
        if ((await host.ReloadAsync(CancellationToken.None)).Errors is { Count: > 0 } errors)
            throw new InvalidOperationException(errors[0].ToString());

        var (values, spent, sample, allocated) = (new double[series.Count], TimeSpan.Zero, 0, 0L);
        var perRule = new Dictionary<string, TimeSpan>();
        const int WarmUp = 24;
        for (; sample < WarmUp + cycles; sample++)
        {
            fixture.ValuesAt(sample, values);
            for (var i = 0; i < values.Length; i++)
                series[i].Append(clock.GetUtcNow().ToUnixTimeMilliseconds(), values[i]);
            var bytes = GC.GetTotalAllocatedBytes();
            var before = Process.GetCurrentProcess().TotalProcessorTime;
            await host.EvaluateAsync(clock.GetUtcNow(), CancellationToken.None);
            if (sample >= WarmUp)
            {
                allocated += GC.GetTotalAllocatedBytes() - bytes;
                spent += Process.GetCurrentProcess().TotalProcessorTime - before;
                foreach (var rule in host.Groups.SelectMany(
                    g => g.Rules.Select((r, i) => (Name: $"{g.Group.Name} {i + 1} {r.Rule.Name}", r.Report.Duration))))
                    perRule[rule.Name] = perRule.GetValueOrDefault(rule.Name) + rule.Duration;
            }

            clock.Now += TimeSpan.FromSeconds(15);
        }

        rules.Delete(recursive: true);
        var withRules = GC.GetTotalMemory(forceFullCollection: true);
        GC.KeepAlive(host);

        Console.WriteLine($"{nodes} nodes, {series.Count:N0} series, {host.Rules.RuleCount} rules: {spent.TotalSeconds / cycles:0.0000} "
            + $"CPU-s and {allocated / cycles / 1048576.0:0.0} MiB allocated a cycle; "
            + $"{withRules / 1048576.0:0} MiB held, {head.SeriesCount - series.Count:N0} series recorded");
        foreach (var (name, time) in perRule.OrderByDescending(r => r.Value).Take(Shown))
            Console.WriteLine($"{time.TotalMilliseconds / cycles,8:0.00} ms  {name}");
        foreach (var rule in host.Groups.SelectMany(g => g.Rules).Where(r => r.Report.Error is not null))
            Console.WriteLine($"error in {rule.Rule.Name}: {rule.Report.Error}");
        return 0;
    }

    static RulesHost Host(string folder, Head head, Clock clock, StateDatabase database)
    {
        var source = new HeadSource(head);
        return new RulesHost(
            new RulesEnvironment
            {
                RuleFiles = [folder],
                Engine = new PromQLEngine(source),
                Series = source,
                Write = (samples, _) =>
                {
                    foreach (var (recorded, time, value) in samples)
                    {
                        if (recorded.Handle is not HeadSeries known)
                            recorded.Handle = known = head.GetOrAdd(UInt128.Zero, [.. recorded.Labels])!;
                        known.Append(time, value);
                    }

                    return ValueTask.CompletedTask;
                },
                Inventory = _ => Task.FromResult<IReadOnlyList<EnrolledAgent>>([]),
                Database = database,
                Metrics = Metrics.WithCustomRegistry(Metrics.NewCustomRegistry()),
            },
            clock,
            NullLogger<RulesHost>.Instance);
    }

    // The cycles follow each other at once; only durations are real.
    sealed class Clock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
