using System.Globalization;

using Whistle.Detectors.Reading;
using Whistle.Fixtures;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.PromQL;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// Whoever may read one tenant gets of any expression what it gives where there is nothing but that tenant's data: the same values, and
/// the same errors. What may be read is told here by a filter of the test's own.
/// </summary>
public sealed class TenantQueryTests(ITestOutputHelper output)
{
    static readonly (string Tenant, string Cluster)[] Places = [("a", "c1"), ("a", "c2"), ("b", "c1"), ("b", "c3"), ("", "")];

    [Fact]
    public async Task An_expression_gives_what_it_gives_on_the_readable_data_alone()
    {
        var seed = Seed.Number(usual: 20261);
        output.WriteLine($"seed {seed}");
        var count = int.Parse(Environment.GetEnvironmentVariable("WHISTLE_TEST_CASES") ?? "10000", CultureInfo.InvariantCulture);
        var (cases, random) = (new PromQLCases(seed), new Random(seed));
        var all = Places.SelectMany((place, i) => new PromQLCases(seed + i).Series().Select(s => Placed(s, place))).ToList();
        (Rights Rights, Func<string, string, bool> Sees)[] readers =
        [
            (Of(AccessScope.Of("a")), (tenant, _) => tenant == "a"),
            (Of(AccessScope.Of(new ClusterId("b", "c1"))), (tenant, cluster) => tenant == "b" && cluster == "c1"),
            (Of(AccessScope.Of("a"), AccessScope.Of(new ClusterId("a", "c2")), AccessScope.Of(new ClusterId("b", "c3"))),
                (tenant, cluster) => tenant == "a" || (tenant == "b" && cluster == "c3")),
            (Of(AccessScope.Of("nobody")), (_, _) => false),
        ];
        var engines = readers.Select(r => (
            Limited: new PromQLEngine(new LimitedSource(new GivenSeries(all), r.Rights.Limit)),
            Alone: new PromQLEngine(new GivenSeries([.. all.Where(s => r.Sees(s.Labels["tenant"], s.Labels["cluster"]))])))).ToList();
        var (answered, found, differences) = (0, 0, new List<string>());
        for (var i = 0; i < count; i++)
        {
            var (text, time) = (Prying(cases.Expression(), random), cases.Time());
            var (limited, alone) = engines[random.Next(engines.Count)];
            var (given, wanted) = (await AskAsync(limited, text, time), await AskAsync(alone, text, time));
            answered += wanted.StartsWith("error", StringComparison.Ordinal) ? 0 : 1;
            found += wanted.Contains('{', StringComparison.Ordinal) ? 1 : 0;
            if (given != wanted)
                differences.Add($"{text}\n  at {time}\n  limited: {given}\n  alone:   {wanted}");
        }

        output.WriteLine($"{answered} of {count} were answered, {found} with series");
        Assert.True(found > count / 5, "Many must find something, or nothing is compared.");
        Assert.True(differences.Count == 0, $"seed {seed}: {differences.Count} differ\n" + string.Join("\n", differences.Take(5)));
    }

    // Whoever wants others' series names them.
    static string Prying(string expression, Random random) => random.Next(3) switch
    {
        0 when expression.IndexOf('{', StringComparison.Ordinal) is >= 0 and var at => expression.Insert(at + 1, random.Next(5) switch
        {
            0 => "tenant=\"b\",",
            1 => "tenant!=\"a\",",
            2 => "tenant=~\".*\",",
            3 => "tenant=\"\",",
            _ => "cluster=~\"c1|c3\",",
        }),
        1 => $"count by (tenant, cluster) ({expression})",
        _ => expression,
    };

    static Rights Of(params IReadOnlyList<AccessScope> scopes) => new([.. scopes.Select(s => new Grant(Role.Viewer, s))]);

    static SeriesSamples Placed(SeriesSamples series, (string Tenant, string Cluster) place) => new(
        Labels.From([
            .. series.Labels.Where(l => l.Name is not ("tenant" or "cluster")),
            .. place.Tenant.Length == 0 ? (Label[])[] : [new("tenant", place.Tenant), new("cluster", place.Cluster)],
        ]), series.Times, series.Values);

    static async Task<string> AskAsync(PromQLEngine engine, string text, long time)
    {
        try
        {
            return await engine.InstantAsync(text, time, TestContext.Current.CancellationToken) switch
            {
                // An element's place in an answer is nothing that PromQL tells; sorted, the sums are still those of another order.
                VectorValue vector => string.Join(' ', vector.Samples.Select(s => $"{s.Labels}={Rounded(s.Value)}").Order()),
                MatrixValue matrix => string.Join(' ', matrix.Series.Select(
                    s => $"{s.Labels}={string.Join(',', s.Times.Zip(s.Values, (t, v) => $"{t}:{Rounded(v)}"))}").Order()),
                ScalarValue scalar => Rounded(scalar.Value),
                StringValue word => word.Value,
                var other => throw new InvalidOperationException($"{other} is no value."),
            };
        }
        catch (PromQLException e)
        {
            return $"error {e.Kind}: {e.Message}";
        }
    }

    static string Rounded(double value) => value.ToString("G10", CultureInfo.InvariantCulture);
}
