namespace Whistle.Commands;

enum RenameKind
{
    /// <summary>Words after <c>whistle</c>. An empty old name is a call with options only.</summary>
    Verb,

    /// <summary>An option with the verb that has it, such as <c>runs list --all</c>.</summary>
    Option,

    /// <summary>A field of an answer or a request, such as <c>incidents.hides</c>.</summary>
    ApiField,
}

/// <param name="Old">Works until the version that <paramref name="Until"/> names; the command line says so on stderr.</param>
/// <param name="Until">The first version that does not know the old name.</param>
sealed record Rename(RenameKind Kind, string Old, string New, string Until);

/// <summary>All that has another name than it had (docs/renames.md). Each old name works for one version.</summary>
static class Renames
{
    public static readonly Rename[] All =
    [
        new(RenameKind.Verb, "", "serve", "2.0"),
        new(RenameKind.ApiField, "incidents.hides", "incidents.inhibits", "2.0"),
    ];

    // What a call without a verb still means.
    static readonly string[] RootOptions = ["--help", "-h", "-?", "/h", "/?", "--version"];

    /// <summary>The arguments with their names of today.</summary>
    /// <param name="warn">Told of each old name.</param>
    public static string[] Apply(string[] arguments, Action<string> warn) => Apply(All, arguments, warn);

    public static string[] Apply(IReadOnlyList<Rename> renames, string[] arguments, Action<string> warn)
    {
        foreach (var rename in renames)
        {
            if (Replaced(rename, arguments) is not { } replaced)
                continue;
            var (old, now) = (Written(rename, rename.Old), Written(rename, rename.New));
            warn($"Warning: write `whistle {now}`; `whistle {old}` works until version {rename.Until}.");
            arguments = replaced;
        }

        return arguments;
    }

    static string Written(Rename rename, string name) => rename.Old.Length == 0 ? $"{name} OPTIONS".TrimStart() : name;

    static string[]? Replaced(Rename rename, string[] arguments) => rename.Kind switch
    {
        RenameKind.Verb when rename.Old.Length == 0 =>
            arguments is [['-', ..] first, ..] && !RootOptions.Contains(first) ? [rename.New, .. arguments] : null,
        RenameKind.Verb => Starts(arguments, Words(rename.Old)) ? [.. Words(rename.New), .. arguments[Words(rename.Old).Length..]] : null,
        RenameKind.Option => ReplacedOption(Words(rename.Old), Words(rename.New), arguments),
        // The server's answers have both names.
        RenameKind.ApiField => null,
        _ => throw new ArgumentOutOfRangeException(nameof(rename), rename.Kind, null),
    };

    static string[]? ReplacedOption(string[] old, string[] now, string[] arguments)
    {
        var (verb, name) = (old[..^1], old[^1]);
        return Starts(arguments, verb) && arguments.Any(IsIt) ? [.. arguments.Select(a => IsIt(a) ? now[^1] + a[name.Length..] : a)] : null;

        bool IsIt(string argument) => argument == name || argument.StartsWith(name + "=", StringComparison.Ordinal);
    }

    static bool Starts(string[] arguments, string[] words) => arguments.AsSpan().StartsWith(words);

    static string[] Words(string name) => name.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
