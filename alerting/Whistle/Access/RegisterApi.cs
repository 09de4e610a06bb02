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
    public static void Map(WebApplication app, FleetRegister register, RegisterActs acts, PeopleDirectory people, KnownPlaces places)
    {
        var group = WhistleApi.Group(app, "tenants");
        MapTenants(group, register, people);
        MapTenantChanges(group, acts);
        MapClusters(group, register, places);
        MapClusterChanges(group, acts);
    }

    static void MapTenants(RouteGroupBuilder group, FleetRegister register, PeopleDirectory people)
    {
        group.MapGet("/tenants", async (
            [Description("Archived ones instead of those in use.")] bool? archived, Caller caller, CancellationToken cancellation) =>
            TypedResults.Ok((await register.TenantsAsync(cancellation))
                .Where(t => t.History.IsArchived == (archived ?? false) && caller.SeesPartOf(t.Id))
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

    static void MapTenantChanges(RouteGroupBuilder group, RegisterActs acts)
    {
        group.MapPost("/tenants", async (TenantRequest request, Caller caller, CancellationToken cancellation) => Answer(
            request.Id, await acts.AddTenantAsync(
                caller, request.Id, new(request.Name, request.Contacts, request.Notes, request.Labels), cancellation)))
            .NeedsEverywhere(Permission.ManageTenants).WithName("addTenant").WithSummary("Adds a tenant.");
        group.MapPatch("/tenants/{tenant}", async (
            [Description("Its id.")] string tenant, EntryRequest request, Caller caller, CancellationToken cancellation) =>
            Answer(tenant, await acts.ChangeTenantAsync(caller, tenant, request.ToChange(), cancellation)))
            .Needs(Permission.ManageTenants).WithName("changeTenant").WithSummary(
                "Changes contacts and notes of a tenant; its name and labels too for those who manage all tenants.");
        group.MapPut("/tenants/{tenant}/limits", async (
            [Description("Its id.")] string tenant, LimitsRequest request, Caller caller, CancellationToken cancellation) =>
            Answer(tenant, await acts.SetLimitsAsync(caller, tenant, request.ToLimits(), cancellation)))
            .NeedsEverywhere(Permission.ManageTenants).WithName("setTenantLimits")
            .WithSummary("Sets what a tenant may send, and how long it is kept; what is not given is the server's own setting.");
        group.MapPost("/tenants/{tenant}/archive", async (
            [Description("Its id.")] string tenant, Caller caller, CancellationToken cancellation) =>
            Answer(tenant, await acts.ArchiveTenantAsync(caller, tenant, true, cancellation)))
            .NeedsEverywhere(Permission.ManageTenants).WithName("archiveTenant")
            .WithSummary("Refuses telemetry and new senders of a tenant from now on. Its history stays.");
        group.MapPost("/tenants/{tenant}/unarchive", async (
            [Description("Its id.")] string tenant, Caller caller, CancellationToken cancellation) =>
            Answer(tenant, await acts.ArchiveTenantAsync(caller, tenant, false, cancellation)))
            .NeedsEverywhere(Permission.ManageTenants).WithName("unarchiveTenant")
            .WithSummary("Unarchives a tenant: its senders are heard again.");
    }

    static void MapClusters(RouteGroupBuilder group, FleetRegister register, KnownPlaces places)
    {
        group.MapGet("/clusters", async Task<Results<Ok<List<ClusterAnswer>>, NotFound<ApiError>>> (
            [Description("All tenants if not given.")] string? tenant,
            [Description("Archived ones instead of those in use.")] bool? archived, Caller caller, CancellationToken cancellation) =>
        {
            if (await places.MistakeAsync(caller.Rights, tenant, null, cancellation) is { } unknown)
                return WhistleApi.NotFound(unknown);
            var clusters = await register.ClustersAsync(cancellation);
            var standing = new FleetStanding(await register.TenantsAsync(cancellation), clusters, []);
            return TypedResults.Ok(clusters
                .Where(c => (tenant is null || c.Id.Tenant == tenant)
                    && standing.IsArchived(c.Id) == (archived ?? false) && caller.Sees(c.Id))
                .Select(ClusterAnswer.Of).ToList());
        }).Needs(Permission.Read).WithName("listClusters").WithSummary("The clusters in use that the caller may see.");
        group.MapGet("/clusters/{tenant}/{cluster}", async Task<Results<Ok<ClusterAnswer>, NotFound<ApiError>>> (
            [Description("Its tenant.")] string tenant, Caller caller, [Description("Its id.")] string cluster,
            CancellationToken cancellation) =>
            await FindAsync(register, caller, new ClusterId(tenant, cluster), cancellation) is { } found
                ? TypedResults.Ok(ClusterAnswer.Of(found)) : NoCluster(new(tenant, cluster)))
            .Needs(Permission.Read).WithName("getCluster").WithSummary("A cluster with what is written down about it.");
    }

    static void MapClusterChanges(RouteGroupBuilder group, RegisterActs acts)
    {
        group.MapPost("/clusters", async (ClusterRequest request, Caller caller, CancellationToken cancellation) =>
        {
            var id = new ClusterId(request.Tenant ?? Enrolment.DefaultTenant, request.Id);
            return Answer(id.Tenant, await acts.AddClusterAsync(
                caller, id, new(request.Name, request.Contacts, request.Notes, request.Labels), cancellation));
        }).Needs(Permission.ManageTenants).WithName("addCluster").WithSummary("Adds a cluster to a tenant that is known.");
        group.MapPatch("/clusters/{tenant}/{cluster}", async (
            [Description("Its tenant.")] string tenant, EntryRequest request, Caller caller, [Description("Its id.")] string cluster,
            CancellationToken cancellation) =>
            Answer(new ClusterId(tenant, cluster), await acts.ChangeClusterAsync(
                caller, new(tenant, cluster), request.ToChange(), cancellation)))
            .Needs(Permission.ManageTenants).WithName("changeCluster").WithSummary("Changes what is written down about a cluster.");
        group.MapPost("/clusters/{tenant}/{cluster}/archive", async (
            [Description("Its tenant.")] string tenant, Caller caller, [Description("Its id.")] string cluster,
            CancellationToken cancellation) =>
            Answer(new ClusterId(tenant, cluster), await acts.ArchiveClusterAsync(caller, new(tenant, cluster), true, cancellation)))
            .Needs(Permission.ManageTenants).WithName("archiveCluster")
            .WithSummary("Refuses telemetry and new senders of a cluster from now on. Its history stays.");
        group.MapPost("/clusters/{tenant}/{cluster}/unarchive", async (
            [Description("Its tenant.")] string tenant, Caller caller, [Description("Its id.")] string cluster,
            CancellationToken cancellation) =>
            Answer(new ClusterId(tenant, cluster), await acts.ArchiveClusterAsync(caller, new(tenant, cluster), false, cancellation)))
            .Needs(Permission.ManageTenants).WithName("unarchiveCluster").WithSummary("Unarchives a cluster: its senders are heard again.");
    }

    static Answered Answer(string tenant, RegisterOutcome outcome) =>
        outcome is RegisterOutcome.Unknown ? NoTenant(tenant) : Answer(outcome);

    static Answered Answer(ClusterId cluster, RegisterOutcome outcome) =>
        outcome is RegisterOutcome.Unknown ? NoCluster(cluster) : Answer(outcome);

    static Answered Answer(RegisterOutcome outcome) => outcome switch
    {
        RegisterOutcome.Refused refused => WhistleApi.Conflict(refused.Reason),
        RegisterOutcome.Mistaken mistaken => WhistleApi.BadRequest(mistaken.Reason),
        RegisterOutcome.Changed => TypedResults.NoContent(),
        _ => throw new InvalidOperationException($"Unknown outcome {outcome}."),
    };

    static async Task<KnownTenant?> FindAsync(FleetRegister register, Caller caller, string id, CancellationToken cancellation) =>
        (await register.TenantsAsync(cancellation)).FirstOrDefault(t => t.Id == id && caller.SeesPartOf(id));

    static async Task<KnownCluster?> FindAsync(FleetRegister register, Caller caller, ClusterId id, CancellationToken cancellation) =>
        (await register.ClustersAsync(cancellation)).FirstOrDefault(c => c.Id == id && caller.Sees(id));

    static async Task<List<ViewerAnswer>?> ViewersAsync(
        PeopleDirectory people, Caller caller, string tenant, CancellationToken cancellation) =>
        (await people.ViewersAsync(caller.Rights, AccessScope.Of(tenant), cancellation))?
            .Select(v => new ViewerAnswer(v.Name, v.Grant.Role, $"{v.Grant.Scope}")).ToList();

    static NotFound<ApiError> NoTenant(string id) =>
        WhistleApi.NotFound($"There is no tenant {id} that you may see. `whistle tenants list` shows those there are.");

    static NotFound<ApiError> NoCluster(ClusterId id) =>
        WhistleApi.NotFound($"There is no cluster {id} that you may see. `whistle clusters list` shows those there are.");
}
