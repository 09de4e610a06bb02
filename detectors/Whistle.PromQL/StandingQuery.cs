using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>One element of a standing query's result; the slot says whose, see <see cref="StandingQuery.Labels"/>.</summary>
public readonly record struct StandingPoint(int Slot, double Value);

/// <summary>
/// Standing queries that are evaluated one after the other at the same times, as the rules of a group are. They share series and windows,
/// and what the first of them reads at a time is what the others read.
/// </summary>
public sealed class StandingGroup(ILiveSeriesSource source, PromQLOptions? options = null)
{
    readonly Dictionary<string, SharedSelector> _selectors = [];
    readonly Dictionary<(string Selector, long Offset, long Range), CounterWindows> _counters = [];

    internal ILiveSeriesSource Source => source;

    internal PromQLOptions Options { get; } = options ?? new PromQLOptions();

    internal SharedLabels Shared { get; private set; } = new();

    internal int Version { get; private set; }

    /// <summary>Changes when everything starts again.</summary>
    internal int Generation { get; private set; }

    /// <exception cref="PromQLException">The expression is no scalar and no instant vector.</exception>
    public StandingQuery Add(Expr expr) => new(expr, this);

    /// <summary>Something was written that they may read: the time may be the same, what is read is not.</summary>
    public void Changed() => Version++;

    /// <summary>
    /// Whether a series of the selector that carries all these labels has a newest sample in (after, upTo] and has not ended with it.
    /// </summary>
    public bool IsAnyLive(IReadOnlyList<LabelMatcher> matchers, Labels labels, long after, long upTo) =>
        Selector(matchers).IsAnyLive(labels, after, upTo);

    internal SharedSelector Selector(IReadOnlyList<LabelMatcher> matchers)
    {
        var key = string.Join(',', matchers);
        if (!_selectors.TryGetValue(key, out var selector))
            _selectors.Add(key, selector = new SharedSelector(source.Open(matchers), this, matchers));
        return selector;
    }

    internal CounterWindows Counters(IReadOnlyList<LabelMatcher> matchers, long offset, long range)
    {
        var key = (string.Join(',', matchers), offset, range);
        if (!_counters.TryGetValue(key, out var windows))
            _counters.Add(key, windows = new CounterWindows(this, matchers, range));
        return windows;
    }

    /// <summary>Starts again if most of its series have ended.</summary>
    internal void Renew()
    {
        if (_selectors.Values.Sum(s => s.Selection.Ended) <= 100 + (_selectors.Values.Sum(s => s.Selection.Count) / 2))
            return;
        _selectors.Clear();
        Shared = new SharedLabels();
        foreach (var windows in _counters.Values)
            windows.Renew();
        Generation++;
    }
}

/// <summary>
/// An expression that is evaluated again and again as time passes: a rule. What follows from labels (series, groups, matches) is worked
/// out once a series, and ranges slide, so that an evaluation costs what is new. Gives the same values as
/// <see cref="PromQLEngine.InstantAsync(Expr, long, CancellationToken)"/>. For one caller at a time.
/// </summary>
public sealed class StandingQuery
{
    readonly Expr _expr;
    readonly StandingGroup _group;
    readonly bool _canStand;
    Plan? _plan;

    internal StandingQuery(Expr expr, StandingGroup group)
    {
        if (expr.Type is not (ExprType.Scalar or ExprType.Vector))
            throw new PromQLException(
                PromQLErrorKind.BadData, $"a standing query needs a scalar or an instant vector, not {Parser.Name(expr.Type)}");
        (_expr, _group, _canStand) = (expr, group, CanStand(expr));
    }

    /// <summary>The labels of a slot of the latest result.</summary>
    public Labels Labels(int slot) => _plan!.Node.Slots[slot];

    /// <summary>
    /// The value at a time, in milliseconds since 1970 UTC; a scalar is one element without labels. False where samples are needed that
    /// are not at hand: then ask the engine.
    /// </summary>
    /// <exception cref="PromQLException">It cannot be evaluated on this data.</exception>
    public async ValueTask<bool> TryEvaluateAsync(long time, List<StandingPoint> result, CancellationToken cancellation)
    {
        result.Clear();
        if (!_canStand)
            return false;
        using var matching = MatchingBudget.Start(_group.Options.MaxMatchingSteps, cancellation);
        try
        {
            return await EvaluateAsync(time, result, cancellation);
        }
        catch (MatchingException e)
        {
            throw PromQLException.Execution(e.Message);
        }
    }

    async ValueTask<bool> EvaluateAsync(long time, List<StandingPoint> result, CancellationToken cancellation)
    {
        _group.Renew();
        // What is remembered only goes forward.
        if (_plan is null || time < _plan.Time || _plan.Generation != _group.Generation)
            _plan = new Plan(_expr, _group, time);
        if (!_plan.IsAtHand(time))
            return false;
        try
        {
            await _plan.PrepareAsync(time, cancellation);
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

    // A fixed time is ever further back; what a subquery has worked out may change when a
    // sample comes late; and ever new values make ever new labels.
    static bool CanStand(Expr expr) => expr switch
    {
        VectorSelector selector => selector.Shift.At?.Anchor != AtAnchor.Time,
        SubqueryExpr => false,
        AggregateExpr { Aggregation.Name: "count_values" } => false,
        _ => expr.Children.All(CanStand),
    };

    sealed class Plan
    {
        readonly QueryTimes _times;
        readonly Budget _budget;
        readonly LiveSources _sources;
        readonly IReadOnlyList<(LiveSelection Selection, long Back)> _reads;

        public Plan(Expr expr, StandingGroup group, long time)
        {
            _times = new QueryTimes(time, time, 0);
            _budget = new Budget(group.Options.MaxSamples, default);
            (Time, Generation) = (time, group.Generation);
            _sources = new LiveSources(group, _times, group.Options.LookbackMilliseconds);
            var planner = new Planner(_sources, _times, group.Options, _budget);
            Node = expr.Type == ExprType.Scalar ? new ToVectorNode(planner.Scalar(expr)) : planner.Vector(expr);
            _reads = [.. SelectorRead.Of(expr, _times, group.Options).Where(r => _sources.NeedsHead(r.Selector))
                .Select(r => (group.Selector(r.Selector.Matchers).Selection, time - r.After))];
        }

        public long Time { get; private set; }

        public int Generation { get; }

        public VectorNode Node { get; }

        public bool IsAtHand(long time) => _reads.All(r => time - r.Back >= r.Selection.CompleteFrom());

        public ValueTask PrepareAsync(long time, CancellationToken cancellation)
        {
            Time = time;
            _times.MoveTo(time);
            return _sources.PrepareAsync(time, cancellation);
        }

        public ReadOnlySpan<Point> At(long time, CancellationToken cancellation)
        {
            _budget.Renew(cancellation);
            return Node.At(time);
        }
    }
}
