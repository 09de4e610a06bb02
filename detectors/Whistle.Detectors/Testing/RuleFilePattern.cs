using System.Text.RegularExpressions;

namespace Whistle.Detectors.Testing;

/// <summary>Paths with <c>*</c>, <c>?</c> and <c>[a-z]</c> in any part, none of which stands for a slash.</summary>
static class RuleFilePattern
{
    /// <summary>What there is of it on disk, in order of name; nothing where there is nothing.</summary>
    public static IReadOnlyList<string> Expand(string folder, string pattern)
    {
        var whole = Path.Combine(folder, pattern);
        IEnumerable<string> found = [whole.StartsWith('/') ? "/" : ""];
        foreach (var part in whole.Split('/', StringSplitOptions.RemoveEmptyEntries))
            found = found.SelectMany(f => Entries(f, part)).ToList();
        return [.. found];
    }

    static IEnumerable<string> Entries(string folder, string part)
    {
        if (part.AsSpan().IndexOfAny("*?[") < 0)
            return Path.Exists(Path.Combine(folder, part)) ? [Path.Combine(folder, part)] : [];
        if (!Directory.Exists(folder.Length == 0 ? "." : folder))
            return [];
        var names = Expression(part);
        return new DirectoryInfo(folder.Length == 0 ? "." : folder).EnumerateFileSystemInfos().Select(e => e.Name)
            .Where(n => names.IsMatch(n)).Order(StringComparer.Ordinal).Select(n => Path.Combine(folder, n));
    }

    static Regex Expression(string part)
    {
        var escaped = Regex.Escape(part).Replace(@"\*", ".*", StringComparison.Ordinal).Replace(@"\?", ".", StringComparison.Ordinal);
        return new($@"\A{Regex.Replace(escaped, @"\\\[([^]]+)]", "[$1]")}\z", RegexOptions.Singleline | RegexOptions.NonBacktracking);
    }
}
