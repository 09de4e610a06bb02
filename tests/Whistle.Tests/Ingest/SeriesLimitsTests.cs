using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Prometheus;

using Whistle.Hosting;
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

public sealed class SeriesLimitsTests : IDisposable
{
    static readonly DateTimeOffset Start = new(2026, 3, 1, 10, 0, 0, TimeSpan.Zero);

    readonly FakeTimeProvider _time = new(Start);
    readonly StateDatabase _state = StateDatabase.InMemory();
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-limits-").FullName;
    readonly HealthBoard _health;
    readonly CollectorRegistry _registry = Metrics.NewCustomRegistry();

    public SeriesLimitsTests() => _health = new HealthBoard(_time);

    public void Dispose()
    {
        _state.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData(3, 100, 100, "series_limit", "MaxSeriesPerTenant")]
    [InlineData(100, 3, 100, "new_series_limit", "MaxNewSeriesPerHour")]
    [InlineData(100, 100, 3, "stored_series_limit", "MaxStoredSeriesPerTenant")]
    public void Past_each_limit_new_series_are_refused_and_known_ones_and_other_tenants_go_on(
        int active, int perHour, int stored, string reason, string setting)
    {
        var head = new Head(_time, new SeriesLimits(new(active, perHour, stored), _time, _state));
        for (var i = 0; i < 3; i++)
            Assert.NotNull(Add(head, "t", i, out _));

        Assert.Null(Add(head, "t", 3, out var reached));

        Assert.Equal((reason, "t", setting, 3), (reached!.Reason, reached.Tenant, reached.Setting, reached.Limit));
        Assert.Matches($"tenant t has 3 .*{setting}.*raise the limit", reached.ToString());
        for (var i = 0; i < 3; i++)
            Assert.NotNull(Add(head, "t", i, out _));
        Assert.NotNull(Add(head, "other", 3, out _));
        // What the server records itself is not asked about.
        Assert.NotNull(head.GetOrAdd(UInt128.Zero, Of("t", 4), limited: false));
    }

    [Fact]
    public void The_labels_of_one_tenant_are_bounded_by_their_bytes_too()
    {
        var head = new Head(_time, new SeriesLimits(new(100, MaxLabelBytes: 100), _time));
        while (Add(head, "t", head.SeriesCount, out _) is not null)
            Assert.InRange(head.SeriesCount, 1, 10);

        Assert.Null(Add(head, "t", 99, out var reached));
        Assert.Equal(("series_limit", "Memory:SeriesLabels"), (reached!.Reason, reached.Setting));
        Assert.NotNull(Add(head, "other", 1, out _));
        Assert.NotNull(Add(head, "t", 0, out _));
    }

    [Fact]
    public void A_fleet_of_a_thousand_nodes_of_a_thousand_series_may_start_from_nothing()
    {
        var options = new WhistleOptions().ForIngest().SeriesLimits;

        Assert.InRange(1_000_000, 1, Math.Min(options.MaxActive, Math.Min(options.NewPerHour, options.Stored)));
        Assert.InRange(options.NewPerHour, options.MaxActive, int.MaxValue);
        Assert.Equal(
            (int.MaxValue, int.MaxValue), (new SeriesLimitOptions(int.MaxValue).NewPerHour, new SeriesLimitOptions(int.MaxValue).Stored));
    }

    [Fact]
    public void The_allowance_of_an_hour_comes_back_an_hour_later_and_not_before()
    {
        var counts = new NewSeries(5, _time, _state);
        _time.Advance(TimeSpan.FromMinutes(9));
        Assert.Equal(5, Enumerable.Range(0, 8).Count(_ => counts.TryAdd("t")));

        for (var minute = 0; minute < 60; minute++)
        {
            _time.Advance(TimeSpan.FromMinutes(1));
            Assert.False(counts.TryAdd("t"));
        }

        _time.Advance(TimeSpan.FromMinutes(10));
        Assert.True(counts.TryAdd("t"));
        // A clock that is set back frees nothing.
        _time.Advance(TimeSpan.FromMinutes(70));
        Assert.Equal(5, Enumerable.Range(0, 8).Count(_ => counts.TryAdd("t")));
        _time.AdjustTime(_time.GetUtcNow().AddHours(-5));
        Assert.False(counts.TryAdd("t"));
    }

    [Fact]
    public void A_clock_that_was_a_year_ahead_blocks_new_series_for_an_hour_once_it_is_right_also_over_restarts()
    {
        _time.Advance(TimeSpan.FromDays(365));
        var counts = new NewSeries(5, _time, _state);
        Assert.Equal(5, Enumerable.Range(0, 8).Count(_ => counts.TryAdd("t")));
        Assert.Equal(5, Enumerable.Range(0, 8).Count(_ => counts.TryAdd("other")));

        _time.AdjustTime(Start);
        for (var minute = 0; minute < 60; minute += 10, _time.Advance(TimeSpan.FromMinutes(10)))
        {
            Assert.False(counts.TryAdd("t"));
            // Each restart finds what the first one wrote down.
            Assert.False(new NewSeries(5, _time, _state).TryAdd("t"));
        }

        _time.Advance(TimeSpan.FromMinutes(10));
        Assert.True(new NewSeries(5, _time, _state).TryAdd("other"));
        Assert.Equal(5, Enumerable.Range(0, 8).Count(_ => counts.TryAdd("t")));
    }

    [Fact]
    public async Task What_was_used_under_a_clock_ahead_is_written_down_once_with_what_is_used_afterwards()
    {
        _time.Advance(TimeSpan.FromDays(365));
        var counts = new NewSeries(200, _time, _state);
        Assert.Equal(100, Enumerable.Range(0, 100).Count(_ => counts.TryAdd("t")));

        _time.AdjustTime(Start);
        Assert.True(counts.TryAdd("t"));

        // Not reserved twice.
        Assert.InRange(new NewSeries(200, _time, _state).Count("t"), 101, 110);
        await using var connection = await _state.OpenAsync(TestContext.Current.CancellationToken);
        Assert.Equal(
            1,
            (await connection.QueryAsync("SELECT count(*) FROM new_series", r => r.GetInt64(0), TestContext.Current.CancellationToken))[0]);
    }

    [Theory]
    [InlineData(5)]
    [InlineData(1000)]
    [InlineData(100_000)]
    public void A_restart_gives_nobody_a_new_allowance_and_takes_little_of_it(int limit)
    {
        var let = 0;
        for (var restart = 0; restart < 4; restart++)
        {
            var counts = new NewSeries(limit, _time, _state);
            for (var i = 0; i < limit / 5; i++)
                let += counts.TryAdd("t") ? 1 : 0;
            _time.Advance(TimeSpan.FromMinutes(3));
        }

        Assert.Equal(limit / 5 * 4, let);
        var last = new NewSeries(limit, _time, _state);
        let += Enumerable.Range(0, limit).Count(_ => last.TryAdd("t"));
        Assert.InRange(let, (int)(limit * 0.95), limit);
        Assert.True(new NewSeries(limit, _time, _state).TryAdd("other"));
        Assert.False(new NewSeries(limit, _time, _state).TryAdd("t"));
    }

    [Fact]
    public void Where_a_new_series_cannot_be_counted_it_does_not_come_in()
    {
        var head = new Head(_time, new SeriesLimits(new(10), _time, _state));
        Assert.NotNull(Add(head, "t", 0, out _));
        _state.Fault = _ => throw new Microsoft.Data.Sqlite.SqliteException("disk I/O error", 10);

        var e = Assert.Throws<StoreException>(() => Add(head, "other", 1, out _));

        // A sender reads the message; only the log has what the disk said.
        Assert.Equal("New series cannot be counted now: the state cannot be written.", e.Message);
        Assert.IsType<Microsoft.Data.Sqlite.SqliteException>(e.InnerException);
        Assert.NotNull(Add(head, "t", 0, out _));
        Assert.Equal(1, head.SeriesCount);
    }

    [Fact]
    public async Task Series_whose_samples_come_hours_late_stay_known_for_an_hour_after_each()
    {
        using var store = NewStore();
        var limits = new SeriesLimits(new(10, 2), _time, _state);
        var head = new Head(_time, limits);
        var log = Log(head, store);
        using var stopping = new CancellationTokenSource();
        var running = log.RunAsync(stopping.Token);
        var sender = new Sender(new NodeId("t", "c", "n"));

        // A backlog of ten hours, a report every half hour of it, sent within half an hour.
        for (var report = 0; report < 20; report++)
        {
            Assert.Equal(new AppendResult(2, 0, 0, null), await log.AppendAsync(
                sender, RemoteWriteVersion.V1, Body(_time.GetUtcNow().AddHours(-10).AddMinutes(report * 30), "a", "b")));
            log.Prune();
            _time.Advance(TimeSpan.FromMinutes(2));
        }

        Assert.Equal(2, head.SeriesCount);
        Assert.Equal(2u, store.LastSeriesId);
        _time.Advance(TimeSpan.FromMinutes(75));
        log.Prune();
        Assert.Equal(0, head.SeriesCount);
        await stopping.CancelAsync();
        await running;
    }

    [Fact]
    public async Task After_a_restart_the_stored_series_are_counted_from_the_store_and_those_past_retention_go()
    {
        using var store = NewStore();
        await FillAsync(store, "a", "b", "c");
        var limits = new SeriesLimits(new(3, 100, 3), _time);
        var head = new Head(_time, limits);
        Assert.Equal(0, limits.Stored("t"));

        limits.Renew(store, CancellationToken.None);

        Assert.Equal(3, limits.Stored("t"));
        Assert.Null(Add(head, "t", 0, out var reached));
        Assert.Equal(LimitReached.Stored, reached!.Reason);
        _time.Advance(TimeSpan.FromDays(3));
        store.Maintain();
        store.Maintain();
        limits.Renew(store, CancellationToken.None);
        Assert.Equal(0, limits.Stored("t"));
        Assert.NotNull(Add(head, "t", 0, out _));
    }

    [Fact]
    public void A_limit_that_follows_from_the_tenant_s_own_says_so_and_one_that_was_raised_is_forgotten_at_once()
    {
        var own = new TenantLimits(Series: 2);
        var limits = new SeriesLimits(new(100), _time, own: _ => own);
        var head = new Head(_time, limits);
        var metrics = new IngestMetrics(_registry);
        var refused = Enumerable.Range(0, 5).Select(
            i => limits.Admit(Labels.OfMetric("m", ("tenant", "t"), ("d", $"{i}")), active: 0, labelBytes: 0)).ToList()[^1];
        Assert.Contains(
            "4 new series within an hour, as many as its own limit (new-series, which is 2 times series unless set) allows", $"{refused}",
            StringComparison.Ordinal);
        limits.Report(head, metrics, _health);
        Assert.Single(_health.Problems());

        own = new(Series: 2, NewSeries: 4);
        limits.Report(head, metrics, _health);
        Assert.Single(_health.Problems());
        own = new(Series: 50);
        limits.Report(head, metrics, _health);
        Assert.Empty(_health.Problems());
    }

    [Fact]
    public void Who_is_at_a_limit_is_told_on_the_board_and_in_metrics_and_forgotten_afterwards()
    {
        var limits = new SeriesLimits(new(4, 100, 100), _time);
        var head = new Head(_time, limits);
        var metrics = new IngestMetrics(_registry);
        Add(head, "calm", 0, out _);
        for (var i = 0; i < 5; i++)
            Add(head, "greedy", i, out _);

        limits.Report(head, metrics, _health);

        var problem = Assert.Single(_health.Problems());
        Assert.Equal(("series-limits", HealthState.Degraded), (problem.Component, problem.State));
        Assert.Matches("tenant greedy has 4 series.*MaxSeriesPerTenant", problem.Reason);
        var child = Assert.Single(metrics.SeriesLimitUsed.GetAllLabelValues());
        Assert.Equal(["greedy", "series_limit"], child);
        Assert.Equal(1, metrics.SeriesLimitUsed.WithLabels(child).Value);

        _time.Advance(TimeSpan.FromMinutes(90));
        head.Prune();
        head.Prune();
        limits.Report(head, metrics, _health);
        Assert.Empty(_health.Problems());
        Assert.Empty(metrics.SeriesLimitUsed.GetAllLabelValues());
    }

    async Task FillAsync(DuckDbStore store, params string[] names)
    {
        var log = Log(new Head(_time, 100), store);
        using var stopping = new CancellationTokenSource();
        var running = log.RunAsync(stopping.Token);
        await log.AppendAsync(new Sender(new NodeId("t", "c", "n")), RemoteWriteVersion.V1, Body(_time.GetUtcNow(), names));
        await stopping.CancelAsync();
        await running;
    }

    TelemetryLog Log(Head head, DuckDbStore store) =>
        new(new() { GroupCommit = TimeSpan.Zero }, new(), head, store, new(_registry), _health, _time, NullLogger<TelemetryLog>.Instance);

    static byte[] Body(DateTimeOffset at, params string[] names)
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        RemoteWriteEncoder.EncodeV1(
            [.. names.Select(n => new TimeSeries(Labels.OfMetric(n), [new Sample(at.ToUnixTimeMilliseconds(), 1)]))], buffer);
        return buffer.WrittenSpan.ToArray();
    }

    DuckDbStore NewStore() => new(new StoreOptions(_folder, TimeSpan.FromDays(2)), _time);

    static HeadSeries? Add(Head head, string tenant, int i, out LimitReached? reached) =>
        head.GetOrAdd((UInt128)HashCode.Combine(tenant, i), Of(tenant, i), out reached);

    static Label[] Of(string tenant, int i) => [.. Labels.OfMetric("m", ("i", $"{i}"), ("tenant", tenant))];
}
