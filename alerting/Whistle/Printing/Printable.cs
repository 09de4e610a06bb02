using System.Buffers;
using System.Globalization;
using System.Text;

namespace Whistle.Printing;

/// <summary>Text from telemetry, such that a terminal shows it and obeys nothing of it.</summary>
static class Printable
{
    static readonly SearchValues<char> Plain = SearchValues.Create(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !\"#$%&'()*+,-./:;<=>?@[]^_`{|}~\\");

    public static string Of(string text) => IsPlain(text) ? text : Escaped(text, keepLines: false);

    /// <summary>
    /// Of JSON, where an escape is the same string. Control characters that JSON may carry raw reach a terminal from there too.
    /// </summary>
    public static string OfJson(string json) => IsPlain(json) ? json : Escaped(json, keepLines: true);

    static bool IsPlain(string text) => !text.AsSpan().ContainsAnyExcept(Plain);

    static string Escaped(string text, bool keepLines)
    {
        var result = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (IsShownAsItIs(text, i) || (keepLines && text[i] is '\n' or '\r' or '\t'))
                result.Append(text[i]);
            else
                result.Append(CultureInfo.InvariantCulture, $"\\u{(int)text[i]:x4}");
        }

        return result.ToString();
    }

    // Format characters turn the direction of a line or hide in it; some of them are pairs of surrogates, and half a pair is no character.
    static bool IsShownAsItIs(string text, int i) => CharUnicodeInfo.GetUnicodeCategory(text, i) switch
    {
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator => false,
        UnicodeCategory.Surrogate => i > 0 && char.IsSurrogatePair(text, i - 1)
            && CharUnicodeInfo.GetUnicodeCategory(text, i - 1) is not UnicodeCategory.Format,
        _ => true,
    };
}
