namespace Whistle.Inventory.Access;

/// <summary>
/// All that somebody may do, at one instant. This is the one place that decides; routes, pages and lists only ask it. Immutable.
/// </summary>
public sealed class Rights
{
    /// <summary>Of whoever is nobody.</summary>
    public static readonly Rights None = new([]);

    /// <summary>Of the machine's own user.</summary>
    public static readonly Rights Everything = new([new(Role.Admin, AccessScope.All)]);

    static readonly Permission[] AllPermissions = Enum.GetValues<Permission>();

    // Each of them must allow it.
    readonly IReadOnlyList<IReadOnlyList<Grant>> _lists;

    public Rights(IReadOnlyList<Grant> grants)
        : this(null, grants)
    {
    }

    Rights(Rights? within, IReadOnlyList<Grant> grants)
    {
        _lists = [.. within?._lists ?? [], grants];
        Readable = ScopesOf(Permission.Read);
    }

    /// <summary>Whether nothing is hidden.</summary>
    public bool SeesAll => May(Permission.Read, AccessScope.All);

    /// <summary>Where things may be read; several where it is several tenants or clusters.</summary>
    public IReadOnlyList<AccessScope> Readable { get; }

    /// <summary>Only what these grants allow too: never more than before.</summary>
    public Rights LimitedTo(IReadOnlyList<Grant> grants) => new(this, grants);

    /// <summary>
    /// Whether they belong to the tenant, so that what they read there is their own. What a token of theirs is limited to says nothing
    /// about it.
    /// </summary>
    public bool IsCustomerOf(AccessScope tenant) =>
        _lists[0].Any(g => g.Role.IsCustomers() && g.Scope.Tenant == tenant.Tenant);

    /// <summary>Whether it is allowed in all of the scope.</summary>
    public bool May(Permission permission, AccessScope scope) =>
        _lists.All(grants => grants.Any(g => g.Role.Allows(permission) && g.Scope.Covers(scope)));

    /// <summary>Whether it is allowed anywhere.</summary>
    public bool MayAnywhere(Permission permission) => ScopesOf(permission).Count > 0;

    /// <summary>Whether all that the grant allows is allowed.</summary>
    public bool Includes(Grant grant) => AllPermissions.All(p => !grant.Role.Allows(p) || May(p, grant.Scope));

    public bool Sees(ClusterId cluster) => Sees(AccessScope.Of(cluster));

    public bool Sees(AccessScope scope) => May(Permission.Read, scope);

    /// <summary>Whether any of the scope can be read, such as a pause for all that holds back one's own repairs too.</summary>
    public bool SeesPartOf(AccessScope scope) => Readable.Any(r => r.Overlaps(scope));

    /// <summary>Where a permission counts.</summary>
    public IReadOnlyList<AccessScope> ScopesOf(Permission permission) =>
    [
        // Of two scopes that overlap, one lies within the other.
        .. _lists.Select(grants => Widest(grants.Where(g => g.Role.Allows(permission)).Select(g => g.Scope)))
            .Aggregate((a, b) => Widest(a.SelectMany(x => b.Where(x.Overlaps), (x, y) => x.Covers(y) ? y : x))),
    ];

    static List<AccessScope> Widest(IEnumerable<AccessScope> scopes)
    {
        var all = scopes.ToHashSet();
        return
        [
            .. all.Contains(AccessScope.All) ? [AccessScope.All]
                : all.Where(s => s.Cluster is null || !all.Contains(AccessScope.Of(s.Tenant!))),
        ];
    }
}
