
namespace Whistle.Telemetry;

/// <summary>Memory that <see cref="WriteRequestReader"/> uses again and again: one for each thread that reads.</summary>
public sealed class WriteRequestScratch
{
    // What an unusual request grew past this is released when the next one begins.
    const int KeptSymbols = 64 * 1024;
    const int MostSymbols = 1 << 20;
    const int KeptKeyBytes = 64 * 1024;

    (int Start, int Length)[] _symbols = new (int, int)[256];
    byte[] _key = new byte[1024];
    int _symbolCount;
    int _keyLength;

    internal int SymbolCount => _symbolCount;

    internal ReadOnlySpan<byte> Key => _key.AsSpan(0, _keyLength);

    internal void BeginRequest()
    {
        _symbolCount = 0;
        if (_symbols.Length > KeptSymbols)
            _symbols = new (int, int)[256];
        if (_key.Length > KeptKeyBytes)
            _key = new byte[1024];
    }

    internal void BeginSeries() => _keyLength = 0;

    /// <exception cref="RemoteWriteException">There are more than any request needs: each takes more memory here than it may in the
    /// body.</exception>
    internal void AddSymbol(int start, int length)
    {
        if (_symbolCount == MostSymbols)
            throw new RemoteWriteException(
                RemoteWriteErrorReason.TooLarge,
                $"The request has a table of more than {MostSymbols} symbols. Send fewer samples at once (max_samples_per_send).");
        if (_symbolCount == _symbols.Length)
            Array.Resize(ref _symbols, _symbols.Length * 2);
        _symbols[_symbolCount++] = (start, length);
    }

    internal ReadOnlySpan<byte> Symbol(ReadOnlySpan<byte> body, int index)
    {
        var (start, length) = _symbols[index];
        return body.Slice(start, length);
    }

    internal void AppendField(ReadOnlySpan<byte> field) => field.CopyTo(Grow(field.Length));

    internal void AppendLabel(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        var output = Grow(LabelsCodec.EncodedLength(name.Length, value.Length));
        var position = LabelsCodec.WriteHeads(output, name.Length, value.Length, out var nameAt);
        name.CopyTo(output[nameAt..]);
        value.CopyTo(output[position..]);
    }

    Span<byte> Grow(int length)
    {
        if (_key.Length - _keyLength < length)
            Array.Resize(ref _key, Math.Max(_key.Length * 2, _keyLength + length));
        var span = _key.AsSpan(_keyLength, length);
        _keyLength += length;
        return span;
    }
}
