using System.ComponentModel;

using Microsoft.AspNetCore.Http.HttpResults;

using Whistle.Detectors.Http;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Callers;
using Whistle.Inventory.People;

using Answered = Microsoft.AspNetCore.Http.HttpResults.Results<
    Microsoft.AspNetCore.Http.HttpResults.NoContent, Microsoft.AspNetCore.Http.HttpResults.NotFound<Whistle.Detectors.Http.ApiError>,
    Microsoft.AspNetCore.Http.HttpResults.Conflict<Whistle.Detectors.Http.ApiError>,
    Microsoft.AspNetCore.Http.HttpResults.BadRequest<Whistle.Detectors.Http.ApiError>>;

namespace Whistle.Access;

/// <summary>Tenants and clusters as things of their own.</summary>
static class RegisterApi
{
    public static void Map(WebApplication app, FleetRegister register, PeopleStore people)
    {
        var group = WhistleApi.Group(app, "tenants");
        MapTenants(group, register, people);
        MapTenantChanges(group, register);
        MapClusters(group, register);
        MapClusterChanges(group, register);
    }

    static void MapTenants(RouteGroupBuilder group, FleetRegister register, PeopleStore people)
    {
        group.MapGet("/tenants", async (
            [Description("Archived ones instead of those in use.")] bool? archived, Caller caller, CancellationToken cancellation) =>
            TypedResults.Ok((await register.TenantsAsync(cancellation))
                .Where(t => t.History.IsArchived == (archived ?? false) && SeesPart(caller, t.Id))
                .Select(t => TenantAnswer.Of(t, caller.Rights)).ToList()))
            .Needs(Permission.Read).WithName("listTenants").WithSummary("The tenants in use that the caller may see.");
        group.MapGet("/tenants/{tenant}", async Task<Results<Ok<TenantDetail>, NotFound<ApiError>>> (
            [Description("Its id.")] string tenant, Caller caller, CancellationToken cancellation) =>
        {
            if (await FindAsync(register, caller, tenant, cancellation) is not { } found)
                return NoTenant(tenant);
            var clusters = (await register.ClustersAsync(cancellation))
                .Where(c => c.Id.Tenant == tenant && !c.History.IsArchived && caller.Sees(c.Id)).Select(ClusterAnswer.Of).ToList();
            return TypedResults.Ok(new TenantDetail(
                TenantAnswer.Of(found, caller.Rights), clusters, await ViewersAsync(people, caller, tenant, cancellation)));
        }).Needs(Permission.Read).WithName("getTenant").WithSummary("A tenant, its clusters, and who may see it.");
    }

    static void MapTenantChanges(RouteGroupBuilder group, FleetRegister register)
    {
        group.MapPost("/tenants", (TenantRequest request, Caller caller, CancellationToken cancellation) => DoAsync(
            request.Id, () => register.AddTenantAsync(
                request.Id, new(request.Name, request.Contacts, request.Notes, request.Labels), Named(caller, request.Id), cancellation)))
            .NeedsEverywhere(Permission.ManageTenants).WithName("addTenant").WithSummary("Adds a tenant.");
        group.MapPatch("/tenants/{tenant}", async Task<Answered> (
            [Description("Its id.")] string tenant, EntryRequest request, Caller caller, CancellationToken cancellation) =>
        {
            if (await FindAsync(register, caller, tenant, cancellation) is null)
                return NoTenant(tenant);
            // What a tenant is called is said everywhere; whom to ask about it is its own affair.
            await caller.RequireAsync(Permission.ManageTenants, AccessScope.Of(tenant));
            if (request is not { Name: null, Labels: null } && !caller.Rights.May(Permission.ManageTenants, AccessScope.All))
                throw new ForbiddenException(Permission.ManageTenants, AccessScope.All);
            return await DoAsync(tenant, () => register.ChangeTenantAsync(tenant, request.ToChange(), cancellation));
        }).Needs(Permission.ManageTenants).WithName("changeTenant").WithSummary(
            "Changes contacts and notes of a tenant; its name and labels too for those who manage all tenants.");
        group.MapPut("/tenants/{tenant}/limits", (
            [Description("Its id.")] string tenant, LimitsRequest request, Caller caller, CancellationToken cancellation) =>
            OnTenantAsync(register, caller, tenant, () => register.SetLimitsAsync(tenant, request.ToLimits(), cancellation), cancellation))
            .NeedsEverywhere(Permission.ManageTenants).WithName("setTenantLimits")
            .WithSummary("Sets what a tenant may send; what is not given is the server's own setting.");
        group.MapPost("/tenants/{tenant}/archive", (
            [Description("Its id.")] string tenant, Caller caller, CancellationToken cancellation) => OnTenantAsync(
                register, caller, tenant, () => register.ArchiveTenantAsync(tenant, true, caller.Name, cancellation), cancellation))
            .NeedsEverywhere(Permission.ManageTenants).WithName("archiveTenant")
            .WithSummary("Refuses telemetry and new senders of a tenant from now on. Its history stays.");
        group.MapPost("/tenants/{tenant}/unarchive", (
            [Description("Its id.")] string tenant, Caller caller, CancellationToken cancellation) => OnTenantAsync(
                register, caller, tenant, () => register.ArchiveTenantAsync(tenant, false, caller.Name, cancellation), cancellation))
            .NeedsEverywhere(Permission.ManageTenants).WithName("unarchiveTenant").WithSummary("Takes an archived tenant back.");
    }

    static void MapClusters(RouteGroupBuilder group, FleetRegister register)
    {
        group.MapGet("/clusters", async (
            [Description("All tenants if not given.")] string? tenant,
            [Description("Archived ones instead of those in use.")] bool? archived, Caller caller, CancellationToken cancellation) =>
        {
            var tenants = await register.TenantsAsync(cancellation);
            var isTenantArchived = tenants.Where(t => t.History.IsArchived).Select(t => t.Id).ToHashSet();
            return TypedResults.Ok((await register.ClustersAsync(cancellation))
                .Where(c => (tenant is null || c.Id.Tenant == tenant)
                    && (c.History.IsArchived || isTenantArchived.Contains(c.Id.Tenant)) == (archived ?? false) && caller.Sees(c.Id))
                .Select(ClusterAnswer.Of).ToList());
        }).Needs(Permission.Read).WithName("listClusters").WithSummary("The clusters in use that the caller may see.");
        group.MapGet("/clusters/{tenant}/{cluster}", async Task<Results<Ok<ClusterAnswer>, NotFound<ApiError>>> (
            [Description("Its tenant.")] string tenant, Caller caller, [Description("Its id.")] string cluster,
            CancellationToken cancellation) =>
            await FindAsync(register, caller, new ClusterId(tenant, cluster), cancellation) is { } found
                ? TypedResults.Ok(ClusterAnswer.Of(found)) : NoCluster(new(tenant, cluster)))
            .Needs(Permission.Read).WithName("getCluster").WithSummary("A cluster with what is written down about it.");
    }

    static void MapClusterChanges(RouteGroupBuilder group, FleetRegister register)
    {
        group.MapPost("/clusters", async Task<Answered> (ClusterRequest request, Caller caller, CancellationToken cancellation) =>
        {
            var id = new ClusterId(request.Tenant ?? Enrolment.DefaultTenant, request.Id);
            await caller.RequireAsync(Permission.ManageTenants, id);
            return await DoAsync(id.Tenant, () => register.AddClusterAsync(
                id, new(request.Name, request.Contacts, request.Notes, request.Labels), caller.Name, cancellation));
        }).Needs(Permission.ManageTenants).WithName("addCluster").WithSummary("Adds a cluster to a tenant that is known.");
        group.MapPatch("/clusters/{tenant}/{cluster}", (
            [Description("Its tenant.")] string tenant, EntryRequest request, Caller caller, [Description("Its id.")] string cluster,
            CancellationToken cancellation) => OnClusterAsync(
                register, caller, new(tenant, cluster),
                () => register.ChangeClusterAsync(new(tenant, cluster), request.ToChange(), cancellation), cancellation))
            .Needs(Permission.ManageTenants).WithName("changeCluster").WithSummary("Changes what is written down about a cluster.");
        group.MapPost("/clusters/{tenant}/{cluster}/archive", (
            [Description("Its tenant.")] string tenant, Caller caller, [Description("Its id.")] string cluster,
            CancellationToken cancellation) => OnClusterAsync(
                register, caller, new(tenant, cluster),
                () => register.ArchiveClusterAsync(new(tenant, cluster), true, caller.Name, cancellation), cancellation))
            .Needs(Permission.ManageTenants).WithName("archiveCluster")
            .WithSummary("Refuses telemetry and new senders of a cluster from now on. Its history stays.");
        group.MapPost("/clusters/{tenant}/{cluster}/unarchive", (
            [Description("Its tenant.")] string tenant, Caller caller, [Description("Its id.")] string cluster,
            CancellationToken cancellation) => OnClusterAsync(
                register, caller, new(tenant, cluster),
                () => register.ArchiveClusterAsync(new(tenant, cluster), false, caller.Name, cancellation), cancellation))
            .Needs(Permission.ManageTenants).WithName("unarchiveCluster").WithSummary("Takes an archived cluster back.");
    }

    static async Task<Answered> OnTenantAsync(
        FleetRegister register, Caller caller, string tenant, Func<Task<RegisterOutcome>> change, CancellationToken cancellation)
    {
        if (await FindAsync(register, caller, tenant, cancellation) is null)
            return NoTenant(tenant);
        caller.Concern(Permission.ManageTenants, AccessScope.Of(tenant));
        return await DoAsync(tenant, change);
    }

    static async Task<Answered> OnClusterAsync(
        FleetRegister register, Caller caller, ClusterId id, Func<Task<RegisterOutcome>> change, CancellationToken cancellation)
    {
        if (await FindAsync(register, caller, id, cancellation) is null)
            return NoCluster(id);
        await caller.RequireAsync(Permission.ManageTenants, id);
        return await DoAsync(id.Tenant, change);
    }

    static async Task<Answered> DoAsync(string tenant, Func<Task<RegisterOutcome>> change)
    {
        try
        {
            return await change() switch
            {
                RegisterOutcome.Unknown => NoTenant(tenant),
                RegisterOutcome.Refused refused => WhistleApi.Conflict(refused.Reason),
                _ => TypedResults.NoContent(),
            };
        }
        catch (ArgumentException e)
        {
            return WhistleApi.BadRequest(e.Message);
        }
    }

    static async Task<KnownTenant?> FindAsync(FleetRegister register, Caller caller, string id, CancellationToken cancellation) =>
        (await register.TenantsAsync(cancellation)).FirstOrDefault(t => t.Id == id && SeesPart(caller, id));

    static async Task<KnownCluster?> FindAsync(FleetRegister register, Caller caller, ClusterId id, CancellationToken cancellation) =>
        (await register.ClustersAsync(cancellation)).FirstOrDefault(c => c.Id == id && caller.Sees(id));

    static bool SeesPart(Caller caller, string tenant)
    {
        if (!caller.Rights.SeesPartOf(AccessScope.Of(tenant)))
            return false;
        caller.Concern(Permission.Read, AccessScope.Of(tenant));
        return true;
    }

    static string Named(Caller caller, string tenant)
    {
        caller.Concern(Permission.ManageTenants, AccessScope.Of(tenant));
        return caller.Name;
    }

    static async Task<List<ViewerAnswer>?> ViewersAsync(
        PeopleStore people, Caller caller, string tenant, CancellationToken cancellation)
    {
        var scope = AccessScope.Of(tenant);
        return !caller.Rights.May(Permission.ManagePeople, scope) ? null :
        [
            .. (await people.AllAsync(cancellation)).Where(p => p.Person.DisabledAt is null).SelectMany(p => p.Grants
                .Where(g => g.Grant.Scope.Overlaps(scope))
                .Select(g => new ViewerAnswer(p.Person.Name, g.Grant.Role, $"{g.Grant.Scope}"))).Distinct(),
        ];
    }

    static NotFound<ApiError> NoTenant(string id) =>
        WhistleApi.NotFound($"There is no tenant {id} that you may see. `whistle tenants list` shows those there are.");

    static NotFound<ApiError> NoCluster(ClusterId id) =>
        WhistleApi.NotFound($"There is no cluster {id} that you may see. `whistle clusters list` shows those there are.");
}
