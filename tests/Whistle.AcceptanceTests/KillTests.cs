using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Threading.Channels;

using Whistle.Backups;
using Whistle.Detectors.Signals;
using Whistle.Ingest.Stores;
using Whistle.State;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

public sealed class KillTests : IDisposable
{
    const int Kills = 20;

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-kill").FullName;

    string RuleFile => Path.Combine(_folder, "rules.yaml");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact(Timeout = 600_000)]
    public async Task No_acknowledged_sample_is_lost_and_no_clock_starts_anew_when_the_server_is_killed_twenty_times_under_load()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var random = Seed.New();
        await File.WriteAllTextAsync(RuleFile, """
            groups:
              - name: clock
                interval: 1s
                rules:
                  - alert: ClockRuns
                    expr: vector(1)
                    for: 1h
            """, cancellation);
        await using var server = new ServerProcess(_folder, "--no-agent", "--rules", RuleFile);
        var token = await server.EnrollAsync("load");
        await server.StartAsync(cancellation);
        var pendingSince = await PendingSinceAsync(server, cancellation);
        var senders = Enumerable.Range(0, 4).Select(i => new LoadSender(server.Address, token, i)).ToList();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var load = RunAsync(senders, stop.Token);

        for (var kill = 0; kill < Kills; kill++)
        {
            await UntilAsync(senders.Select(s => s.AcknowledgedAsync(random.Next(1, 30), cancellation)), load);
            // A moment within whatever the server does next.
            await Task.Delay(TimeSpan.FromMilliseconds(random.Next(0, 100)), TimeProvider.System, cancellation);
            await server.KillAsync();
            await server.StartAsync(cancellation);
        }

        await UntilAsync(senders.Select(s => s.AcknowledgedAsync(5, cancellation)), load);
        await stop.CancelAsync();
        await load;
        await server.KillAsync();

        // It is still the clock that began first, though the time in which no server ran does not count.
        using (var state = new StateDatabase(Path.Combine(_folder, "state.sqlite")))
        {
            var condition = Assert.Single(await new SignalStore(state).LoadAsync(TestContext.Current.CancellationToken)).Condition;
            Assert.Equal(pendingSince, condition.Since);
            Assert.InRange(condition.Paused, TimeSpan.Zero, condition.LastEvaluation - condition.Since);
        }

        AssertStored(senders.SelectMany(s => s.Acknowledged).ToList());
    }

    [Fact(Timeout = 600_000)]
    public async Task A_backup_that_is_made_while_the_server_is_killed_under_load_is_whole_or_is_none()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var random = Seed.New();
        var data = Path.Combine(_folder, "data");
        await using var server = new ServerProcess(data, "--no-agent");
        var token = await server.EnrollAsync("load");
        await server.StartAsync(cancellation);
        var senders = Enumerable.Range(0, 2).Select(i => new LoadSender(server.Address, token, i)).ToList();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var load = RunAsync(senders, stop.Token);
        var backups = new List<(string Folder, bool Reported, List<(string Series, long Time, double Value)> Before)>();
        for (var kill = 0; kill < 8; kill++)
        {
            await UntilAsync(senders.Select(s => s.AcknowledgedAsync(random.Next(5, 30), cancellation)), load);
            var (folder, before) = (Path.Combine(_folder, $"backup-{kill}"), senders.SelectMany(s => s.Acknowledged).ToList());
            using var started = await server.Http.PostAsJsonAsync(
                new Uri("api/whistle/v1/backups", UriKind.Relative), new { folder }, cancellation);
            Assert.Equal(HttpStatusCode.Accepted, started.StatusCode);
            // Every second one may come to its end; the others die somewhere on the way.
            var reported = kill % 2 == 0 && await IsDoneAsync(server, started.Headers.Location!, cancellation);
            if (!reported)
                await Task.Delay(TimeSpan.FromMilliseconds(random.Next(0, 300)), TimeProvider.System, cancellation);
            backups.Add((folder, reported, before));
            await server.KillAsync();
            await server.StartAsync(cancellation);
        }

        await stop.CancelAsync();
        await load;
        await server.KillAsync();

        Assert.Equal(4, backups.Count(b => b.Reported));
        foreach (var (folder, reported, before) in backups)
        {
            // One that nobody heard of any more may still have been done; then it is as good as the others.
            if (Directory.Exists(folder))
                AssertRestored(folder, before, senders);
            else
                Assert.False(reported, $"{folder} was reported as made.");
            // What died before its name is no backup; after its last byte, it is as good as the others.
            if (Directory.Exists(folder + Backup.Partial) && IsWhole(folder + Backup.Partial))
                AssertRestored(folder + Backup.Partial, before, senders);
        }

        TestContext.Current.TestOutputHelper!.WriteLine(
            $"{backups.Count(b => Directory.Exists(b.Folder))} of {backups.Count} backups came to be");
    }

    // Ends with the first that fails.
    static async Task RunAsync(List<LoadSender> senders, CancellationToken stop)
    {
        List<Task> running = [.. senders.Select(s => s.RunAsync(stop))];
        while (running.Count > 0)
        {
            var ended = await Task.WhenAny(running);
            running.Remove(ended);
            await ended;
        }
    }

    // A sender that gave up says why at once: nothing of it would ever be acknowledged.
    static async Task UntilAsync(IEnumerable<Task> acknowledged, Task load)
    {
        var all = Task.WhenAll(acknowledged);
        if (await Task.WhenAny(all, load) == load)
            await load;
        await all;
    }

    static async Task<bool> IsDoneAsync(ServerProcess server, Uri backup, CancellationToken cancellation)
    {
        while (true)
        {
            using var answer = JsonDocument.Parse(await server.Http.GetStringAsync(backup, cancellation));
            if (answer.RootElement.GetProperty("state").GetString() is not "running" and var state)
                return state == "done" ? true : throw new InvalidOperationException(answer.RootElement.ToString());
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, cancellation);
        }
    }

    static bool IsWhole(string backup)
    {
        try
        {
            Backup.Verify(backup, _ => { }, TestContext.Current.CancellationToken);
            return true;
        }
        catch (BackupException)
        {
            return false;
        }
    }

    // Restored by the program itself, read as any later server would, and held to what the senders know.
    static void AssertRestored(string backup, List<(string Series, long Time, double Value)> before, List<LoadSender> senders)
    {
        var folder = backup + "-restored";
        Restore.Run(backup, folder, replace: false, TimeProvider.System, _ => { }, TestContext.Current.CancellationToken);
        var stored = Stored(folder);
        Assert.All(before, sample => Assert.Equal(sample.Value, stored[sample.Series][sample.Time]));
        foreach (var (series, samples) in stored)
            Assert.All(samples, s => Assert.Equal(senders[series[0] - '0'].ValueAt(series, s.Key), s.Value));
    }

    static Dictionary<string, Dictionary<long, double>> Stored(string folder)
    {
        using var store = new DuckDbStore(new StoreOptions(Path.Combine(folder, "telemetry"), TimeSpan.FromDays(15)), TimeProvider.System);
        return store.Select([new LabelMatcher(Labels.MetricName, MatchOperator.Equal, LoadSender.Metric)], 0, long.MaxValue)
            .ToDictionary(s => s.Labels["series"], s => s.Times.Zip(s.Values).ToDictionary(p => p.First, p => p.Second));
    }

    // The alert appears with its group's first evaluation; the poll is of another process's real progress.
    static async Task<DateTimeOffset> PendingSinceAsync(ServerProcess server, CancellationToken cancellation)
    {
        while (true)
        {
            using var answer = JsonDocument.Parse(await server.Http.GetStringAsync("api/v1/alerts", cancellation));
            foreach (var alert in answer.RootElement.GetProperty("data").GetProperty("alerts").EnumerateArray())
            {
                Assert.Equal("pending", alert.GetProperty("state").GetString());
                return alert.GetProperty("activeAt").GetDateTimeOffset();
            }

            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellation);
        }
    }

    void AssertStored(List<(string Series, long Time, double Value)> acknowledged)
    {
        var stored = Stored(_folder);
        Assert.True(acknowledged.Count > 10_000, $"Only {acknowledged.Count} samples were acknowledged; that is no load.");
        TestContext.Current.TestOutputHelper!.WriteLine($"{acknowledged.Count} acknowledged samples to be found");
        Assert.All(acknowledged, sample => Assert.Equal(sample.Value, stored[sample.Series][sample.Time]));
    }
}

/// <summary>
/// Sends samples with rising times and values, again and again until each request is acknowledged, and remembers which were.
/// </summary>
sealed class LoadSender(Uri server, string token, int number)
{
    public const string Metric = "load_test";
    const int SeriesCount = 25;

    readonly ConcurrentQueue<(string, long, double)> _acknowledged = new();
    readonly Channel<int> _acknowledgements = Channel.CreateUnbounded<int>();
    readonly long _start = TimeProvider.System.GetUtcNow().AddHours(-6).ToUnixTimeMilliseconds();

    public IEnumerable<(string Series, long Time, double Value)> Acknowledged => _acknowledged;

    /// <summary>What it sends for a series at a time; anything else there is not its own.</summary>
    public double ValueAt(string series, long time) =>
        ((time - _start) / 100) + (int.Parse(series.Split('-')[1], CultureInfo.InvariantCulture) / 100.0);

    /// <summary>Waits for so many more acknowledged requests.</summary>
    public async Task AcknowledgedAsync(int requests, CancellationToken cancellation)
    {
        for (var i = 0; i < requests; i++)
            await _acknowledgements.Reader.ReadAsync(cancellation);
    }

    public async Task RunAsync(CancellationToken stop)
    {
        using var client = new RemoteWriteClient(server, token);
        for (var request = 0; !stop.IsCancellationRequested; request++)
        {
            var series = Series(request);
            while (!stop.IsCancellationRequested && !await TrySendAsync(client, series, stop))
                await Task.Yield();
        }
    }

    List<TimeSeries> Series(int request) =>
        [.. Enumerable.Range(0, SeriesCount).Select(i => new TimeSeries(
            Labels.OfMetric(Metric, ("series", $"{number}-{i}")),
            [.. Enumerable.Range(0, 4).Select(j => new Sample(_start + (request * 4 + j) * 100L, request * 4 + j + i / 100.0))]))];

    async Task<bool> TrySendAsync(RemoteWriteClient client, List<TimeSeries> series, CancellationToken stop)
    {
        try
        {
            using var answer = await client.SendAsync(series, stop);
            if (answer.StatusCode == HttpStatusCode.ServiceUnavailable)
                return false;
            Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        }
        catch (Exception e) when (e is HttpRequestException || (e is OperationCanceledException && stop.IsCancellationRequested))
        {
            return false;
        }

        foreach (var one in series)
        {
            foreach (var (time, value) in one.Samples)
                _acknowledged.Enqueue((one.Labels["series"], time, value));
        }

        _acknowledgements.Writer.TryWrite(series.Count);
        return true;
    }
}
