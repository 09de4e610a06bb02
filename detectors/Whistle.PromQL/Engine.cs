using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>
/// Evaluates PromQL with the semantics of Prometheus 3: look-back and ranges are open at their left end. Loads all samples
/// first, once where selectors share them; what follows is pure and synchronous. Stateless, so one engine serves any number of callers.
/// </summary>
/// <param name="source">Where samples come from.</param>
/// <param name="options">What holds for all queries; the defaults where none are given.</param>
public sealed class PromQLEngine(ISeriesSource source, PromQLOptions? options = null)
{
    /// <summary>Steps of one range query.</summary>
    public const int MaxPoints = 11_000;

    readonly PromQLOptions _options = options ?? new PromQLOptions();

    /// <summary>An engine that differs in what it reads.</summary>
    public PromQLEngine WithSource(Func<ISeriesSource, ISeriesSource> limit) => new(limit(source), _options);

    /// <summary>An engine that differs in how old a sample may be to count as current.</summary>
    public PromQLEngine WithLookback(TimeSpan lookback) => new(source, _options with { Lookback = lookback });

    /// <summary>An engine whose queries tell how many bytes more they hold; what is thrown then ends the query.</summary>
    public PromQLEngine WithMemory(Action<long> take) => new(source, _options with { TakeMemory = take });

    /// <inheritdoc cref="InstantAsync(Expr, long, CancellationToken)"/>
    public Task<QueryValue> InstantAsync(string expression, long time, CancellationToken cancellation) =>
        InstantAsync(Parser.Parse(expression), time, cancellation);

    /// <summary>The value at one time (milliseconds since 1970 UTC), of the type that the expression has.</summary>
    /// <exception cref="PromQLException">It cannot be evaluated on this data.</exception>
    public Task<QueryValue> InstantAsync(Expr expr, long time, CancellationToken cancellation) =>
        MatchAsync(() => EvaluateAsync(expr, time, cancellation), cancellation);

    async Task<QueryValue> EvaluateAsync(Expr expr, long time, CancellationToken cancellation)
    {
        var budget = new Budget(_options.MaxSamples, cancellation, _options.TakeMemory);
        var planner = await PlanAsync(expr, new QueryTimes(time, time, 0), budget, cancellation);
        return expr.Type switch
        {
            ExprType.Scalar => new ScalarValue(time, planner.Scalar(expr).At(time)),
            ExprType.Text => new StringValue(time, Planner.Text(expr)),
            ExprType.Vector => Vector(planner.Vector(expr), time),
            ExprType.Matrix => Windows(planner.Range(expr), time),
            _ => throw new InvalidOperationException($"Unknown type {expr.Type}."),
        };
    }

    /// <inheritdoc cref="RangeAsync(Expr, long, long, long, CancellationToken)"/>
    public Task<MatrixValue> RangeAsync(string expression, long start, long end, long step, CancellationToken cancellation) =>
        RangeAsync(Parser.Parse(expression), start, end, step, cancellation);

    /// <summary>The values at start, start + step, … up to end, all in milliseconds. A scalar gives one series without labels.</summary>
    /// <exception cref="PromQLException">The times are not valid, or it cannot be evaluated on this data.</exception>
    public Task<MatrixValue> RangeAsync(Expr expr, long start, long end, long step, CancellationToken cancellation)
    {
        CheckRange(expr, start, end, step);
        return MatchAsync(() => EvaluateAsync(expr, start, end, step, cancellation), cancellation);
    }

    async Task<MatrixValue> EvaluateAsync(Expr expr, long start, long end, long step, CancellationToken cancellation)
    {
        var budget = new Budget(_options.MaxSamples, cancellation, _options.TakeMemory);
        var planner = await PlanAsync(expr, new QueryTimes(start, end, step), budget, cancellation);
        var node = expr.Type == ExprType.Scalar ? new ToVectorNode(planner.Scalar(expr)) : planner.Vector(expr);
        var steps = new long[((end - start) / step) + 1];
        List<RangeTrack?> tracks = [];
        for (var i = 0; i < steps.Length; i++)
        {
            budget.Check();
            steps[i] = start + (i * step);
            var points = node.At(steps[i]);
            budget.Spend(points.Length);
            foreach (var (slot, value) in points)
            {
                while (tracks.Count <= slot)
                    tracks.Add(null);
                (tracks[slot] ??= new RangeTrack()).Add(i, value);
            }
        }

        List<SeriesSamples> series = [];
        for (var slot = 0; slot < tracks.Count; slot++)
        {
            if (tracks[slot] is { } track)
                series.Add(track.Build(node.Slots[slot], steps));
        }

        series.Sort(static (a, b) => Labels.Compare(a.Labels, b.Labels));
        return new MatrixValue(series);
    }

    async Task<T> MatchAsync<T>(Func<Task<T>> evaluate, CancellationToken cancellation)
    {
        using var matching = MatchingBudget.Start(_options.MaxMatchingSteps, cancellation);
        try
        {
            return await evaluate();
        }
        catch (MatchingException e)
        {
            throw PromQLException.Execution(e.Message);
        }
    }

    static void CheckRange(Expr expr, long start, long end, long step)
    {
        if (expr.Type is not (ExprType.Scalar or ExprType.Vector))
            throw BadData(
                $"a range query needs a scalar or an instant vector, not {Parser.Name(expr.Type)}: for raw samples ask an instant query");
        if (step <= 0)
            throw BadData("the step must be longer than 0");
        if (end < start)
            throw BadData("the end must not be before the start");
        if ((end - start) / step > MaxPoints)
            throw BadData($"the query asks for more than {MaxPoints} points a series: choose a longer step or a shorter range");
    }

    async Task<Planner> PlanAsync(Expr expr, QueryTimes times, Budget budget, CancellationToken cancellation)
    {
        var loaded = await LoadedSamples.LoadAsync(source, expr, times, _options, budget, cancellation);
        return new Planner(new LoadedSources(loaded, times, _options.LookbackMilliseconds), times, _options, budget, Uniqueness.InQuery);
    }

    static VectorValue Vector(VectorNode node, long time)
    {
        var points = node.At(time);
        var samples = new VectorSample[points.Length];
        for (var i = 0; i < samples.Length; i++)
            samples[i] = new VectorSample(node.Slots[points[i].Slot], points[i].Value);
        return new VectorValue(time, samples);
    }

    static MatrixValue Windows(RangeSource range, long time)
    {
        List<SeriesSamples> series = [];
        range.MoveTo(time);
        for (var slot = 0; slot < range.Slots.Count; slot++)
        {
            var window = range.Window(slot);
            if (window.Count > 0)
                series.Add(new SeriesSamples(range.Slots[slot], window.Times.ToArray(), window.Values.ToArray()));
        }

        return new MatrixValue(series);
    }

    static PromQLException BadData(string message) => new(PromQLErrorKind.BadData, message);
}
