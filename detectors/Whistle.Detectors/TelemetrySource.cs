using Whistle.Ingest;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors;

/// <summary>Lets the engine read head and store.</summary>
public sealed class TelemetrySource(TelemetryReader reader) : ISeriesSource
{
    public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        return ValueTask.FromResult(reader.Select(matchers, minTime, maxTime));
    }
}
