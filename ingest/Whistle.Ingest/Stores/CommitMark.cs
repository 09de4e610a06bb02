using System.Buffers.Binary;
using System.IO.Hashing;

namespace Whistle.Ingest.Stores;

/// <summary>
/// How far the hot store was committed, kept outside of it: a hot store that knows less than the mark is an older one, or was cut off.
/// Written after each commit without a flush, so it is never ahead of what is durable.
/// </summary>
sealed class CommitMark(string file) : IDisposable
{
    public const string FileName = "commits";

    const int Size = 16;

    FileStream? _stream;

    /// <summary>The number of the last commit; null where there is no mark, or a damaged one.</summary>
    public long? Read()
    {
        if (!File.Exists(file))
            return null;
        var bytes = File.ReadAllBytes(file);
        return bytes.Length == Size && BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(8)) == XxHash3.HashToUInt64(bytes.AsSpan(0, 8))
            ? BinaryPrimitives.ReadInt64LittleEndian(bytes) : null;
    }

    public void Write(long commit)
    {
        Span<byte> bytes = stackalloc byte[Size];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, commit);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], XxHash3.HashToUInt64(bytes[..8]));
        _stream ??= new FileStream(file, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        if (_stream.Length != Size)
            _stream.SetLength(Size);
        RandomAccess.Write(_stream.SafeFileHandle, bytes, 0);
    }

    public void Dispose() => _stream?.Dispose();
}
