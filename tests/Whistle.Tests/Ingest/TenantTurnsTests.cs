using Whistle.Ingest.Gateways;
using Whistle.Ingest.Logs;
using Whistle.Ingest.Series;
using Whistle.State.Memory;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Ingest;

public sealed class TenantTurnsTests
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_tenant_waits_for_itself_and_not_the_others()
    {
        var turns = new TenantTurns(perTenant: 1, inAll: 2, mostWaiting: 10);
        var first = await turns.TryEnterAsync("a", Cancellation);
        var (second, third) = (turns.TryEnterAsync("a", Cancellation).AsTask(), turns.TryEnterAsync("a", Cancellation).AsTask());

        using var other = await turns.TryEnterAsync("b", Cancellation);
        Assert.False(second.IsCompleted);
        // All places are taken now; of those who wait, whoever came first has the next one.
        var late = turns.TryEnterAsync("c", Cancellation).AsTask();
        first!.Dispose();
        first.Dispose();
        var turn = await second;
        Assert.False(third.IsCompleted || late.IsCompleted);
        turn!.Dispose();
        using var next = await third;
        Assert.False(late.IsCompleted);
        other!.Dispose();
        (await late)!.Dispose();
    }

    [Fact]
    public async Task Too_many_are_turned_away_and_who_leaves_makes_room()
    {
        var turns = new TenantTurns(perTenant: 1, inAll: 2, mostWaiting: 1);
        var first = await turns.TryEnterAsync("a", Cancellation);
        using var leaving = new CancellationTokenSource();
        var waiting = turns.TryEnterAsync("a", leaving.Token).AsTask();
        Assert.Null(await turns.TryEnterAsync("a", Cancellation));

        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        var patient = turns.TryEnterAsync("a", Cancellation).AsTask();
        first!.Dispose();
        (await patient)!.Dispose();
        using var again = await turns.TryEnterAsync("a", Cancellation);
        Assert.NotNull(again);
    }

    [Fact]
    public void Writes_are_taken_from_one_tenant_after_the_other_each_in_its_order()
    {
        var queue = new FairQueue();
        StagedWrite[] greedy = [.. Enumerable.Range(0, 5).Select(_ => Write("greedy", 10))];
        Assert.All(greedy, w => Assert.True(queue.TryWrite(w)));
        var (modest, own) = (Write("modest", 1), Write("", 2));
        queue.TryWrite(modest);
        queue.TryWrite(own);
        Assert.Equal((50, 1, 0), (queue.Samples("greedy"), queue.Samples("modest"), queue.Samples("unheard-of")));

        List<StagedWrite> taken = [];
        while (queue.TryRead(out var write))
            taken.Add(write);

        Assert.Equal([greedy[0], modest, own, .. greedy[1..]], taken);
        Assert.Equal(0, queue.Samples("greedy"));
        queue.Complete();
        Assert.False(queue.TryWrite(modest));
    }

    [Fact]
    public void A_large_write_is_taken_in_parts_with_those_of_others_in_between()
    {
        var large = Write("greedy", 10);
        Assert.Same(large, Assert.Single(large.Parts(10)));
        var queue = new FairQueue();
        foreach (var part in large.Parts(4))
            queue.TryWrite(part);
        queue.TryWrite(Write("modest", 1));

        List<(string Tenant, long[] Times)> taken = [];
        while (queue.TryRead(out var write))
            taken.Add((write.Tenant, write.Times[..write.Count]));

        Assert.Equal(["greedy", "modest", "greedy", "greedy"], taken.Select(t => t.Tenant));
        Assert.Equal(Enumerable.Range(0, 10).Select(i => (long)i), taken.Where(t => t.Tenant == "greedy").SelectMany(t => t.Times));
        Assert.Equal(10, large.Result().Stored);
    }

    [Fact]
    public void One_tenant_leaves_a_quarter_of_a_budget_to_the_others()
    {
        var budgets = new FairBudgets(1000, "The bodies", "tenant");
        using var greedy = budgets.Open("greedy");
        greedy.Take(700);

        Assert.Contains(
            "of the tenant greedy alone", Assert.Throws<BusyException>(() => greedy.Take(100)).Message, StringComparison.Ordinal);
        using (var modest = budgets.Open("modest"))
        {
            modest.Take(250);
            Assert.Throws<BusyException>(() => modest.Take(100));
            Assert.Equal(950, budgets.Held);
        }

        greedy.Take(50);
        Assert.Equal(750, budgets.Held);
    }

    static StagedWrite Write(string tenant, int samples)
    {
        var write = new StagedWrite(tenant, WriteOrigin.Sender, samples, new ByteBudget(1 << 20, "").Open());
        for (var i = 0; i < samples; i++)
            write.Add(new HeadSeries(1, Labels.OfMetric("m"), tenant), i, i);
        return write;
    }
}
