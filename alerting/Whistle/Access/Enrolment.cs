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
/// <param name="IsNewTenant">Nor the tenant.</param>
sealed record EnrolledAnswer(string Token, bool IsNewCluster, bool IsNewTenant);

/// <param name="Node">All nodes of the cluster if not given.</param>
/// <param name="Tenant">Found by the other names if not given.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record RotationRequest(string Cluster, string? Node = null, string? Tenant = null);

/// <param name="Asked">How many credentials are to be renewed.</param>
/// <param name="Tenant">Whose they are.</param>
/// <param name="Node">Null where it is all of the cluster.</param>
sealed record RotationAnswer(int Asked, string Tenant, string Cluster, string? Node);

/// <param name="Revoked">How many tokens.</param>
/// <param name="Tenant">Whose they were.</param>
/// <param name="Node">Null where it was the cluster's collector.</param>
sealed record RevokedAnswer(int Revoked, string Tenant, string Cluster, string? Node);

/// <summary>A sender, or a cluster's agents, as somebody named it.</summary>
/// <param name="Tenant">Null where none was named and not exactly one has it.</param>
/// <param name="Several">Which tenants have it, where several do.</param>
sealed record NamedSender(string? Tenant, string Cluster, string? Node, string? Several = null)
{
    /// <summary>Null where it is not known whose it is.</summary>
    public EnrolledSender? Sender => Tenant is null ? null : new(new(Tenant, Cluster), Node);

    public override string ToString() => Sender?.ToString() ?? WithoutTenant(Cluster, Node);

    public static string WithoutTenant(string cluster, string? node) => node is null ? cluster : $"{cluster}/{node}";
}

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
                var named = await NewSenderAsync(
                    credentials, caller.Sees, new(request.Tenant, request.Cluster, request.Node), cancellation);
                AuditAct.Current?.Subject = $"{named}";
                if (named.Several is not null)
                    return WhistleApi.BadRequest(named.Several);
                var cluster = named.Sender!.ClusterId;
                await caller.RequireAsync(Permission.Enrol, cluster);
                var (isNewTenant, isNewCluster) = await NewAsync(credentials, cluster, cancellation);
                var (token, refusal) = await credentials.EnrollAsync(cluster, request.Node, request.Replace, cancellation);
                return refusal is null
                    ? TypedResults.Ok(new EnrolledAnswer(token!, isNewCluster, isNewTenant)) : WhistleApi.Conflict(refusal);
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
            var named = await SenderAsync(credentials, caller.Sees, new(tenant, cluster, node), cancellation);
            AuditAct.Current?.Subject = $"{named}";
            if (named.Several is not null)
                return WhistleApi.BadRequest(named.Several);
            if (named.Sender is { } sender)
                await caller.RequireAsync(Permission.Enrol, sender.ClusterId);
            return await RevokeAsync(credentials, named, caller.Rights, cancellation) is var (count, mistake) && mistake is null
                ? TypedResults.Ok(new RevokedAnswer(count, named.Tenant!, cluster, node)) : WhistleApi.NotFound(mistake!);
        }).Needs(Permission.Enrol).WithName("revokeAgent").WithSummary("Revokes the tokens of a sender.");
        group.MapPost("/agents/rotation", async Task<Results<Ok<RotationAnswer>, NotFound<ApiError>, BadRequest<ApiError>>> (
            RotationRequest request, Caller caller, CancellationToken cancellation) =>
        {
            var named = await AgentsAsync(credentials, caller.Sees, request, cancellation);
            AuditAct.Current?.Subject = $"{named}";
            if (named.Several is not null)
                return WhistleApi.BadRequest(named.Several);
            if (named.Sender is { } sender)
                await caller.RequireAsync(Permission.Enrol, sender.ClusterId);
            var count = named.Sender is null ? 0 : await credentials.RotateAsync(named.Sender.ClusterId, request.Node, cancellation);
            return count > 0
                ? TypedResults.Ok(new RotationAnswer(count, named.Tenant!, request.Cluster, request.Node))
                : WhistleApi.NotFound(await MissingAsync(credentials, named, "so no agent was asked", caller.Rights, cancellation));
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

    /// <summary>What of the place nobody knows, so that the first enrolment in it adds it.</summary>
    public static async Task<(bool IsNewTenant, bool IsNewCluster)> NewAsync(
        Credentials credentials, ClusterId cluster, CancellationToken cancellation) =>
        ((await credentials.Register.TenantsAsync(cancellation)).All(t => t.Id != cluster.Tenant),
            (await credentials.Register.ClustersAsync(cancellation)).All(c => c.Id != cluster));

    /// <summary>
    /// Whose a new sender will be: where no tenant is named, of the only one that has the cluster, and of the usual one where none has it.
    /// </summary>
    /// <param name="sees">Whether who asks may see what is of the cluster.</param>
    public static async Task<NamedSender> NewSenderAsync(
        Credentials credentials, Func<ClusterId, bool> sees, NamedSender named, CancellationToken cancellation)
    {
        if (named.Tenant is not null)
            return named;
        var having = (await credentials.Register.ClustersAsync(cancellation))
            .Where(c => c.Id.Cluster == named.Cluster && !c.History.IsArchived && sees(c.Id)).Select(c => c.Id.Tenant);
        var (tenant, several) = OnlyTenant.Of(having, $"a cluster {named.Cluster}");
        return named with { Tenant = several is null ? tenant ?? DefaultTenant : null, Several = several };
    }

    /// <summary>The sender that is meant: where no tenant is named, that of the only one that has it.</summary>
    /// <param name="sees">Whether who asks may see what is of the cluster.</param>
    public static Task<NamedSender> SenderAsync(
        Credentials credentials, Func<ClusterId, bool> sees, NamedSender named, CancellationToken cancellation) => NamedAsync(
        credentials, sees, named, s => s.Node == named.Node,
        named.Node is null ? $"a collector of a cluster {named.Cluster}" : $"a node {named.Node} in a cluster {named.Cluster}",
        cancellation);

    static Task<NamedSender> AgentsAsync(
        Credentials credentials, Func<ClusterId, bool> sees, RotationRequest request, CancellationToken cancellation) =>
        NamedAsync(
            credentials, sees, new(request.Tenant, request.Cluster, request.Node),
            s => s.Node is not null && (request.Node ?? s.Node) == s.Node,
            request.Node is null ? $"agents in a cluster {request.Cluster}" : $"a node {request.Node} in a cluster {request.Cluster}",
            cancellation);

    static async Task<NamedSender> NamedAsync(
        Credentials credentials, Func<ClusterId, bool> sees, NamedSender named, Func<EnrolledSender, bool> isMeant, string what,
        CancellationToken cancellation)
    {
        if (named.Tenant is not null)
            return named;
        // Revoked ones too: the same command twice must not go on to the next customer.
        var having = (await credentials.EverEnrolledAsync(cancellation))
            .Where(s => s.ClusterId.Cluster == named.Cluster && isMeant(s) && sees(s.ClusterId)).Select(s => s.ClusterId.Tenant);
        var (tenant, several) = OnlyTenant.Of(having, $"{what}, revoked or not");
        return named with { Tenant = tenant, Several = several };
    }

    /// <summary>How many tokens were revoked; where it was none, what is wrong with the name.</summary>
    public static async Task<(int Count, string? Mistake)> RevokeAsync(
        Credentials credentials, NamedSender named, Rights rights, CancellationToken cancellation) =>
        named.Several is not null ? (0, named.Several)
        : named.Sender is { } sender && await credentials.RevokeAsync(sender.ClusterId, sender.Node, cancellation) is > 0 and var count
            ? (count, null) : (0, await MissingAsync(credentials, named, "so none was revoked", rights, cancellation));

    // Whoever revokes a token must learn that a typing error revoked nothing.
    static async Task<string> MissingAsync(
        Credentials credentials, NamedSender named, string so, Rights rights, CancellationToken cancellation)
    {
        var wanted = $"{named}";
        var nearest = (await credentials.SendersAsync(cancellation)).Where(s => rights.Sees(s.ClusterId))
            .OrderByDescending(s => Common(
                named.Tenant is null ? NamedSender.WithoutTenant(s.ClusterId.Cluster, s.Node) : $"{s}", wanted))
            .Take(3).Select(s => s.ToString()).ToList();
        return $"No token of {wanted} is in force, {so}. "
            + $"{(nearest.Count == 0 ? "Nobody is enrolled." : $"Enrolled are, among others, {string.Join(", ", nearest)}.")}";
    }

    // The longest beginning that both have.
    static int Common(string a, string b) => a.Zip(b).TakeWhile(p => p.First == p.Second).Count();
}
