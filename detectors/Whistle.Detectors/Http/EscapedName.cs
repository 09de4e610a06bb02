using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Whistle.Detectors.Http;

/// <summary>
/// Prometheus 3's way to put any UTF-8 name into an address: <c>U__</c>, then the name with <c>__</c> for an underscore and <c>_2e_</c> for
/// the character with that hexadecimal number. What does not follow this is a name as it stands.
/// </summary>
static partial class EscapedName
{
    const string Prefix = "U__";

    public static string Read(string name)
    {
        if (!Whole().IsMatch(name) || !Codes().Matches(name, Prefix.Length).All(c => !c.Groups[1].Success || Rune.IsValid(Number(c))))
            return name;
        return Codes().Replace(name[Prefix.Length..], c => c.Groups[1].Success ? new Rune(Number(c)).ToString() : "_");
    }

    static int Number(Match code) => int.Parse(code.Groups[1].ValueSpan, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"\AU__([^_]|__|_[0-9A-Fa-f]{1,6}_)*\z", RegexOptions.NonBacktracking)]
    private static partial Regex Whole();

    [GeneratedRegex("__|_([0-9A-Fa-f]{1,6})_")]
    private static partial Regex Codes();
}
