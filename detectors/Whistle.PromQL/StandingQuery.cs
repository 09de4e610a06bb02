using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>One element of a standing query's result; the slot says whose, see <see cref="StandingQuery.Labels"/>.</summary>
public readonly record struct StandingPoint(int Slot, double Value);

/// <summary>
/// An expression that is evaluated again and again as time goes on: a rule. What follows from labels (series, groups, matches) is worked
/// out once a series, and ranges slide, so that an evaluation costs what is new. Gives the same values as
/// <see cref="PromQLEngine.InstantAsync(Expr, long, CancellationToken)"/>. For one caller at a time.
/// </summary>
public sealed class StandingQuery
{
    readonly Expr _expr;
    readonly ILiveSeriesSource _source;
    readonly PromQLOptions _options;
    readonly bool _canStand;
    Plan? _plan;

    /// <exception cref="PromQLException">The expression is no scalar and no instant vector.</exception>
    public StandingQuery(Expr expr, ILiveSeriesSource source, PromQLOptions? options = null)
    {
        if (expr.Type is not (ExprType.Scalar or ExprType.Vector))
            throw new PromQLException(PromQLErrorKind.BadData, $"a standing query needs a scalar or an instant vector, not {Parser.Name(expr.Type)}");
        (_expr, _source, _options, _canStand) = (expr, source, options ?? new PromQLOptions(), CanStand(expr));
    }

    /// <summary>Changes when the slots are given out anew: what was remembered by slot is void then.</summary>
    public int Generation { get; private set; }

    /// <summary>The labels of a slot of the latest result.</summary>
    public Labels Labels(int slot) => _plan!.Node.Slots[slot];

    /// <summary>
    /// The value at a time, in milliseconds since 1970 UTC; a scalar is one element without labels. False where samples are needed that
    /// are not at hand: then ask the engine.
    /// </summary>
    /// <exception cref="PromQLException">It cannot be evaluated on this data.</exception>
    public bool TryEvaluate(long time, List<StandingPoint> result, CancellationToken cancellation)
    {
        result.Clear();
        // What is remembered only goes forward.
        if (_plan is null || time < _plan.Time || _plan.Sources.IsWorn)
            (_plan, Generation) = (new Plan(_expr, _source, _options, time), Generation + 1);
        if (!_canStand || !_plan.IsAtHand(time))
            return false;
        try
        {
            foreach (var (slot, value) in _plan.At(time, cancellation))
                result.Add(new(slot, value));
            return true;
        }
        catch
        {
            // Half of its nodes may have gone on.
            _plan = null;
            throw;
        }
    }

    // A fixed time is ever further back; and what a subquery has worked out may change when a sample comes late.
    static bool CanStand(Expr expr) => expr switch
    {
        VectorSelector selector => selector.Shift.At?.Anchor != AtAnchor.Time,
        SubqueryExpr => false,
        _ => expr.Children.All(CanStand),
    };

    sealed class Plan
    {
        readonly QueryTimes _times;
        readonly Budget _budget;
        readonly IReadOnlyList<(LiveSelection Selection, long Back)> _reads;

        public Plan(Expr expr, ILiveSeriesSource source, PromQLOptions options, long time)
        {
            _times = new QueryTimes(time, time, 0);
            _budget = new Budget(options.MaxSamples, default);
            Time = time;
            Sources = new LiveSources(source, _times, options.LookbackMilliseconds);
            var planner = new Planner(Sources, _times, options, _budget);
            Node = expr.Type == ExprType.Scalar ? new ToVectorNode(planner.Scalar(expr)) : planner.Vector(expr);
            _reads = [.. SelectorRead.Of(expr, _times, options).Select(r => (source.Open(r.Selector.Matchers), time - r.After))];
        }

        public long Time { get; private set; }

        public LiveSources Sources { get; }

        public VectorNode Node { get; }

        public bool IsAtHand(long time) => _reads.All(r => time - r.Back >= r.Selection.CompleteFrom());

        public ReadOnlySpan<Point> At(long time, CancellationToken cancellation)
        {
            Time = time;
            _times.MoveTo(time);
            _budget.Renew(cancellation);
            return Node.At(time);
        }
    }
}
