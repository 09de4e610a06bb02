using System.Collections.Frozen;

using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary><paramref name="Parameter"/> is the type of the first argument where there are two.</summary>
sealed record AggregationDefinition(string Name, ExprType? Parameter, Func<AggregateExpr, Planner, VectorNode> Plan);

/// <summary>The aggregation operators by name. A new one is one entry here.</summary>
static class Aggregations
{
    static readonly FrozenDictionary<string, AggregationDefinition> All = new[]
    {
        Simple<SumAccumulator>("sum"),
        Simple<MeanAccumulator>("avg"),
        Simple<MinAccumulator>("min"),
        Simple<MaxAccumulator>("max"),
        Simple<CountAccumulator>("count"),
        Simple<GroupAccumulator>("group"),
        Simple<VarianceAccumulator>("stdvar"),
        Simple<DeviationAccumulator>("stddev"),
        new(
            "quantile", ExprType.Scalar,
            static (e, p) => AggregateNode<QuantileAccumulator>.Of(e, p.Vector(e.Operand), p.Scalar(e.Parameter!))),
        new("topk", ExprType.Scalar, static (e, p) => new TopNode(e, p.Vector(e.Operand), p.Scalar(e.Parameter!), largest: true)),
        new("bottomk", ExprType.Scalar, static (e, p) => new TopNode(e, p.Vector(e.Operand), p.Scalar(e.Parameter!), largest: false)),
        new("limitk", ExprType.Scalar, static (e, p) => new LimitNode(e, p.Vector(e.Operand), p.Scalar(e.Parameter!))),
        new("limit_ratio", ExprType.Scalar, static (e, p) => new LimitRatioNode(p.Vector(e.Operand), p.Scalar(e.Parameter!))),
        new(
            "count_values", ExprType.Text,
            static (e, p) => CountValuesNode.Of(e, p.Vector(e.Operand), Planner.Text(e.Parameter!), p.Budget)),
    }.ToFrozenDictionary(static a => a.Name, StringComparer.OrdinalIgnoreCase);

    public static AggregationDefinition? Find(string name) => All.GetValueOrDefault(name);

    /// <summary>The labels of a group, from those of one of its members.</summary>
    public static Func<Labels, Labels> GroupOf(AggregateExpr expr, params ReadOnlySpan<string> more)
    {
        var names = expr.Grouping.ToHashSet();
        foreach (var name in more)
            names.Add(name);
        if (!expr.Without)
            return labels => LabelSets.Keep(labels, names);
        names.Add(Labels.MetricName);
        return labels => LabelSets.Drop(labels, names);
    }

    /// <summary>A count that a query gives: cut to a whole number.</summary>
    public static double Limit(AggregateExpr expr, double given) => double.IsNaN(given) || given >= long.MaxValue
        ? throw PromQLException.Execution($"the parameter of {expr.Name} is {given}, which is no 64-bit integer") : Math.Truncate(given);

    static AggregationDefinition Simple<T>(string name)
        where T : struct, IAccumulator =>
        new(name, null, static (e, p) => AggregateNode<T>.Of(e, p.Vector(e.Operand), null));
}
