namespace Whistle.Benchmarks.Ingest;

/// <summary>The side-by-side run: servers one after the other, in another order each round, and a table of the medians.</summary>
static class IngestComparison
{
    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        IngestOptions options;
        try
        {
            options = IngestOptions.Parse(arguments);
        }
        catch (ArgumentException e)
        {
            await Console.Error.WriteLineAsync($"{e.Message}\n\n{IngestOptions.Usage}");
            return 2;
        }

        Describe(options);
        List<IngestResult> results = [];
        for (var round = 0; round < options.Rounds; round++)
        {
            for (var i = 0; i < options.Servers.Count; i++)
                await AddAsync(results, options.Servers[(round + i) % options.Servers.Count], round, options);
        }

        Print(options, results);
        return results.Count > 0 && results.All(r => r.Failures == 0
            && (r.Stored ?? options.Nodes * NodeProfile.SeriesPerNode) == options.Nodes * NodeProfile.SeriesPerNode) ? 0 : 1;
    }

    static async Task AddAsync(List<IngestResult> results, string server, int round, IngestOptions options)
    {
        try
        {
            var result = await IngestRun.RunAsync(server, options);
            results.Add(result);
            Console.WriteLine($"round {round + 1}  {Row(result)}");
        }
        catch (Exception e) when (e is FileNotFoundException or InvalidOperationException)
        {
            Console.WriteLine($"round {round + 1}  {server}: {e.Message}");
        }
    }

    static void Describe(IngestOptions options)
    {
        var profile = NodeProfile.Series(0);
        var mix = string.Join(", ", profile.CountBy(s => s.Behaviour).OrderBy(m => m.Key).Select(m => $"{m.Value} {m.Key}"));
        Console.WriteLine($"{options.Nodes} nodes of {profile.Count} series each ({mix}), one sample a series every "
            + $"{IngestOptions.SliceSeconds} s, seed {options.Seed}.");
        Console.WriteLine($"Paced: {options.DataMinutes} min of data at {options.Rate:N0} samples/s. Flat out: {options.MaxSlices} slices. "
            + $"{options.Connections} connections, requests of {2 * profile.Count} samples, remote-write 1.0.");
        Console.WriteLine($"Servers on cores {options.Cores}; the sender shares the machine ({Environment.ProcessorCount} cores).\n");
        Console.WriteLine($"         {Header}");
    }

    static void Print(IngestOptions options, List<IngestResult> results)
    {
        Console.WriteLine($"\nMedians of {options.Rounds} round(s):\n\n         {Header}");
        var medians = results.GroupBy(r => r.Server).ToDictionary(g => g.Key, Median);
        foreach (var median in options.Servers.Where(medians.ContainsKey))
            Console.WriteLine($"         {Row(medians[median])}");
        if (medians.TryGetValue("whistle", out var whistle))
        {
            foreach (var peer in medians.Values.Where(m => m != whistle))
                Console.WriteLine($"         {Ratios(whistle, peer)}");
        }

        foreach (var failed in results.Where(r => r.Failures > 0))
            Console.WriteLine($"\n{failed.Server}: {failed.Failures} requests failed, the first with {failed.FirstFailure}");
    }

    const string Header =
        "server           CPU-s/M   new series  peak RSS  bytes/series  disk     paced/s  max/s      CPU-s/M flat out  stored   failed";

    static string Row(IngestResult r) =>
        $"{r.Server,-15}  {r.CpuPerMillion,7:0.00}  {r.FirstSliceCpu,9:0.0} s  {Mebibytes(r.PeakBytes),8}  {r.BytesPerSeries,12:N0}  "
        + $"{Mebibytes(r.DiskBytes),-7}  {r.PacedRate,7:N0}  {r.MaxRate,9:N0}  {r.MaxCpuPerMillion,16:0.00}  "
        + $"{(r.Stored is { } stored ? $"{stored}" : "?"),-7}  {r.Failures}";

    static string Ratios(IngestResult a, IngestResult b) =>
        $"{"/ " + b.Server,-15}  {a.CpuPerMillion / b.CpuPerMillion,7:0.00}  {a.FirstSliceCpu / b.FirstSliceCpu,9:0.00}    "
        + $"{a.PeakBytes / (double)b.PeakBytes,8:0.00}  {a.BytesPerSeries / b.BytesPerSeries,12:0.00}  "
        + $"{a.DiskBytes / (double)b.DiskBytes,-7:0.00}  {"",7}  {a.MaxRate / b.MaxRate,9:0.00}  "
        + $"{a.MaxCpuPerMillion / b.MaxCpuPerMillion,16:0.00}";

    static string Mebibytes(long bytes) => $"{bytes / 1048576.0:N0} MiB";

    static IngestResult Median(IEnumerable<IngestResult> rounds)
    {
        IngestResult[] all = [.. rounds];
        return all[0] with
        {
            CpuPerMillion = Of(r => r.CpuPerMillion),
            FirstSliceCpu = Of(r => r.FirstSliceCpu),
            PeakBytes = (long)Of(r => r.PeakBytes),
            BytesPerSeries = Of(r => r.BytesPerSeries),
            DiskBytes = (long)Of(r => r.DiskBytes),
            PacedRate = Of(r => r.PacedRate),
            MaxRate = Of(r => r.MaxRate),
            MaxCpuPerMillion = Of(r => r.MaxCpuPerMillion),
            Failures = all.Sum(r => r.Failures),
        };

        double Of(Func<IngestResult, double> figure)
        {
            double[] sorted = [.. all.Select(figure).Order()];
            return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
        }
    }
}
