using System.Runtime.CompilerServices;

using CsCheck;

using Microsoft.Extensions.Time.Testing;

using Whistle.Ingest.Heads;
using Whistle.Ingest.Series;
using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Ingest;

public sealed class HeadTests
{
    static readonly DateTimeOffset Start = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000);
    static readonly long StartMs = Start.ToUnixTimeMilliseconds();

    readonly FakeTimeProvider _time = new(Start);

    [Fact]
    public void A_chunk_gives_back_every_sample_bit_for_bit()
    {
        var values = Gen.OneOf(
            Gen.Double, Gen.Int[-5, 5].Select(i => (double)i), Gen.Const(StaleMarker.Value), Gen.Const(double.NaN),
            Gen.Const(double.NegativeInfinity), Gen.ULong.Select(BitConverter.UInt64BitsToDouble));
        var steps = Gen.OneOf(Gen.Const(15_000L), Gen.Long[1, 20_000], Gen.Long[1, 1L << 40]);
        Gen.Select(Gen.Long[-1L << 45, 1L << 45], Gen.Select(steps, values).Array[1, 300]).Sample((start, samples) =>
        {
            var chunk = new XorChunk();
            var (at, expected) = (start, new List<(long, ulong)>());
            foreach (var (step, value) in samples)
            {
                chunk.Append(at += step, value);
                expected.Add((at, BitConverter.DoubleToUInt64Bits(value)));
            }

            chunk.Trim();
            var read = new List<(long, ulong)>();
            var reader = chunk.Read();
            while (reader.MoveNext())
                read.Add((reader.Time, BitConverter.DoubleToUInt64Bits(reader.Value)));
            Assert.Equal(expected, read);
        });
    }

    [Fact]
    public void A_series_reads_in_time_order_whatever_the_order_of_arrival()
    {
        Gen.Int[0, 400].Array[1, 400].Sample(arrivals =>
        {
            var series = new HeadSeries(1, Labels.OfMetric("m"), "t") { KeepMilliseconds = long.MaxValue / 2 };
            var expected = new SortedDictionary<long, double>();
            foreach (var arrival in arrivals)
                Assert.Equal(expected.TryAdd(arrival, arrival * 2.0), series.Append(arrival, arrival * 2.0));

            var read = series.Read(100, 300);

            var inRange = expected.Where(e => e.Key is >= 100 and <= 300).ToList();
            Assert.Equal(inRange.Select(e => e.Key), read?.Times ?? []);
            Assert.Equal(inRange.Select(e => e.Value), read?.Values ?? []);
            Assert.All(arrivals, a => Assert.True(series.Contains(a)));
            Assert.False(series.Contains(401));
            for (var from = 0; from <= 400; from += 37)
                Assert.All((int[])[0, 1, 5, 40], length => Assert.Equal(
                    expected.Keys.Any(t => t >= from && t <= from + length), series.HasSampleIn(from, from + length)));
        });
    }

    [Fact]
    public void Many_late_samples_find_their_place_in_either_direction()
    {
        var series = new HeadSeries(1, Labels.OfMetric("m"), "t");
        long[] arrivals =
        [
            .. Enumerable.Range(0, 500).Select(i => 10_000L + i),
            .. Enumerable.Range(0, 3000).Select(i => 9_000L - i),
            .. Enumerable.Range(0, 500).Select(i => 9_001L + i),
        ];

        Assert.All(arrivals, at => Assert.True(series.Append(at, at)));

        Assert.All(arrivals, at => Assert.False(series.Append(at, at)));
        Assert.Equal(arrivals.Order(), series.Read(0, long.MaxValue)!.Times);
        Assert.Equal(arrivals.Order().Select(at => (double)at), series.Read(0, long.MaxValue)!.Values);
    }

    [Fact]
    public void Past_the_limit_new_series_are_refused_and_known_ones_go_on()
    {
        var head = new Head(_time, maxSeriesPerTenant: 2);
        Assert.NotNull(Add(head, "t1", "a"));
        var known = Add(head, "t1", "b");

        Assert.Null(Add(head, "t1", "c"));
        Assert.Same(known, Add(head, "t1", "b"));
        Assert.NotNull(Add(head, "t2", "c"));
    }

    [Fact]
    public void A_series_leaves_the_head_an_hour_after_its_last_sample_and_six_where_a_rule_reads_so_far_back()
    {
        var head = new Head(_time, 100);
        head.KeepLonger([new HeadWindow([new LabelMatcher(Labels.MetricName, MatchOperator.Equal, "long")], TimeSpan.FromHours(6))]);
        foreach (var name in new[] { "short", "long" })
        {
            var series = Add(head, "t", name)!;
            series.StagedTime = StartMs;
            series.Append(StartMs, 1);
        }

        _time.Advance(TimeSpan.FromMinutes(71));
        head.Prune();
        Assert.Equal(["long"], Names(head));

        _time.Advance(TimeSpan.FromHours(5));
        head.Prune();
        Assert.Empty(Names(head));
        Assert.Equal(0, head.SeriesCount);
    }

    [Fact]
    public void The_head_says_from_when_on_it_is_complete()
    {
        LabelMatcher[] longer = [new(Labels.MetricName, MatchOperator.Equal, "long")];
        LabelMatcher[] usual = [new(Labels.MetricName, MatchOperator.Equal, "short")];
        var head = new Head(_time, 100);
        head.KeepLonger([new HeadWindow(longer, TimeSpan.FromHours(6))]);
        Add(head, "t", "long");

        var lag = (long)Head.Lag.TotalMilliseconds;
        Assert.Equal(StartMs - 6 * DuckDbStore.Hour - lag, head.CompleteFrom(longer));
        Assert.Equal(StartMs - DuckDbStore.Hour - lag, head.CompleteFrom(usual));

        // A rule that is loaded later finds an hour; the window grows from there.
        head.KeepLonger([new HeadWindow(longer, TimeSpan.FromHours(6)), new HeadWindow(usual, TimeSpan.FromHours(3))]);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(StartMs - DuckDbStore.Hour, head.CompleteFrom(usual));
        Assert.Equal(StartMs - 5 * DuckDbStore.Hour - lag, head.CompleteFrom(longer));
    }

    [Fact]
    public void A_window_that_grows_twice_is_complete_only_from_where_the_first_one_was()
    {
        LabelMatcher[] selector = [new(Labels.MetricName, MatchOperator.Equal, "m")];
        var head = new Head(_time, 100);
        Add(head, "t", "m");

        head.KeepLonger([new HeadWindow(selector, TimeSpan.FromHours(3))]);
        head.KeepLonger([new HeadWindow(selector, TimeSpan.FromHours(6))]);

        Assert.Equal(StartMs - DuckDbStore.Hour, head.CompleteFrom(selector));
    }

    [Fact]
    public void One_series_under_ever_new_encodings_takes_no_more_memory_and_is_found_all_the_same()
    {
        var head = new Head(_time, 100);
        Label[] labels = [.. Labels.OfMetric("m", ("tenant", "t"))];
        var series = head.GetOrAdd(1, labels)!;
        series.StagedTime = StartMs;
        for (var key = 2u; key < 1000; key++)
            Assert.Same(series, head.GetOrAdd(key, labels));
        Assert.InRange(head.KeyCount, 2, 20);
        Assert.True(head.TryGet(1, out _));

        head.Prune();

        Assert.Equal(0, head.KeyCount);
    }

    [Fact]
    public void What_is_refused_past_the_limit_leaves_nothing_behind()
    {
        var head = new Head(_time, maxSeriesPerTenant: 1);
        Add(head, "t", "a");

        var refused = Refused(head);
        GC.Collect();

        Assert.False(refused.IsAlive);

        [MethodImpl(MethodImplOptions.NoInlining)]
        static WeakReference Refused(Head head)
        {
            var name = new string('b', 100);
            Assert.Null(Add(head, "t", name));
            return new WeakReference(name);
        }
    }

    [Theory]
    [InlineData("n1", "cluster=\"c1\",node=\"n1\",tenant=\"t1\"")]
    [InlineData("other", "cluster=\"c1\",exported_node=\"other\",node=\"n1\",tenant=\"t1\"")]
    public void The_sender_is_who_its_credential_says(string claimed, string expected)
    {
        var sender = new Sender(new NodeId("t1", "c1", "n1"));

        Assert.Equal($"m{{{expected}}}", Labels.From(sender.Stamp(Labels.OfMetric("m", ("node", claimed)))).ToString());
    }

    static HeadSeries? Add(Head head, string tenant, string name) =>
        head.GetOrAdd((UInt128)$"{tenant}{name}".GetHashCode(), [.. Labels.OfMetric(name, ("tenant", tenant))]);

    static IEnumerable<string> Names(Head head) => head.Select([], 0, long.MaxValue).Select(s => s.Labels.Name);
}
