using Whistle.Telemetry;

namespace Whistle.PromQL;

public readonly record struct VectorSample(Labels Labels, double Value);

/// <summary>The result of a query. Times are milliseconds since 1970 UTC.</summary>
public abstract record QueryValue;

public sealed record ScalarValue(long Time, double Value) : QueryValue;

public sealed record StringValue(long Time, string Value) : QueryValue;

/// <summary>All samples are at the one time. The order means something only after sort, sort_desc, topk and bottomk.</summary>
public sealed record VectorValue(long Time, IReadOnlyList<VectorSample> Samples) : QueryValue;

/// <summary>Series in the order of their labels, each with at least one point.</summary>
public sealed record MatrixValue(IReadOnlyList<SeriesSamples> Series) : QueryValue;
