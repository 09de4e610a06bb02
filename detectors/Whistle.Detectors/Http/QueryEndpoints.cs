using Whistle.Detectors.Reading;
using Whistle.Inventory.Callers;
using Whistle.PromQL;

namespace Whistle.Detectors.Http;

/// <summary><c>query</c>, <c>query_range</c> and <c>format_query</c>.</summary>
sealed class QueryEndpoints(PromQLEngine engine, TimeProvider time)
{
    // Prometheus's limit: enough for a week at a minute's resolution.
    const long MostPoints = 11_000;

    public async ValueTask<Answer> InstantAsync(QueryParameters parameters, Caller caller, CancellationToken cancellation)
    {
        var (limit, at) = (parameters.Limit(), parameters.Time("time", time.GetUtcNow()));
        return await ExecuteAsync(
            parameters, caller, limit, (engine, expression, token) => engine.InstantAsync(expression, at, token), cancellation);
    }

    public async ValueTask<Answer> RangeAsync(QueryParameters parameters, Caller caller, CancellationToken cancellation)
    {
        var (limit, start, end) = (parameters.Limit(), parameters.Time("start"), parameters.Time("end"));
        if (end < start)
            throw new BadParameterException("invalid parameter \"end\": end timestamp must not be before start time");
        var step = (long)parameters.Duration("step").TotalMilliseconds;
        if (step <= 0)
            throw new BadParameterException("invalid parameter \"step\": it must be at least one millisecond; try a larger one");
        if ((end - start) / step > MostPoints)
            throw new BadParameterException(
                $"exceeded maximum resolution of {MostPoints:N0} points per timeseries; try a larger step or a shorter range");
        return await ExecuteAsync(
            parameters, caller, limit, async (engine, expression, token) => await engine.RangeAsync(expression, start, end, step, token),
            cancellation);
    }

    public static ValueTask<Answer> Format(QueryParameters parameters)
    {
        var text = Parser.Parse(parameters.Required("query")).Format();
        return new(new Answer(json => json.WriteStringValue(text)));
    }

    async ValueTask<Answer> ExecuteAsync(
        QueryParameters parameters, Caller caller, int limit, Func<PromQLEngine, Expr, CancellationToken, Task<QueryValue>> run,
        CancellationToken cancellation)
    {
        using var deadline = new CancellationTokenSource(parameters.Timeout(), time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        var asked = parameters.Lookback() is { } lookback ? engine.WithLookback(lookback) : engine;
        asked = asked.WithSource(all => new LimitedSource(all, caller.Limit));
        if (parameters.Memory is { } memory)
            asked = asked.WithMemory(memory.Take);
        var expression = Parser.Parse(parameters.Required("query"));
        try
        {
            var (value, isCut) = Cut(await run(asked, expression, either.Token), limit);
            return new(PrometheusJson.Parts(value), isCut);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            throw new TimeoutException("query timed out in expression evaluation; ask for less or give a longer timeout");
        }
    }

    static (QueryValue Value, bool IsCut) Cut(QueryValue value, int limit) => value switch
    {
        VectorValue vector when vector.Samples.Count > limit => (vector with { Samples = [.. vector.Samples.Take(limit)] }, true),
        MatrixValue matrix when matrix.Series.Count > limit => (matrix with { Series = [.. matrix.Series.Take(limit)] }, true),
        _ => (value, false),
    };
}
