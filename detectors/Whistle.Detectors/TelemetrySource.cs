using Whistle.Detectors.Http;
using Whistle.Ingest.Heads;
using Whistle.Ingest.Stores;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors;

/// <summary>Lets the engine and the API read head and store.</summary>
sealed class TelemetrySource(TelemetryReader reader) : ILiveSeriesSource, ISeriesSearch
{
    public Found<Labels> Series(SeriesScope scope, AnswerLimit limit, CancellationToken cancellation) =>
        reader.Series(scope, limit, cancellation);

    public Found<string> LabelNames(SeriesScope scope, AnswerLimit limit, CancellationToken cancellation) =>
        reader.LabelNames(scope, limit, cancellation);

    public Found<string> LabelValues(string name, SeriesScope scope, AnswerLimit limit, CancellationToken cancellation) =>
        reader.LabelValues(name, scope, limit, cancellation);

    public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        return ValueTask.FromResult(reader.Select(matchers, minTime, maxTime));
    }

    public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<int> loaded, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        return ValueTask.FromResult(reader.Select(matchers, minTime, maxTime, count =>
        {
            cancellation.ThrowIfCancellationRequested();
            loaded(count);
        }));
    }

    public TimeSpan Kept => reader.Kept;

    public LiveSelection Open(IReadOnlyList<LabelMatcher> matchers) => Live(reader.Open(matchers));

    internal static LiveSelection Live(HeadSelection selection) => new HeadLiveSelection(selection);

    sealed class HeadLiveSelection(HeadSelection selection) : LiveSelection
    {
        public override int Count => selection.Count;

        public override int Ended => selection.Ended;

        public override Labels this[int series] => selection[series];

        public override long CompleteFrom() => selection.CompleteFrom();

        public override void Refresh() => selection.Refresh();

        public override bool TryLatest(int series, long after, long upTo, out Sample sample) =>
            selection.TryLatest(series, after, upTo, out sample);

        public override int Read(int series, long after, long upTo, SampleWindow into) => selection.Read(series, after, upTo, into);
    }
}
