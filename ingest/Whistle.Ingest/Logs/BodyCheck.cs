using System.Collections.Concurrent;
using System.IO.Hashing;
using System.Security.Cryptography;

using Whistle.Telemetry;

namespace Whistle.Ingest.Logs;

/// <summary>
/// Reads a body as <see cref="SeriesResolver"/> will in another process, so that its sender hears what can never be stored. Limits of a
/// tenant's series are known there alone.
/// </summary>
sealed class BodyCheck(TelemetryLogOptions options)
{
    // Keys of labels that were checked. Two halves: when one is full, the other is forgotten.
    const int KeysOfHalf = 200_000;

    [ThreadStatic]
    static WriteRequestScratch? _scratch;

    readonly long _seed = BitConverter.ToInt64(RandomNumberGenerator.GetBytes(8));
    ConcurrentDictionary<UInt128, bool> _young = new();
    ConcurrentDictionary<UInt128, bool> _old = new();

    /// <param name="receivedAt">What the other process will be told too: it says what is too old.</param>
    /// <exception cref="RemoteWriteException">The body can never be taken.</exception>
    /// <returns>How many samples can be stored, and why the others cannot.</returns>
    public AppendResult Read(RemoteWriteVersion version, ReadOnlySpan<byte> message, DateTimeOffset receivedAt)
    {
        var now = receivedAt.ToUnixTimeMilliseconds();
        var oldest = now - (long)options.MaxPast.TotalMilliseconds;
        var newest = now + (long)options.MaxFuture.TotalMilliseconds;
        var (taken, refused, badSeries) = (0, 0, 0);
        string? reason = null;
        var reader = new WriteRequestReader(message, version, _scratch ??= new WriteRequestScratch());
        while (reader.ReadSeries())
        {
            var (isChecked, fault) = (false, default(string));
            while (reader.ReadSample(out var sample))
            {
                if (sample.Time < oldest)
                    Refuse(ref reason, reason ?? SampleRefusals.OfOld(reader.Key, sample.Time, options));
                else if (sample.Time > newest)
                    Refuse(ref reason, reason ?? SampleRefusals.OfNew(reader.Key, sample.Time, options));
                else
                {
                    if (!isChecked)
                        (isChecked, fault) = (true, Fault(reader.Key, ref badSeries));
                    if (fault is not null)
                        Refuse(ref reason, fault);
                    else
                        SampleRefusals.CheckCount(++taken, options.MaxSamplesPerRequest);
                }
            }
        }

        return new AppendResult(taken, refused, 0, reason);

        void Refuse(ref string? first, string why)
        {
            refused++;
            first ??= why;
        }
    }

    string? Fault(ReadOnlySpan<byte> encoded, ref int badSeries)
    {
        var key = XxHash128.HashToUInt128(encoded, _seed);
        if (_young.ContainsKey(key) || _old.ContainsKey(key))
            return null;
        try
        {
            LabelsCodec.Decode(encoded, options.LabelLimits);
        }
        catch (RemoteWriteException e) when (++badSeries <= SampleRefusals.MaxBadSeries)
        {
            return e.Message;
        }

        if (_young.Count >= KeysOfHalf)
            (_old, _young) = (_young, new());
        _young[key] = true;
        return null;
    }
}
