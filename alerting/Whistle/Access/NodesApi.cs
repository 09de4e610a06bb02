using System.ComponentModel;

using Microsoft.AspNetCore.Http.HttpResults;

using Whistle.Detectors.Http;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Callers;

namespace Whistle.Access;

/// <summary>Nodes with what is known of their agents; which of them are out of service.</summary>
static class NodesApi
{
    public static void Map(WebApplication app, Credentials credentials, RegisterActs acts, KnownPlaces places)
    {
        var group = WhistleApi.Group(app, "nodes");
        group.MapGet("/nodes", async Task<Results<Ok<List<NodeAnswer>>, NotFound<ApiError>>> (
            [Description("All tenants if not given.")] string? tenant,
            [Description("Archived ones instead of those in service.")] bool? archived,
            [Description("All clusters if not given.")] string? cluster, Caller caller, CancellationToken cancellation) =>
        {
            if (await places.MistakeAsync(caller.Rights, tenant, cluster, cancellation) is { } unknown)
                return WhistleApi.NotFound(unknown);
            var standing = await credentials.Register.StandingAsync(cancellation);
            return TypedResults.Ok((await credentials.NodesAsync(cancellation))
                .Where(n => (tenant is null || n.Id.Tenant == tenant) && (cluster is null || n.Id.Cluster == cluster)
                    && (n.Archived is not null || standing.IsArchived(n.Id)) == (archived ?? false) && caller.Sees(n.Id.ClusterId))
                .Select(NodeAnswer.Of).ToList());
        }).Needs(Permission.Read).WithName("listNodes")
            .WithSummary("The nodes in service, with their agents' versions, clocks and credentials.");
        group.MapGet("/nodes/{tenant}/{cluster}/{node}", async Task<Results<Ok<NodeAnswer>, NotFound<ApiError>>> (
            [Description("Its tenant.")] string tenant, Caller caller, [Description("Its cluster.")] string cluster,
            [Description("Its name.")] string node, CancellationToken cancellation) =>
            await FindAsync(credentials, caller, new(tenant, cluster, node), cancellation) is { } found
                ? TypedResults.Ok(NodeAnswer.Of(found)) : NoNode(new(tenant, cluster, node)))
            .Needs(Permission.Read).WithName("getNode").WithSummary("A node, with its agent's version, clock and credential.");
        group.MapPost("/nodes/{tenant}/{cluster}/{node}/archive", (
            [Description("Its tenant.")] string tenant, Caller caller, [Description("Its cluster.")] string cluster,
            [Description("Its name.")] string node, CancellationToken cancellation) =>
            ArchiveAsync(acts, caller, new(tenant, cluster, node), true, cancellation))
            .Needs(Permission.Enrol).WithName("archiveNode")
            .WithSummary("Takes a node out of service: nobody misses its reports, and they are refused. Its history stays.");
        group.MapPost("/nodes/{tenant}/{cluster}/{node}/unarchive", (
            [Description("Its tenant.")] string tenant, Caller caller, [Description("Its cluster.")] string cluster,
            [Description("Its name.")] string node, CancellationToken cancellation) =>
            ArchiveAsync(acts, caller, new(tenant, cluster, node), false, cancellation))
            .Needs(Permission.Enrol).WithName("unarchiveNode").WithSummary("Unarchives a node: its reports are taken again.");
    }

    static async Task<Results<NoContent, NotFound<ApiError>, Conflict<ApiError>>> ArchiveAsync(
        RegisterActs acts, Caller caller, NodeId id, bool archived, CancellationToken cancellation) =>
        await acts.ArchiveNodeAsync(caller, id, archived, cancellation) switch
        {
            RegisterOutcome.Unknown => NoNode(id),
            RegisterOutcome.Refused refused => WhistleApi.Conflict(refused.Reason),
            _ => TypedResults.NoContent(),
        };

    static async Task<KnownNode?> FindAsync(Credentials credentials, Caller caller, NodeId id, CancellationToken cancellation) =>
        (await credentials.NodesAsync(cancellation)).FirstOrDefault(n => n.Id == id && caller.Sees(id.ClusterId));

    static NotFound<ApiError> NoNode(NodeId id) =>
        WhistleApi.NotFound($"There is no node {id} that you may see. `whistle nodes list` shows those there are.");
}
