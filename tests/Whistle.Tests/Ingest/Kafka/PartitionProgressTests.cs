using CsCheck;

using Whistle.Ingest.Kafka;

using Xunit;

namespace Whistle.Tests.Ingest.Kafka;

public sealed class PartitionProgressTests
{
    [Fact]
    public void Nothing_is_committed_past_what_is_on_its_way_or_was_not_stored()
    {
        var progress = new PartitionProgress();
        Assert.Null(progress.Committable);
        var (first, second, third) = (new TaskCompletionSource<bool>(), new TaskCompletionSource<bool>(), new TaskCompletionSource<bool>());
        progress.Add(10, first.Task);
        progress.Add(11, second.Task);
        progress.Add(14, third.Task);
        Assert.Equal(10, progress.Committable);

        second.SetResult(true);
        Assert.Equal(10, progress.Committable);
        first.SetResult(false);
        Assert.Equal(10, progress.Committable);
        Assert.Equal(new OffsetRange(10, 11), progress.FirstUnstored);
        third.SetResult(true);
        Assert.Equal(10, progress.Committable);

        progress.Stored(11);
        Assert.Null(progress.FirstUnstored);
        Assert.Equal(15, progress.Committable);
    }

    [Fact]
    public void A_range_that_was_read_again_in_part_begins_where_that_ended()
    {
        var progress = new PartitionProgress();
        for (var offset = 0; offset < 100; offset++)
            progress.Add(offset, Task.FromResult(offset is < 20 or >= 60));

        Assert.Equal(new OffsetRange(20, 60), progress.FirstUnstored);
        progress.Stored(45);
        Assert.Equal(new OffsetRange(45, 60), progress.FirstUnstored);
        Assert.Equal(45, progress.Committable);
        progress.Stored(60);
        Assert.Equal(100, progress.Committable);
    }

    // The model: the lowest offset that was taken and is not known to be stored; else the one after the last.
    [Fact]
    public void Whatever_ends_in_whatever_order_the_offset_is_that_of_the_first_record_that_the_store_lacks() =>
        Gen.Select(Gen.Int[1, 3].Array[1, 30], Gen.Int[0, 1000].Array[1, 60]).Sample((gaps, acts) =>
        {
            var (progress, offset) = (new PartitionProgress(), 0L);
            var (pending, state) = (new Dictionary<long, TaskCompletionSource<bool>>(), new SortedDictionary<long, bool>());
            foreach (var gap in gaps)
            {
                offset += gap;
                progress.Add(offset, (pending[offset] = new TaskCompletionSource<bool>()).Task);
                state[offset] = false;
            }

            foreach (var act in acts)
            {
                if (pending.Count > 0 && act % 3 < 2)
                {
                    var (at, task) = pending.ElementAt(act % pending.Count);
                    pending.Remove(at);
                    task.SetResult(act % 3 == 0);
                    state[at] = act % 3 == 0;
                }
                else if (progress.FirstUnstored is { } range)
                {
                    progress.Stored(range.Until);
                    foreach (var at in state.Keys.Where(k => k < range.Until && !pending.ContainsKey(k)).ToList())
                        state[at] = true;
                }

                var expected = state.Where(s => !s.Value).Select(s => (long?)s.Key).FirstOrDefault() ?? offset + 1;
                Assert.Equal(expected, progress.Committable);
            }
        });
}
