using Whistle.Ingest.Gateways;
using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.State;
using Whistle.State.Memory;
using Whistle.Telemetry;

namespace Whistle.Detectors.Http;

/// <summary>What is asked about labels. An answer is sorted and holds each item once; reading ends when it is cancelled.</summary>
interface ISeriesSearch
{
    Found<Labels> Series(SeriesScope scope, AnswerLimit limit, CancellationToken cancellation);

    Found<string> LabelNames(SeriesScope scope, AnswerLimit limit, CancellationToken cancellation);

    Found<string> LabelValues(string name, SeriesScope scope, AnswerLimit limit, CancellationToken cancellation);
}

/// <summary>What a server decides for all questions about labels.</summary>
public sealed record SearchOptions
{
    /// <summary>Series in one answer.</summary>
    public int MaxSeries { get; init; } = 100_000;

    /// <summary>Names or values in one answer.</summary>
    public int MaxTexts { get; init; } = 500_000;

    /// <summary>What one answer may take in memory.</summary>
    public long MaxBytes { get; init; } = 64 << 20;
}

/// <summary>
/// Runs questions about labels: few at a time, each in the background, and up to a deadline, so that what is asked of one tenant's many
/// series costs the others little. Only a question whose selectors all name one tenant counts as that tenant's; those that do not share a
/// line of their own.
/// </summary>
sealed class SeriesSearches(ISeriesSearch search, SearchOptions options, TimeProvider time)
{
    // An answer is in memory until it is sent, which is up to the caller; looking is up to the server.
    readonly TenantTurns _answers = new(perTenant: 2, inAll: 4, mostWaiting: 16);
    readonly TenantTurns _looks = new(perTenant: 1, inAll: Math.Max(2, Environment.ProcessorCount), mostWaiting: int.MaxValue);

    public Task<(Found<Labels> Found, HeldAnswer Held)> SeriesAsync(
        SeriesScope scope, int limit, TimeSpan timeout, CancellationToken cancellation) =>
        RunAsync(scope, timeout, token => search.Series(scope, Limit(limit, options.MaxSeries), token), cancellation);

    public Task<(Found<string> Found, HeldAnswer Held)> LabelNamesAsync(
        SeriesScope scope, int limit, TimeSpan timeout, CancellationToken cancellation) =>
        RunAsync(scope, timeout, token => search.LabelNames(scope, Limit(limit, options.MaxTexts), token), cancellation);

    public Task<(Found<string> Found, HeldAnswer Held)> LabelValuesAsync(
        string name, SeriesScope scope, int limit, TimeSpan timeout, CancellationToken cancellation) =>
        RunAsync(scope, timeout, token => search.LabelValues(name, scope, Limit(limit, options.MaxTexts), token), cancellation);

    AnswerLimit Limit(int asked, int most) => new(Math.Min(asked, most), options.MaxBytes);

    async Task<(T, HeldAnswer)> RunAsync<T>(
        SeriesScope scope, TimeSpan timeout, Func<CancellationToken, T> look, CancellationToken cancellation)
    {
        var held = new HeldAnswer(timeout, time, cancellation);
        try
        {
            var tenant = TenantOf(scope);
            held.Turn = await _answers.TryEnterAsync(tenant, held.Ended)
                ?? throw new BusyException("too many questions about labels wait already");
            using var turn = await _looks.TryEnterAsync(tenant, held.Ended);
            // The pool's threads are for those who do not wait for the store.
            return (await BackgroundThread.Run(() => look(held.Ended), held.Ended), held);
        }
        catch (OperationCanceledException) when (held.IsOverdue && !cancellation.IsCancellationRequested)
        {
            held.Dispose();
            throw new TimeoutException("the question timed out; ask for less with match[], start and end, or give a longer timeout");
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    static string TenantOf(SeriesScope scope)
    {
        var named = scope.Selectors.Select(
            s => s.FirstOrDefault(m => m is { Name: Sender.TenantLabel, Operator: MatchOperator.Equal })?.Value).Distinct().ToList();
        return named is [{ } tenant] ? tenant : "";
    }
}

/// <summary>What an answer holds until it is sent or its time is over.</summary>
sealed class HeldAnswer : IDisposable
{
    readonly CancellationTokenSource _deadline;
    readonly CancellationTokenSource _either;

    public HeldAnswer(TimeSpan timeout, TimeProvider time, CancellationToken cancellation)
    {
        _deadline = new CancellationTokenSource(timeout, time);
        _either = CancellationTokenSource.CreateLinkedTokenSource(_deadline.Token, cancellation);
    }

    /// <summary>Cancelled when the caller has left or the time is over.</summary>
    public CancellationToken Ended => _either.Token;

    public bool IsOverdue => _deadline.IsCancellationRequested;

    public IDisposable? Turn { get; set; }

    public void Dispose()
    {
        Turn?.Dispose();
        _either.Dispose();
        _deadline.Dispose();
    }
}
