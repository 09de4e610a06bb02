using Whistle.State.Files;

namespace Whistle.Ingest.Influx;

/// <summary>Reads InfluxDB's CSV row by row. The fields of a row are valid until the next one is read.</summary>
sealed class CsvRows(Stream stream)
{
    // Of a hundred labels of the largest size; more is no row.
    const int LongestRow = 16 * 1024 * 1024;

    const int MostFields = 16;

    readonly (int From, int Length)[] _fields = new (int, int)[MostFields];
    byte[] _bytes = new byte[64 * 1024];
    int _from;
    int _to;

    /// <summary>How many fields the row has; none for an empty line.</summary>
    public int Count { get; private set; }

    public ReadOnlySpan<byte> this[int field] => _bytes.AsSpan(_fields[field].From, _fields[field].Length);

    /// <exception cref="StoreException">It is no CSV, or breaks off within a row.</exception>
    public bool Next()
    {
        if (FindEnd() is not { } end)
            return false;
        Split(_bytes.AsSpan(0, end), _from);
        _from = end + 1;
        return true;
    }

    // A line break within quotes is none; a quote within quotes is two.
    int? FindEnd()
    {
        var (seen, quotes) = (_from, 0);
        while (true)
        {
            while (_bytes.AsSpan(seen, _to - seen).IndexOf((byte)'\n') is >= 0 and var at)
            {
                quotes += _bytes.AsSpan(seen, at).Count((byte)'"');
                if (quotes % 2 == 0)
                    return seen + at;
                seen += at + 1;
            }

            quotes += _bytes.AsSpan(seen, _to - seen).Count((byte)'"');
            seen = _to;
            var moved = _from;
            if (!Fill())
                return _from == _to ? null : throw new StoreException("the answer breaks off within a row.");
            seen -= moved - _from;
        }
    }

    bool Fill()
    {
        if (_from > 0)
        {
            _bytes.AsSpan(_from, _to - _from).CopyTo(_bytes);
            (_from, _to) = (0, _to - _from);
        }

        if (_to == _bytes.Length)
        {
            if (_to >= LongestRow)
                throw new StoreException($"a row of the answer has more than {LongestRow} bytes.");
            Array.Resize(ref _bytes, _bytes.Length * 2);
        }

        var read = stream.Read(_bytes.AsSpan(_to));
        _to += read;
        return read > 0;
    }

    void Split(Span<byte> row, int at)
    {
        Count = 0;
        if (row.Length > at && row[^1] == '\r')
            row = row[..^1];
        if (row.Length == at)
            return;
        while (true)
        {
            if (Count == MostFields)
                throw new StoreException("a row of the answer has too many fields.");
            int end;
            if (at < row.Length && row[at] == '"')
            {
                var length = Unquote(row[(at + 1)..], out var taken);
                _fields[Count++] = (at + 1, length);
                end = at + 1 + taken;
            }
            else
            {
                end = row[at..].IndexOf((byte)',') is >= 0 and var comma ? at + comma : row.Length;
                _fields[Count++] = (at, end - at);
            }

            if (end == row.Length)
                return;
            if (row[end] != ',')
                throw new StoreException("a row of the answer has text after a quoted field.");
            at = end + 1;
        }
    }

    /// <param name="text">What follows the first quote; unquoted in place.</param>
    /// <param name="taken">How far the last quote reaches.</param>
    static int Unquote(Span<byte> text, out int taken)
    {
        var (length, at) = (0, 0);
        while (true)
        {
            var quote = text[at..].IndexOf((byte)'"');
            if (quote < 0)
                throw new StoreException("a quoted field of the answer does not end.");
            text.Slice(at, quote).CopyTo(text[length..]);
            (length, at) = (length + quote, at + quote + 1);
            if (at == text.Length || text[at] != '"')
                break;
            text[length++] = (byte)'"';
            at++;
        }

        taken = at;
        return length;
    }
}
