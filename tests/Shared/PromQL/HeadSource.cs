using Whistle.Detectors;
using Whistle.Ingest;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Fixtures;

/// <summary>A head alone, without the store behind it.</summary>
sealed class HeadSource(Head head) : ILiveSeriesSource
{
    public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation) => new(head.Select(matchers, minTime, maxTime));

    public LiveSelection Open(IReadOnlyList<LabelMatcher> matchers) => TelemetrySource.Live(head.Open(matchers));
}
