using Whistle.Ingest.Heads;
using Whistle.Ingest.Stores;
using Whistle.State.Files;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Ingest;

public sealed class SeriesSketchTests
{
    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 0)]
    [InlineData(512, 0)]
    // Five standard deviations: the seed is another one in each process.
    [InlineData(513, 0.041)]
    [InlineData(5_000, 0.041)]
    [InlineData(40_000, 0.041)]
    [InlineData(80_000, 0.041)]
    [InlineData(2_000_000, 0.041)]
    public void The_count_is_close_however_often_each_series_comes(int series, double tolerance)
    {
        var sketch = new SeriesSketch();
        for (var round = 0; round < 2; round++)
        {
            for (var i = 0; i < series; i++)
                sketch.Add((ulong)i);
        }

        Assert.InRange(sketch.Count, (long)Math.Floor(series * (1 - tolerance)), (long)Math.Ceiling(series * (1 + tolerance)));
    }

    [Fact]
    public void On_the_whole_it_is_off_by_less_than_a_hundredth()
    {
        var errors = Enumerable.Range(0, 40).Select(round =>
        {
            var sketch = new SeriesSketch();
            for (var i = 0; i < 100_000; i++)
                sketch.Add(((ulong)round << 32) + (ulong)i);
            return (sketch.Count / 100_000.0) - 1;
        }).ToList();

        Assert.InRange(Math.Sqrt(errors.Average(e => e * e)), 0, 0.0125);
        Assert.InRange(errors.Average(), -0.007, 0.007);
    }

    [Fact]
    public void A_series_that_comes_while_all_are_counted_again_is_in_the_new_count_too()
    {
        var stored = new StoredSeries();
        stored.Add("t", Labels.OfMetric("dropped"));

        stored.Renew(read =>
        {
            read("t", SeriesKey.Of(Labels.OfMetric("kept")));
            read("other", 7);
            stored.Add("t", Labels.OfMetric("fresh"));
            Assert.Equal(2, stored.Of("t"));
            Assert.Equal(0, stored.Of("other"));
        });

        Assert.Equal((2, 1), (stored.Of("t"), stored.Of("other")));
        stored.Add("t", Labels.OfMetric("kept"));
        stored.Add("t", Labels.OfMetric("dropped"));
        Assert.Equal(3, stored.Of("t"));
    }

    [Fact]
    public void A_count_that_fails_leaves_what_was_known()
    {
        var stored = new StoredSeries();
        stored.Add("t", Labels.OfMetric("a"));

        Assert.Throws<StoreException>(() => stored.Renew(_ => throw new StoreException("No.")));

        stored.Add("t", Labels.OfMetric("b"));
        Assert.Equal(2, stored.Of("t"));
    }
}
