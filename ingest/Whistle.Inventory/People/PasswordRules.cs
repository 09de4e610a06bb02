using System.Text;

namespace Whistle.Inventory.People;

/// <summary>
/// Which passwords nobody can have: short ones, and those that are guessed first. What they are made of is not prescribed.
/// </summary>
public static class PasswordRules
{
    public const int Shortest = 12;
    public const int Longest = 256;

    // How many steps may lead somewhere else before it is no plain sequence.
    const int MostTurns = 3;

    // What common passwords are made of, and what keyboards lead to.
    static readonly string[] Common =
    [
        "password", "passwort", "passw", "pass", "word", "secret", "geheim", "admin", "administrator", "root", "user", "login", "welcome",
        "letmein", "changeme", "default", "whistle", "monitoring", "kubernetes", "cluster", "server", "qwerty", "qwertz", "azerty", "asdf",
        "zxcv", "iloveyou", "love", "you", "monkey", "dragon", "sunshine", "princess", "football", "baseball", "master", "shadow",
        "superman", "batman", "trustno", "hello", "test", "guest", "temp", "demo", "abc", "summer", "winter", "spring", "autumn", "my",
        "is", "the", "new", "this", "please", "company", "access", "system", "security", "starwars", "michael", "charlie", "freedom",
    ];

    static readonly string[] Rows = ["`1234567890-=", "qwertyuiop[]", "qwertzuiop", "azertyuiop", "asdfghjkl;'", "zxcvbnm,./", "yxcvbnm"];

    /// <summary>Why nobody called so can have it; null where they can. Never holds the password.</summary>
    public static string? Mistake(string? password, string name)
    {
        if (password is null || password.Length < Shortest)
            return $"Use at least {Shortest} characters. Several words in a row are easy to remember.";
        if (password.Length > Longest)
            return $"Use at most {Longest} characters.";
        if (name.Length > 2 && password.Contains(name, StringComparison.OrdinalIgnoreCase))
            return "The password contains your name. Leave it out.";
        var lower = password.ToLowerInvariant();
        if (IsRepeated(lower) || IsSequence(lower))
            return "The password repeats itself or runs along the keyboard. Use several words that have nothing to do with each other.";
        return !IsCommon(lower) ? null
            : "The password is one that is guessed early. Use several words that have nothing to do with each other.";
    }

    // A short piece again and again, or hardly any different characters.
    static bool IsRepeated(string text) => text.Distinct().Count() <= 4
        || Enumerable.Range(1, text.Length / 2).Any(
            length => Enumerable.Range(length, text.Length - length).All(i => text[i] == text[i - length]));

    static bool IsSequence(string text) => text.Zip(text.Skip(1)).Count(p => !IsStep(p.First, p.Second)) <= MostTurns;

    static bool IsStep(char one, char next) => Math.Abs(one - next) <= 1 || Rows.Any(row =>
        row.IndexOf(one, StringComparison.Ordinal) is >= 0 and var i && row.IndexOf(next, StringComparison.Ordinal) is >= 0 and var j
        && Math.Abs(i - j) == 1);

    // No letter is left of it without the words above, however they are written.
    static bool IsCommon(string text)
    {
        // What is put behind a word stands for no letter of it.
        var before = text.TrimEnd([.. text.Where(c => !char.IsLetter(c))]);
        foreach (var letters in (string[])[Letters(text, c => c), Letters(text, Plain), Letters(before, Plain)])
        {
            var reached = new bool[letters.Length + 1];
            reached[0] = true;
            for (var i = 0; i < letters.Length; i++)
            {
                foreach (var word in reached[i] ? Common : [])
                {
                    if (letters.AsSpan(i).StartsWith(word, StringComparison.Ordinal))
                        reached[i + word.Length] = true;
                }
            }

            if (letters.Length > 0 && reached[letters.Length])
                return true;
        }

        return false;
    }

    // Letters of all scripts: a sentence in any of them is no pile of digits.
    static string Letters(string text, Func<char, char> plain)
    {
        var letters = new StringBuilder();
        foreach (var c in text.Select(plain).Where(char.IsLetter))
            letters.Append(c);
        return letters.ToString();
    }

    static char Plain(char c) => c switch
    {
        '0' => 'o',
        '1' or '!' => 'i',
        '3' => 'e',
        '4' or '@' => 'a',
        '5' or '$' => 's',
        '7' => 't',
        _ => c,
    };
}
