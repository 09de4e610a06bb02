using System.Globalization;
using System.Text;

using Whistle.Telemetry;

namespace Whistle.Actions.Files;

/// <summary>What a file with a secret may hold, and where it may lie.</summary>
/// <param name="What">In words, such as "the server's token".</param>
/// <param name="LargestBytes">With the line end.</param>
/// <param name="Fault">What is wrong with a text, after "the file … "; null where it will do.</param>
public sealed record SecretForm(string What, int LargestBytes, Func<string, string?> Fault)
{
    const int LargestToken = 256;

    /// <summary>
    /// Put there by people or an orchestrator, not made by Whistle. Then it may be a link, as Kubernetes mounts secrets, if nobody else can
    /// point it elsewhere, and a group may read it, as a service's group reads root's files.
    /// </summary>
    public bool IsPlaced { get; init; }

    /// <summary>What Whistle made: the prefix and 43 characters, nothing else.</summary>
    public static SecretForm Token(string what, string prefix) => new(what, LargestToken, text =>
        AccessToken.IsWhole(prefix, text)
            ? null : $"holds no whole token: one begins with {prefix} and has {AccessToken.New(prefix).Length} characters.");

    /// <summary>Somebody else's secret, of which only this is known: one line of text.</summary>
    public static SecretForm Line(string what, int largestBytes = 8 << 10) => new(what, largestBytes, FaultOfLine) { IsPlaced = true };

    static string? FaultOfLine(string text) =>
        text.Length == 0 ? "is empty."
        : string.IsNullOrWhiteSpace(text) ? "holds nothing but spaces that are not ASCII's."
        : text[0] == '\ufeff' ? "begins with a byte order mark. Save it as UTF-8 without one."
        : text.AsSpan().ContainsAny('\n', '\r') ? "has more than one line."
        : text.EnumerateRunes().Any(IsControl) ? "has control characters in it."
        : null;

    static bool IsControl(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
}
