using Whistle.Inventory.Access;

namespace Whistle.Inventory.Callers;

/// <summary>
/// Whether tenants and clusters that somebody names are in the register: a role in a tenant that nobody knows would count nowhere, and a
/// list of it would be empty, silently. What somebody may not see is not there.
/// </summary>
public sealed class KnownPlaces(FleetRegister register)
{
    /// <summary>Why nothing is known under the names, and what to do; null where something is.</summary>
    /// <param name="tenant">Any if null.</param>
    /// <param name="cluster">Any if null.</param>
    /// <param name="mayAdd">They may be meant as they are written, and to be added.</param>
    public async Task<string?> MistakeAsync(
        Rights rights, string? tenant, string? cluster, CancellationToken cancellation, bool mayAdd = false)
    {
        if (tenant is null && cluster is null)
            return null;
        List<string> tenants =
            [.. (await register.TenantsAsync(cancellation)).Select(t => t.Id).Where(t => rights.SeesPartOf(AccessScope.Of(t)))];
        if (tenant is not null && !tenants.Contains(tenant))
        {
            return $"There is no tenant {tenant} that you may see{Nearest.Words(tenant, tenants, "tenant")}"
                + (mayAdd ? $" `whistle tenants add {tenant}` adds it." : "");
        }

        List<string> clusters = [.. (await register.ClustersAsync(cancellation)).Select(c => c.Id)
            .Where(c => (tenant is null || c.Tenant == tenant) && rights.Sees(c)).Select(c => c.Cluster)];
        return cluster is null || clusters.Contains(cluster) ? null
            : $"There is no cluster {cluster}{(tenant is null ? "" : $" of tenant {tenant}")} that you may see"
                + Nearest.Words(cluster, clusters, "cluster")
                + (mayAdd ? $" `whistle clusters add {cluster} --tenant {tenant}` adds it." : "");
    }
}
