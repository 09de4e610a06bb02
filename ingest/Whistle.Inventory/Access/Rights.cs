namespace Whistle.Inventory.Access;

/// <summary>
/// All that somebody may do, at one instant. This is the one place that decides; routes, pages and lists only ask it. Immutable.
/// </summary>
public sealed class Rights(IReadOnlyList<Grant> grants)
{
    /// <summary>Of whoever is nobody.</summary>
    public static readonly Rights None = new([]);

    /// <summary>Of the machine's own user.</summary>
    public static readonly Rights Everything = new([new(Role.Admin, AccessScope.All)]);

    public IReadOnlyList<Grant> Grants { get; } = grants;

    /// <summary>Whether nothing is hidden.</summary>
    public bool SeesAll => May(Permission.Read, AccessScope.All);

    /// <summary>Where things may be read; several where it is several tenants or clusters.</summary>
    public IReadOnlyList<AccessScope> Readable { get; } =
        [.. grants.Where(g => g.Role.Allows(Permission.Read)).Select(g => g.Scope).Distinct()];

    /// <summary>Whether it is allowed in all of the scope.</summary>
    public bool May(Permission permission, AccessScope scope) => Grants.Any(g => g.Role.Allows(permission) && g.Scope.Covers(scope));

    /// <summary>Whether it is allowed anywhere.</summary>
    public bool MayAnywhere(Permission permission) => Grants.Any(g => g.Role.Allows(permission));

    public bool Sees(ClusterId cluster) => Sees(AccessScope.Of(cluster));

    public bool Sees(AccessScope scope) => May(Permission.Read, scope);

    /// <summary>Whether any of the scope can be read, such as a pause for all that holds back one's own repairs too.</summary>
    public bool SeesPartOf(AccessScope scope) => Readable.Any(r => r.Overlaps(scope));
}
