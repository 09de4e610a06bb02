using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>
/// Evaluates PromQL with the semantics of Prometheus 3: look-back and ranges are open at their left end. Loads all samples
/// first, once a selector; what follows is pure and synchronous. Stateless, so one engine serves any number of callers.
/// </summary>
/// <param name="source">Where samples come from.</param>
/// <param name="lookback">How old a sample may be to count as current; 5 minutes unless given.</param>
/// <param name="maxSamples">A query that loads or returns more is refused.</param>
public sealed class PromQLEngine(ISeriesSource source, TimeSpan? lookback = null, long maxSamples = 50_000_000)
{
    public static readonly TimeSpan DefaultLookback = TimeSpan.FromMinutes(5);

    /// <summary>Steps of one range query.</summary>
    public const int MaxPoints = 11_000;

    readonly long _lookback = Selection.Milliseconds(lookback);

    /// <inheritdoc cref="InstantAsync(Expr, long, CancellationToken)"/>
    public Task<QueryValue> InstantAsync(string expression, long time, CancellationToken cancellation) =>
        InstantAsync(Parser.Parse(expression), time, cancellation);

    /// <summary>The value at one time (milliseconds since 1970 UTC), of the type that the expression has.</summary>
    /// <exception cref="PromQLException">It cannot be evaluated on this data.</exception>
    public async Task<QueryValue> InstantAsync(Expr expr, long time, CancellationToken cancellation)
    {
        var plan = await PlanAsync(expr, time, time, cancellation);
        return expr.Type switch
        {
            ExprType.Scalar => new ScalarValue(time, plan.Scalar(expr).At(time)),
            ExprType.Text => new StringValue(time, Planner.Text(expr)),
            ExprType.Vector => new VectorValue(time, plan.Vector(expr).At(time)),
            ExprType.Matrix => Windows(plan.Range(expr), time),
            _ => throw new InvalidOperationException($"Unknown type {expr.Type}."),
        };
    }

    /// <inheritdoc cref="RangeAsync(Expr, long, long, long, CancellationToken)"/>
    public Task<MatrixValue> RangeAsync(string expression, long start, long end, long step, CancellationToken cancellation) =>
        RangeAsync(Parser.Parse(expression), start, end, step, cancellation);

    /// <summary>The values at start, start + step, … up to end, all in milliseconds. A scalar gives one series without labels.</summary>
    /// <exception cref="PromQLException">The times are not valid, or it cannot be evaluated on this data.</exception>
    public async Task<MatrixValue> RangeAsync(Expr expr, long start, long end, long step, CancellationToken cancellation)
    {
        CheckRange(expr, start, end, step);
        var plan = await PlanAsync(expr, start, end, cancellation);
        var builder = new MatrixBuilder(maxSamples);
        if (expr.Type == ExprType.Scalar)
        {
            var scalar = plan.Scalar(expr);
            for (var time = start; time <= end; time += step)
                builder.Add(Labels.Empty, time, scalar.At(time));
        }
        else
        {
            var vector = plan.Vector(expr);
            for (var time = start; time <= end; time += step)
            {
                cancellation.ThrowIfCancellationRequested();
                foreach (var (labels, value) in vector.At(time))
                    builder.Add(labels, time, value);
            }
        }

        return builder.Build();
    }

    static void CheckRange(Expr expr, long start, long end, long step)
    {
        if (expr.Type is not (ExprType.Scalar or ExprType.Vector))
            throw BadData($"a range query needs a scalar or an instant vector, not {Parser.Name(expr.Type)}: for raw samples ask an instant query");
        if (step <= 0)
            throw BadData("the step must be longer than 0");
        if (end < start)
            throw BadData("the end must not be before the start");
        if ((end - start) / step > MaxPoints)
            throw BadData($"the query asks for more than {MaxPoints} points a series: choose a longer step or a shorter range");
    }

    async Task<Planner> PlanAsync(Expr expr, long start, long end, CancellationToken cancellation)
    {
        var data = new Dictionary<string, IReadOnlyList<SeriesSamples>>();
        var loaded = 0L;
        foreach (var (selector, range) in Selection.Find(expr))
        {
            var key = Selection.Key(selector, range);
            if (data.ContainsKey(key))
                continue;
            // Left-open, hence + 1.
            var from = start - selector.Offset - (range ?? _lookback) + 1;
            var series = await source.SelectAsync(selector.Matchers, from, end - selector.Offset, cancellation);
            data.Add(key, series);
            foreach (var one in series)
                loaded += one.Times.Length;
            if (loaded > maxSamples)
                throw PromQLException.Execution($"the query loads more than {maxSamples} samples: select fewer series or a shorter range");
        }

        return new Planner(data, _lookback, cancellation);
    }

    static MatrixValue Windows(RangeSelector range, long time)
    {
        List<SeriesSamples> series = [];
        for (var i = 0; i < range.Count; i++)
        {
            var window = range.Window(i, time);
            if (window.Count > 0)
                series.Add(new SeriesSamples(range.Labels(i), window.Times.ToArray(), window.Values.ToArray()));
        }

        return new MatrixValue(series);
    }

    static PromQLException BadData(string message) => new(PromQLErrorKind.BadData, message);

    sealed class MatrixBuilder(long maxSamples)
    {
        readonly Dictionary<Labels, (List<long> Times, List<double> Values)> _series = [];
        long _count;

        public void Add(Labels labels, long time, double value)
        {
            if (++_count > maxSamples)
                throw PromQLException.Execution($"the query returns more than {maxSamples} samples: select fewer series or a longer step");
            if (!_series.TryGetValue(labels, out var points))
                _series.Add(labels, points = ([], []));
            points.Times.Add(time);
            points.Values.Add(value);
        }

        public MatrixValue Build()
        {
            var series = new SeriesSamples[_series.Count];
            var next = 0;
            foreach (var (labels, (times, values)) in _series)
                series[next++] = new SeriesSamples(labels, [.. times], [.. values]);
            Array.Sort(series, static (a, b) => LabelSets.Compare(a.Labels, b.Labels));
            return new MatrixValue(series);
        }
    }
}
