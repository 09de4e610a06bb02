using Microsoft.Extensions.Time.Testing;

using Whistle.Fixtures;
using Whistle.Ingest.Heads;
using Whistle.PromQL;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// Rules are evaluated by standing queries on the head. Whatever happens between two evaluations (late samples, series that end, leave the
/// head and come back), they must say what a fresh query says.
/// </summary>
public sealed class StandingQueryTests(ITestOutputHelper output)
{
    const long Step = 30_000;

    [Fact]
    public async Task They_say_what_a_fresh_query_says_however_the_data_comes()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var seed = Seed.Number(usual: 20252);
        output.WriteLine($"seed {seed}");
        var (cases, random) = (new PromQLCases(seed), new Random(seed));
        var clock = new FakeTimeProvider(DateTimeOffset.FromUnixTimeMilliseconds(PromQLCases.Start));
        var head = new Head(clock, maxSeriesPerTenant: 100_000);
        var source = new StoredHeadSource(head);
        var engine = new PromQLEngine(source);
        var arrivals = Arrivals(cases.Series(), random);
        var queries = Expressions(cases, source).Take(250).ToList();
        var (compared, differences) = (0, new List<string>());
        for (var now = PromQLCases.Start; now < PromQLCases.End; now += Step)
        {
            clock.AdjustTime(DateTimeOffset.FromUnixTimeMilliseconds(now));
            while (arrivals.TryPeek(out var arrival, out var at) && at <= now)
            {
                arrivals.Dequeue();
                source.Append(arrival.Labels, arrival.Time, arrival.Value);
            }

            if (now / Step % 40 == 0)
                head.Prune();
            foreach (var (expr, standing) in queries)
            {
                // A rule is not evaluated on a grid that never slips.
                if (random.Next(4) == 0)
                    continue;
                if (await StandingAsync(standing, now) is not (true, var stood))
                    continue;
                compared++;
                var fresh = await FreshAsync(engine, expr, now);
                if (!Same(fresh, stood))
                    differences.Add($"{expr}\n  at {now - PromQLCases.Start}\n  fresh:    {Text(fresh)}\n  standing: {Text(stood)}");
            }
        }

        output.WriteLine($"{compared} evaluations");
        Assert.True(compared > 10_000, "Most expressions must be evaluated by what the head has.");
        Assert.True(
            differences.Count == 0, $"seed {seed}: {differences.Count} of {compared} differ\n" + string.Join("\n", differences.Take(8)));
    }

    /// <summary>
    /// Counters with resets, gaps, markers, NaN and late samples over ranges that the head does not have, as long as the series live and
    /// longer.
    /// </summary>
    [Fact]
    public async Task Long_ranges_of_counters_say_what_a_fresh_query_says()
    {
        var seed = Seed.Number(usual: 20253);
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var clock = new FakeTimeProvider(DateTimeOffset.FromUnixTimeMilliseconds(PromQLCases.Start));
        var head = new Head(clock, maxSeriesPerTenant: 100_000);
        var source = new StoredHeadSource(head);
        var engine = new PromQLEngine(source);
        // Of one every other sample comes after the next; another is so late that the head need not have it; and very many come and go.
        var arrivals = Arrivals([.. Enumerable.Range(0, 12).Select(i => Counter(i, random))], random, (series, sample) => series switch
        {
            0 => sample % 2 * 45_000,
            1 => 3_940_000,
            _ => null,
        });
        foreach (var gone in Enumerable.Range(100, 400).Select(i => Counter(i, random, minutes: 20)))
        {
            for (var i = 0; i < gone.Times.Length; i++)
                arrivals.Enqueue((gone.Labels, gone.Times[i], gone.Values[i]), gone.Times[i]);
        }

        // Some history is there before the first evaluation.
        var first = PromQLCases.Start + (random.Next(10) * 3_600_000);
        var group = new StandingGroup(source);
        var queries = (from function in "rate increase resets".Split(' ')
                       from range in "21m 1h 2h30m 7h 1d".Split(' ')
                       from offset in ",offset 7m".Split(',')
                       select Parser.Parse($"{function}(requests_total[{range}] {offset})"))
            .Select(e => (Expr: e, Standing: group.Add(e))).ToList();
        var (compared, before, differences) = (0, PromQLCases.Start, new List<string>());
        for (var now =
            PromQLCases.Start; now < PromQLCases.Start + (36 * 3_600_000L); now += random.Next(8) == 0 ? random.Next(2_000_000) : 60_000)
        {
            clock.AdjustTime(DateTimeOffset.FromUnixTimeMilliseconds(now));
            while (arrivals.TryPeek(out var arrival, out var at) && at <= now)
            {
                arrivals.Dequeue();
                source.Append(arrival.Labels, arrival.Time, arrival.Value);
            }

            // What the head drops before an evaluation has seen it, is seen with its series' next sample only.
            if (now - before < 120_000 && random.Next(10) == 0)
                head.Prune();
            before = now;
            if (now < first)
                continue;
            foreach (var (expr, standing) in queries.Where(_ => random.Next(4) > 0))
            {
                var (known, stood) = await StandingAsync(standing, now);
                Assert.True(known);
                var fresh = await FreshAsync(engine, expr, now);
                compared++;
                // The same sums in the same order.
                if (!(fresh!.Count == stood!.Count && fresh.All(f => stood.TryGetValue(f.Key, out var value) && value.Equals(f.Value))))
                    differences.Add($"{expr}\n  at {now - PromQLCases.Start}\n  fresh:    {Text(fresh)}\n  standing: {Text(stood)}");
            }
        }

        output.WriteLine($"{compared} evaluations");
        Assert.True(
            differences.Count == 0, $"seed {seed}: {differences.Count} of {compared} differ\n" + string.Join("\n", differences.Take(8)));
    }

    static SeriesSamples Counter(int number, Random random, int? minutes = null)
    {
        List<(long Time, double Value)> samples = [];
        // Some begin late, some end early.
        var time = PromQLCases.Start + (minutes is not null || random.Next(3) == 0 ? random.Next(20 * 3_600_000) : 0);
        var end = time + (minutes * 60_000 ?? (random.Next(3) == 0 ? random.Next(12 * 3_600_000) : 36 * 3_600_000L));
        var value = 0.0;
        for (; time < end; time += 30_000 + random.Next(100))
        {
            value = random.Next(400) == 0 ? random.Next(3) : value + (random.Next(3) * random.NextDouble());
            samples.Add((time, random.Next(600) switch { 0 => double.NaN, 1 => StaleMarker.Value, _ => value }));
            if (random.Next(500) == 0)
                time += random.Next(9_000_000);
        }

        return new(
            Labels.OfMetric("requests_total", ("pod", $"p{number}")), [.. samples.Select(s => s.Time)], [.. samples.Select(s => s.Value)]);
    }

    static IEnumerable<(Expr, StandingQuery)> Expressions(PromQLCases cases, ILiveSeriesSource source)
    {
        var group = new StandingGroup(source);
        while (true)
        {
            Expr expr;
            try
            {
                expr = Parser.Parse(cases.Expression());
            }
            catch (PromQLException)
            {
                continue;
            }

            if (expr.Type is ExprType.Scalar or ExprType.Vector)
                yield return (expr, group.Add(expr));
        }
    }

    // Most samples come within a step; some minutes late, behind others of their series.
    static PriorityQueue<(Labels Labels, long Time, double Value), long> Arrivals(
        IReadOnlyList<SeriesSamples> all, Random random, Func<int, int, long?>? delay = null)
    {
        var arrivals = new PriorityQueue<(Labels, long, double), long>();
        foreach (var (number, series) in all.Index())
        {
            // The head drops what is silent for more than an hour, and knows it again when it comes back.
            var silent = random.Next(4) == 0 ? PromQLCases.Start + random.Next(3_600_000) : long.MaxValue / 2;
            for (var i = 0; i < series.Times.Length; i++)
            {
                var time = series.Times[i];
                if (time > silent && time < silent + 4_500_000)
                    continue;
                var late = delay?.Invoke(number, i) ?? (random.Next(50) == 0 ? random.Next(400_000) : random.Next(20_000));
                arrivals.Enqueue((series.Labels, time, series.Values[i]), time + late);
            }
        }

        return arrivals;
    }

    static async Task<Dictionary<Labels, double>?> FreshAsync(PromQLEngine engine, Expr expr, long now)
    {
        try
        {
            return await engine.InstantAsync(expr, now, default) switch
            {
                VectorValue vector => vector.Samples.ToDictionary(s => s.Labels, s => s.Value),
                ScalarValue scalar => new() { [Labels.Empty] = scalar.Value },
                _ => throw new InvalidOperationException(),
            };
        }
        catch (PromQLException)
        {
            return null;
        }
    }

    /// <summary>False where the head alone cannot tell.</summary>
    static async Task<(bool Known, Dictionary<Labels, double>? Values)> StandingAsync(StandingQuery query, long now)
    {
        try
        {
            List<StandingPoint> points = [];
            return await query.TryEvaluateAsync(now, points, default)
                ? (true, points.ToDictionary(p => query.Labels(p.Slot), p => p.Value))
                : (false, null);
        }
        catch (PromQLException)
        {
            return (true, null);
        }
    }

    // Sums of the same values in another order differ in their last digits.
    static bool Same(Dictionary<Labels, double>? a, Dictionary<Labels, double>? b)
    {
        if (a is null || b is null)
            return a is null && b is null;
        return a.Count == b.Count && a.All(x => b.TryGetValue(x.Key, out var y)
            && (x.Value.Equals(y) || Math.Abs(x.Value - y) <= 1e-9 * Math.Max(Math.Abs(x.Value), Math.Abs(y))));
    }

    static string Text(Dictionary<Labels, double>? values) =>
        values is null ? "error" : string.Join("; ", values.Select(v => $"{v.Key} {v.Value:R}").Order(StringComparer.Ordinal).Take(6));
}
