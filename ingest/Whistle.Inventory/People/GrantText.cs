using Whistle.Inventory.Access;

namespace Whistle.Inventory.People;

/// <summary>A list of grants in one column: a line each, of role, tenant and cluster between tabs.</summary>
static class GrantText
{
    public static string Of(IReadOnlyList<Grant> grants) =>
        string.Join('\n', grants.Select(g => $"{g.Role.Name()}\t{g.Scope.Tenant}\t{g.Scope.Cluster}"));

    /// <exception cref="InvalidDataException">It is no such list.</exception>
    public static IReadOnlyList<Grant> Parse(string text) => text.Length == 0 ? [] :
    [
        .. text.Split('\n').Select(line => line.Split('\t') is [var role, var tenant, var cluster]
            ? new Grant(RoleOf(role), ScopeOf(tenant, cluster)) : throw new InvalidDataException($"\"{line}\" is no grant")),
    ];

    /// <exception cref="InvalidDataException">There is no such role.</exception>
    public static Role RoleOf(string name) => Roles.Find(name) ?? throw new InvalidDataException($"\"{name}\" is no role");

    // The names as two columns have them. An empty tenant is all of them, and has no clusters: a row must never mean more than it says.
    public static AccessScope ScopeOf(string of, string cluster) => of.Length > 0 || cluster.Length == 0
        ? AccessScope.Of(new ClusterId(of, cluster)) : throw new InvalidDataException("it names a cluster of no tenant");

    /// <summary>Why it cannot be given to anybody; null where it can.</summary>
    public static string? Mistake(Grant grant) =>
        grant.Mistake ?? Credentials.MistakeIn("tenant", grant.Scope.Tenant) ?? Credentials.MistakeIn("cluster", grant.Scope.Cluster);
}
