using System.IO.Hashing;

using Whistle.Ingest.Heads;
using Whistle.Ingest.Series;
using Whistle.Inventory;
using Whistle.State.Files;
using Whistle.Telemetry;

namespace Whistle.Ingest.Logs;

/// <summary>
/// Turns a request body into samples of head series. A series is found by a keyed hash over its encoded labels, so that
/// labels are decoded, checked and stamped only when they are first seen.
/// </summary>
sealed class SeriesResolver(Head head, TelemetryLogOptions options, TimeProvider time)
{
    [ThreadStatic]
    static WriteRequestScratch? _scratch;

    /// <exception cref="RemoteWriteException">The body can never be taken; nothing of it was staged.</exception>
    /// <exception cref="StoreException">A new series cannot be counted; nothing of it was staged.</exception>
    /// <param name="receivedAt">When the body was received, which says what of it is too old; null for now.</param>
    /// <returns>How many native histograms were passed over.</returns>
    public int Decode(
        Sender sender, RemoteWriteVersion version, ReadOnlySpan<byte> body, StagedWrite write, DateTimeOffset? receivedAt = null)
    {
        var now = (receivedAt ?? time.GetUtcNow()).ToUnixTimeMilliseconds();
        var oldest = now - (long)options.MaxPast.TotalMilliseconds;
        var newest = now + (long)options.MaxFuture.TotalMilliseconds;
        var badSeries = 0;
        var latest = long.MinValue;
        var reader = new WriteRequestReader(body, version, _scratch ??= new WriteRequestScratch());
        while (reader.ReadSeries())
        {
            // Only a sample that can be stored makes a series.
            var (series, refusal) = (default(HeadSeries), default(Refusal));
            while (reader.ReadSample(out var sample))
            {
                if (sample.Time < oldest)
                    write.Refuse(SampleRefusals.TooOld, write.Reason ?? SampleRefusals.OfOld(reader.Key, sample.Time, options));
                else if (sample.Time > newest)
                    write.Refuse(SampleRefusals.TooNew, write.Reason ?? SampleRefusals.OfNew(reader.Key, sample.Time, options));
                else if (series is not null
                    || (refusal is null && TryResolve(sender, reader.Key, write, ref badSeries, out series, out refusal)))
                {
                    Add(sender, series!, sample, write);
                    latest = Math.Max(latest, sample.Time);
                }
                else
                    write.Refuse(refusal!.Reason, refusal.Message);
            }
        }

        if (sender.Node is null && latest > long.MinValue)
            write.AddProof(Known(sender.Report, isProof: true), Math.Min(latest, now), 1);
        return reader.Histograms;
    }

    public void Add(IReadOnlyList<RecordedSample> recorded, StagedWrite write)
    {
        foreach (var (series, at, value) in recorded)
        {
            write.Add(Known(series), at, value);
        }
    }

    // What the server records itself is found by its labels, as no encoding leads to it, and then known.
    HeadSeries Known(RecordedSeries series, bool isProof = false)
    {
        if (series.Handle is not HeadSeries { Evicted: false } known)
            series.Handle = known = Own(series.Labels, isProof);
        return known;
    }

    HeadSeries Own(Labels labels, bool isProof)
    {
        var series = head.GetOrAdd(UInt128.Zero, Sender.Server.Stamp(labels), limited: false)!;
        series.IsProof |= isProof;
        return series;
    }

    // Another sender may write the same series, but not its proof.
    static void Add(Sender sender, HeadSeries series, Sample sample, StagedWrite write)
    {
        write.Add(series, sample.Time, sample.Value);
        if (series.IsRenamed)
            write.Renamed++;
        if (sender.Node is not null && series.Proof is { } proof)
            write.AddProof(proof, sample.Time, sample.Value);
    }

    bool TryResolve(
        Sender sender, ReadOnlySpan<byte> encoded, StagedWrite write, ref int badSeries, out HeadSeries? series, out Refusal? refusal)
    {
        refusal = null;
        var key = XxHash128.HashToUInt128(encoded, sender.KeySeed);
        if (head.TryGet(key, out series))
            return true;
        write.Charge(HeadSeries.Cost(encoded.Length));
        try
        {
            var labels = LabelsCodec.Decode(encoded, options.LabelLimits);
            series = head.GetOrAdd(key, sender.Stamp(labels), out var reached);
            if (series is null)
                refusal = Refusal.OfLimit(labels, reached!);
            else
                Mark(series, sender);
        }
        catch (RemoteWriteException e) when (++badSeries <= SampleRefusals.MaxBadSeries)
        {
            refusal = new Refusal(e.Reason.ToMetricLabel(), e.Message);
        }

        return series is not null;
    }

    // An evicted proof comes back when it is staged.
    void Mark(HeadSeries series, Sender sender)
    {
        series.IsRenamed = ReservedMetrics.IsRenamed(series.Labels.Name);
        if (sender.Node is not null && series.Proof is null && ReservedMetrics.ProofOf(series.Labels.Name) is { } proof)
            series.Proof = Own(series.Labels.With(Labels.MetricName, proof), isProof: true);
    }

    sealed record Refusal(string Reason, string Message)
    {
        public static Refusal OfLimit(Labels labels, LimitReached reached) =>
            new(reached.Reason, $"The series {labels} is new, and {reached}. Samples of known series were stored.");
    }
}
