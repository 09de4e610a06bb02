using System.Globalization;

using Whistle.Fixtures;
using Whistle.PromQL;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// Mutated expressions: an answer or a clear error, within a set memory. <c>WHISTLE_TEST_CASES</c> makes them more; how long they take is
/// measured by <c>Whistle.Benchmarks fuzz</c>.
/// </summary>
public sealed class PromQLFuzzTests(ITestOutputHelper output)
{
    const long MostBytes = 256 << 20;

    [Fact]
    public async Task A_mutated_expression_is_answered_or_refused_within_a_set_memory()
    {
        var seed = Seed.Number(usual: 20253);
        var count = int.Parse(Environment.GetEnvironmentVariable("WHISTLE_TEST_CASES") ?? "50000", CultureInfo.InvariantCulture);
        var (mutations, cases) = (new PromQLMutations(seed), new PromQLCases(seed));
        var engine = new PromQLEngine(new GivenSeries(cases.Series()), new PromQLOptions { MaxSamples = 200_000 });
        var (answered, refused) = (0, 0);
        for (var i = 0; i < count; i++)
        {
            var text = mutations.Next();
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                var expr = Parser.Parse(text);
                Assert.Equal(expr.ToString(), Parser.Parse(expr.ToString()).ToString());
                _ = await engine.InstantAsync(expr, PromQLCases.Start + 3_600_000, TestContext.Current.CancellationToken);
                answered++;
            }
            catch (PromQLException e)
            {
                Assert.NotEmpty(e.Message);
                refused++;
            }
            catch (Exception e) when (e is not Xunit.Sdk.IAssertionException)
            {
                Assert.Fail($"seed {seed}, case {i}: {e.GetType().Name}: {e.Message}\n{text}");
            }

            var bytes = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(bytes < MostBytes, $"seed {seed}, case {i}: {bytes} bytes\n{text}");
        }

        output.WriteLine($"{answered} answered, {refused} refused");
        Assert.True(answered > count / 20, "Some must be answered, or nothing but the parser is tried.");
    }
}
