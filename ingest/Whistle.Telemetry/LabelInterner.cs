using System.Text;

namespace Whistle.Telemetry;

/// <summary>
/// Shares equal strings, and the arrays of label names, between series. A cache of fixed size in which a newcomer takes the slot of what was
/// there: what no series holds any more can be collected, and no sender can make it grow. Safe to use from several threads.
/// </summary>
public sealed class LabelInterner(int slots = 64 * 1024)
{
    // Slots are read and written without a lock: a reference is written whole, and a lost write costs one string.
    readonly string?[] _strings = new string?[slots];
    readonly string[]?[] _names = new string[]?[Math.Max(1, slots / 16)];

    /// <param name="utf8">Valid UTF-8.</param>
    public string Intern(ReadOnlySpan<byte> utf8)
    {
        ref var slot = ref _strings[(int)(Hash(utf8) % (uint)_strings.Length)];
        var held = slot;
        if (held is not null && IsSame(held, utf8))
            return held;
        return slot = Encoding.UTF8.GetString(utf8);
    }

    public string[] InternNames(string[] names)
    {
        var hash = new HashCode();
        foreach (var name in names)
            hash.Add(name);
        ref var slot = ref _names[(int)((uint)hash.ToHashCode() % (uint)_names.Length)];
        var held = slot;
        if (held is not null && held.AsSpan().SequenceEqual(names))
            return held;
        return slot = names;
    }

    static bool IsSame(string text, ReadOnlySpan<byte> utf8) => text.Length == utf8.Length
        ? Ascii.Equals(utf8, text)
        : text.Length < utf8.Length && Encoding.UTF8.GetByteCount(text) == utf8.Length && Encoding.UTF8.GetString(utf8) == text;

    static uint Hash(ReadOnlySpan<byte> utf8)
    {
        var hash = new HashCode();
        hash.AddBytes(utf8);
        return (uint)hash.ToHashCode();
    }
}
