using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Prometheus;

using Whistle.Ingest;
using Whistle.Ingest.Heads;
using Whistle.Ingest.Logs;
using Whistle.Ingest.Series;
using Whistle.Ingest.Stores;
using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.State.Memory;
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

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_the_head_has_is_written_again_where_the_file_is_deleted_or_replaced_under_a_running_server(bool replaced)
    {
        var says = replaced ? "replaced by another file" : "deleted or moved";
        var other = Path.Combine(_folder, "other");
        if (replaced)
        {
            using var elsewhere = new DuckDbStore(new StoreOptions(other, TimeSpan.FromDays(30)), _time);
            Append(elsewhere, 99);
        }

        var health = new HealthBoard(_time);
        using (var store = NewStore(health))
        {
            var log = new TelemetryLog(
                new TelemetryLogOptions { GroupCommit = TimeSpan.Zero }, new MemoryOptions(), new Head(_time, 100), store,
                new IngestMetrics(Metrics.NewCustomRegistry()), health, _time, NullLogger<TelemetryLog>.Instance);
            using var stopping = new CancellationTokenSource();
            var running = log.RunAsync(stopping.Token);
            for (var i = 0; i < 5; i++)
                await RecordAsync(log, i);
            if (replaced)
                File.Move(Path.Combine(other, "hot.duckdb"), Hot, overwrite: true);
            else
                File.Delete(Hot);

            store.LookAtHotFile();
            Assert.Contains(health.Problems(), p => p.Reason.Contains(says, StringComparison.Ordinal));
            await RecordAsync(log, 5);

            Assert.DoesNotContain(health.Problems(), p => p.Reason.Contains(says, StringComparison.Ordinal));
            store.LookAtHotFile();
            Assert.DoesNotContain(health.Problems(), p => p.Reason.Contains(says, StringComparison.Ordinal));
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
        batch.Add(
            new HeadSeries(99, Labels.OfMetric("m", ("lost", "yes")), ""), _time.GetUtcNow().ToUnixTimeMilliseconds(), 2, late: false);
        store.Append(batch);
        _time.Advance(TimeSpan.FromMinutes(70));

        store.Maintain();

        Assert.Equal([1.0], store.Select(All, 0, long.MaxValue).Single().Values);
        Assert.Contains(
            health.Problems(),
            p => p.Reason.StartsWith("1 samples of the hour 2026-03-01T10Z belong to no series", StringComparison.Ordinal));
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

    [Fact]
    public void What_cannot_be_set_aside_refuses_the_start_and_gives_no_id_twice()
    {
        using (var store = NewStore(new HealthBoard(_time)))
            Append(store, 1);
        File.Move(Hot, Hot + ".damaged");
        // No folder can be made there.
        var obstacle = Path.Combine(_folder, "set-aside");
        File.WriteAllText(obstacle, "");

        for (var start = 0; start < 2; start++)
            Assert.Contains(
                "cannot be set aside", Assert.Throws<StoreException>(() => NewStore(new HealthBoard(_time))).Message,
                StringComparison.Ordinal);

        File.Delete(obstacle);
        using (var store = NewStore(new HealthBoard(_time)))
        {
            Assert.Equal([1.0], store.Select(All, 0, long.MaxValue).Single().Values);
            Append(store, 2, "n");
        }

        using var again = NewStore(new HealthBoard(_time));
        Assert.Equal(2u, again.LastSeriesId);
        Assert.Equal([1.0], again.Select(All, 0, long.MaxValue).Single().Values);
    }

    [Theory]
    [InlineData("", "")]
    [InlineData(".damaged", "")]
    [InlineData(".damaged", ".damaged.wal")]
    [InlineData(".damaged", ".damaged.wal.damaged")]
    public void One_damaged_entry_at_the_end_of_the_log_costs_that_commit_alone(string movedTo, string logMovedTo)
    {
        var copy = Path.Combine(_folder, "copy");
        using (var store = NewStore(new HealthBoard(_time), "live"))
        {
            for (var i = 0; i < 5; i++)
            {
                Append(store, i);
                _time.Advance(TimeSpan.FromSeconds(15));
            }

            // As a process that is killed leaves it: all of it is in the log.
            TelemetryFolder.Copy(Path.Combine(_folder, "live"), copy);
        }

        var log = File.ReadAllBytes(Path.Combine(copy, "hot.duckdb.wal"));
        log[^40] ^= 0x55;
        File.WriteAllBytes(Path.Combine(copy, "hot.duckdb.wal"), log);
        // As far as a process came that ended while it replaced the file.
        File.Move(Path.Combine(copy, "hot.duckdb"), Path.Combine(copy, $"hot.duckdb{movedTo}"));
        if (logMovedTo.Length > 0)
            File.Move(Path.Combine(copy, "hot.duckdb.wal"), Path.Combine(copy, $"hot.duckdb{logMovedTo}"));
        var health = new HealthBoard(_time);

        using var again = NewStore(health, "copy");

        Assert.Equal([0.0, 1, 2, 3], again.Select(All, 0, long.MaxValue).SelectMany(s => s.Values));
        Assert.Contains(health.Problems(), p => p.Reason.Contains("of its log", StringComparison.Ordinal));
        Assert.Equal(log.Length, new FileInfo(Directory.GetFiles(
            Path.Combine(copy, "set-aside"), "hot.duckdb.damaged.wal.damaged", SearchOption.AllDirectories).Single()).Length);
    }

    [Fact]
    public void A_file_of_another_store_that_is_put_in_place_of_ours_while_we_run_is_set_aside()
    {
        using (var other = NewStore(new HealthBoard(_time), "other"))
            Append(other, 7, "n");
        using var store = NewStore(new HealthBoard(_time), "ours");
        Append(store, 1);
        var ours = Path.Combine(_folder, "ours", "hot.duckdb");
        File.Delete(ours);
        File.Delete(ours + ".wal");
        File.Copy(Path.Combine(_folder, "other", "hot.duckdb"), ours);

        Assert.True(store.Recover().IsReplaced);

        Assert.Empty(store.Select([new(Labels.MetricName, MatchOperator.Equal, "n")], 0, long.MaxValue));
        Assert.Single(Directory.GetFiles(Path.Combine(_folder, "ours", "set-aside"), "hot.duckdb", SearchOption.AllDirectories));
    }

    [Fact]
    public void What_a_crash_left_of_sealing_an_hour_for_the_first_time_is_no_damage()
    {
        var crashed = Path.Combine(_folder, "crashed");
        using (var store = NewStore(new HealthBoard(_time), "live"))
        {
            Append(store, 1);
            _time.Advance(TimeSpan.FromMinutes(70));
            TelemetryFolder.Copy(Path.Combine(_folder, "live"), crashed);
            store.Maintain();
        }

        foreach (var file in Directory.GetFiles(Path.Combine(_folder, "live", "sealed"), "*.parquet"))
            File.Copy(file, Path.Combine(crashed, "sealed", Path.GetFileName(file)));
        var health = new HealthBoard(_time);

        using var again = NewStore(health, "crashed");

        Assert.Empty(health.Problems());
        Assert.Equal([1.0], again.Select(All, 0, long.MaxValue).Single().Values);
        again.Maintain();
        Assert.Equal([1.0], again.Select(All, 0, long.MaxValue).Single().Values);
    }

    [Fact]
    public async Task What_was_saved_and_written_again_from_the_head_is_sealed_once()
    {
        using (var store = NewStore(new HealthBoard(_time)))
        {
            var log = new TelemetryLog(
                new TelemetryLogOptions { GroupCommit = TimeSpan.Zero }, new MemoryOptions(), new Head(_time, 100), store,
                new IngestMetrics(Metrics.NewCustomRegistry()), new HealthBoard(_time), _time, NullLogger<TelemetryLog>.Instance);
            using var stopping = new CancellationTokenSource();
            var running = log.RunAsync(stopping.Token);
            for (var i = 0; i < 5; i++)
                await RecordAsync(log, i);
            foreach (var suffix in (string[])["", ".wal"])
                File.Move(Hot + suffix, $"{Hot}.damaged{suffix}");
            store.Maintain();
            await RecordAsync(log, 5);
            _time.Advance(TimeSpan.FromMinutes(70));
            store.Maintain();
            await stopping.CancelAsync();
            await running;
        }

        Assert.Equal((0, 6), DuckDbStore.Count(_folder));
    }

    [Fact]
    public void Too_little_memory_to_save_a_damaged_file_gives_nothing_up()
    {
        const int Samples = 400_000;
        using (var store = NewStore(new HealthBoard(_time)))
        {
            var (series, batch) = (new HeadSeries(1, Labels.OfMetric("m"), ""), new CommitBatch());
            batch.NewSeries.Add(series);
            for (var i = 0; i < Samples; i++)
                batch.Add(series, _time.GetUtcNow().ToUnixTimeMilliseconds() + i, i * Math.E, late: false);
            store.Append(batch);
        }

        File.Move(Hot, Hot + ".damaged");
        try
        {
            using var little = new DuckDbStore(new StoreOptions(_folder, TimeSpan.FromDays(2), "1MB"), _time);
        }
        catch (StoreException e)
        {
            Assert.Contains("cannot be opened", e.Message, StringComparison.Ordinal);
        }

        using var again = NewStore(new HealthBoard(_time));
        Assert.Equal(Samples, again.Select(All, 0, long.MaxValue).Single().Values.Length);
    }

    [Theory]
    [InlineData("hot.duckdb")]
    [InlineData("hot.duckdb.wal")]
    public void A_folder_in_place_of_a_file_is_said(string name)
    {
        using (var store = NewStore(new HealthBoard(_time)))
            Append(store, 1);
        var path = Path.Combine(_folder, name);
        File.Delete(path);
        Directory.CreateDirectory(path);

        Assert.Contains(
            $"{path} is a folder", Assert.Throws<StoreException>(() => NewStore(new HealthBoard(_time))).Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(_folder, "set-aside")));
    }

    [Theory]
    [InlineData("", "is damaged")]
    [InlineData("x", "is damaged")]
    [InlineData("-2", "is damaged")]
    [InlineData("1", "is damaged")]
    [InlineData("3", "of format 3")]
    [InlineData("99999999999", "of format 99999999999")]
    public void A_format_that_is_none_of_ours_is_said(string text, string said)
    {
        using (var store = NewStore(new HealthBoard(_time)))
            Append(store, 1);
        File.WriteAllText(Path.Combine(_folder, "format"), text);
        var health = new HealthBoard(_time);
        try
        {
            using var store = NewStore(health);
            Assert.Contains(health.Problems(), p => p.Reason.Contains(said, StringComparison.Ordinal));
            Assert.Equal("2\n", File.ReadAllText(Path.Combine(_folder, "format")));
        }
        catch (StoreException e)
        {
            Assert.Contains(said, e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Telemetry_that_is_gone_is_said_and_every_answer_warns_of_it()
    {
        var health = new HealthBoard(_time);
        using var store = new DuckDbStore(new StoreOptions(_folder, TimeSpan.FromDays(2)) { HasHistory = true }, _time, health);
        Append(store, 1);
        Assert.Contains(health.Problems(), p => p.Reason.Contains("everything before that is missing", StringComparison.Ordinal));

        var head = new Head(_time, 100);
        using var collected = ReadWarnings.Collect();
        var now = _time.GetUtcNow().ToUnixTimeMilliseconds();
        new TelemetryReader(head, store).Select(All, now - 60_000, now);
        Assert.Contains(collected.Texts, t => t.Contains("everything before that is missing", StringComparison.Ordinal));
    }

    string Hot => Path.Combine(_folder, "hot.duckdb");

    DuckDbStore NewStore(HealthBoard health, string name = "") =>
        new(new StoreOptions(Path.Combine(_folder, name), TimeSpan.FromDays(2)), _time, health);

    async Task RecordAsync(TelemetryLog log, double value)
    {
        _time.Advance(TimeSpan.FromSeconds(15));
        await log.RecordAsync(
            [new RecordedSample(new RecordedSeries(Labels.OfMetric("m")), _time.GetUtcNow().ToUnixTimeMilliseconds(), value)]);
    }

    void Append(DuckDbStore store, double value, string name = "m")
    {
        var series = new HeadSeries(store.LastSeriesId + 1, Labels.OfMetric(name), "");
        var batch = new CommitBatch();
        batch.NewSeries.Add(series);
        batch.Add(series, _time.GetUtcNow().ToUnixTimeMilliseconds(), value, late: false);
        store.Append(batch);
    }
}
