namespace Whistle.Inventory.Access;

/// <summary>All tenants, one tenant or one cluster: where a grant counts, or where something is. The default value is all.</summary>
public readonly record struct AccessScope
{
    AccessScope(string? tenant, string? cluster) => (Tenant, Cluster) = (tenant, cluster);

    public static AccessScope All => default;

    /// <summary>Null where it is all tenants.</summary>
    public string? Tenant { get; }

    /// <summary>Null where it is a whole tenant or all.</summary>
    public string? Cluster { get; }

    public bool IsAll => Tenant is null;

    /// <param name="tenant">Without a name it is all: what belongs to no tenant is seen by those who see all of them.</param>
    public static AccessScope Of(string tenant) => tenant.Length == 0 ? All : new(tenant, null);

    /// <summary>Without a tenant it is all, as many a cluster may have the name; without a cluster it is the tenant.</summary>
    public static AccessScope Of(ClusterId cluster) =>
        string.IsNullOrEmpty(cluster.Tenant) ? All : new(cluster.Tenant, string.IsNullOrEmpty(cluster.Cluster) ? null : cluster.Cluster);

    /// <summary>Whether all of the other lies within this one.</summary>
    public bool Covers(AccessScope other) => Tenant is null || (Tenant == other.Tenant && (Cluster is null || Cluster == other.Cluster));

    /// <summary>Whether they have anything in common.</summary>
    public bool Overlaps(AccessScope other) => Covers(other) || other.Covers(this);

    /// <summary>Such as <c>all tenants</c>, <c>default</c> or <c>default/prod</c>.</summary>
    public override string ToString() => Tenant is null ? "all tenants" : Cluster is null ? Tenant : $"{Tenant}/{Cluster}";
}

/// <summary>A role, and where it counts.</summary>
public sealed record Grant(Role Role, AccessScope Scope)
{
    /// <summary>Why there can be no such grant; null where there can.</summary>
    public string? Mistake => Role.IsCustomers() && Scope.IsAll
        ? $"{Role.Name()} is a customer's role: name the tenant that it is for." : null;

    public override string ToString() => $"{Role.Name()} of {Scope}";
}
