using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Prometheus;

using Whistle.Ingest;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Ingest;

/// <summary>The hot store's file goes away under a running server, or half way through being replaced.</summary>
public sealed class HotStoreLossTests : IDisposable
{
    static readonly LabelMatcher[] All = [new(Labels.MetricName, MatchOperator.Equal, "m")];

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-hot").FullName;
    readonly FakeTimeProvider _time = new(new(2026, 3, 1, 10, 0, 0, TimeSpan.Zero));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task What_the_head_has_is_written_again_where_the_file_is_deleted_under_a_running_server()
    {
        var health = new HealthBoard(_time);
        using (var store = NewStore(health))
        {
            var log = new TelemetryLog(new TelemetryLogOptions { GroupCommit = TimeSpan.Zero }, new MemoryOptions(), new Head(_time, 100), store, new IngestMetrics(Metrics.NewCustomRegistry()), health, _time, NullLogger<TelemetryLog>.Instance);
            using var stopping = new CancellationTokenSource();
            var running = log.RunAsync(stopping.Token);
            for (var i = 0; i < 5; i++)
                await RecordAsync(log, i);
            File.Delete(Hot);

            store.Maintain();
            Assert.Contains(health.Problems(), p => p.Reason.Contains("deleted or moved", StringComparison.Ordinal));
            await RecordAsync(log, 5);

            Assert.DoesNotContain(health.Problems(), p => p.Reason.Contains("deleted or moved", StringComparison.Ordinal));
            Assert.True(File.Exists(Hot));
            await stopping.CancelAsync();
            await running;
        }

        using var again = NewStore(new HealthBoard(_time));
        Assert.Equal([0.0, 1, 2, 3, 4, 5], again.Select(All, 0, long.MaxValue).Single().Values);
    }

    [Fact]
    public void A_process_that_ended_while_it_replaced_a_damaged_file_leaves_nothing_unsaved()
    {
        using (var store = NewStore(new HealthBoard(_time)))
            Append(store, 1);
        // As far as it came: the file was moved, and nothing was made in its place.
        File.Move(Hot, Hot + ".damaged");
        var health = new HealthBoard(_time);

        using var again = NewStore(health);

        Assert.Equal([1.0], again.Select(All, 0, long.MaxValue).Single().Values);
        Assert.False(File.Exists(Hot + ".damaged"));
        Assert.Contains(health.Problems(), p => p.Reason.Contains("All of its tables could be saved", StringComparison.Ordinal));
    }

    [Fact]
    public void Samples_of_a_series_that_the_hot_store_does_not_know_are_kept_aside_and_given_to_nobody()
    {
        var health = new HealthBoard(_time);
        using var store = NewStore(health);
        Append(store, 1);
        var batch = new CommitBatch();
        batch.Add(new HeadSeries(99, Labels.OfMetric("m", ("lost", "yes")), ""), _time.GetUtcNow().ToUnixTimeMilliseconds(), 2, late: false);
        store.Append(batch);
        _time.Advance(TimeSpan.FromMinutes(70));

        store.Maintain();

        Assert.Equal([1.0], store.Select(All, 0, long.MaxValue).Single().Values);
        Assert.Contains(health.Problems(), p => p.Reason.StartsWith("1 samples of the hour 2026-03-01T10Z belong to no series", StringComparison.Ordinal));
        Assert.Single(Directory.GetFiles(Path.Combine(_folder, "set-aside"), "*.parquet", SearchOption.AllDirectories));
    }

    [Fact]
    public void Ids_are_not_given_again_after_their_series_is_forgotten()
    {
        using (var store = NewStore(new HealthBoard(_time)))
        {
            Append(store, 1);
            _time.Advance(TimeSpan.FromDays(3));
            store.Maintain();
        }

        using var again = NewStore(new HealthBoard(_time));
        Assert.Equal(1u, again.LastSeriesId);
    }

    string Hot => Path.Combine(_folder, "hot.duckdb");

    DuckDbStore NewStore(HealthBoard health) => new(new StoreOptions(_folder, TimeSpan.FromDays(2)), _time, health);

    async Task RecordAsync(TelemetryLog log, double value)
    {
        _time.Advance(TimeSpan.FromSeconds(15));
        await log.RecordAsync([new RecordedSample(new RecordedSeries(Labels.OfMetric("m")), _time.GetUtcNow().ToUnixTimeMilliseconds(), value)]);
    }

    void Append(DuckDbStore store, double value)
    {
        var series = new HeadSeries(store.LastSeriesId + 1, Labels.OfMetric("m"), "");
        var batch = new CommitBatch();
        batch.NewSeries.Add(series);
        batch.Add(series, _time.GetUtcNow().ToUnixTimeMilliseconds(), value, late: false);
        store.Append(batch);
    }
}
