namespace Whistle.Remediation.Simulation;

/// <summary>
/// Many simulations side by side, until fleet-years are reached or something is violated; and what is left of one that failed.
/// </summary>
public static class Campaign
{
    /// <summary>Runs simulations with consecutive seeds. The first violation ends it.</summary>
    /// <param name="years">Of a fleet of so many clusters, all simulations together.</param>
    public static async Task<(SimulationReport Total, IReadOnlyList<SimulationReport> Failed)> RunAsync(
        SimulationOptions options, double years, int parallel, Action<SimulationReport> each, CancellationToken cancellation)
    {
        var total = new SimulationReport { Seed = options.Seed };
        var hours = 0.0;
        var failed = new List<SimulationReport>();
        var next = options.Seed;
        var gate = new Lock();
        var goal = years * 365.25 * 24 * options.Clusters;
        async Task Work()
        {
            while (!cancellation.IsCancellationRequested)
            {
                ulong seed;
                lock (gate)
                {
                    if (hours >= goal || failed.Count > 0)
                        return;
                    seed = next++;
                }

                var report = await Simulator.RunAsync(options with { Seed = seed }, cancellation);
                lock (gate)
                {
                    total.Add(report);
                    hours += report.ClusterHours;
                    if (report.Violation is not null)
                        failed.Add(report);
                    each(report);
                }
            }
        }

        // On SQLite in memory nothing is waited for: each keeps its thread.
        await Task.WhenAll(Enumerable.Range(0, parallel).Select(_ => Task.Run(Work, cancellation)));
        return (total with { ClusterHours = hours }, failed);
    }

    /// <summary>
    /// The fewest faults of a failed simulation with which the same is still violated: halves, quarters and so on are left out as long as
    /// that is so (delta debugging), and nothing after the violation is simulated.
    /// </summary>
    public static async Task<(SimulationOptions Options, SimulationReport Report)> ShrinkAsync(
        SimulationOptions options, SimulationReport failed, int most = 400, CancellationToken cancellation = default)
    {
        var violation = failed.Violation ?? throw new ArgumentException("Nothing was violated in it.", nameof(failed));
        var end = violation.At - Simulator.Start;
        var best = (Options: options with { Only = Enumerable.Range(0, failed.FaultsPlanned).ToHashSet() }, Report: failed);
        if (end > TimeSpan.Zero && end < options.Length)
        {
            // Faults after it cannot matter.
            var before = Scenario.Of(options).Where(f => f.At <= end).Select(f => f.Number).ToHashSet();
            best = (options with { Only = before }, failed);
        }

        var tried = 0;
        for (var parts = 2; tried < most && best.Options.Only!.Count > 0;)
        {
            var left = best.Options.Only!.Order().ToList();
            var size = Math.Max(1, left.Count / parts);
            var smaller = false;
            for (var from = 0; from < left.Count && tried < most; from += size, tried++)
            {
                var fewer = best.Options with { Only = left.Where((_, i) => i < from || i >= from + size).ToHashSet() };
                if (await Simulator.RunAsync(fewer, cancellation) is { Violation: { } again } report
                    && again.Invariant == violation.Invariant)
                {
                    (best, smaller) = ((fewer, report), true);
                    break;
                }
            }

            if (!smaller && size == 1)
                break;
            if (!smaller)
                parts = Math.Min(parts * 2, left.Count);
        }

        return best;
    }
}
