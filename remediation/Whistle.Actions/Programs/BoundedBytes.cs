using System.Text;

namespace Whistle.Actions.Programs;

/// <summary>The first or the last bytes of a stream that is read to its end, however long it is.</summary>
sealed class BoundedBytes(int most, bool keepEnd)
{
    const int Chunk = 8 << 10;

    readonly Lock _lock = new();
    readonly byte[] _kept = new byte[keepEnd ? 2 * most + Chunk : most];
    int _length;
    bool _cut;

    public bool Cut
    {
        get
        {
            lock (_lock)
                return _cut || _length > most;
        }
    }

    public async Task FillAsync(Stream stream)
    {
        var chunk = new byte[Chunk];
        try
        {
            while (await stream.ReadAsync(chunk, CancellationToken.None).ConfigureAwait(false) is > 0 and var read)
                Add(chunk.AsSpan(0, read));
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The pipe broke with the program; what came until then is kept.
        }
    }

    /// <summary>Bytes that are no UTF-8 are replaced.</summary>
    public string Text()
    {
        lock (_lock)
            return Encoding.UTF8.GetString(_length > most ? _kept.AsSpan(_length - most, most) : _kept.AsSpan(0, _length));
    }

    void Add(ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            if (keepEnd && _length + bytes.Length > _kept.Length)
            {
                _kept.AsSpan(_length - most, most).CopyTo(_kept);
                (_length, _cut) = (most, true);
            }

            var taken = Math.Min(bytes.Length, _kept.Length - _length);
            bytes[..taken].CopyTo(_kept.AsSpan(_length));
            _length += taken;
            _cut |= taken < bytes.Length;
        }
    }
}
