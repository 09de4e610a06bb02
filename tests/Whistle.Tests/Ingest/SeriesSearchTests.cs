using CsCheck;

using Microsoft.Extensions.Time.Testing;

using Whistle.Ingest.Heads;
using Whistle.Ingest.Series;
using Whistle.Ingest.Stores;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Ingest;

/// <summary>Questions about labels over head and store, held to a model that looks at everything there is.</summary>
public sealed class SeriesSearchTests : IDisposable
{
    static readonly DateTimeOffset Start = new(2026, 3, 1, 10, 0, 0, TimeSpan.Zero);

    static readonly string[] Names = ["__name__", "x", "y", "tenant", "absent"];

    readonly FakeTimeProvider _time = new(Start);
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-search-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void What_is_found_is_the_sorted_beginning_of_all_that_there_is()
    {
        using var store = NewStore();
        var head = new Head(_time, 1000);
        var all = Fill(store, head);
        var reader = new TelemetryReader(head, store);
        var values = One("", "a", "b", "v1", "v3", "n2", "t1", "missing", ".+", "[ab]|v[12]", "t.", "");
        var matcher = Gen.Select(One(Names), Gen.Enum<MatchOperator>(), values, (name, op, value) => new LabelMatcher(name, op, value));
        var time = Gen.OneOf(
            Gen.Int[-400, 20].Select(At),
            One(DateTimeOffset.MinValue.ToUnixTimeMilliseconds(), DateTimeOffset.MaxValue.ToUnixTimeMilliseconds(), 0L));
        var scope = Gen.Select(
            matcher.Array[0, 3].Array[1, 3], time, time, (selectors, from, to) => new SeriesScope([.. selectors], from, to));

        Gen.Select(scope, Gen.Int[1, 12]).Sample(
            (asked, items) =>
            {
                List<Labels> inScope = [.. all.Where(s => asked.Selectors.Any(m => m.All(one => one.IsMatch(s.Labels)))
                    && s.Times.Any(t => t >= asked.MinTime && t <= asked.MaxTime)).Select(s => s.Labels)];
                var limit = new AnswerLimit(items, long.MaxValue);
                inScope.Sort(Labels.Compare);
                AssertBeginning(inScope, reader.Series(asked, limit, CancellationToken.None), limit);
                AssertBeginning(
                    [.. inScope.SelectMany(l => l.Select(p => p.Name)).Distinct().Order(StringComparer.Ordinal)],
                    reader.LabelNames(asked, limit, CancellationToken.None), limit);
                foreach (var name in Names)
                    AssertBeginning(
                        [.. inScope.Select(l => l[name]).Where(v => v.Length > 0).Distinct().Order(StringComparer.Ordinal)],
                        reader.LabelValues(name, asked, limit, CancellationToken.None), limit);
            },
            iter: 80, threads: 1);
    }

    [Fact]
    public void An_answer_is_cut_by_bytes_too_and_stays_the_beginning()
    {
        Gen.Select(Gen.Int[0, 2000].Array[1, 3000], Gen.Int[1, 300], Gen.Int[1, 5000]).Sample((items, most, bytes) =>
        {
            var few = new FirstFew<int>(new(most, bytes), (a, b) => a.CompareTo(b), i => (i % 7) + 1);
            foreach (var item in items)
                few.Add(item);

            var found = few.Build();

            var sorted = items.Distinct().Order().ToList();
            Assert.Equal(sorted.Take(found.Items.Count), found.Items);
            Assert.Equal(found.Items.Count < sorted.Count, found.IsCut);
            Assert.InRange(found.Items.Count, 1, most);
            Assert.True(found.Items.Count == 1 || found.Items.Sum(i => (i % 7) + 1) <= bytes);
        });
    }

    [Fact]
    public void Memory_is_bounded_by_the_answer_and_not_by_what_is_looked_at()
    {
        var made = new List<WeakReference>();
        var few = new FirstFew<Text>(new(10, long.MaxValue), (a, b) => a.Number.CompareTo(b.Number), _ => 1);
        for (var i = 0; i < 100_000; i++)
            Add(i * 7919 % 100_003);
        GC.Collect();

        Assert.InRange(made.Count(m => m.IsAlive), 1, 1000);
        Assert.Equal(10, few.Build().Items.Count);

        void Add(int number)
        {
            var text = new Text(number);
            made.Add(new WeakReference(text));
            few.Add(text);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Who_leaves_ends_the_reading_of_the_store(bool bySeries)
    {
        const int series = 30_000;
        using var store = NewStore();
        var batch = new CommitBatch();
        for (var i = 0u; i < series; i++)
        {
            var one = new HeadSeries(i + 1, Labels.OfMetric("m", ("i", $"{i}")), "t");
            batch.NewSeries.Add(one);
            batch.Add(one, At(0), 1, late: false);
        }

        store.Append(batch);
        using var leaving = new CancellationTokenSource();
        var seen = 0;

        Assert.ThrowsAny<OperationCanceledException>(() =>
        {
            if (bySeries)
                store.VisitSeries([], 0, long.MaxValue, _ => Leave(), leaving.Token);
            else
                store.VisitLabels("i", [], 0, long.MaxValue, _ => Leave(), leaving.Token);
        });

        Assert.InRange(seen, 100, series / 2);
        // One who has left before is not read for at all.
        Assert.ThrowsAny<OperationCanceledException>(
            () => store.VisitSeries([], 0, long.MaxValue, _ => Assert.Fail("It was read."), leaving.Token));
        Assert.ThrowsAny<OperationCanceledException>(() => store.StoredSeries((_, _) => Assert.Fail("It was read."), leaving.Token));

        void Leave()
        {
            if (++seen == 100)
                leaving.Cancel();
        }
    }

    [Fact]
    public void Who_leaves_ends_the_reading_of_the_head()
    {
        const int series = 30_000;
        var head = new Head(_time, series);
        for (var i = 0; i < series; i++)
            head.GetOrAdd(UInt128.Zero, [.. Labels.OfMetric("m", ("i", $"{i}"), ("tenant", "t"))])!.Append(At(0), 1);
        using var leaving = new CancellationTokenSource();
        var seen = 0;

        Assert.ThrowsAny<OperationCanceledException>(() => head.VisitSeries([], 0, long.MaxValue, _ =>
        {
            if (++seen == 100)
                leaving.Cancel();
        }, leaving.Token));

        Assert.InRange(seen, 100, series / 2);
    }

    [Fact]
    public void Every_series_is_visited_once_while_others_come_and_go()
    {
        var head = new Head(_time, int.MaxValue);
        for (var i = 0; i < 10_000; i++)
            Add(i, i % 2 == 0 ? Start.AddHours(-3) : Start);
        HashSet<Labels> visited = [];

        head.VisitSeries([], 0, long.MaxValue, labels =>
        {
            Assert.True(visited.Add(labels));
            // In the midst of it, half of them go, and others come.
            if (visited.Count != 3000)
                return;
            head.Prune();
            for (var i = 10_000; i < 12_000; i++)
                Add(i, Start);
        }, CancellationToken.None);

        Assert.Equal(5000, visited.Count(l => int.Parse(l["i"]) % 2 == 1));

        void Add(int i, DateTimeOffset at)
        {
            var series = head.GetOrAdd(UInt128.Zero, [.. Labels.OfMetric("m", ("i", $"{i}"), ("tenant", "t"))])!;
            series.StagedTime = at.ToUnixTimeMilliseconds();
            series.Append(series.StagedTime, 1);
        }
    }

    static Gen<T> One<T>(params T[] of) => Gen.Int[0, of.Length - 1].Select(i => of[i]);

    static void AssertBeginning<T>(List<T> all, Found<T> found, AnswerLimit limit)
    {
        Assert.Equal(all.Take(limit.Items), found.Items);
        Assert.Equal(all.Count > limit.Items, found.IsCut);
    }

    // Six hours of series that come and go: in sealed hours, in hot ones, late, and the last in the head.
    List<(Labels Labels, List<long> Times)> Fill(DuckDbStore store, Head head)
    {
        var random = new Random(7);
        List<(Labels Labels, List<long> Times)> all = [];
        List<HeadSeries> series = [];
        for (var i = 0; i < 40; i++)
        {
            var labels = Labels.From(
            [
                new("__name__", $"n{i % 4}"), new("tenant", i % 5 == 0 ? "" : $"t{i % 3}"),
                new("x", i % 3 == 0 ? "" : "ab"[i % 2].ToString()), new("y", $"v{i % 7}"), new("z", $"{i}"),
            ]);
            all.Add((labels, []));
            series.Add(head.GetOrAdd(UInt128.Zero, [.. labels], limited: false)!);
        }

        for (var hour = -6; hour <= 0; hour++)
        {
            _time.AdjustTime(Start.AddHours(hour));
            var batch = new CommitBatch();
            foreach (var (one, (_, times)) in series.Zip(all).Where(_ => random.Next(3) == 0))
                Append(batch, one, times, At((hour * 60) - random.Next(60)), late: false);
            foreach (var (one, (_, times)) in series.Zip(all).Where(_ => random.Next(20) == 0))
                Append(batch, one, times, At((hour * 60) - 200), late: true);
            batch.NewSeries.AddRange(batch.Series.Take(batch.Count).Distinct().Where(s => !s.Persisted));
            batch.NewSeries.ForEach(s => s.Persisted = true);
            store.Append(batch);
            if (hour % 2 == 0)
                store.Maintain();
        }

        return all;

        static void Append(CommitBatch batch, HeadSeries series, List<long> times, long at, bool late)
        {
            if (times.Contains(at) || (!late && at <= series.StagedTime))
                return;
            batch.Add(series, at, 1, late);
            series.StagedTime = Math.Max(series.StagedTime, at);
            series.Append(at, 1);
            times.Add(at);
        }
    }

    static long At(int minute) => Start.AddMinutes(minute).ToUnixTimeMilliseconds();

    DuckDbStore NewStore() => new(new StoreOptions(_folder, TimeSpan.FromDays(2)), _time);

    sealed record Text(int Number);
}
