using System.Diagnostics.CodeAnalysis;

namespace Whistle.Telemetry;

/// <summary>
/// Walks a remote-write message series by series, sample by sample, without an allocation. The protobuf structure is checked as it is
/// walked; labels are not: <see cref="Key"/> is what the caller looks a known series up by, and <see cref="LabelsCodec.Decode"/> checks
/// it when it is seen first. One series may arrive under several keys (labels in another order), so a new key is not always a new series.
/// Field numbers after prompb/types.proto and io/prometheus/write/v2/types.proto of Prometheus.
/// </summary>
public ref struct WriteRequestReader
{
    const uint SeriesTagV1 = 1 << 3 | Wire.LengthDelimited;
    const uint SymbolTagV2 = 4 << 3 | Wire.LengthDelimited;
    const uint SeriesTagV2 = 5 << 3 | Wire.LengthDelimited;

    // Within a series. The numbers of exemplars and histograms are exchanged between the versions.
    const uint LabelTag = 1 << 3 | Wire.LengthDelimited;
    const uint UnpackedReferenceTag = 1 << 3 | Wire.Varint;
    const uint SampleTag = 2 << 3 | Wire.LengthDelimited;
    const uint ThirdTag = 3 << 3 | Wire.LengthDelimited;
    const uint FourthTag = 4 << 3 | Wire.LengthDelimited;

    const uint ValueTag = 1 << 3 | Wire.Fixed64;
    const uint TimeTag = 2 << 3 | Wire.Varint;

    // 2.0 lets a few bytes name a long symbol again and again. All keys of a request together may hold this many bytes for each of the
    // body, far more than real label sets need (tens), so that neither memory nor work runs away.
    const int MaxExpansion = 128;
    const int ExpansionFloor = 1024 * 1024;

    // Of one series in 2.0. In 1.0 the key is a part of the body.
    const int MaxKeyBytes = 1024 * 1024;

    readonly ReadOnlySpan<byte> _body;
    readonly RemoteWriteVersion _version;
    readonly WriteRequestScratch _scratch;
    ReadOnlySpan<byte> _key;
    int _position;
    int _index;
    int _samplePosition;
    int _seriesEnd;
    int _samplesLeft;
    int _histograms;
    int _exemplars;
    long _expansionLeft;

    // A name read from labels_refs whose value has not come yet; -1 where there is none.
    int _pendingName;

    /// <param name="body">The decompressed message.</param>
    /// <param name="version">As <see cref="RemoteWriteBody.TryGetVersion"/> reads it from the headers.</param>
    /// <param name="scratch">The caller's; not shared with another reader that is still in use.</param>
    public WriteRequestReader(ReadOnlySpan<byte> body, RemoteWriteVersion version, WriteRequestScratch scratch)
    {
        _body = body;
        _version = version;
        _scratch = scratch;
        _index = -1;
    }

    /// <summary>
    /// The labels of the series in remote-write 1.0's encoding, in the sender's order: fields 1 of TimeSeries, each a Label. Valid until
    /// the next <see cref="ReadSeries"/>.
    /// </summary>
    public readonly ReadOnlySpan<byte> Key => _key;

    /// <summary>Position of the current series in the request, from 0.</summary>
    public readonly int Index => _index;

    /// <summary>Samples of the current series that have not been read.</summary>
    public readonly int SamplesLeft => _samplesLeft;

    /// <summary>Native histogram samples passed over so far, over all series.</summary>
    public readonly int Histograms => _histograms;

    /// <summary>Exemplars passed over so far, over all series.</summary>
    public readonly int Exemplars => _exemplars;

    /// <summary>Goes to the next series; samples of the current one that were not read are passed over.</summary>
    /// <exception cref="RemoteWriteException">The message is malformed. Series read before stand.</exception>
    public bool ReadSeries()
    {
        if (_index == -1)
            Begin();
        var seriesTag = _version == RemoteWriteVersion.V1 ? SeriesTagV1 : SeriesTagV2;
        while (_position < _body.Length)
        {
            var length = 0;
            if (!Wire.TryReadTag(_body, ref _position, _body.Length, out var tag)
                || (tag == seriesTag && !Wire.TryReadLength(_body, ref _position, _body.Length, out length)))
                FailProtobuf(_position);
            if (tag != seriesTag)
            {
                SkipInRequest(tag);
                continue;
            }

            _index++;
            ScanSeries(_position, _position + length);
            _position = _seriesEnd;
            return true;
        }

        return false;
    }

    /// <summary>The next sample of the current series, in the sender's order.</summary>
    /// <exception cref="RemoteWriteException">The sample is malformed.</exception>
    public bool ReadSample(out Sample sample)
    {
        while (_samplesLeft > 0)
        {
            // Tags and lengths of this series were found sound when it was scanned.
            Wire.TryReadTag(_body, ref _samplePosition, _seriesEnd, out var tag);
            if (tag != SampleTag)
            {
                Wire.TrySkip(_body, ref _samplePosition, _seriesEnd, tag);
                continue;
            }

            Wire.TryReadLength(_body, ref _samplePosition, _seriesEnd, out var length);
            sample = ParseSample(_samplePosition, _samplePosition + length);
            _samplePosition += length;
            _samplesLeft--;
            return true;
        }

        sample = default;
        return false;
    }

    // The symbols of 2.0 may stand before, after or between the series, so they are collected ahead.
    void Begin()
    {
        _scratch.BeginRequest();
        _expansionLeft = ExpansionFloor + ((long)_body.Length * MaxExpansion);
        if (_version == RemoteWriteVersion.V1)
            return;
        var position = 0;
        while (position < _body.Length)
        {
            var start = position;
            if (!Wire.TryReadTag(_body, ref position, _body.Length, out var tag))
                FailProtobuf(start);
            if (tag != SymbolTagV2)
            {
                if (!Wire.TrySkip(_body, ref position, _body.Length, tag))
                    FailProtobuf(start);
                continue;
            }

            if (!Wire.TryReadLength(_body, ref position, _body.Length, out var length))
                FailProtobuf(start);
            _scratch.AddSymbol(position, length);
            position += length;
        }
    }

    void SkipInRequest(uint tag)
    {
        var field = tag >> 3;
        var known = _version == RemoteWriteVersion.V1 ? field == 1 : field is 4 or 5;
        if ((known && tag != SymbolTagV2) || !Wire.TrySkip(_body, ref _position, _body.Length, tag))
            FailProtobuf(_position);
    }

    void ScanSeries(int start, int end)
    {
        _seriesEnd = end;
        _samplesLeft = 0;
        _pendingName = -1;
        _scratch.BeginSeries();
        var position = start;
        if (_version == RemoteWriteVersion.V1)
            position = ScanLeadingLabels(start, end);
        _samplePosition = position;
        var scattered = false;
        while (position < end)
        {
            var at = position;
            if (!Wire.TryReadTag(_body, ref position, end, out var tag))
                FailProtobuf(at);
            if (tag is LabelTag or UnpackedReferenceTag && _version == RemoteWriteVersion.V2)
                ReadReferences(ref position, tag);
            else if (!IsAllowedInSeries(tag) || !Wire.TrySkip(_body, ref position, end, tag))
                FailProtobuf(at);
            Count(tag);
            scattered |= tag == LabelTag;
        }

        if (_version == RemoteWriteVersion.V2)
            EndReferences();
        else if (scattered)
            CollectLabels(start, end);
    }

    // The usual shape: all labels, then all samples. The key is then a slice of the body.
    int ScanLeadingLabels(int start, int end)
    {
        var position = start;
        while (position < end && _body[position] == LabelTag)
        {
            var at = position++;
            if (!Wire.TryReadLength(_body, ref position, end, out var length))
                FailProtobuf(at);
            position += length;
        }

        _key = _body[start..position];
        return position;
    }

    // The series has been scanned, so nothing can fail here. Such a key is no longer than its series.
    void CollectLabels(int start, int end)
    {
        var position = start;
        while (position < end)
        {
            var at = position;
            Wire.TryReadTag(_body, ref position, end, out var tag);
            Wire.TrySkip(_body, ref position, end, tag);
            if (tag == LabelTag)
                _scratch.AppendField(_body[at..position]);
        }

        _key = _scratch.Key;
    }

    // Fields 1 to 4 are length-delimited in both versions; a known field in another wire type would be data lost in silence.
    static bool IsAllowedInSeries(uint tag) => tag >> 3 > 4 || (tag & 7) == Wire.LengthDelimited;

    void Count(uint tag)
    {
        switch (tag)
        {
            case SampleTag:
                _samplesLeft++;
                break;
            case ThirdTag when _version == RemoteWriteVersion.V1:
            case FourthTag when _version == RemoteWriteVersion.V2:
                _exemplars++;
                break;
            case ThirdTag or FourthTag:
                _histograms++;
                break;
            default:
                break;
        }
    }

    // Packed is what senders write; readers must take both forms, and a packed field in several pieces.
    void ReadReferences(ref int position, uint tag)
    {
        if (tag == UnpackedReferenceTag)
        {
            ReadReference(ref position, _seriesEnd);
            return;
        }

        if (!Wire.TryReadLength(_body, ref position, _seriesEnd, out var length))
            FailProtobuf(position);
        var end = position + length;
        while (position < end)
            ReadReference(ref position, end);
    }

    void ReadReference(ref int position, int end)
    {
        if (!Wire.TryReadVarint(_body, ref position, end, out var reference))
            FailProtobuf(position);
        AddReference(reference);
    }

    void AddReference(ulong reference)
    {
        if (reference >= (ulong)_scratch.SymbolCount)
        {
            Fail(
                RemoteWriteErrorReason.Symbols,
                $"refers to symbol {reference} of a table of {_scratch.SymbolCount}");
        }

        if (_pendingName < 0)
        {
            _pendingName = (int)reference;
            return;
        }

        var name = _scratch.Symbol(_body, _pendingName);
        var value = _scratch.Symbol(_body, (int)reference);
        _pendingName = -1;
        _expansionLeft -= name.Length + value.Length;
        if (_expansionLeft < 0)
            Fail(
                RemoteWriteErrorReason.TooLarge,
                $"repeats long symbols: the labels written out are more than {MaxExpansion} times the body");
        _scratch.AppendLabel(name, value);
        if (_scratch.Key.Length > MaxKeyBytes)
            Fail(RemoteWriteErrorReason.LabelLimits, $"has labels of more than {MaxKeyBytes} bytes");
    }

    void EndReferences()
    {
        if (_pendingName >= 0)
            Fail(RemoteWriteErrorReason.Symbols, "has a label name without a value: labels_refs must come in pairs");
        _key = _scratch.Key;
    }

    readonly Sample ParseSample(int position, int end)
    {
        var time = 0L;
        var value = 0d;
        while (position < end)
        {
            var at = position;
            var sound = Wire.TryReadTag(_body, ref position, end, out var tag);
            ulong bits = 0;
            if (tag == ValueTag)
            {
                sound = sound && Wire.TryReadFixed64(_body, ref position, end, out bits);
                value = BitConverter.UInt64BitsToDouble(bits);
            }
            else if (tag == TimeTag)
            {
                sound = sound && Wire.TryReadVarint(_body, ref position, end, out bits);
                time = (long)bits;
            }
            else
            {
                sound = sound && tag >> 3 > 2 && Wire.TrySkip(_body, ref position, end, tag);
            }

            if (!sound)
                FailProtobuf(at);
        }

        return new Sample(time, value);
    }

    [DoesNotReturn]
    readonly void FailProtobuf(int position) =>
        Fail(RemoteWriteErrorReason.Protobuf, $"is cut off or malformed at byte {position} of {_body.Length}");

    [DoesNotReturn]
    readonly void Fail(RemoteWriteErrorReason reason, string what) => throw new RemoteWriteException(
        reason,
        _index < 0 ? $"The request {what}." : $"Series {_index} of the request {what}.");
}
