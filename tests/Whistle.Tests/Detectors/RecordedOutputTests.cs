using Whistle.Detectors.Evaluation;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Detectors;

public sealed class RecordedOutputTests
{
    static readonly Labels Series = Labels.OfMetric("m");

    [Fact]
    public void What_is_not_written_again_is_ended_until_its_end_is_durable()
    {
        var output = new RecordedOutput();

        Assert.False(StaleMarker.Is(Assert.Single(Evaluate(output, present: true)).Value));
        Assert.True(StaleMarker.Is(Assert.Single(Evaluate(output, present: false)).Value));
        Assert.True(StaleMarker.Is(Assert.Single(Evaluate(output, present: false)).Value));
        output.Settle();
        Assert.Empty(Evaluate(output, present: false));
        Assert.Null(output.Find(Series));
    }

    static List<RecordedSample> Evaluate(RecordedOutput output, bool present)
    {
        List<RecordedSample> samples = [];
        output.Begin();
        if (present)
            output.Add(output.Find(Series) ?? output.Open(Series, Series), 0, 1, samples);
        output.End(0, samples);
        return samples;
    }
}
