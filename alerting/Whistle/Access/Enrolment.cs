using System.ComponentModel;
using System.Text.Json.Serialization;

using Microsoft.AspNetCore.Http.HttpResults;

using Whistle.Detectors.Http;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;

namespace Whistle.Access;

/// <param name="Node">Without it, the token is for a collector that sends for the whole cluster.</param>
/// <param name="Replace">What the sender has now ends. A node that is enrolled is refused without it.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record EnrolmentRequest(string Cluster, string? Node = null, string? Tenant = null, bool Replace = false);

/// <summary>An agent that should report.</summary>
sealed record AgentAnswer(string Tenant, string Cluster, string Node, DateTimeOffset EnrolledAt);

/// <param name="Token">Shown this once.</param>
/// <param name="IsNewCluster">Nobody knew the cluster: the enrolment has added it.</param>
sealed record EnrolledAnswer(string Token, bool IsNewCluster);

/// <param name="Node">All nodes of the cluster if not given.</param>
/// <param name="Tenant">Found by the other names if not given.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record RotationRequest(string Cluster, string? Node = null, string? Tenant = null);

/// <param name="Asked">How many credentials are to be renewed.</param>
sealed record RotationAnswer(int Asked);

/// <param name="Revoked">How many tokens.</param>
sealed record RevokedAnswer(int Revoked);

/// <summary>Enrols and revokes senders: for the command line on the state itself, and over the API for those who carry the token.</summary>
static class Enrolment
{
    public const string DefaultTenant = "default";

    public static void Map(WebApplication app, Credentials credentials)
    {
        var group = WhistleApi.Group(app, "agents");
        // A browser's cookie makes no senders.
        group.RequireAuthorization(Authentication.TokenOnly);
        group.MapGet(
                "/agents", async (Caller caller, CancellationToken cancellation) =>
                    TypedResults.Ok((await AgentsAsync(credentials, cancellation)).Where(
                        a => caller.Sees(new(a.Tenant, a.Cluster))).ToList()))
            .Needs(Permission.Read).WithName("listAgents").WithSummary("The nodes that should report.");
        group.MapPost("/agents", async Task<Results<Ok<EnrolledAnswer>, BadRequest<ApiError>, Conflict<ApiError>>> (
            EnrolmentRequest request, Caller caller, CancellationToken cancellation) =>
        {
            try
            {
                var cluster = new ClusterId(request.Tenant ?? DefaultTenant, request.Cluster);
                AuditAct.Current?.Subject = $"{new EnrolledSender(cluster, request.Node)}";
                await caller.RequireAsync(Permission.Enrol, cluster);
                var isNew = await IsNewAsync(credentials, cluster, cancellation);
                var (token, refusal) = await credentials.EnrollAsync(cluster, request.Node, request.Replace, cancellation);
                return refusal is null ? TypedResults.Ok(new EnrolledAnswer(token!, isNew)) : WhistleApi.Conflict(refusal);
            }
            catch (ArgumentException e)
            {
                return WhistleApi.BadRequest(e.Message);
            }
        }).Needs(Permission.Enrol).WithName("enrolAgent").WithSummary("Enrols a sender of telemetry and answers its token, this once.");
        group.MapDelete("/agents", async Task<Results<Ok<RevokedAnswer>, NotFound<ApiError>, BadRequest<ApiError>>> (
            [Description("The cluster.")] string cluster, [Description("The node; the cluster's collector if not given.")] string? node,
            [Description("Found by the other names if not given.")] string? tenant, Caller caller, CancellationToken cancellation) =>
        {
            var (found, several) = await TenantAsync(
                credentials, caller.Rights, tenant, s => s.ClusterId.Cluster == cluster && s.Node == node, cancellation);
            var sender = new EnrolledSender(new(found, cluster), node);
            AuditAct.Current?.Subject = $"{sender}";
            if (several is not null)
                return WhistleApi.BadRequest(several);
            await caller.RequireAsync(Permission.Enrol, sender.ClusterId);
            return await RevokeAsync(credentials, sender, caller.Rights, cancellation) is var (count, mistake) && mistake is null
                ? TypedResults.Ok(new RevokedAnswer(count)) : WhistleApi.NotFound(mistake!);
        }).Needs(Permission.Enrol).WithName("revokeAgent").WithSummary("Revokes the tokens of a sender.");
        group.MapPost("/agents/rotation", async Task<Results<Ok<RotationAnswer>, NotFound<ApiError>, BadRequest<ApiError>>> (
            RotationRequest request, Caller caller, CancellationToken cancellation) =>
        {
            var (found, several) = await TenantAsync(
                credentials, caller.Rights, request.Tenant,
                s => s.ClusterId.Cluster == request.Cluster && s.Node is not null && (request.Node ?? s.Node) == s.Node, cancellation);
            var cluster = new ClusterId(found, request.Cluster);
            AuditAct.Current?.Subject = $"{new EnrolledSender(cluster, request.Node)}";
            if (several is not null)
                return WhistleApi.BadRequest(several);
            await caller.RequireAsync(Permission.Enrol, cluster);
            return await credentials.RotateAsync(cluster, request.Node, cancellation) is > 0 and var count
                ? TypedResults.Ok(new RotationAnswer(count))
                : WhistleApi.NotFound(await MissingAsync(
                    credentials, $"{new EnrolledSender(cluster, request.Node)}", "so no agent was asked", caller.Rights, cancellation));
        }).Needs(Permission.Enrol).WithName("rotateAgents")
            .WithSummary("Asks the agents of a cluster, or of one node, to renew their credentials at their next request.");
    }

    /// <summary>The agents that should report, as the API lists them.</summary>
    public static async Task<List<AgentAnswer>> AgentsAsync(Credentials credentials, CancellationToken cancellation)
    {
        var standing = await credentials.Register.StandingAsync(cancellation);
        return
        [
            .. (await credentials.NodesAsync(cancellation)).Where(n => n.EnrolledAt is not null && !standing.IsArchived(n.Id))
                .Select(n => new AgentAnswer(n.Id.Tenant, n.Id.Cluster, n.Id.Node, n.EnrolledAt!.Value)),
        ];
    }

    /// <summary>Whether nobody knows the cluster, so that the first enrolment in it adds it.</summary>
    public static async Task<bool> IsNewAsync(Credentials credentials, ClusterId cluster, CancellationToken cancellation) =>
        (await credentials.Register.ClustersAsync(cancellation)).All(c => c.Id != cluster);

    /// <summary>
    /// Whose the sender is that is meant: where no tenant is named, the only one that has it. Several are an answer of their own, as what
    /// ends of one customer must not be guessed.
    /// </summary>
    public static async Task<(string Tenant, string? Several)> TenantAsync(
        Credentials credentials, Rights rights, string? named, Func<EnrolledSender, bool> isMeant, CancellationToken cancellation)
    {
        if (named is not null)
            return (named, null);
        List<string> having = [.. (await credentials.HoldersAsync(cancellation)).Where(s => isMeant(s) && rights.Sees(s.ClusterId))
            .Select(s => s.ClusterId.Tenant).Distinct().Order(StringComparer.Ordinal)];
        return having is [var only] ? (only, null) : having.Count == 0 ? (DefaultTenant, null)
            : (DefaultTenant, $"tenant: {string.Join(", ", having)} each have this sender. Name one with --tenant.");
    }

    /// <summary>How many tokens were revoked; where it was none, what is wrong with the name.</summary>
    public static async Task<(int Count, string? Mistake)> RevokeAsync(
        Credentials credentials, EnrolledSender sender, Rights rights, CancellationToken cancellation) =>
        await credentials.RevokeAsync(sender.ClusterId, sender.Node, cancellation) is > 0 and var count
            ? (count, null) : (0, await MissingAsync(credentials, $"{sender}", "so none was revoked", rights, cancellation));

    // Whoever revokes a token must learn that a typing error revoked nothing.
    static async Task<string> MissingAsync(
        Credentials credentials, string wanted, string so, Rights rights, CancellationToken cancellation)
    {
        var nearest = (await credentials.SendersAsync(cancellation)).Where(s => rights.Sees(s.ClusterId))
            .Select(s => s.ToString())
            .OrderByDescending(s => Common(s, wanted)).Take(3).ToList();
        return $"No token of {wanted} is in force, {so}. "
            + $"{(nearest.Count == 0 ? "Nobody is enrolled." : $"Enrolled are, among others, {string.Join(", ", nearest)}.")}";
    }

    // The longest beginning that both have.
    static int Common(string a, string b) => a.Zip(b).TakeWhile(p => p.First == p.Second).Count();
}
