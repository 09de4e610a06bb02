namespace Whistle.Telemetry;

/// <summary>One measurement; the time is in milliseconds since 1970 UTC.</summary>
public readonly record struct Sample(long Time, double Value);

/// <summary>Takes samples one by one, in time order.</summary>
public interface ISampleSink
{
    void Add(long time, double value);
}

/// <summary>A series with samples in time order.</summary>
public sealed record TimeSeries(Labels Labels, IReadOnlyList<Sample> Samples);

/// <summary>A series that its maker writes to again and again.</summary>
public sealed class RecordedSeries(Labels labels)
{
    public Labels Labels => labels;

    /// <summary>What the log found for the labels, so that it need not look again. Only the log touches it.</summary>
    public object? Handle { get; set; }
}

/// <summary>What the server itself measured or worked out; the time is in milliseconds since 1970 UTC.</summary>
public readonly record struct RecordedSample(RecordedSeries Series, long Time, double Value);

/// <summary>
/// What a selection from head or store yields: parallel arrays in time order, each time once.
/// Staleness markers are among the values.
/// </summary>
public sealed record SeriesSamples(Labels Labels, long[] Times, double[] Values);

/// <summary>
/// Prometheus's staleness marker: a NaN of its own, written when a series ends. Compare bits, never values.
/// </summary>
public static class StaleMarker
{
    public const ulong Bits = 0x7ff0000000000002;

    public static readonly double Value = BitConverter.UInt64BitsToDouble(Bits);

    public static bool Is(double value) => BitConverter.DoubleToUInt64Bits(value) == Bits;
}
