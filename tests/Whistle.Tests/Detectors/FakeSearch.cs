using Whistle.Detectors.Http;
using Whistle.Ingest.Stores;
using Whistle.Telemetry;

namespace Whistle.Tests.Detectors;

/// <summary>Answers every question about labels alike.</summary>
sealed class FakeSearch(Func<AnswerLimit, CancellationToken, Found<string>> answer) : ISeriesSearch
{
    public Found<Labels> Series(SeriesScope scope, AnswerLimit limit, CancellationToken cancellation)
    {
        var found = answer(limit, cancellation);
        return new([.. found.Items.Select(i => Labels.OfMetric(i))], found.IsCut);
    }

    public Found<string> LabelNames(SeriesScope scope, AnswerLimit limit, CancellationToken cancellation) => answer(limit, cancellation);

    public Found<string> LabelValues(string name, SeriesScope scope, AnswerLimit limit, CancellationToken cancellation) =>
        answer(limit, cancellation);
}
