using System.IO.Hashing;

using Whistle.Telemetry;

namespace Whistle.Ingest;

/// <summary>
/// Turns a request body into samples of head series. A series is found by a keyed hash over its encoded labels, so that
/// labels are decoded, checked and stamped only when they are first seen.
/// </summary>
sealed class SeriesResolver(Head head, TelemetryLogOptions options, TimeProvider time)
{
    // A sender whose labels are bad throughout is answered early.
    const int MaxBadSeries = 100;

    [ThreadStatic]
    static WriteRequestScratch? s_scratch;

    /// <exception cref="RemoteWriteException">The body can never be taken; nothing of it was staged.</exception>
    /// <returns>How many native histograms were passed over.</returns>
    public int Decode(Sender sender, RemoteWriteVersion version, ReadOnlySpan<byte> body, StagedWrite write)
    {
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        var oldest = now - (long)options.MaxPast.TotalMilliseconds;
        var newest = now + (long)options.MaxFuture.TotalMilliseconds;
        var badSeries = 0;
        var reader = new WriteRequestReader(body, version, s_scratch ??= new WriteRequestScratch());
        while (reader.ReadSeries())
        {
            var (series, refusal) = Resolve(sender, reader.Key, ref badSeries);
            while (reader.ReadSample(out var sample))
            {
                if (series is null)
                    write.Refuse(refusal!.Reason, refusal.Message);
                else if (sample.Time < oldest)
                    RefuseOld(write, series, sample.Time);
                else if (sample.Time > newest)
                    RefuseNew(write, series, sample.Time);
                else
                    write.Add(series, sample.Time, sample.Value);
            }
        }

        return reader.Histograms;
    }

    public void Add(IReadOnlyList<TimeSeries> recorded, StagedWrite write)
    {
        foreach (var (labels, samples) in recorded)
        {
            // The server's own records are few; they are found by their labels, no encoding leads to them.
            var series = head.GetOrAdd(UInt128.Zero, Sender.Server.Stamp(labels));
            foreach (var sample in samples)
            {
                if (series is null)
                    write.Refuse(StagedWrite.OverLimit, Refusal.OfLimit(labels).Message);
                else
                    write.Add(series, sample.Time, sample.Value);
            }
        }
    }

    (HeadSeries? Series, Refusal? Refusal) Resolve(Sender sender, ReadOnlySpan<byte> encoded, ref int badSeries)
    {
        var key = XxHash128.HashToUInt128(encoded, sender.KeySeed);
        if (head.TryGet(key, out var known))
            return (known, null);
        try
        {
            var labels = LabelsCodec.Decode(encoded, options.LabelLimits);
            var series = head.GetOrAdd(key, sender.Stamp(labels));
            return (series, series is null ? Refusal.OfLimit(labels) : null);
        }
        catch (RemoteWriteException e) when (++badSeries <= MaxBadSeries)
        {
            return (null, new Refusal(e.Reason.ToMetricLabel(), e.Message));
        }
    }

    void RefuseOld(StagedWrite write, HeadSeries series, long at) => write.Refuse("too_old",
        $"The sample of {series.Labels} at {Time(at)} is more than {options.MaxPast.TotalHours:0.#} h old, which is as late as a sample may come.");

    void RefuseNew(StagedWrite write, HeadSeries series, long at) => write.Refuse("too_new",
        $"The sample of {series.Labels} at {Time(at)} is more than {options.MaxFuture.TotalMinutes:0.#} min in the future; check the clock of the sender.");

    static string Time(long milliseconds) => milliseconds is > -62_135_596_800_000 and < 253_402_300_799_999
        ? DateTimeOffset.FromUnixTimeMilliseconds(milliseconds).ToString("u")
        : $"{milliseconds} ms";

    sealed record Refusal(string Reason, string Message)
    {
        public static Refusal OfLimit(Labels labels) => new(StagedWrite.OverLimit,
            $"The series {labels} is new, and its tenant has as many as it may have; samples of known series were stored. Drop labels of many values, or raise the limit.");
    }
}
