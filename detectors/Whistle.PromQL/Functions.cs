using System.Collections.Frozen;

namespace Whistle.PromQL;

/// <summary>
/// The last of the <paramref name="Parameters"/> repeats where <paramref name="IsVariadic"/>, and the last
/// <paramref name="Optional"/> may be left out. <paramref name="Plan"/> makes a <see cref="ScalarNode"/> or a
/// <see cref="VectorNode"/>, as <paramref name="Returns"/> says.
/// </summary>
sealed record FunctionDefinition(
    string Name, ExprType Returns, ExprType[] Parameters, Func<CallExpr, Planner, object> Plan, int Optional = 0, bool IsVariadic = false);

/// <summary>The functions by name. A new one is one entry here.</summary>
static class Functions
{
    const ExprType Scalar = ExprType.Scalar;
    const ExprType Vector = ExprType.Vector;
    const ExprType Matrix = ExprType.Matrix;
    const ExprType String = ExprType.Text;

    static readonly FrozenDictionary<string, FunctionDefinition> All = new[]
    {
        // Of the samples of a range.
        Counter("rate", static (w, _) => Rates.Extrapolated(w, isCounter: true, perSecond: true)),
        Counter("increase", static (w, _) => Rates.Extrapolated(w, isCounter: true, perSecond: false)),
        Range("delta", static (w, _) => Rates.Extrapolated(w, isCounter: false, perSecond: false)),
        Range("irate", static (w, _) => Rates.Instant(w, isRate: true)),
        Range("idelta", static (w, _) => Rates.Instant(w, isRate: false)),
        Counter("resets", static (w, _) => Rates.Resets(w.Values)),
        Range("changes", static (w, _) => Rates.Changes(w.Values)),
        Range("deriv", static (w, _) => Regression.Slope(w)),
        Range("predict_linear", static (w, s) => Regression.Predict(w, s[0]), [Matrix, Scalar]),
        Range("sum_over_time", static (w, _) => OverTime.Sum(w.Values)),
        Range("avg_over_time", static (w, _) => OverTime.Mean(w.Values)),
        Range("min_over_time", static (w, _) => OverTime.Extreme(w.Values, -1)),
        Range("max_over_time", static (w, _) => OverTime.Extreme(w.Values, 1)),
        Range("count_over_time", static (w, _) => w.Count),
        Range("present_over_time", static (w, _) => 1),
        Range("stdvar_over_time", static (w, _) => OverTime.Variance(w.Values)),
        Range("stddev_over_time", static (w, _) => Math.Sqrt(OverTime.Variance(w.Values))),
        Range("quantile_over_time", static (w, s) => OverTime.Quantile(w.Values, s[0]), [Scalar, Matrix]),
        Range("last_over_time", static (w, _) => w.Values[^1], keepsName: true),
        Range("first_over_time", static (w, _) => w.Values[0], keepsName: true),
        Range("mad_over_time", static (w, _) => OverTime.MedianDeviation(w.Values)),
        Range("ts_of_last_over_time", static (w, _) => w.Times[^1] / 1000.0),
        Range("ts_of_first_over_time", static (w, _) => w.Times[0] / 1000.0),
        Range("ts_of_max_over_time", static (w, _) => w.Times[OverTime.LastExtreme(w.Values, 1)] / 1000.0),
        Range("ts_of_min_over_time", static (w, _) => w.Times[OverTime.LastExtreme(w.Values, -1)] / 1000.0),
        Range("double_exponential_smoothing", static (w, s) => OverTime.Smoothed(w.Values, s[0], s[1]), [Matrix, Scalar, Scalar]),
        new("absent_over_time", Vector, [Matrix], static (c, p) => new AbsentNode(c.Arguments[0], RangePresence(c, p))),

        // Of each value.
        Each("abs", static (v, _) => Math.Abs(v)),
        Each("ceil", static (v, _) => Math.Ceiling(v)),
        Each("floor", static (v, _) => Math.Floor(v)),
        Each("round", static (v, s) => Elementwise.Round(v, s.Length == 0 ? 1 : s[0]), [Vector, Scalar], optional: 1),
        Each("clamp", static (v, s) => Elementwise.Clamp(v, s[0], s[1]), [Vector, Scalar, Scalar]),
        Each("clamp_min", static (v, s) => Elementwise.Clamp(v, s[0], double.PositiveInfinity), [Vector, Scalar]),
        Each("clamp_max", static (v, s) => Elementwise.Clamp(v, double.NegativeInfinity, s[0]), [Vector, Scalar]),
        Each("sgn", static (v, _) => double.IsNaN(v) || v == 0 ? v : Math.Sign(v)),
        Each("exp", static (v, _) => Math.Exp(v)),
        Each("sqrt", static (v, _) => Math.Sqrt(v)),
        Each("ln", static (v, _) => Math.Log(v)),
        Each("log2", static (v, _) => Math.Log2(v)),
        Each("log10", static (v, _) => Math.Log10(v)),
        Each("sin", static (v, _) => Math.Sin(v)),
        Each("cos", static (v, _) => Math.Cos(v)),
        Each("tan", static (v, _) => Math.Tan(v)),
        Each("asin", static (v, _) => Math.Asin(v)),
        Each("acos", static (v, _) => Math.Acos(v)),
        Each("atan", static (v, _) => Math.Atan(v)),
        Each("sinh", static (v, _) => Math.Sinh(v)),
        Each("cosh", static (v, _) => Math.Cosh(v)),
        Each("tanh", static (v, _) => Math.Tanh(v)),
        Each("asinh", static (v, _) => Math.Asinh(v)),
        Each("acosh", static (v, _) => Math.Acosh(v)),
        Each("atanh", static (v, _) => Math.Atanh(v)),
        Each("deg", static (v, _) => v * 180 / Math.PI),
        Each("rad", static (v, _) => v * Math.PI / 180),
        Date("minute", static d => d.Minute),
        Date("hour", static d => d.Hour),
        Date("day_of_week", static d => (int)d.DayOfWeek),
        Date("day_of_month", static d => d.Day),
        Date("day_of_year", static d => d.DayOfYear),
        Date("days_in_month", static d => DateTime.DaysInMonth(d.Year, d.Month)),
        Date("month", static d => d.Month),
        Date("year", static d => d.Year),

        // Of a vector as a whole.
        new("timestamp", Vector, [Vector], static (c, p) => new TimestampNode(p.Vector(c.Arguments[0]))),
        new("absent", Vector, [Vector], static (c, p) => new AbsentNode(c.Arguments[0], VectorPresence(c, p))),
        new("sort", Vector, [Vector], static (c, p) => new SortNode(p.Vector(c.Arguments[0]), _ => SortNode.ByValue(descending: false))),
        new(
            "sort_desc", Vector, [Vector],
            static (c, p) => new SortNode(p.Vector(c.Arguments[0]), _ => SortNode.ByValue(descending: true))),
        new("sort_by_label", Vector, [Vector, String], static (c, p) => ByLabels(c, p, descending: false), Optional: 1, IsVariadic: true),
        new(
            "sort_by_label_desc", Vector, [Vector, String], static (c, p) => ByLabels(c, p, descending: true), Optional: 1,
            IsVariadic: true),
        new("label_replace", Vector, [Vector, String, String, String, String], static (c, p) => LabelFunctions.Replace(c, p)),
        new(
            "label_join", Vector, [Vector, String, String, String], static (c, p) => LabelFunctions.Join(c, p), Optional: 1,
            IsVariadic: true),
        Histogram("histogram_quantile", [Scalar, Vector], static (b, s) => Quantiles.OfBuckets(s[0], b)),
        Histogram("histogram_fraction", [Scalar, Scalar, Vector], static (b, s) => Quantiles.Fraction(s[0], s[1], b)),

        // Between scalars and vectors.
        new("time", Scalar, [], static (_, _) => new ScalarFunctionNode(static t => t / 1000.0)),
        new("pi", Scalar, [], static (_, _) => new ConstantNode(Math.PI)),
        new("scalar", Scalar, [Vector], static (c, p) => ToScalar(p.Vector(c.Arguments[0]))),
        new("vector", Vector, [Scalar], static (c, p) => new ToVectorNode(p.Scalar(c.Arguments[0]))),
    }.ToFrozenDictionary(static f => f.Name, StringComparer.Ordinal);

    static readonly FrozenSet<string> NativeOnly =
        FrozenSet.Create("histogram_avg", "histogram_count", "histogram_sum", "histogram_stddev", "histogram_stdvar");

    /// <summary>Why a function of Prometheus is not one of these; null where it is none of Prometheus either.</summary>
    public static string? Missing(string name) => name switch
    {
        "info" => "info() is not supported: join with the info metric by * on (…) group_left (…)",
        "holt_winters" => "holt_winters is called double_exponential_smoothing since Prometheus 3",
        _ => NativeOnly.Contains(name)
            ? $"{name} reads native histograms, which are not supported: use histogram_quantile or histogram_fraction over classic buckets"
            : null,
    };

    public static IEnumerable<FunctionDefinition> Definitions => All.Values;

    public static FunctionDefinition? Find(string name) => All.GetValueOrDefault(name);

    /// <summary>For an error message: a function of similar name.</summary>
    public static string Suggest(string name)
    {
        var similar = All.Keys.Where(
            k => k.Contains(name, StringComparison.OrdinalIgnoreCase) || name.Contains(k, StringComparison.OrdinalIgnoreCase))
            .OrderBy(k => Math.Abs(k.Length - name.Length)).ThenBy(static k => k, StringComparer.Ordinal).FirstOrDefault();
        return similar is null ? "" : $": did you mean {similar}?";
    }

    static FunctionDefinition Range(string name, RangeFunction function, ExprType[]? parameters = null, bool keepsName = false) =>
        new(name, Vector, parameters ?? [Matrix], (c, p) =>
            new RangeFunctionNode(p.Range(c.Arguments.First(static a => a.Type == Matrix)), Scalars(c, p), function, keepsName, p));

    static FunctionDefinition Counter(string name, RangeFunction function) => new(name, Vector, [Matrix], (c, p) =>
        new RangeFunctionNode(p.CounterRange(c.Arguments[0]), [], function, keepsName: false, p));

    static FunctionDefinition Histogram(string name, ExprType[] parameters, HistogramFunction function) =>
        new(name, Vector, parameters, (c, p) => new HistogramNode(p.Vector(c.Arguments[^1]), Scalars(c, p), function));

    static SortNode ByLabels(CallExpr call, Planner planner, bool descending) =>
        new(planner.Vector(call.Arguments[0]), SortNode.ByLabels([.. call.Arguments.Skip(1).Select(Planner.Text)], descending));

    static FunctionDefinition Each(string name, SampleFunction function, ExprType[]? parameters = null, int optional = 0) =>
        new(name, Vector, parameters ?? [Vector], (c, p) => new EachNode(p.Vector(c.Arguments[0]), Scalars(c, p), function), optional);

    static FunctionDefinition Date(string name, Func<DateTime, int> part) =>
        new(name, Vector, [Vector], (c, p) =>
        {
            var of = c.Arguments.Count > 0 ? p.Vector(c.Arguments[0]) : new ToVectorNode(new ScalarFunctionNode(static t => t / 1000));
            return new EachNode(of, [], (v, _) => Elementwise.DatePart(v, part));
        }, Optional: 1);

    static ScalarNode[] Scalars(CallExpr call, Planner planner) =>
        [.. call.Arguments.Where(static a => a.Type == Scalar).Select(planner.Scalar)];

    static ScalarFunctionNode ToScalar(VectorNode vector) =>
        new(t => vector.At(t) is [var point] ? point.Value : double.NaN);

    static Func<long, bool> VectorPresence(CallExpr call, Planner planner)
    {
        var vector = planner.Vector(call.Arguments[0]);
        return t => !vector.At(t).IsEmpty;
    }

    static Func<long, bool> RangePresence(CallExpr call, Planner planner)
    {
        var range = planner.Range(call.Arguments[0]);
        return t =>
        {
            var any = false;
            range.MoveTo(t);
            for (var slot = 0; slot < range.Slots.Count; slot++)
                any |= range.Window(slot).Count > 0;
            return any;
        };
    }
}
