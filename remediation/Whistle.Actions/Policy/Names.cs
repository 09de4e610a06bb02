using System.Text.RegularExpressions;

namespace Whistle.Actions.Policy;

/// <summary>What a text must look like before it becomes an argument of a program: none can be taken for an option or a path.</summary>
static partial class Names
{
    public static bool IsService(string text) => text.Length <= 200 && Service().IsMatch(text);

    public static bool IsUnit(string text) => text.Length <= 200 && Unit().IsMatch(text);

    public static bool IsPackage(string text) => text.Length <= 100 && Package().IsMatch(text);

    public static bool IsSysctl(string text) => text.Length <= 100 && Sysctl().IsMatch(text);

    /// <summary>Absolute, without <c>.</c> and <c>..</c>, empty parts or control characters.</summary>
    public static bool IsPath(string text) =>
        text.Length is > 1 and < 1000 && text[0] == '/' && text[1..].Split('/').All(p => p is not ("" or "." or ".."))
            && !text.Any(char.IsControl);

    [GeneratedRegex(@"\A[A-Za-z0-9_][A-Za-z0-9:_.\\@-]*\.service\z")]
    private static partial Regex Service();

    [GeneratedRegex(@"\A[A-Za-z0-9_][A-Za-z0-9:_.\\@-]*\.[a-z]+\z")]
    private static partial Regex Unit();

    // Debian's policy, 5.6.1.
    [GeneratedRegex(@"\A[a-z0-9][a-z0-9+.-]+\z")]
    private static partial Regex Package();

    [GeneratedRegex(@"\A[a-z0-9_]+(\.[A-Za-z0-9_-]+)+\z")]
    private static partial Regex Sysctl();
}
