using System.Net;
using System.Text.Json;

using Microsoft.Extensions.Time.Testing;

using Whistle.Alerting;
using Whistle.Alerting.PagerDuty;
using Whistle.Ingest.Series;
using Whistle.Ingest.Stores;
using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

// Its disks are seen by every agent on the machine.
[CollectionDefinition(nameof(FullDiskTests), DisableParallelization = true)]
public sealed class DisksInSight;

/// <summary>A server whose data folder is on a real disk that somebody else fills to the last byte, or the last inode.</summary>
[Collection(nameof(FullDiskTests))]
public sealed class FullDiskTests : IAsyncLifetime
{
    const string Rules =
        """
        groups:
          - name: mine
            interval: 1s
            rules:
              - { alert: NodeSilent, expr: whistle_agent_up == 0, for: 1s, labels: { severity: critical },
                  annotations: { summary: "{{ $labels.node }} is silent" } }
        """;

    readonly string _rules = Path.Combine(Directory.CreateTempSubdirectory("whistle-rules").FullName, "rules.yaml");
    PagerDutyServer _pagerDuty = null!;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await File.WriteAllTextAsync(_rules, Rules, Cancellation);
        _pagerDuty = await PagerDutyServer.StartAsync(Cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await _pagerDuty.DisposeAsync();
        Directory.Delete(Path.GetDirectoryName(_rules)!, recursive: true);
    }

    [Theory(Timeout = 300_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task On_a_full_disk_the_kill_switch_incidents_and_pages_go_on_and_all_is_well_when_there_is_room(bool inodes)
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var disk = LoopDisk.Mount(128);
        var folder = Path.Combine(disk.Folder, "data");
        List<(string Name, double Value)> acknowledged = [];
        using var filler = new Filler(disk, inodes);
        await using (var server = await StartAsync(folder))
        {
            using var sender = await server.SenderAsync();
            await SendAsync(sender, "before", acknowledged);
            await HeldAsync(server);
            // From here on, over stop and start, not a block is free for longer than some milliseconds.
            filler.Start();

            var problem = await HealthTests.UntilAsync(server, "disk", HealthState.Failed);
            Assert.Contains(inodes ? "inodes free" : "MiB free", problem.Reason, StringComparison.Ordinal);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, await SendAsync(sender, "refused", acknowledged));
            using var anybody = new HttpClient { BaseAddress = server.App.Address };
            using var ready = await anybody.GetAsync(new Uri("-/ready", UriKind.Relative), cancellation);
            Assert.Equal(
                (HttpStatusCode.ServiceUnavailable, "disk\n"), (ready.StatusCode, await ready.Content.ReadAsStringAsync(cancellation)));
            Assert.Contains("Whistle cannot do its work", await PageAsync(server), StringComparison.Ordinal);

            await KillAsync(server, true, "on a full disk");
            // Never heard, so silent once it should have been.
            await server.App.Credentials.EnrollAsync(new("default", "c1"), "dead", Cancellation);
            await PagedAsync("dead is silent");
            filler.AssertFull();
        }

        await using (var server = await StartAsync(folder))
        {
            await HealthTests.UntilAsync(server, "disk", HealthState.Failed);
            Assert.True(await KillSwitchAsync(server), "The kill switch was lost over a restart on a full disk.");
            Assert.NotEmpty(
                JsonDocument.Parse(await server.Http.GetStringAsync("api/whistle/v1/incidents", cancellation)).RootElement.ToString());
            await server.App.Credentials.EnrollAsync(new("default", "c1"), "dead-too", Cancellation);
            await PagedAsync("dead-too is silent");
            await KillAsync(server, false, "off again");
            filler.AssertFull();
            filler.Dispose();

            using var sender = await server.SenderAsync();
            while (await SendAsync(sender, $"after{acknowledged.Count}", acknowledged) is not HttpStatusCode.NoContent)
                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellation);
            while (!(await server.Http.GetAsync(new Uri("-/ready", UriKind.Relative), cancellation)).IsSuccessStatusCode)
                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellation);
            Assert.False(await KillSwitchAsync(server));
        }

        // Another process, so that only the disk can know.
        await using var last = await StartAsync(folder);
        Assert.Equal(acknowledged, acknowledged.Select(a => (
            a.Name,
            last.App.Telemetry.Select([new(Labels.MetricName, MatchOperator.Equal, a.Name)], 0, long.MaxValue).Single().Values.Single())));
        disk.Free();
    }

    [Fact(Timeout = 300_000)]
    public async Task A_node_that_is_refused_is_not_called_silent_and_what_is_known_of_it_is_unknown()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var disk = LoopDisk.Mount(128);
        using var filler = new Filler(disk, inodes: false);
        await using var server = await StartAsync(Path.Combine(disk.Folder, "data"));
        using var sender = await server.SenderAsync(node: "alive");
        await HeldAsync(server);
        filler.Start();
        await HealthTests.UntilAsync(server, "disk", HealthState.Failed);
        await server.App.Credentials.EnrollAsync(new("default", "c1"), "dead", Cancellation);
        // Both were never stored; only one of them tries.
        while (!_pagerDuty.Events.Any(e => e.ToString().Contains("dead is silent", StringComparison.Ordinal)))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, await SendAsync(sender, "m", []));
            await Task.Delay(TimeSpan.FromMilliseconds(500), TimeProvider.System, cancellation);
        }

        Assert.DoesNotContain(_pagerDuty.Events, e => e.ToString().Contains("alive is silent", StringComparison.Ordinal));
    }

    [Fact(Timeout = 300_000)]
    public async Task The_oldest_hours_give_way_before_samples_do_and_what_was_dropped_is_said()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var disk = LoopDisk.Mount(128);
        var folder = Path.Combine(disk.Folder, "data");
        var now = TimeProvider.System.GetUtcNow();
        SealDays(folder, new DateTimeOffset(now.UtcTicks - (now.UtcTicks % TimeSpan.TicksPerHour), TimeSpan.Zero).AddDays(-10), 10);
        disk.Write(DiskSpace.Of(disk.Folder).Free - (3 << 20));
        await using var again = await StartAsync(folder, o => o with { AcceptState = true, Disk = new() { StateReserve = 1 << 20 } });
        var dropped = await HealthTests.UntilAsync(again, "retention");

        Assert.Contains("were dropped early", dropped.Reason, StringComparison.Ordinal);
        // Samples are taken again once no more hours go.
        using var sender = await again.SenderAsync();
        while (await SendAsync(sender, "m", []) is not HttpStatusCode.NoContent)
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellation);
        var left = Directory.GetFiles(Path.Combine(folder, "telemetry", "sealed"), "*.samples.parquet");
        Assert.InRange(left.Length, 1, 9);
        Assert.Equal([.. again.App.Telemetry.Select([new(Labels.MetricName, MatchOperator.Equal, "m")], 0, now.ToUnixTimeMilliseconds())
            .Single().Times.Select(t => t / 86_400_000).Distinct()],
            Enumerable.Range(0, left.Length).Select(d => now.AddDays(-left.Length + d).ToUnixTimeMilliseconds() / 86_400_000));
    }

    Task<InProcessServer> StartAsync(string folder, Func<WhistleOptions, WhistleOptions>? change = null) =>
        InProcessServer.StartAsync(Cancellation, folder, o =>
        {
            var options = o with
            {
                Rules = [_rules],
                Alerting = new AlertingOptions
                {
                    CriticalDeadline = TimeSpan.FromSeconds(1),
                    Channels = [new PagerDutyOptions { Address = _pagerDuty.Address, RoutingKey = new string('k', 32) }],
                },
            };
            return change?.Invoke(options) ?? options;
        });

    // An hour a day, of about 800 KB that cannot be compressed.
    static void SealDays(string folder, DateTimeOffset first, int days)
    {
        Directory.CreateDirectory(folder);
        var (clock, random) = (new FakeTimeProvider(first), new Random(7));
        using var store = new DuckDbStore(new StoreOptions(Path.Combine(folder, "telemetry"), TimeSpan.FromDays(15)), clock);
        var series = new HeadSeries(1, Labels.OfMetric("m"), "default");
        for (var day = 0; day < days; day++, clock.Advance(TimeSpan.FromDays(1)))
        {
            var batch = new CommitBatch();
            if (day == 0)
                batch.NewSeries.Add(series);
            for (var i = 0; i < 100_000; i++)
                batch.Add(series, clock.GetUtcNow().ToUnixTimeMilliseconds() + i, random.NextDouble(), late: false);
            store.Append(batch);
        }

        store.Maintain();
    }

    // What is held back for the state is there within a look or two.
    static async Task HeldAsync(InProcessServer server)
    {
        while (!File.Exists(Path.Combine(server.Folder, "reserve", "space")))
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Cancellation);
    }

    async Task PagedAsync(string summary)
    {
        while (!_pagerDuty.Events.Any(e => e.ToString().Contains(summary, StringComparison.Ordinal)))
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, Cancellation);
    }

    static async Task<HttpStatusCode> SendAsync(RemoteWriteClient sender, string name, List<(string, double)> acknowledged)
    {
        var value = acknowledged.Count + 0.5;
        TimeSeries one = new(Labels.OfMetric(name), [new Sample(TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds(), value)]);
        using var answer = await sender.SendAsync([one], Cancellation);
        if (answer.IsSuccessStatusCode)
            acknowledged.Add((name, value));
        return answer.StatusCode;
    }

    static async Task KillAsync(InProcessServer server, bool on, string reason)
    {
        using var body = new StringContent($$"""{"on":{{(on ? "true" : "false")}},"reason":"{{reason}}"}""", null, "application/json");
        using var answer = await server.Http.PutAsync("api/whistle/v1/kill-switch", body, Cancellation);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(Cancellation));
    }

    static async Task<bool> KillSwitchAsync(InProcessServer server) =>
        JsonDocument.Parse(await server.Http.GetStringAsync("api/whistle/v1/kill-switch", Cancellation)).RootElement.GetProperty("on")
            .GetBoolean();

    static async Task<string> PageAsync(InProcessServer server)
    {
        using var handler = new HttpClientHandler();
        using var person = new HttpClient(handler) { BaseAddress = server.App.Address };
        await person.GetStringAsync(new Uri(server.App.LoginLink()), Cancellation);
        return await person.GetStringAsync(new Uri("/", UriKind.Relative), Cancellation);
    }

    /// <summary>Takes whatever becomes free, at once and again and again, as a log that runs wild does.</summary>
    sealed class Filler : IDisposable
    {
        readonly LoopDisk _disk;
        readonly string _folder;
        readonly bool _inodes;
        readonly CancellationTokenSource _stop = new();
        Task _filling = Task.CompletedTask;
        int _files;

        public Filler(LoopDisk disk, bool inodes)
        {
            (_disk, _inodes) = (disk, inodes);
            _folder = Directory.CreateDirectory(Path.Combine(disk.Folder, "filler")).FullName;
        }

        public void Start()
        {
            Fill();
            _filling = Task.Run(async () =>
            {
                while (!_stop.IsCancellationRequested)
                {
                    Fill();
                    await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, CancellationToken.None);
                }
            });
        }

        public void AssertFull()
        {
            Fill();
            var space = DiskSpace.Of(_disk.Folder);
            Assert.Equal(0, _inodes ? space.FreeInodes : space.Free / (1 << 16));
        }

        public void Dispose()
        {
            if (_stop.IsCancellationRequested)
                return;
            _stop.Cancel();
            _filling.Wait();
            Directory.Delete(_folder, recursive: true);
        }

        void Fill()
        {
            lock (_stop)
            {
                try
                {
                    while (_inodes)
                        File.WriteAllBytes(Path.Combine(_folder, $"{_files++}"), []);
                }
                catch (IOException)
                {
                    return;
                }

                foreach (var piece in new[] { 1 << 20, 1 << 16, 1 << 12 })
                {
                    while (LoopDisk.Append(Path.Combine(_folder, "ballast"), piece))
                    {
                    }
                }
            }
        }
    }
}
