using System.Text.RegularExpressions;

namespace Whistle.Inventory.People;

/// <summary>
/// Which passwords nobody can have: short ones, and those that are guessed first. What they are made of is not prescribed.
/// </summary>
public static partial class PasswordRules
{
    public const int Shortest = 12;
    public const int Longest = 256;

    // How many steps may lead somewhere else before it is no plain sequence.
    const int MostTurns = 3;

    // The library takes more than twice as long for twice as much, and what begins with so much that is good stays good.
    const int MostEstimated = 64;

    // Of 4. From there on, ten thousand guesses a second take days.
    const int LeastScore = 3;

    // What somebody guesses here who knows lists of common passwords, words and names already.
    static readonly string[] Common =
    [
        "whistle", "monitoring", "kubernetes", "cluster", "server", "system", "security", "access", "company", "admin", "root", "user",
        "login", "administrator", "passwort", "geheim", "password", "welcome", "changeme", "default", "letmein", "secret",
        "spring", "summer", "autumn", "winter", "january", "february", "march", "april", "june", "july", "august", "september", "october",
        "november", "december", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
    ];

    // The library knows years and dates up to 2019.
    const string KnownYear = "1985";

    static readonly string[] Rows = ["`1234567890-=", "qwertyuiop[]", "qwertzuiop", "azertyuiop", "asdfghjkl;'", "zxcvbnm,./", "yxcvbnm"];

    // What it has is for one caller at a time.
    static readonly Lock Gate = new();
    static readonly Lazy<Zxcvbn.Zxcvbn> Guesser = new(() => new());

    /// <summary>
    /// Why nobody called so can have it; null where they can. Never holds the password. May take some tens of milliseconds.
    /// </summary>
    public static string? Mistake(string? password, string name) => Plain(password, name) ?? (!IsCommon(password!, name) ? null
        : "The password is one that is guessed early: a common one, or little more than common words, names or dates. "
            + "Use several words that have nothing to do with each other.");

    /// <summary>As <see cref="Mistake"/>, but only what is seen at once.</summary>
    public static string? Plain(string? password, string name)
    {
        if (password is null || password.Length < Shortest)
            return $"Use at least {Shortest} characters. Several words in a row are easy to remember.";
        if (password.Length > Longest)
            return $"Use at most {Longest} characters.";
        if (name.Length > 2 && password.Contains(name, StringComparison.OrdinalIgnoreCase))
            return "The password contains your name. Leave it out.";
        var lower = password.ToLowerInvariant();
        return !IsRepeated(lower) && !IsSequence(lower) ? null
            : "The password repeats itself or runs along the keyboard. Use several words that have nothing to do with each other.";
    }

    // A short piece again and again, or hardly any different characters.
    static bool IsRepeated(string text) => text.Distinct().Count() <= 4
        || Enumerable.Range(1, text.Length / 2).Any(
            length => Enumerable.Range(length, text.Length - length).All(i => text[i] == text[i - length]));

    static bool IsSequence(string text) => text.Zip(text.Skip(1)).Count(p => !IsStep(p.First, p.Second)) <= MostTurns;

    static bool IsStep(char one, char next) => Math.Abs(one - next) <= 1 || Rows.Any(row =>
        row.IndexOf(one, StringComparison.Ordinal) is >= 0 and var i && row.IndexOf(next, StringComparison.Ordinal) is >= 0 and var j
        && Math.Abs(i - j) == 1);

    static bool IsCommon(string password, string name)
    {
        var start = RecentYear().Replace(password.Length > MostEstimated ? password[..MostEstimated] : password, KnownYear);
        // A part of the name is as easy to guess as the whole.
        var parts = name.ToLowerInvariant().Split('.', '-', '_', '@', ' ').Where(p => p.Length > 2);
        lock (Gate)
            return Guesser.Value.EvaluatePassword(start, [.. parts, .. Common]).Score < LeastScore;
    }

    [GeneratedRegex("20[2-9][0-9]", RegexOptions.CultureInvariant)]
    private static partial Regex RecentYear();
}
