using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;

using Whistle.Commands;
using Whistle.Remediation.Simulation;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>It takes every core, so nothing that runs on a real clock runs beside it.</summary>
[CollectionDefinition(nameof(SimulationTests), DisableParallelization = true)]
public sealed class SimulationAlone;

/// <summary>The engine as it ships on virtual time. <c>whistle simulate</c> does the same for as many years as wanted.</summary>
[Collection(nameof(SimulationTests))]
public sealed class SimulationTests(ITestOutputHelper output)
{
    /// <summary>The shipped runbooks and those of the simulation, each by what it answers; ladders come with them.</summary>
    public static TheoryData<string, bool> Ailments() => [.. NodeFault.All.SelectMany(a => new[] { (a.Name, true), (a.Name, false) })];

    /// <summary>Enumerated, not sampled: before and after every single commit of every process.</summary>
    [Theory(Timeout = 900_000)]
    [MemberData(nameof(Ailments))]
    public async Task A_process_that_dies_at_any_write_of_a_runbook_comes_to_the_same_end(string ailment, bool curable)
    {
        await Task.Yield();
        var options = SimulateCommand.Options(1) with
        {
            Clusters = 1,
            NodesPerCluster = 6,
            Calm = true,
            Length = TimeSpan.FromHours(ailment == "sick" ? 10 : 5),
            Script = [new(
                0, TimeSpan.FromMinutes(10), ailment, 0, ailment == "etcd" ? 1 : 4, TimeSpan.FromHours(ailment == "sick" ? 2 : 1),
                curable ? 0.5 : 0.05)],
        };
        var calm = await Simulator.RunAsync(options, TestContext.Current.CancellationToken);
        Assert.Null(calm.Violation);
        output.WriteLine($"{calm.Moments} moments of death\n{calm.End}");
        Assert.InRange(calm.Moments, 20, 2000);
        var others = new ConcurrentBag<string>();
        var cores = new ParallelOptions
        {
            MaxDegreeOfParallelism = Environment.ProcessorCount,
            CancellationToken = TestContext.Current.CancellationToken,
        };
        await Parallel.ForAsync(0, calm.Moments, cores, async (at, cancellation) =>
        {
            var report = await Simulator.RunAsync(options with { DieAt = at }, cancellation);
            if (report.Violation is { } violation)
                others.Add($"a death at {at}: {violation}");
            else if (report.End != calm.End)
                others.Add($"a death at {at}:\n{report.End}");
        });
        Assert.True(others.IsEmpty, $"{others.Count} of {calm.Moments} ended otherwise, such as\n{string.Join("\n\n", others.Take(3))}");
    }

    /// <summary>Seeds that are always the same, so that a change that breaks something is seen at once.</summary>
    [Fact(Timeout = 900_000)]
    public Task Nothing_is_violated_with_fixed_seeds() => SimulateAsync(1, 0.5, TestContext.Current.CancellationToken);

    /// <summary>A fresh seed each time, printed.</summary>
    [Fact(Timeout = 900_000)]
    public Task Nothing_is_violated_with_a_fresh_seed() =>
        SimulateAsync(BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)) >> 16, 0.5, TestContext.Current.CancellationToken);

    [Fact]
    public async Task A_seed_gives_the_same_course_again()
    {
        await Task.Yield();
        async Task<List<string>> Course()
        {
            var lines = new List<string>();
            await Simulator.RunAsync(
                SimulateCommand.Options(7) with { Length = TimeSpan.FromDays(5), Trace = lines.Add },
                TestContext.Current.CancellationToken);
            return lines;
        }

        var first = await Course();
        Assert.True(first.Count > 50);
        Assert.Equal(first, await Course());
    }

    async Task SimulateAsync(ulong seed, double years, CancellationToken cancellation)
    {
        await Task.Yield();
        output.WriteLine($"seed {seed}");
        var (total, failed) = await Campaign.RunAsync(
            SimulateCommand.Options(seed), years, Environment.ProcessorCount, _ => { }, cancellation);
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{total.ClusterHours:0} cluster-hours, {total.Runs.Values.Sum()} runs, {total.Repairs} repairs"));
        Assert.True(failed.Count == 0, string.Join('\n', failed.Select(f => $"whistle simulate --seed {f.Seed} --trace: {f.Violation}")));
    }
}
