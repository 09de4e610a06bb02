using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;

namespace Whistle.Inventory.Callers;

/// <summary>
/// What callers change in the register, over the API and on the pages: whether they may, whom it concerns, and the change. What a caller
/// may not see is not there.
/// </summary>
public sealed class RegisterActs(FleetRegister register, Credentials credentials)
{
    /// <exception cref="ForbiddenException">The caller does not manage all tenants.</exception>
    public async Task<RegisterOutcome> AddTenantAsync(Caller caller, string id, RegisterChange entry, CancellationToken cancellation)
    {
        AuditAct.Current?.Subject = id;
        await caller.RequireEverywhereAsync(Permission.ManageTenants, AccessScope.Of(id));
        return await register.AddTenantAsync(id, entry, caller.Name, cancellation);
    }

    /// <exception cref="ForbiddenException">The caller does not manage the tenant, or not all of them where that is needed.</exception>
    public Task<RegisterOutcome> ChangeTenantAsync(Caller caller, string id, RegisterChange change, CancellationToken cancellation) =>
        // What a tenant is called is said everywhere; whom to ask about it is its own affair.
        OnTenantAsync(
            caller, id, change is not { Name: null, Labels: null },
            () => register.ChangeTenantAsync(id, change, cancellation), cancellation);

    /// <exception cref="ForbiddenException">The caller does not manage all tenants.</exception>
    public Task<RegisterOutcome> SetLimitsAsync(Caller caller, string id, TenantLimits limits, CancellationToken cancellation) =>
        OnTenantAsync(caller, id, true, () => register.SetLimitsAsync(id, limits, cancellation), cancellation);

    /// <exception cref="ForbiddenException">The caller does not manage all tenants.</exception>
    public Task<RegisterOutcome> ArchiveTenantAsync(Caller caller, string id, bool archived, CancellationToken cancellation) =>
        OnTenantAsync(caller, id, true, () => register.ArchiveTenantAsync(id, archived, caller.Name, cancellation), cancellation);

    /// <summary>Answers <see cref="RegisterOutcome.Unknown"/> where its tenant is not in the register.</summary>
    /// <exception cref="ForbiddenException">The caller does not manage the tenant.</exception>
    public async Task<RegisterOutcome> AddClusterAsync(
        Caller caller, ClusterId id, RegisterChange entry, CancellationToken cancellation)
    {
        AuditAct.Current?.Subject = $"{id}";
        await caller.RequireAsync(Permission.ManageTenants, id);
        return await register.AddClusterAsync(id, entry, caller.Name, cancellation);
    }

    /// <exception cref="ForbiddenException">The caller does not manage the cluster.</exception>
    public Task<RegisterOutcome> ChangeClusterAsync(Caller caller, ClusterId id, RegisterChange change, CancellationToken cancellation) =>
        OnClusterAsync(caller, id, () => register.ChangeClusterAsync(id, change, cancellation), cancellation);

    /// <exception cref="ForbiddenException">The caller does not manage the cluster.</exception>
    public Task<RegisterOutcome> ArchiveClusterAsync(Caller caller, ClusterId id, bool archived, CancellationToken cancellation) =>
        OnClusterAsync(caller, id, () => register.ArchiveClusterAsync(id, archived, caller.Name, cancellation), cancellation);

    /// <exception cref="ForbiddenException">The caller may not enrol there.</exception>
    public async Task<RegisterOutcome> ArchiveNodeAsync(Caller caller, NodeId id, bool archived, CancellationToken cancellation)
    {
        if (!caller.Sees(id.ClusterId) || !(await credentials.NodesAsync(cancellation)).Any(n => n.Id == id))
            return new RegisterOutcome.Unknown();
        await caller.RequireAsync(Permission.Enrol, id.ClusterId);
        if (archived)
            return await register.ArchiveNodeAsync(id, caller.Name, cancellation);
        return await register.UnarchiveNodeAsync(id, cancellation) is RegisterOutcome.Unknown
            ? new RegisterOutcome.Refused($"The node {id} is in service already.") : RegisterOutcome.Done;
    }

    async Task<RegisterOutcome> OnTenantAsync(
        Caller caller, string id, bool isForAll, Func<Task<RegisterOutcome>> change, CancellationToken cancellation)
    {
        if (!caller.SeesPartOf(id) || !(await register.TenantsAsync(cancellation)).Any(t => t.Id == id))
            return new RegisterOutcome.Unknown();
        if (isForAll)
            await caller.RequireEverywhereAsync(Permission.ManageTenants, AccessScope.Of(id));
        else
            await caller.RequireAsync(Permission.ManageTenants, AccessScope.Of(id));
        return await change();
    }

    async Task<RegisterOutcome> OnClusterAsync(
        Caller caller, ClusterId id, Func<Task<RegisterOutcome>> change, CancellationToken cancellation)
    {
        if (!caller.Sees(id) || !(await register.ClustersAsync(cancellation)).Any(c => c.Id == id))
            return new RegisterOutcome.Unknown();
        await caller.RequireAsync(Permission.ManageTenants, id);
        return await change();
    }
}
