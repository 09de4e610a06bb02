using System.Buffers.Text;
using System.Text;

namespace Whistle.Agent.Linux;

/// <summary>
/// Reads a small file under a root such as <c>/proc</c>, whole, into a buffer that is used again. The span is valid
/// until the next read. Not thread-safe.
/// </summary>
sealed class HostFile(string root)
{
    // A file of this size is none that a collector knows; without a bound a wrong root could eat the memory.
    const int Largest = 16 << 20;

    byte[] _buffer = new byte[8 << 10];

    public string Root { get; } = root;

    /// <exception cref="IOException">The file is absent, unreadable or larger than 16 MiB.</exception>
    /// <exception cref="UnauthorizedAccessException">The agent may not read it.</exception>
    public ReadOnlySpan<byte> Read(string path)
    {
        using var file = File.OpenHandle(Path.Join(Root, path), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var length = 0;
        // Files of procfs give their size as 0, so the end is where a read yields nothing.
        while (RandomAccess.Read(file, _buffer.AsSpan(length), length) is var read and > 0)
        {
            length += read;
            if (length < _buffer.Length)
                continue;
            if (length >= Largest)
                throw new IOException($"{Path.Join(Root, path)} is larger than {Largest} bytes.");
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        return _buffer.AsSpan(0, length);
    }

    public bool Exists(string path) => File.Exists(Path.Join(Root, path));
}

/// <summary>Walks a text by its lines, without the line breaks.</summary>
ref struct Lines(ReadOnlySpan<byte> text)
{
    ReadOnlySpan<byte> _rest = text;

    public bool Next(out ReadOnlySpan<byte> line)
    {
        line = default;
        if (_rest.IsEmpty)
            return false;
        var end = _rest.IndexOf((byte)'\n');
        line = end < 0 ? _rest : _rest[..end];
        _rest = end < 0 ? default : _rest[(end + 1)..];
        return true;
    }
}

/// <summary>Walks a line by its fields, which blanks and tabs separate.</summary>
ref struct Fields(ReadOnlySpan<byte> line)
{
    ReadOnlySpan<byte> _rest = line;

    /// <summary>The next field, or an empty span at the end.</summary>
    public ReadOnlySpan<byte> Next()
    {
        _rest = _rest.TrimStart(" \t"u8);
        var end = _rest.IndexOfAny(" \t"u8);
        var field = end < 0 ? _rest : _rest[..end];
        _rest = _rest[field.Length..];
        return field;
    }

    /// <summary>The next field as a number; false at the end of the line and for what is not a number.</summary>
    public bool TryNext(out double value)
    {
        var field = Next();
        return Utf8Parser.TryParse(field, out value, out var used) && used == field.Length && double.IsFinite(value);
    }

    public bool Skip(int count)
    {
        while (count-- > 0)
        {
            if (Next().IsEmpty)
                return false;
        }

        return true;
    }
}

/// <summary>Names of devices and the like as strings, each made once.</summary>
sealed class Names
{
    // Devices come and go (containers bring a network interface each); forgetting all at times bounds the memory.
    const int Most = 4096;

    readonly Dictionary<string, string> _known = [];

    public string Of(ReadOnlySpan<byte> utf8)
    {
        Span<char> text = stackalloc char[256];
        if (utf8.Length > text.Length)
            return Encoding.UTF8.GetString(utf8);
        text = text[..Encoding.UTF8.GetChars(utf8, text)];
        var known = _known.GetAlternateLookup<ReadOnlySpan<char>>();
        if (known.TryGetValue(text, out var name))
            return name;
        if (_known.Count >= Most)
            _known.Clear();
        name = text.ToString();
        return _known[name] = name;
    }
}
