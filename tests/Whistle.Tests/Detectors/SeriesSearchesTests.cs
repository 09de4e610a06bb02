using Microsoft.Extensions.Time.Testing;

using Whistle.Detectors.Http;
using Whistle.Ingest.Stores;
using Whistle.State.Memory;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Detectors;

public sealed class SeriesSearchesTests : IDisposable
{
    static readonly TimeSpan Timeout = TimeSpan.FromMinutes(2);

    readonly FakeTimeProvider _time = new();
    readonly ManualResetEventSlim _go = new();
    readonly SemaphoreSlim _looking = new(0);
    readonly SeriesSearches _searches;

    public SeriesSearchesTests() => _searches = new(
        new FakeSearch((_, cancellation) =>
        {
            _looking.Release();
            _go.Wait(cancellation);
            return new(["found"], false);
        }),
        new(), _time);

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _go.Dispose();
        _looking.Dispose();
    }

    [Fact]
    public async Task Questions_about_one_tenant_wait_for_each_other_and_not_for_those_about_another()
    {
        var greedy = Enumerable.Range(0, 10).Select(_ => AskAsync("{tenant=a}")).ToList();
        await _looking.WaitAsync(Cancellation);

        var other = AskAsync("{tenant=b}");
        await _looking.WaitAsync(Cancellation);

        // Nobody else looks.
        Assert.Equal(0, _looking.CurrentCount);
        _go.Set();
        (await other).Dispose();
        foreach (var one in greedy)
            (await one).Dispose();
    }

    [Fact]
    public async Task Too_many_are_turned_away_but_not_those_about_another_tenant()
    {
        var asked = Enumerable.Range(0, 18).Select(_ => AskAsync("{tenant=a}")).ToList();

        await Assert.ThrowsAsync<BusyException>(() => AskAsync("{tenant=a}"));

        var other = AskAsync("{tenant=b}");
        // What does not name one tenant has a line of its own.
        var both = AskAsync("{tenant=a}", "{tenant=b}");
        var any = AskAsync("{}");
        _go.Set();
        foreach (var one in (Task<HeldAnswer>[])[other, both, any, .. asked])
            (await one).Dispose();
    }

    [Fact]
    public async Task Who_leaves_ends_the_look_and_makes_room()
    {
        using var leaving = new CancellationTokenSource();
        var leaves = AskAsync(leaving.Token, "{tenant=a}");
        await _looking.WaitAsync(Cancellation);
        var waits = AskAsync(leaving.Token, "{tenant=a}");
        var next = AskAsync("{tenant=a}");

        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaves);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waits);
        await _looking.WaitAsync(Cancellation);
        _go.Set();
        (await next).Dispose();
    }

    [Fact]
    public async Task What_takes_too_long_is_ended_whether_it_looks_or_waits()
    {
        var looks = AskAsync("{tenant=a}");
        await _looking.WaitAsync(Cancellation);
        var waits = AskAsync("{tenant=a}");

        _time.Advance(Timeout);

        await Assert.ThrowsAsync<TimeoutException>(() => looks);
        await Assert.ThrowsAsync<TimeoutException>(() => waits);
    }

    [Fact]
    public async Task An_answer_that_is_not_fetched_keeps_its_place_until_its_time_is_over()
    {
        _go.Set();
        var (first, second) = (await AskAsync("{tenant=a}"), await AskAsync("{tenant=a}"));
        var third = AskAsync("{tenant=a}");
        Assert.False(third.IsCompleted);

        _time.Advance(Timeout / 2);
        Assert.False(first.Ended.IsCancellationRequested);
        _time.Advance(Timeout / 2);

        // Whoever sends it breaks it off then.
        Assert.True(first.Ended.IsCancellationRequested);
        await Assert.ThrowsAsync<TimeoutException>(() => third);
        first.Dispose();
        second.Dispose();
        (await AskAsync("{tenant=a}")).Dispose();
    }

    Task<HeldAnswer> AskAsync(params string[] selectors) => AskAsync(Cancellation, selectors);

    async Task<HeldAnswer> AskAsync(CancellationToken cancellation, params string[] selectors)
    {
        var scope = new SeriesScope([.. selectors.Select(Matchers)], 0, long.MaxValue);
        return (await _searches.LabelNamesAsync(scope, 10, Timeout, cancellation)).Held;
    }

    static IReadOnlyList<LabelMatcher> Matchers(string selector) =>
        selector.Trim('{', '}') is { Length: > 0 } one ? [new(one.Split('=')[0], MatchOperator.Equal, one.Split('=')[1])] : [];
}
