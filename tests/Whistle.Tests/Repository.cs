using System.Text.RegularExpressions;

namespace Whistle.Tests;

/// <summary>The repository that the tests run in: what its documents say is tested too.</summary>
static partial class Repository
{
    public static string Root { get; } = FindRoot();

    public static string Document(string path) => File.ReadAllText(Path.Combine(Root, path));

    /// <summary>The code blocks of a document that are in a language, in order.</summary>
    public static IReadOnlyList<string> Examples(string path, string language) =>
        [.. Block().Matches(Document(path)).Where(m => m.Groups[1].Value == language).Select(m => m.Groups[2].Value)];

    /// <summary>The first cells of the table rows under a heading, without their backticks.</summary>
    public static IReadOnlyList<string> FirstCells(string path, string heading) =>
    [
        .. Document(path).Split('\n').SkipWhile(l => l != heading).Skip(1).TakeWhile(l => !l.StartsWith('#'))
            .Where(l => l.StartsWith("| `", StringComparison.Ordinal)).Select(l => l.Split('`')[1]),
    ];

    static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Whistle.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException("The tests do not run inside the repository.");
        return folder.FullName;
    }

    [GeneratedRegex(@"^```(\w+)\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Block();
}
