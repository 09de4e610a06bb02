using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;


using Prometheus;

using Whistle.Alerting;
using Whistle.Alerting.PagerDuty;
using Whistle.Incidents;
using Whistle.Remediation.Runs;
using Whistle.Remediation.Simulation;
using Whistle.State;

namespace Whistle.Commands;

/// <summary>Tries to break the engine: years of simulated fleets, with everything going wrong that can.</summary>
static class SimulateCommand
{
    const string Phase = "Simulating";
    const double HoursOfYear = 365.25 * 24;

    static readonly Option<double> Years =
        new("--years") { Description = "How many fleet-years are simulated.", DefaultValueFactory = _ => 1 };
    static readonly Option<string?> Seed = new("--seed") { Description = "Where chance begins; without it a fresh one, which is printed." };
    static readonly Option<int> Clusters = new("--clusters") { Description = "Clusters in the fleet.", DefaultValueFactory = _ => 3 };
    static readonly Option<int> Nodes =
        new("--nodes") { Description = "Nodes of each cluster, at least 5.", DefaultValueFactory = _ => 20 };
    static readonly Option<double> Faults =
        new("--faults") { Description = "Faults a cluster and day, on average.", DefaultValueFactory = _ => 1.2 };
    static readonly Option<int> Parallel =
        new("--parallel") { Description = "Simulations side by side.", DefaultValueFactory = _ => Environment.ProcessorCount };
    static readonly Option<string[]> Runbooks = new("--runbooks")
    {
        Description = "Runbook files and folders; the shipped ones where none is given.",
        AllowMultipleArgumentsPerToken = true,
    };
    static readonly Option<bool> Trace = new("--trace") { Description = "Simulates only the seed itself and prints all that happens." };

    public static Command Build()
    {
        var command = new Command("simulate", "Simulates fleets on which everything goes wrong, with the engine as it ships, "
            + "and looks for what must never happen. Needs no server.")
        {
            Years, Seed, Clusters, Nodes, Faults, Parallel, Runbooks, Trace,
        };
        command.SetAction((arguments, cancellation) => Task.Run(() => RunAsync(arguments, cancellation), cancellation));
        return command;
    }

    public static SimulationOptions Options(ulong seed, IReadOnlyList<string>? runbooks = null) => new()
    {
        Seed = seed,
        Runbooks =
            [.. runbooks ?? [Path.Combine(AppContext.BaseDirectory, "runbooks")], Path.Combine(AppContext.BaseDirectory, "simulation")],
        Pager = (database, incidents, runs, time) => new SimulatedPager(database, incidents, runs, time),
    };

    static async Task<int> RunAsync(ParseResult arguments, CancellationToken cancellation)
    {
        if (SeedOf(arguments.GetValue(Seed)) is not { } seed || arguments.GetValue(Nodes) < 5 || arguments.GetValue(Clusters) < 1)
        {
            await Console.Error.WriteLineAsync("--seed is a whole number, --nodes at least 5 and --clusters at least 1.");
            return ExitCode.Usage;
        }

        var options = Options(seed, arguments.GetValue(Runbooks) is { Length: > 0 } given ? given : null) with
        {
            Clusters = arguments.GetValue(Clusters),
            NodesPerCluster = arguments.GetValue(Nodes),
            FaultsPerClusterDay = arguments.GetValue(Faults),
        };
        Console.WriteLine($"seed {seed}");
        if (arguments.GetValue(Trace))
            return Summarise(await Simulator.RunAsync(options with { Trace = Console.WriteLine }, cancellation));
        var (watch, done) = (Stopwatch.StartNew(), 0);
        var parallel = Math.Max(1, arguments.GetValue(Parallel));
        var (total, failed) = await ProgressBars.RunAsync(progress => Task.Run(() =>
        {
            var (hours, goal) = (0.0, arguments.GetValue(Years) * HoursOfYear * options.Clusters);
            progress(Phase, 0, goal);
            return Campaign.RunAsync(options, arguments.GetValue(Years), parallel, Each, cancellation);

            void Each(SimulationReport report)
            {
                done++;
                progress(Phase, hours += report.ClusterHours, goal);
            }
        }));
        Print(total, done, watch.Elapsed, parallel);
        return failed.Count == 0 ? ExitCode.Fine : await ShrunkAsync(options, failed[0], cancellation);
    }

    static async Task<int> ShrunkAsync(SimulationOptions options, SimulationReport failed, CancellationToken cancellation)
    {
        Console.WriteLine($"\nSeed {failed.Seed}: {failed.Violation}");
        Console.WriteLine("Looking for the fewest faults that do it…");
        var (small, report) = await ProgressBars.RunAsync(progress => Task.Run(() =>
        {
            progress("Shrinking", 0, 0);
            return Campaign.ShrinkAsync(options with { Seed = failed.Seed }, failed, cancellation: cancellation);
        }));
        Console.WriteLine(
            $"{small.Only!.Count} of {failed.FaultsPlanned} faults: {string.Join(", ", small.Only.Order())}\n{report.Violation}\n");
        await Simulator.RunAsync(small with { Trace = Console.WriteLine }, cancellation);
        Console.WriteLine($"\nThe whole again: whistle simulate --seed {failed.Seed} --trace");
        return ExitCode.Failed;
    }

    static int Summarise(SimulationReport report)
    {
        Console.WriteLine(report.Violation?.ToString() ?? "Nothing was violated.");
        return report.Violation is null ? ExitCode.Fine : ExitCode.Failed;
    }

    static void Print(SimulationReport total, int simulations, TimeSpan took, int parallel)
    {
        static string Counts(Dictionary<string, long> counts) =>
            string.Join(", ", counts.OrderByDescending(c => c.Value).Select(c => $"{c.Key} {c.Value}"));
        var perCore = total.ClusterHours / took.TotalSeconds / parallel;
        var minutes = total.Repairs > 0 ? (total.RepairTime / total.Repairs).TotalMinutes : 0;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"""
            {simulations} simulations, {total.ClusterHours:0} cluster-hours in {took.TotalSeconds:0.0} s: {perCore:0} a second and core
            faults         {total.Faults.Values.Sum()}: {Counts(total.Faults)}
            troubles       {total.Troubles.Values.Sum()}: {Counts(total.Troubles)}
            runs           {total.Runs.Values.Sum()}: {Counts(total.Runs)}
            passes         {total.Passes}
            commands       {total.Commands}
            repairs        {total.Repairs}, on average {minutes:0.0} min after the fault
            escalations    {total.Runs.GetValueOrDefault("Escalated")}
            refusals       {Counts(total.Refusals)}
            """));
    }

    static ulong? SeedOf(string? text) => text is null ? BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)) >> 16
        : ulong.TryParse(text, CultureInfo.InvariantCulture, out var seed) ? seed : null;

    /// <summary>Alerting as it ships, with a channel that takes everything.</summary>
    sealed class SimulatedPager(StateDatabase database, IncidentStore incidents, RunStore runs, TimeProvider time) : ISimulatedPager
    {
        static readonly AlertingOptions Options = new()
        {
            Channels = [new PagerDutyOptions { RoutingKey = new string('k', 32), Handler = new Acceptance() }],
        };

        readonly AlertingHost _host = AlertingHost.Over(
            incidents, runs, database, Metrics.WithCustomRegistry(Metrics.NewCustomRegistry()), Options, time);

        public Task DecideAsync(DateTimeOffset now, CancellationToken cancellation) => _host.RunOnceAsync(now, cancellation);

        public async Task<IReadOnlyDictionary<string, DateTimeOffset>> PagedAsync(CancellationToken cancellation) =>
            await _host.PagedAsync(cancellation);

        public TimeSpan? Deadline(string severity) => severity switch
        {
            "critical" => Options.CriticalDeadline,
            "warning" => Options.WarningDeadline,
            _ => null,
        };

        public void Dispose() => _host.Dispose();

        /// <summary>PagerDuty's answer, without PagerDuty.</summary>
        sealed class Acceptance : HttpMessageHandler
        {
            protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
                Task.FromResult(new HttpResponseMessage(HttpStatusCode.Accepted));
        }
    }
}
