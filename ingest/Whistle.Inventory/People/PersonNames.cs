using System.Text.RegularExpressions;

namespace Whistle.Inventory.People;

/// <summary>What people and API tokens may be called.</summary>
public static partial class PersonNames
{
    // Under which the server itself and the machine's own user act.
    static readonly string[] Reserved = [PersonIdentity.Local, PersonIdentity.LocalName, "whistle"];

    /// <summary>Why nobody can have the name; null where somebody can.</summary>
    public static string? Mistake(string? name) =>
        name is null || !Pattern().IsMatch(name)
            ? $"\"{name}\" is not a user name: use up to 64 letters, digits and . _ @ + -, beginning and ending with a letter or digit."
            : Reserved.Contains(name, StringComparer.OrdinalIgnoreCase) ? $"{name} is Whistle's own name. Choose another." : null;

    /// <summary>Why no token can have the name; null where one can.</summary>
    public static string? TokenMistake(string? name) => name is not null && Pattern().IsMatch(name) ? null
        : $"\"{name}\" is not a name of a token: use up to 64 letters, digits and . _ @ + -, beginning and ending with a letter or digit.";

    /// <summary>Names with the same are one name.</summary>
    public static string Normalised(string name) => name.ToUpperInvariant();

    [GeneratedRegex(@"\A[A-Za-z0-9]([A-Za-z0-9._@+-]{0,62}[A-Za-z0-9])?\z")]
    private static partial Regex Pattern();
}
