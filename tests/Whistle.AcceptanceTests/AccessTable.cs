using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>What <c>docs/access.md</c> says: who may do what. The test of it is that the server does the same.</summary>
sealed class AccessTable
{
    AccessTable(
        Dictionary<string, HashSet<string>> roles, Dictionary<string, (string Needs, string Foreign)> routes,
        Dictionary<string, (string Needs, string Of)> acts) => (Roles, Routes, Acts) = (roles, routes, acts);

    /// <summary>The permissions of a role.</summary>
    public IReadOnlyDictionary<string, HashSet<string>> Roles { get; }

    /// <summary>
    /// By method and route: the permission, <c>login</c> or <c>nobody</c>; and what becomes of another tenant's: <c>404</c> where an id
    /// names it, <c>403</c> where the request does, <c>left out</c> in lists, <c>all</c> where the permission is needed for all tenants.
    /// </summary>
    public IReadOnlyDictionary<string, (string Needs, string Foreign)> Routes { get; }

    /// <summary>
    /// What a person does on a page: the permission, and whether it is needed of the <c>cluster</c>, the whole <c>tenant</c> or
    /// <c>all</c> tenants.
    /// </summary>
    public IReadOnlyDictionary<string, (string Needs, string Of)> Acts { get; }

    public static AccessTable Read()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "docs", "access.md")))
            folder = folder.Parent;
        Assert.True(folder is not null, "There is no docs/access.md.");
        var lines = File.ReadAllLines(Path.Combine(folder.FullName, "docs", "access.md"));
        var roles = Table(lines, "permission");
        return new(
            roles[0].Skip(1).Select((role, i) => (role, i)).ToDictionary(
                r => r.role, r => roles.Skip(1).Where(row => row[r.i + 1] == "yes").Select(row => row[0]).ToHashSet()),
            Table(lines, "route").Skip(1).ToDictionary(r => r[0], r => (r[1], r[2])),
            Table(lines, "act on a page").Skip(1).ToDictionary(r => r[0], r => (r[1], r[2])));
    }

    // The table whose first column has this head, without the line below its head.
    static List<string[]> Table(IEnumerable<string> lines, string first) =>
    [
        .. lines.SkipWhile(l => !l.StartsWith($"| {first} |", StringComparison.Ordinal)).TakeWhile(l => l.StartsWith('|'))
            .Where(l => !l.StartsWith("| ---", StringComparison.Ordinal))
            .Select(l => l.Trim('|').Split('|').Select(c => c.Trim().Trim('`')).ToArray()),
    ];
}
