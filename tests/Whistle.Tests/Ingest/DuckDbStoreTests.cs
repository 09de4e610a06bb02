using Microsoft.Extensions.Time.Testing;

using Whistle.Ingest.Heads;
using Whistle.Ingest.Series;
using Whistle.Ingest.Stores;
using Whistle.State.Files;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Ingest;

public sealed class DuckDbStoreTests : IDisposable
{
    static readonly DateTimeOffset Start = new(2026, 3, 1, 10, 0, 0, TimeSpan.Zero);
    static readonly long StartMs = Start.ToUnixTimeMilliseconds();
    static readonly LabelMatcher[] All = [new(Labels.MetricName, MatchOperator.Equal, "m")];

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-store").FullName;
    readonly FakeTimeProvider _time = new(Start);
    readonly HeadSeries _series = new(7, Labels.OfMetric("m", ("mountpoint", "/a\"b\\c\n'ü")), "t");
    DuckDbStore _store;

    public DuckDbStoreTests() => _store = NewStore();

    public void Dispose()
    {
        _store.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void What_is_committed_is_there_after_a_restart_bit_for_bit()
    {
        double[] odd = [StaleMarker.Value, double.NaN, double.PositiveInfinity, -0.0, 1e-320, 0.1];
        Append(0, odd);

        Restart();

        Assert.Equal(odd.Select(BitConverter.DoubleToUInt64Bits), Read().Values.Select(BitConverter.DoubleToUInt64Bits));
        Assert.Equal(_series.Labels, _store.Select(All, 0, long.MaxValue).Single().Labels);
        Assert.Equal(7u, _store.LastSeriesId);
    }

    [Fact]
    public void A_finished_hour_is_sealed_and_reads_as_before()
    {
        Append(0, 1, 2, 3);
        Append(61, 4, 5);
        var before = Read();
        _time.Advance(TimeSpan.FromMinutes(70));

        Assert.Equal(1, _store.Maintain());

        Assert.Equal(
        [
            "2026-03-01T10Z.1.labels.parquet", "2026-03-01T10Z.1.samples.parquet", "2026-03-01T10Z.1.series.parquet",
            "2026-03-01T10Z.json",
        ],
            Directory.GetFiles(Path.Combine(_folder, "sealed")).Select(Path.GetFileName).Order());
        Assert.Equal(before.Times, Read().Times);
        Assert.Equal(0, _store.Maintain());
        Restart();
        Assert.Equal(before.Values, Read().Values);
    }

    [Fact]
    public void Late_samples_are_merged_into_their_sealed_hour_once_each_and_the_first_value_stays()
    {
        Append(0, 1, 2, 3);
        _time.Advance(TimeSpan.FromMinutes(70));
        _store.Maintain();
        var batch = new CommitBatch();
        batch.Add(_series, At(1), 99, late: true);
        batch.Add(_series, At(1) + 1, 50, late: true);
        batch.Add(_series, At(10), 60, late: false);
        _store.Append(batch);
        double[] expected = [1, 2, 50, 3, 60];
        Assert.Equal(expected, Read().Values);

        _store.Maintain();

        Assert.Equal(expected, Read().Values);
        Restart();
        Assert.Equal(expected, Read().Values);
    }

    [Fact]
    public void The_oldest_sealed_hour_is_given_up_first_and_never_one_that_must_stay()
    {
        Append(0, 1, 2);
        Append(60, 3, 4);
        Append(120, 5, 6);
        _time.Advance(TimeSpan.FromMinutes(130));
        Assert.Equal(2, _store.Maintain());

        Assert.Equal(Start, _store.DropOldest(Start.AddHours(1), out _));
        Assert.Null(_store.DropOldest(Start.AddHours(2).AddTicks(-1), out _));
        Assert.Equal([3, 4, 5, 6], Read().Values);
        Assert.Equal(Start.AddHours(1), _store.DropOldest(Start.AddHours(9), out _));
        Assert.Null(_store.DropOldest(Start.AddHours(9), out _));
        Assert.Equal([5, 6], Read().Values);
        Assert.Empty(Directory.GetFiles(Path.Combine(_folder, "sealed")));
    }

    [Fact]
    public void What_is_past_retention_goes_with_its_file()
    {
        Append(0, 1, 2, 3);
        _time.Advance(TimeSpan.FromMinutes(70));
        _store.Maintain();
        _time.Advance(TimeSpan.FromDays(3));

        _store.Maintain();

        Assert.Empty(Directory.GetFiles(Path.Combine(_folder, "sealed")));
        Assert.Empty(_store.Select(All, 0, long.MaxValue));
        Restart();
        Assert.Equal(7u, _store.LastSeriesId);
    }

    [Fact]
    public void What_a_tenant_is_not_to_have_any_more_goes_and_the_others_keep_theirs()
    {
        var (acme, globex) = (new HeadSeries(8, OfTenant("acme"), "acme"), new HeadSeries(9, OfTenant("globex"), "globex"));
        Dictionary<string, TimeSpan> own = new() { ["acme"] = TimeSpan.FromDays(1), ["o'hara"] = TimeSpan.FromDays(1) };
        Append(0, 1);
        Append(acme, At(0), At(60));
        Append(globex, At(0), At(60));
        _time.Advance(TimeSpan.FromMinutes(130));
        _store.Maintain(own);
        Assert.Equal([At(0), At(60)], TimesOf("acme"));

        // The first hour is a day old, the second not quite.
        _time.Advance(TimeSpan.FromHours(23));
        _store.Maintain(own);

        Assert.Equal([At(60)], TimesOf("acme"));
        Assert.Equal([At(0), At(60)], TimesOf("globex"));
        Assert.Contains(_store.Select(All, 0, long.MaxValue), s => s.Labels.Equals(_series.Labels));
        Assert.DoesNotContain(("acme", At(0)), Values(At(0), At(59)));
        Assert.Contains(("globex", At(0)), Values(At(0), At(59)));
        var files = Files();
        _store.Maintain(own);
        Assert.Equal(files, Files());

        // What comes late goes too.
        var late = new CommitBatch();
        late.Add(acme, At(5), 1, late: true);
        late.Add(globex, At(5), 1, late: true);
        _store.Append(late);
        _store.Maintain(own);
        _store.Maintain(own);
        Restart();
        Assert.Equal([At(60)], TimesOf("acme"));
        Assert.Equal([At(0), At(5), At(60)], TimesOf("globex"));

        List<long> TimesOf(string tenant) => [.. _store.Select(
            [new(Labels.MetricName, MatchOperator.Equal, "m"), new("tenant", MatchOperator.Equal, tenant)], 0, long.MaxValue)
            .SelectMany(s => s.Times)];

        // As the label API is answered.
        List<(string, long)> Values(long from, long to)
        {
            List<(string, long)> values = [];
            _store.VisitLabels("tenant", [], from, to, value => values.Add((value, from)), CancellationToken.None);
            return values;
        }
    }

    [Fact]
    public void An_hour_that_only_one_tenant_had_is_empty_then_and_many_hours_go_over_some_rounds()
    {
        Dictionary<string, TimeSpan> own = new() { ["acme"] = TimeSpan.FromDays(1) };
        var acme = new HeadSeries(8, OfTenant("acme"), "acme");
        Append(acme, [.. Enumerable.Range(0, 20).Select(h => At(60 * h))]);
        _time.Advance(TimeSpan.FromHours(20));
        _store.Maintain();
        _time.Advance(TimeSpan.FromHours(23));

        _store.Maintain(own);
        Assert.Equal(8, _store.Select(All, 0, long.MaxValue).Single().Times.Length);
        _store.Maintain(own);
        Assert.Equal([At(60 * 19)], _store.Select(All, 0, long.MaxValue).Single().Times);
        Restart();
        Assert.Single(_store.Select(All, 0, long.MaxValue).Single().Times);
        Assert.Equal(20, _store.ProveAll());
    }

    [Theory]
    [InlineData(".1.labels.parquet")]
    [InlineData(".1.samples.parquet")]
    public void A_damaged_hour_keeps_no_other_from_being_dropped(string damaged)
    {
        Dictionary<string, TimeSpan> own = new() { ["acme"] = TimeSpan.FromDays(1) };
        var acme = new HeadSeries(8, OfTenant("acme"), "acme");
        Append(acme, At(0), At(60), At(120));
        _time.Advance(TimeSpan.FromHours(3));
        _store.Maintain();
        File.WriteAllText(Files().Single(f => f.EndsWith("T10Z" + damaged, StringComparison.Ordinal)), "no parquet");
        _time.Advance(TimeSpan.FromHours(23));

        _store.Maintain(own);
        Assert.Equal([At(120)], _store.Select(All, 0, long.MaxValue).Single().Times);
        Assert.DoesNotContain(Files(), f => f.Contains("T10Z", StringComparison.Ordinal));
    }

    [Fact]
    public void What_a_crash_left_of_dropping_a_tenant_is_no_damage()
    {
        Append(0, 1, 2);
        _time.Advance(TimeSpan.FromMinutes(70));
        _store.Maintain();
        foreach (var file in Files().Where(f => f.EndsWith(".parquet", StringComparison.Ordinal)))
            File.Copy(file, file.Replace("Z.1.", "Z.2.", StringComparison.Ordinal));

        Restart();
        Assert.Equal(4, Files().Count);
        Assert.Equal([1.0, 2], Read().Values);
        Assert.False(Directory.Exists(Path.Combine(_folder, "set-aside")));
    }

    [Fact]
    public void A_batch_that_failed_counts_as_durable_only_where_all_of_it_is_there()
    {
        Append(0, 1, 2, 3);
        var batch = new CommitBatch();
        // Sent again, so it is there already; it says nothing of what came with it.
        batch.Add(_series, At(1), 2, late: true);
        batch.Add(_series, At(5), 6, late: false);
        var failing = StoreMoment.BeforeCommit;
        _store.Fault = moment =>
        {
            if (moment == failing)
                throw new InsufficientMemoryException();
        };

        Assert.Throws<StoreException>(() => _store.Append(batch));
        Assert.Equal(new Recovery(Commits: 1, IsReplaced: false), _store.Recover());

        failing = StoreMoment.AfterCommit;
        Assert.Throws<StoreException>(() => _store.Append(batch));
        Assert.Equal(new Recovery(Commits: 2, IsReplaced: false), _store.Recover());
        Assert.Equal([1.0, 2, 3, 6], Read().Values);
    }

    [Fact]
    public void A_store_that_does_not_recover_takes_nothing_until_it_does_and_forgets_nothing()
    {
        Append(0, 1, 2, 3);
        _time.Advance(TimeSpan.FromMinutes(70));
        _store.Maintain();
        var (place, away) = (Path.Combine(_folder, "sealed"), Path.Combine(_folder, "away"));
        Directory.Move(place, away);
        Assert.Throws<StoreException>(() => _store.Recover());
        Assert.Throws<StoreException>(() => Append(61, 4));
        Directory.Move(away, place);

        _store.Recover();

        Append(61, 4);
        Assert.Equal([1.0, 2, 3, 4], Read().Values);
    }

    [Fact]
    public void An_hour_that_cannot_be_sealed_does_not_hold_up_the_others()
    {
        Append(0, 1, 2, 3);
        _time.Advance(TimeSpan.FromMinutes(70));
        _store.Maintain();
        var next = Path.Combine(_folder, "sealed", "2026-03-01T11Z.1.samples.parquet");
        Directory.CreateDirectory(Path.Combine(_folder, "sealed", "2026-03-01T10Z.2.samples.parquet.tmp"));
        var batch = new CommitBatch();
        batch.Add(_series, At(1) + 1, 50, late: true);
        batch.Add(_series, At(61), 4, late: false);
        _store.Append(batch);
        _time.Advance(TimeSpan.FromHours(1));

        var failure = Assert.Throws<StoreException>(() => _store.Maintain());

        Assert.Contains("2026-03-01T10Z", failure.Message, StringComparison.Ordinal);
        Assert.True(File.Exists(next));
        Assert.Equal([4.0], _store.Select(All, At(60), At(119)).Single().Values);
    }

    [Fact]
    public void A_batch_gives_back_the_room_that_a_large_one_took()
    {
        var batch = new CommitBatch();
        for (var i = 0; i < 300_000; i++)
            batch.Add(_series, i, i, late: false);

        batch.Clear();

        Assert.True(batch.Times.Length < 10_000);
        Assert.All(batch.Series, Assert.Null);
    }

    [Fact]
    public void A_range_reads_both_ends_and_other_series_are_not_found()
    {
        Append(0, 1, 2, 3);

        Assert.Equal([2.0], _store.Select(All, At(1), At(1)).Single().Values);
        Assert.Empty(_store.Select([new(Labels.MetricName, MatchOperator.Equal, "other")], 0, long.MaxValue));
        Assert.Empty(_store.Select([All[0], new("mountpoint", MatchOperator.NotMatches, "/a.*")], 0, long.MaxValue));
    }

    [Fact]
    public void Series_are_found_where_they_have_a_sample_in_the_range_whether_it_is_hot_sealed_or_late()
    {
        var other = new HeadSeries(8, Labels.OfMetric("m", ("late", "yes")), "t");
        Append(0, 1, 2);
        _time.Advance(TimeSpan.FromMinutes(70));
        _store.Maintain();
        Append(65, 3);
        var batch = new CommitBatch();
        batch.NewSeries.Add(other);
        batch.Add(other, At(30), 1, late: true);
        _store.Append(batch);

        int[] Counts() => [
            _store.Series(All, StartMs, At(60) - 1).Count, _store.Series(All, At(2), At(29)).Count, _store.Series(All, At(1), At(1)).Count,
            _store.Series(All, At(2), At(30)).Count, _store.Series(All, At(60), At(65)).Count, _store.Series(All, At(66), At(600)).Count,
            _store.Series([All[0], new("late", MatchOperator.Equal, "yes")], 0, At(600)).Count, _store.Series([], 0, At(600)).Count];

        int[] expected = [2, 0, 1, 1, 1, 0, 1, 2];
        Assert.Equal(expected, Counts());
        _store.Maintain();
        Assert.Equal(expected, Counts());
        Assert.Equal([_series.Labels], _store.Series(All, At(1), At(1)));
    }

    [Fact]
    public void The_head_is_filled_from_hot_and_sealed_hours()
    {
        Append(0, 1, 2, 3);
        Append(61, 4, 5);
        _time.Advance(TimeSpan.FromMinutes(70));
        _store.Maintain();
        var head = new Head(_time, 10);
        head.KeepLonger([new HeadWindow(All, TimeSpan.FromHours(2))]);

        HeadFiller.Fill(head, _store, null, _time, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);

        Assert.Equal([1.0, 2, 3, 4, 5], head.Select(All, 0, long.MaxValue).Single().Values);
    }

    static Labels OfTenant(string tenant) => Labels.OfMetric("m", ("tenant", tenant));

    List<string> Files() => [.. Directory.GetFiles(Path.Combine(_folder, "sealed")).Order()];

    // Each in the hour that it is in, as they came.
    void Append(HeadSeries series, params long[] times)
    {
        var batch = new CommitBatch();
        batch.NewSeries.Add(series);
        foreach (var time in times)
            batch.Add(series, time, 1, late: false);
        _store.Append(batch);
    }

    SeriesSamples Read() => _store.Select(All, 0, long.MaxValue).Single();

    void Append(int firstMinute, params double[] values)
    {
        var batch = new CommitBatch();
        if (!_series.Persisted)
            batch.NewSeries.Add(_series);
        _series.Persisted = true;
        for (var i = 0; i < values.Length; i++)
            batch.Add(_series, At(firstMinute + i), values[i], late: false);
        _store.Append(batch);
    }

    static long At(int minute) => StartMs + minute * 60_000L;

    void Restart()
    {
        _store.Dispose();
        _store = NewStore();
    }

    DuckDbStore NewStore() => new(new StoreOptions(_folder, TimeSpan.FromDays(2)), _time);
}
