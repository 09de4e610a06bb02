using Whistle.Ingest.Series;
using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>What every time-series store does, the same on each engine but for what its members say.</summary>
public abstract class TelemetryStoreTests : IAsyncLifetime
{
    protected const long Minute = 60_000;
    protected const long Hour = 60 * Minute;

    static readonly string[] Reserved =
        ["time", "value", "special", "_field", "_measurement", "_name", "_tagKey", "name", "tags", "__x__", "from", "databases"];

    readonly Dictionary<Labels, HeadSeries> _series = [];
    readonly Dictionary<Labels, long> _newest = [];

    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>An instant that the store takes: the start of the hour before the last, in milliseconds.</summary>
    protected static long Start { get; } = (TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() / Hour - 2) * Hour;

    private protected ITelemetryStore Store { get; private set; } = null!;

    /// <summary>Which of two values for one instant is there in the end.</summary>
    protected abstract bool LastStays { get; }

    /// <summary>Listings are of the range itself, and not of all in the days around it.</summary>
    protected abstract bool ListsExactly { get; }

    private protected abstract ITelemetryStore Open();

    protected abstract ValueTask CloseAsync();

    /// <summary>The store's clock goes on.</summary>
    protected abstract void Advance(TimeSpan span);

    protected virtual ValueTask PrepareAsync() => ValueTask.CompletedTask;

    public async ValueTask InitializeAsync()
    {
        await PrepareAsync();
        Store = Open();
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await CloseAsync();
    }

    [Fact]
    public void What_was_appended_is_read_in_the_order_of_time()
    {
        var series = Of("m", "a");
        Append((series, 3, 3), (series, 1, 1), (Of("m", "b"), 2, 2));
        Append((series, 2, 2));

        Assert.Equal([Start + 1, Start + 2, Start + 3], One(series).Times);
        Assert.Equal([1, 2, 3], One(series).Values);
        Assert.Equal([2], One(Of("m", "b")).Values);
    }

    [Fact]
    public void Every_value_comes_back_bit_for_bit()
    {
        double[] values =
        [
            0, -0.0, 0.1, -1e300, double.MaxValue, double.Epsilon, 1e-320, 5e15, 123456789.123456789, double.NaN, StaleMarker.Value,
            BitConverter.UInt64BitsToDouble(0x7ff8000000000001), BitConverter.UInt64BitsToDouble(0x7ff8000000abcdef),
            double.PositiveInfinity, double.NegativeInfinity, 1,
        ];
        var series = Of("m", "a");
        Append([.. values.Select((v, i) => (series, (long)i, v))]);

        Assert.Equal(
            values.Select(BitConverter.DoubleToUInt64Bits), One(series).Values.Select(BitConverter.DoubleToUInt64Bits));
    }

    [Fact]
    public void A_batch_that_comes_again_changes_nothing()
    {
        (Labels, long, double)[] batch = [(Of("m", "a"), 1, 1), (Of("m", "a"), 2, double.NaN), (Of("m", "b"), 1, 3)];
        Append(batch);
        Append(batch);

        Assert.Equal([1, double.NaN], One(Of("m", "a")).Values);
        Assert.Equal(2, Select().Count);
    }

    [Fact]
    public void Of_two_values_for_one_instant_one_stays()
    {
        var series = Of("m", "a");
        Append((series, 5, 1));
        Append((series, 5, 2));

        Assert.Equal([LastStays ? 2.0 : 1.0], One(series).Values);
    }

    [Fact]
    public void A_range_has_both_its_ends()
    {
        var series = Of("m", "a");
        Append([.. Enumerable.Range(0, 10).Select(i => (series, i * Minute, (double)i))]);

        Assert.Equal([3, 4, 5], Store.Select([Named("m")], Start + 3 * Minute, Start + 5 * Minute).Single().Values);
        Assert.Equal([3], Store.Select([Named("m")], Start + 3 * Minute, Start + 4 * Minute - 1).Single().Values);
        Assert.Empty(Store.Select([Named("m")], Start + 3 * Minute + 1, Start + 4 * Minute - 1));
        Assert.Equal(10, Store.Select([Named("m")], long.MinValue, long.MaxValue).Single().Values.Length);
    }

    public static TheoryData<string, MatchOperator, string, string> Conditions => new()
    {
        { "x", MatchOperator.Equal, "one", "a" },
        { "x", MatchOperator.Equal, "", "d" },
        { "x", MatchOperator.NotEqual, "one", "b c d" },
        { "x", MatchOperator.NotEqual, "", "a b c" },
        { "x", MatchOperator.Matches, "one|two", "a b" },
        { "x", MatchOperator.Matches, "t.*", "b c" },
        { "x", MatchOperator.Matches, "(one)?", "a d" },
        { "x", MatchOperator.Matches, ".*", "a b c d" },
        { "x", MatchOperator.Matches, ".+", "a b c" },
        { "x", MatchOperator.Matches, "[n-p]ne", "a" },
        { "x", MatchOperator.Matches, "ONE", "" },
        { "x", MatchOperator.Matches, "(?i)ONE", "a" },
        { "x", MatchOperator.Matches, "th.ee%.", "c" },
        { "x", MatchOperator.Matches, "th.*", "c" },
        { "x", MatchOperator.NotMatches, "one|two", "c d" },
        { "x", MatchOperator.NotMatches, "t.*", "a d" },
        { "x", MatchOperator.NotMatches, "", "a b c" },
        { "x", MatchOperator.NotMatches, ".*25.*", "a b c d" },
        { "nowhere", MatchOperator.Equal, "", "a b c d" },
        { "nowhere", MatchOperator.NotEqual, "q", "a b c d" },
        { "nowhere", MatchOperator.Equal, "q", "" },
        { Labels.MetricName, MatchOperator.Equal, "other", "" },
        { Labels.MetricName, MatchOperator.NotEqual, "m", "" },
        { Labels.MetricName, MatchOperator.Matches, "m|n", "a b c d" },
        { Labels.MetricName, MatchOperator.NotMatches, "n.*", "a b c d" },
    };

    [Theory]
    [MemberData(nameof(Conditions))]
    public void Every_kind_of_matcher_finds_its_series(string label, MatchOperator op, string value, string expected)
    {
        Append(
            (Of("m", "a", ("x", "one")), 1, 1), (Of("m", "b", ("x", "two")), 1, 1), (Of("m", "c", ("x", "three%/")), 1, 1),
            (Of("m", "d"), 1, 1));
        LabelMatcher[] matchers = [new(Sender.TenantLabel, MatchOperator.Equal, "t"), new(label, op, value)];

        var found = Store.Select(matchers, Start, Start + Hour);
        Assert.Equal(expected.Split(' ', StringSplitOptions.RemoveEmptyEntries), found.Select(s => s.Labels["id"]).Order());
        List<string> listed = [];
        Store.VisitSeries(matchers, Start, Start + Hour, s => listed.Add(s["id"]), Cancellation);
        Assert.Equal(expected.Split(' ', StringSplitOptions.RemoveEmptyEntries), listed.Distinct().Order());
        List<string> ids = [];
        Store.VisitLabels("id", matchers, Start, Start + Hour, ids.Add, Cancellation);
        Assert.Equal(expected.Split(' ', StringSplitOptions.RemoveEmptyEntries), ids.Distinct().Order());
    }

    [Fact]
    public void A_name_may_be_a_pattern()
    {
        Append((Of("aa", "1"), 1, 1), (Of("ab", "2"), 1, 1), (Of("b", "3"), 1, 1));

        LabelMatcher[] matchers = [new(Labels.MetricName, MatchOperator.Matches, "a.*")];
        Assert.Equal(["aa", "ab"], Store.Select(matchers, Start, Start + Hour).Select(s => s.Labels.Name).Order());
        Assert.Equal(3, Store.Select([], Start, Start + Hour).Count);
    }

    [Fact]
    public void Any_text_may_be_in_a_label()
    {
        string[] nasty =
        [
            " ", "a b", "a,b", "a=b", "\"", "'", "a\\", "\\", "\\,", "a\nb", "\r\n", "\t", "\0", "\u007f", "%", "%41", "%%", "#", "# x",
            "é", "日本", "😀", "a\u2028b", "\u00a0", "/", "a/b", "$", "{}", "|", "*", ";", "-- x", "`", "null", "true", "1i", "\u0085",
        ];
        var all = nasty.SelectMany(text => new[]
        {
            Labels.OfMetric("m", ("tenant", "t"), ("id", text)), Labels.OfMetric(text, ("tenant", "t"), ("id", "x")),
            Labels.OfMetric("n", ("tenant", "t"), (text, "v")),
        }).Concat(Reserved.Select(
            name => Labels.OfMetric(name, ("tenant", "t"), (name, name)))).Distinct().ToList();
        Append([.. all.Select((labels, i) => (labels, (long)i, (double)i))]);

        var found = Select().ToDictionary(s => s.Labels, s => s.Values.Single());
        Assert.Equal(all.Count, found.Count);
        for (var i = 0; i < all.Count; i++)
        {
            Assert.Equal(i, found[all[i]]);
            var exact = all[i].Select(l => new LabelMatcher(l.Name, MatchOperator.Equal, l.Value)).ToList();
            Assert.Equal(i, Store.Select(exact, Start, Start + Hour).Single(s => s.Labels.Equals(all[i])).Values.Single());
        }

        HashSet<Labels> listed = [];
        Store.VisitSeries([], Start, Start + Hour, s => listed.Add(s), Cancellation);
        Assert.Equal([.. all], listed);
        Assert.Equal(all.SelectMany(s => s).Select(l => l.Name).ToHashSet(), Names(Tenant("t")));
        Assert.Equal(all.Select(s => s.Name).ToHashSet(), Values(Labels.MetricName, Tenant("t")));
        Assert.Equal(all.Select(s => s["id"]).Where(v => v.Length > 0).ToHashSet(), Values("id", Tenant("t")));
        HashSet<ulong> stored = [];
        Store.StoredSeries((tenant, key) => stored.Add(tenant == "t" ? key : 0), Cancellation);
        Assert.Equal(all.Select(SeriesKey.Of).ToHashSet(), stored);
    }

    [Fact]
    public void A_tenants_listings_have_nothing_of_another()
    {
        Append(
            (Labels.OfMetric("m", ("tenant", "t"), ("cluster", "c"), ("mine", "1")), 1, 1),
            (Labels.OfMetric("m", ("tenant", "u"), ("cluster", "c"), ("theirs", "2")), 1, 1),
            (Labels.OfMetric("theirs", ("tenant", "u"), ("cluster", "d")), 1, 1),
            (Labels.OfMetric("m", ("tenant", "t"), ("cluster", "d"), ("second", "1")), 1, 1));

        Assert.Equal([Labels.MetricName, "cluster", "mine", "second", "tenant"], Names(Tenant("t")).Order(StringComparer.Ordinal));
        LabelMatcher[] one = [Tenant("t"), new("cluster", MatchOperator.Equal, "c")];
        Assert.Equal([Labels.MetricName, "cluster", "mine", "tenant"], Names(one).Order(StringComparer.Ordinal));
        Assert.Equal(["m"], Values(Labels.MetricName, Tenant("t")));
        Assert.Empty(Values("theirs", Tenant("t")));
        Assert.Equal(["c", "d"], Values("cluster", Tenant("t"), Named("m")).Order());
        Assert.Equal(["d"], Values("cluster", Named("theirs")));
        Assert.Empty(Names(Tenant("nobody")));
    }

    [Fact]
    public void Listings_are_of_the_range()
    {
        Append((Of("m", "old"), -100 * Hour, 1), (Of("m", "new"), 0, 1));

        List<string> found = [];
        Store.VisitSeries([Named("m")], Start - Minute, Start + Hour, s => found.Add(s["id"]), Cancellation);
        Assert.Equal(["new"], found.Distinct());
        Assert.Equal(["old"], Store.Select([Named("m")], Start - 101 * Hour, Start - 99 * Hour).Select(s => s.Labels["id"]));
        found.Clear();
        Store.VisitLabels("id", [Named("m")], Start + Minute, Start + Hour, found.Add, Cancellation);
        Assert.Equal(ListsExactly ? [] : ["new"], found.Distinct());
    }

    [Fact]
    public void All_is_read_for_whoever_wants_it()
    {
        var mine = Labels.OfMetric("m", ("tenant", "t"), ("cluster", "c"));
        var other = Labels.OfMetric("n", ("tenant", "t"), ("cluster", "d"));
        Append((mine, 1, 1), (mine, 2, double.NaN), (other, 1, 3), (mine, 2 * Hour, 9));

        Assert.Equal([(mine, 1L), (mine, 2), (other, 1)], Read(null).OrderBy(r => r.Labels.Name).ThenBy(r => r.Time));
        Assert.Equal([(other, 1)], Read([new("t", "d")]));
        Assert.Empty(Read([new("u", "d")]));

        List<(Labels Labels, long Time)> Read(IReadOnlyCollection<ClusterId>? clusters)
        {
            List<(Labels, long)> read = [];
            Store.ReadAll(
                clusters, Start, Start + Hour, (_, labels) => Labels.From(labels), (labels, time, _) => read.Add((labels, time - Start)));
            return read;
        }
    }

    [Fact]
    public void Newer_samples_are_joined()
    {
        Append((Of("m", "a"), 1, 1));

        var joined = Store.Select(
            [Named("m")], Start, Start + 5, null, [new(Of("m", "a"), [Start + 6], [2]), new(Of("m", "b"), [Start + 6], [3])]);

        Assert.Equal([1, 2], joined.Single(s => s.Labels["id"] == "a").Values);
        Assert.Equal([3], joined.Single(s => s.Labels["id"] == "b").Values);
    }

    [Fact]
    public void Who_reads_may_end_it()
    {
        Append([.. Enumerable.Range(0, 20_000).Select(i => (Of("m", "a"), (long)i, (double)i))]);
        var loaded = 0;

        Assert.Throws<TimeoutException>(() => Store.Select([Named("m")], Start, Start + Hour, more =>
        {
            loaded += more;
            if (loaded > 5_000)
                throw new TimeoutException();
        }));

        Assert.InRange(loaded, 5_001, 12_000);
        using var left = new CancellationTokenSource();
        left.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() => Store.VisitSeries([], Start, Start + Hour, _ => { }, left.Token));
        Assert.ThrowsAny<OperationCanceledException>(() => Store.StoredSeries((_, _) => { }, left.Token));
        Assert.Equal(20_000, One(Of("m", "a")).Values.Length);
    }

    [Fact]
    public void A_tenants_own_retention_drops_its_samples_alone()
    {
        (Labels Long, Labels Short) = (Labels.OfMetric("m", ("tenant", "long")), Labels.OfMetric("m", ("tenant", "short")));
        Append((Long, 0, 1), (Short, 0, 1), (Short, 2 * Hour, 2));
        Advance(TimeSpan.FromHours(6));
        // Some engines drop what is finished by now in a second round.
        Store.Maintain(new Dictionary<string, TimeSpan>());
        Store.Maintain(new Dictionary<string, TimeSpan> { ["short"] = TimeSpan.FromHours(7) });

        Assert.Equal([1], One(Long).Values);
        Assert.Equal([2], One(Short).Values);
    }

    [Fact]
    public void Commits_are_counted()
    {
        var next = Store.NextCommit;
        Append((Of("m", "a"), 1, 1));

        Assert.Equal(next + 1, Store.NextCommit);
        Assert.Equal(new Recovery(next, IsReplaced: false), Store.Recover());
        Assert.Equal([1], One(Of("m", "a")).Values);
    }

    protected static Labels Of(string metric, string id, params (string, string)[] labels) =>
        Labels.OfMetric(metric, [("tenant", "t"), ("id", id), .. labels]);

    protected static LabelMatcher Named(string metric) => new(Labels.MetricName, MatchOperator.Equal, metric);

    static LabelMatcher Tenant(string tenant) => new(Sender.TenantLabel, MatchOperator.Equal, tenant);

    protected void Append(params (Labels Labels, long At, double Value)[] samples)
    {
        var batch = new CommitBatch();
        foreach (var (labels, at, value) in samples)
        {
            if (!_series.TryGetValue(labels, out var series))
            {
                _series[labels] = series = new HeadSeries((uint)_series.Count + 1, labels, labels["tenant"]);
                batch.NewSeries.Add(series);
            }

            var late = _newest.TryGetValue(labels, out var newest) && at <= newest;
            batch.Add(series, Start + at, value, late);
            _newest[labels] = late ? newest : at;
        }

        Store.Append(batch);
    }

    protected SeriesSamples One(Labels labels) =>
        Store.Select([.. labels.Select(l => new LabelMatcher(l.Name, MatchOperator.Equal, l.Value))], Start - Hour, Start + 5 * Hour)
            .Single(s => s.Labels.Equals(labels));

    List<SeriesSamples> Select() => Store.Select([], Start - Hour, Start + 5 * Hour);

    HashSet<string> Names(params LabelMatcher[] matchers) => Listed(null, matchers);

    HashSet<string> Values(string name, params LabelMatcher[] matchers) => Listed(name, matchers);

    HashSet<string> Listed(string? name, LabelMatcher[] matchers)
    {
        HashSet<string> found = [];
        Store.VisitLabels(name, matchers, Start, Start + Hour, text => found.Add(text), Cancellation);
        return found;
    }
}
