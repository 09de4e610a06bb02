using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Prometheus;

using Whistle.Ingest;
using Whistle.Ingest.Heads;
using Whistle.Ingest.Logs;
using Whistle.Ingest.Series;
using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.State;
using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Ingest;

/// <summary>What gives way on a full disk, with the figures of a file system that the test makes up.</summary>
public sealed class DiskWatchTests : IDisposable
{
    const int Hours = 8;

    static readonly DateTimeOffset Start = new(2026, 3, 1, 10, 0, 0, TimeSpan.Zero);

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-disk").FullName;
    readonly FakeTimeProvider _time = new(Start);
    readonly StateDatabase _state = StateDatabase.InMemory();
    readonly HealthBoard _health;
    readonly StateReserve _reserve;
    readonly StoreOptions _options;
    readonly DuckDbStore _store;
    readonly TelemetryLog _log;
    readonly DiskWatch _watch;
    // What an hour's files take: two of them must be free, and two and a half once samples were refused.
    readonly long _hour;
    Func<long> _free = () => 0;

    public DiskWatchTests()
    {
        _health = new HealthBoard(_time);
        _reserve = new StateReserve(_folder, Path.Combine(_folder, "state.sqlite"), 1 << 20);
        _options = new StoreOptions(Path.Combine(_folder, "telemetry"), TimeSpan.FromDays(15));
        _store = new DuckDbStore(_options, _time);
        var metrics = new IngestMetrics(Metrics.NewCustomRegistry());
        _log = new TelemetryLog(
            new() { GroupCommit = TimeSpan.Zero }, new(), new Head(_time, 100), _store, metrics, _health, _time,
            NullLogger<TelemetryLog>.Instance);
        var series = new HeadSeries(1, Labels.OfMetric("m"), "t");
        for (var hour = 0; hour < Hours; hour++, _time.Advance(TimeSpan.FromHours(1)))
        {
            var batch = new CommitBatch();
            if (hour == 0)
                batch.NewSeries.Add(series);
            batch.Add(series, _time.GetUtcNow().ToUnixTimeMilliseconds(), hour, late: false);
            _store.Append(batch);
        }

        _time.Advance(TimeSpan.FromDays(2));
        _store.Maintain();
        Assert.Equal(Hours, Left);
        _hour = Bytes() / Hours;
        _watch = new DiskWatch(
            new() { MinFree = 2 * _hour }, _options, _log, _state, _reserve, _health, metrics, _time,
            NullLogger<DiskWatch>.Instance, _store)
        {
            SpaceOf = _ => new DiskSpace(1 << 30, _free(), 0, 0),
        };
    }

    public void Dispose()
    {
        _store.Dispose();
        _reserve.Dispose();
        _state.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    int Left => Sealed("*.samples.parquet").Length;

    [Fact]
    public async Task The_oldest_hours_go_until_samples_are_taken_again()
    {
        var full = Bytes();
        _free = () => full - Bytes();

        await _watch.LookAsync(TestContext.Current.CancellationToken);

        Assert.Equal(Hours - 3, Left);
        Assert.NotEqual(HealthState.Failed, _health.State);
        Assert.Equal(
            "retention", Assert.Single(_health.Problems(), p => p.State == HealthState.Degraded && p.Component != "disk").Component);
    }

    [Fact]
    public async Task Where_deleting_hours_frees_nothing_no_more_are_dropped_than_would_have_been_enough_until_there_is_room()
    {
        var free = _hour;
        _free = () => free;

        for (var look = 0; look < 10; look++)
            await _watch.LookAsync(TestContext.Current.CancellationToken);

        Assert.Equal(Hours - 2, Left);
        Assert.Contains("No more are dropped", Problem("retention")!.Reason, StringComparison.Ordinal);
        Assert.Equal(HealthState.Failed, Problem("")!.State);

        // What was deleted is freed later.
        free += _hour + 100;
        await _watch.LookAsync(TestContext.Current.CancellationToken);
        Assert.Equal(Hours - 3, Left);
        free = 10 * _hour;
        await _watch.LookAsync(TestContext.Current.CancellationToken);
        Assert.Null(Problem("retention"));
        Assert.Null(Problem(""));
    }

    [Fact(Timeout = 60_000)]
    public async Task Samples_are_refused_at_once_although_a_long_query_keeps_the_oldest_hours()
    {
        using var reads = new ManualResetEventSlim();
        using var isRead = new ManualResetEventSlim();
        using var stopping = new CancellationTokenSource();
        var running = _log.RunAsync(stopping.Token);
        var query = Task.Run(() => _store.Select([new(Labels.MetricName, MatchOperator.Equal, "m")], 0, long.MaxValue, _ =>
        {
            reads.Set();
            isRead.Wait(TestContext.Current.CancellationToken);
        }));
        reads.Wait(TestContext.Current.CancellationToken);
        try
        {
            _free = () => 0;
            await Task.Run(() => _watch.LookAsync(TestContext.Current.CancellationToken), TestContext.Current.CancellationToken);

            Assert.Equal(HealthState.Failed, Problem("")!.State);
            await Assert.ThrowsAsync<StoreException>(
                async () => await _log.AppendAsync(new Sender(new NodeId("t", "c", "n")), RemoteWriteVersion.V1, Body()));
            Assert.Equal(Hours, Left);
        }
        finally
        {
            isRead.Set();
        }

        Assert.Single(await query);
        await _watch.LookAsync(TestContext.Current.CancellationToken);
        Assert.Equal(Hours - 3, Left);
        await stopping.CancelAsync();
        await running;
    }

    byte[] Body()
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        RemoteWriteEncoder.EncodeV1(
            [new TimeSeries(Labels.OfMetric("n"), [new Sample(_time.GetUtcNow().ToUnixTimeMilliseconds(), 1)])], buffer);
        return buffer.WrittenSpan.ToArray();
    }

    HealthProblem? Problem(string subject) => _health.Problems().SingleOrDefault(p => p.Component == "disk" && p.Subject == subject);

    long Bytes() => Sealed("*.parquet").Sum(f => new FileInfo(f).Length);

    string[] Sealed(string pattern) => Directory.GetFiles(Path.Combine(_options.Folder, "sealed"), pattern);
}
