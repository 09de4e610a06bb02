using System.Buffers;
using System.Globalization;
using System.Text;

namespace Whistle.Actions.Files;

/// <summary>Names as Linux has them: bytes, of which only 0 and the slash are forbidden.</summary>
static class FileName
{
    const int LongestShown = 400;

    /// <summary>
    /// As a person and JSON can take it: control characters, the backslash and bytes that are no UTF-8 as <c>\xHH</c>. The middle of a very
    /// long path is left out.
    /// </summary>
    public static string Escape(ReadOnlySpan<byte> bytes)
    {
        // The ends are enough, and a path of some megabytes is possible.
        if (bytes.Length > LongestShown)
            return $"{Escape(bytes[..(LongestShown / 2)])}…{Escape(bytes[^(LongestShown / 2 - 1)..])}";
        var text = new StringBuilder(bytes.Length);
        Span<char> chars = stackalloc char[2];
        while (!bytes.IsEmpty)
        {
            var status = Rune.DecodeFromUtf8(bytes, out var rune, out var used);
            if (status == OperationStatus.Done && IsPlain(rune))
                text.Append(chars[..rune.EncodeToUtf16(chars)]);
            else
                AppendHex(text, bytes[..used]);
            bytes = bytes[used..];
        }

        return text.ToString();
    }

    /// <summary>
    /// Whether a pattern of <c>*</c>, <c>?</c> and plain characters matches the whole name. Linear but for backtracking to the last star.
    /// </summary>
    public static bool Matches(ReadOnlySpan<byte> name, ReadOnlySpan<byte> pattern)
    {
        int n = 0, p = 0, star = -1, starName = 0;
        while (n < name.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                (star, starName) = (p++, n);
            }
            else if (p < pattern.Length && (pattern[p] == '?' || pattern[p] == name[n]))
            {
                n += pattern[p++] == '?' ? CharacterLength(name[n..]) : 1;
            }
            else if (star >= 0)
            {
                (p, n) = (star + 1, ++starName);
            }
            else
            {
                return false;
            }
        }

        return pattern[p..].IndexOfAnyExcept((byte)'*') < 0;
    }

    static int CharacterLength(ReadOnlySpan<byte> name)
    {
        Rune.DecodeFromUtf8(name, out _, out var used);
        return used;
    }

    // Format and surrogate-like characters could turn the text around on a screen.
    static bool IsPlain(Rune rune) => rune.Value != '\\'
        && Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator
            or UnicodeCategory.ParagraphSeparator or UnicodeCategory.OtherNotAssigned or UnicodeCategory.PrivateUse);

    static void AppendHex(StringBuilder text, ReadOnlySpan<byte> bytes)
    {
        foreach (var b in bytes)
            text.Append("\\x").Append(b.ToString("x2"));
    }
}
