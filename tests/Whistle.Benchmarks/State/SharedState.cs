using System.Diagnostics;
using System.Globalization;

using Whistle.Incidents;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Benchmarks.State;

/// <summary>
/// Processes that write runs of different clusters into one PostgreSQL, each one write after the other: how much more four do than one. The
/// database is durable, as an operator's is.
/// </summary>
static class SharedState
{
    const int Processes = 4;
    const int Rounds = 3;
    const int Clusters = 8;

    static readonly TimeSpan Long = TimeSpan.FromSeconds(8);
    static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    static readonly Runbook Book = RunbookSet.Parse(
        """
        name: disk
        summary: Free space
        answers: [{ signal: Filling, labels: { mountpoint: /.* } }]
        mode: automatic
        steps:
          - { name: clean, action: disk.clean-paths, parameters: { mountPoint: "${mountpoint}" }, timeout: 1m }
        verify: { within: 5m, for: 1m }
        """)!;

    public static async Task<int> RunAsync(IReadOnlyList<string> args)
    {
        if (args is ["--worker", var database, var number, var seconds])
        {
            var length = TimeSpan.FromSeconds(double.Parse(seconds, CultureInfo.InvariantCulture));
            Console.WriteLine(await WorkAsync(database, number, length));
            return 0;
        }

        if (Environment.GetEnvironmentVariable("WHISTLE_TEST_POSTGRES") is not { Length: > 0 } binaries)
        {
            await Console.Error.WriteLineAsync("Name the folder of PostgreSQL's initdb in WHISTLE_TEST_POSTGRES.");
            return 2;
        }

        // As this machine's disk has it, where the processors are the limit; and as a disk
        // or a replica that takes 5 ms, where the waiting is.
        foreach (var flush in new[] { 0, 5000 })
            await CompareAsync(binaries, flush);
        return 0;
    }

    static async Task CompareAsync(string binaries, int flush)
    {
        Console.WriteLine($"commits that wait {flush / 1000} ms more than the disk takes");
        await using var server = await DurablePostgreSql.StartAsync(binaries, flush);
        List<double> one = [], many = [];
        await WriteAsync(server, 1, TimeSpan.FromSeconds(2));
        for (var round = 0; round < Rounds; round++)
        {
            one.Add(await WriteAsync(server, 1, Long));
            many.Add(await WriteAsync(server, Processes, Long));
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"  round {round + 1}: one process {one[^1]:0}/s, {Processes} processes {many[^1]:0}/s, {many[^1] / one[^1]:0.00} times"));
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"medians: {Median(one):0} and {Median(many):0} writes a second, {Median(many) / Median(one):0.00} times"));
    }

    static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    // Writes a second, of all processes together.
    static async Task<double> WriteAsync(DurablePostgreSql server, int processes, TimeSpan length)
    {
        var database = await server.NewDatabaseAsync();
        using (var state = StateDatabase.PostgreSql(database))
            await state.UpgradeAsync([IncidentStore.Tables, RunStore.Tables], _ => { }, default);
        var workers = Enumerable.Range(0, processes).Select(i => Begin(database, i, length)).ToList();
        var writes = 0L;
        foreach (var worker in workers)
        {
            writes += long.Parse(await worker.StandardOutput.ReadToEndAsync(), CultureInfo.InvariantCulture);
            await worker.WaitForExitAsync();
            worker.Dispose();
        }

        return writes / length.TotalSeconds;
    }

    static Process Begin(string database, int number, TimeSpan length) => Process.Start(new ProcessStartInfo(
        Environment.ProcessPath!,
        [
            "state", "--worker", database, number.ToString(CultureInfo.InvariantCulture), length.TotalSeconds.ToString(
                CultureInfo.InvariantCulture),
        ])
    { RedirectStandardOutput = true })!;

    static async Task<long> WorkAsync(string database, string worker, TimeSpan length)
    {
        using var state = StateDatabase.PostgreSql(database);
        var (incidents, runs) = (new IncidentStore(state), new RunStore(state));
        // Connected and compiled before it counts.
        await LifeAsync(state, incidents, runs, worker, -1);
        var (writes, clock) = (0L, Stopwatch.StartNew());
        for (var i = 0; clock.Elapsed < length; i++)
            writes += await LifeAsync(state, incidents, runs, worker, i);
        return writes;
    }

    // A run from its incident to its end; the number of transactions.
    static async Task<int> LifeAsync(StateDatabase state, IncidentStore incidents, RunStore runs, string worker, int number)
    {
        var (incident, run) = Of($"w{worker}-{number}", $"w{worker}-c{Math.Abs(number % Clusters)}");
        await incidents.SaveAsync([new(incident, [(TimelineKind.Opened, "Filling")])], Start, default);
        await runs.ProposeAsync(run, Book, [new(TimelineKind.Proposed, "proposed")], Start, default);
        await using (var connection = await state.OpenAsync(default))
            await connection.ExecuteAsync(
                "UPDATE runs SET owner = $owner, token = 1 WHERE id = $id", default, ("$owner", worker), ("$id", run.Id));
        RunState[] states = [RunState.Waiting, RunState.Running, RunState.Verifying];
        foreach (var next in states)
            await runs.ApplyAsync(new(run with { State = next }, [new(TimelineKind.Step, $"{next}")]), worker, 1, Start, default);
        var ended = run with { State = RunState.Cancelled, EndedAt = Start };
        await runs.ApplyAsync(new(ended, [new(TimelineKind.Ended, "over")]), worker, 1, Start, default);
        return 7;
    }

    static (Incident Incident, Run Run) Of(string id, string cluster)
    {
        var subject = Labels.From([new("mountpoint", "/var"), new("node", "n1")]);
        var incident = new Incident
        {
            Id = id,
            Tenant = "t",
            Cluster = cluster,
            Subject = subject,
            Title = "Filling",
            Severity = "warning",
            State = IncidentState.Open,
            OpenedAt = Start,
            Signals = [],
        };
        var run = new Run
        {
            Id = $"{id}-1",
            IncidentId = id,
            Tenant = "t",
            Cluster = cluster,
            Node = "n1",
            Labels = subject,
            Subject = subject,
            Runbook = Book.Name,
            RunbookHash = Book.Hash,
            Origin = Book.Name,
            Answers = ["Filling"],
            PlanHash = "p",
            Attempt = 1,
            State = RunState.Proposed,
            CreatedAt = Start,
            Since = Start,
        };
        return (incident, run);
    }
}
