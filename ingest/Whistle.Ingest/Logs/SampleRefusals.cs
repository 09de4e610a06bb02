using Whistle.Telemetry;

namespace Whistle.Ingest.Logs;

/// <summary>Why a sample of a request can never be stored, in words for its sender.</summary>
static class SampleRefusals
{
    // A sender whose labels are bad throughout is answered early.
    public const int MaxBadSeries = 100;

    public const string TooOld = "too_old";
    public const string TooNew = "too_new";

    public static string OfOld(ReadOnlySpan<byte> encoded, long at, TelemetryLogOptions options) =>
        $"The sample of {Name(encoded, options.LabelLimits)} at {Time(at)} is more than {options.MaxPast.TotalHours:0.#} h old; "
        + "older samples are refused.";

    public static string OfNew(ReadOnlySpan<byte> encoded, long at, TelemetryLogOptions options) =>
        $"The sample of {Name(encoded, options.LabelLimits)} at {Time(at)} is more than {options.MaxFuture.TotalMinutes:0.#} min in the "
        + "future; check the clock of the sender.";

    /// <exception cref="RemoteWriteException">The request has more samples than one may.</exception>
    public static void CheckCount(int samples, int most)
    {
        if (samples > most)
            throw new RemoteWriteException(
                RemoteWriteErrorReason.TooLarge,
                $"The request has more than {most} samples. Send fewer samples at once (max_samples_per_send).");
    }

    static string Name(ReadOnlySpan<byte> encoded, LabelLimits limits)
    {
        try
        {
            return LabelsCodec.Decode(encoded, limits).ToString();
        }
        catch (RemoteWriteException)
        {
            return "a series whose labels are not valid either";
        }
    }

    static string Time(long milliseconds) => milliseconds is > -62_135_596_800_000 and < 253_402_300_799_999
        ? DateTimeOffset.FromUnixTimeMilliseconds(milliseconds).ToString("u")
        : $"{milliseconds} ms";
}
