using System.ComponentModel;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.HttpResults;

using Whistle.Actions.Protocol;
using Whistle.Detectors.Http;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.Remediation.Control;
using Whistle.Tls;

namespace Whistle.Access;

/// <param name="Uses">How many nodes may enrol with it; one if not given.</param>
/// <param name="For">How long it counts, like 24h, which it is if not given.</param>
/// <param name="Replace">A node that is enrolled may enrol again under its name.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record JoinTokenRequest(string Cluster, string? Tenant = null, int Uses = 1, string? For = null, bool Replace = false);

/// <summary>A token that nodes may enrol with.</summary>
/// <param name="Id">Names it in lists; opens nothing.</param>
sealed record JoinTokenAnswer(
    string Id, string Tenant, string Cluster, int Uses, int Used, bool Replaces, DateTimeOffset MadeAt, DateTimeOffset EndsAt)
{
    public static JoinTokenAnswer Of(JoinToken token) => new(
        token.Id, token.ClusterId.Tenant, token.ClusterId.Cluster, token.Uses, token.Used, token.Replaces, token.MadeAt, token.EndsAt);
}

/// <param name="Token">Shown this once.</param>
/// <param name="Server">Where agents reach the server.</param>
/// <param name="AuthorityFingerprint">What agents prove the server by; null where its certificate is not of its own authority.</param>
/// <param name="OnlyHere">The server listens on the loopback alone, so that only this machine's agents reach it.</param>
/// <param name="IsNewCluster">Nobody knew the cluster: the token has added it.</param>
/// <param name="IsNewTenant">Nor the tenant.</param>
sealed record MadeJoinToken(
    string Token, JoinTokenAnswer Made, Uri Server, string? AuthorityFingerprint, bool OnlyHere, bool IsNewCluster,
    bool IsNewTenant);

/// <summary>Nodes enrol themselves over the network, with a token that was made for their cluster.</summary>
static class Joining
{
    const string Path = "/agent/v1/enrol";
    const string RenewPath = "/agent/v1/renew";
    const int MaxBodyBytes = 4 << 10;
    const string Body = """The body must be {"node": "…", "credential": "wst_…"}, each once and both texts.""";
    const string RenewBody = """The body must be {"credential": "wst_…"}, once and a text.""";

    static readonly TimeSpan Usual = TimeSpan.FromHours(24);

    public static void Map(WebApplication app, Credentials credentials, ControlStore control, WhistleOptions options)
    {
        var group = WhistleApi.Group(app, "agents");
        // A browser's cookie makes no senders.
        group.RequireAuthorization(Authentication.TokenOnly);
        group.MapPost("/join-tokens", async Task<Results<Ok<MadeJoinToken>, BadRequest<ApiError>>> (
            JoinTokenRequest request, Caller caller, CancellationToken cancellation) =>
        {
            if ((request.For is null ? Usual : WhistleApi.Duration(request.For)) is not { } lasts)
                return WhistleApi.BadDuration("for", request.For);
            var named = await Enrolment.NewSenderAsync(
                credentials, caller.Sees, new(request.Tenant, request.Cluster, null), cancellation);
            AuditAct.Current?.Subject = $"{named}";
            if (named.Several is not null)
                return WhistleApi.BadRequest(named.Several);
            var cluster = named.Sender!.ClusterId;
            await caller.RequireAsync(Permission.Enrol, cluster);
            try
            {
                var (isNewTenant, isNewCluster) = await Enrolment.NewAsync(credentials, cluster, cancellation);
                var (token, made) = await credentials.MakeJoinTokenAsync(
                    cluster, request.Uses, lasts, request.Replace, cancellation);
                var (address, onlyHere) = options.ForAgents(BoundAddresses.Of(app.Services));
                return TypedResults.Ok(new MadeJoinToken(
                    token, JoinTokenAnswer.Of(made), address,
                    address.Scheme == Uri.UriSchemeHttps ? app.Services.GetService<CertificateSource>()?.AuthorityFingerprint : null,
                    onlyHere, isNewCluster, isNewTenant));
            }
            catch (ArgumentException e)
            {
                return WhistleApi.BadRequest(e.Message);
            }
        }).Needs(Permission.Enrol).WithName("makeJoinToken")
            .WithSummary("Makes a token that nodes of a cluster enrol themselves with; answers it this once.");
        group.MapGet("/join-tokens", async (Caller caller, CancellationToken cancellation) =>
            TypedResults.Ok((await credentials.JoinTokensAsync(cancellation)).Where(
                t => caller.Rights.May(Permission.Enrol, AccessScope.Of(t.ClusterId)) && caller.Sees(t.ClusterId))
                .Select(JoinTokenAnswer.Of).ToList()))
            .Needs(Permission.Enrol).WithName("listJoinTokens").WithSummary("The tokens that nodes could enrol themselves with now.");
        group.MapDelete("/join-tokens/{id}", async Task<Results<NoContent, NotFound<ApiError>>> (
            [Description("As the list has it.")] string id, Caller caller, CancellationToken cancellation) =>
        {
            if ((await credentials.JoinTokensAsync(cancellation)).FirstOrDefault(t => t.Id == id) is not { } token
                || !caller.Sees(token.ClusterId))
                return WhistleApi.NotFound($"No join token {id} is in force.");
            await caller.RequireAsync(Permission.Enrol, token.ClusterId);
            return await credentials.RevokeJoinTokenAsync(id, cancellation)
                ? TypedResults.NoContent() : WhistleApi.NotFound($"No join token {id} is in force.");
        }).Needs(Permission.Enrol).WithName("revokeJoinToken")
            .WithSummary("Takes a join token back. Nodes that enrolled with it stay enrolled.");
        var logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(Joining));
        var audit = app.Services.GetRequiredService<AuditLog>();
        app.MapPost(Path, (RequestDelegate)(context => JoinAsync(context, credentials, control, audit, options.Time, logger)))
            .NeedsNobody("A node shows a join token, which the route itself looks at.");
        app.MapPost(RenewPath, (RequestDelegate)(context => RenewAsync(context, credentials, audit, logger)))
            .NeedsNobody("An agent shows its credential, which the route itself looks at.");
    }

    static async Task RenewAsync(HttpContext context, Credentials credentials, AuditLog audit, ILogger logger)
    {
        var token = Bearer.TokenOf(context.Request) ?? "";
        // Only who has a credential makes an entry.
        var check = await credentials.CheckAsync(token, context.RequestAborted);
        if (check.Sender is not { } sender)
        {
            await PlainRefusal.WriteAsync(
                context, check.IsKnown ? StatusCodes.Status403Forbidden : StatusCodes.Status401Unauthorized, check.Refusal!);
            return;
        }

        if (await ReadAsync(context, AgentProtocolJson.Default.RenewRequest, r => r.Credential is not null, RenewBody) is not { } request)
            return;
        var agent = $"agent:{sender.ClusterId.Node(sender.Node ?? "")}";
        var act = new AuditAct(new(agent, agent, context.Connection.RemoteIpAddress), "renew-credential")
        {
            Scope = () => AccessScope.Of(sender.ClusterId),
            Subject = sender.Node ?? "",
        };
        try
        {
            // Shown for itself, it is only asked about: nothing changes.
            var isQuestion = request.Credential == token;
            switch (isQuestion ? await AskAsync() : await audit.RecordAsync(
                act, AskAsync, outcome => (outcome as RenewOutcome.Refused)?.Reason))
            {
                case RenewOutcome.Renewed renewed:
                    if (!isQuestion)
                        logger.CredentialRenewed(renewed.NodeId);
                    context.Response.ContentType = "application/json";
                    await JsonSerializer.SerializeAsync(
                        context.Response.Body, new RenewAnswer(renewed.NodeId.Node, renewed.EndsAt?.ToUnixTimeMilliseconds()),
                        AgentProtocolJson.Default.RenewAnswer, context.RequestAborted);
                    break;
                case RenewOutcome.Refused refused:
                    await PlainRefusal.WriteAsync(
                        context, refused.IsToken ? StatusCodes.Status401Unauthorized : StatusCodes.Status409Conflict, refused.Reason);
                    break;
                case var outcome:
                    throw new InvalidOperationException($"{outcome} is no outcome.");
            }
        }
        catch (ArgumentException e)
        {
            await PlainRefusal.WriteAsync(context, StatusCodes.Status400BadRequest, e.Message);
        }

        Task<RenewOutcome> AskAsync() => credentials.RenewAsync(token, request.Credential, context.RequestAborted);
    }

    static async Task JoinAsync(
        HttpContext context, Credentials credentials, ControlStore control, AuditLog audit, TimeProvider time, ILogger logger)
    {
        if (Bearer.TokenOf(context.Request) is not { } token)
        {
            await PlainRefusal.WriteAsync(context, StatusCodes.Status401Unauthorized, "The join token is missing. Send it as bearer.");
            return;
        }

        if (await ReadAsync(
            context, AgentProtocolJson.Default.EnrolRequest, r => r is { Node: not null, Credential: not null }, Body) is not { } request)
            return;
        try
        {
            var act = await ActAsync(context, credentials, token, request.Node);
            switch (await audit.RecordAsync(
                act, () => credentials.JoinAsync(token, request.Node, request.Credential, context.RequestAborted),
                outcome => (outcome as JoinOutcome.Refused)?.Reason))
            {
                case JoinOutcome.Joined joined:
                    logger.NodeJoined(joined.NodeId, context.Connection.RemoteIpAddress);
                    if (joined.Replaced > 0)
                    {
                        await control.NoteAsync(
                            time.GetUtcNow(), "whistle",
                            $"{joined.NodeId} enrolled again from {context.Connection.RemoteIpAddress}; its earlier credential ended.",
                            CancellationToken.None);
                    }

                    context.Response.ContentType = "application/json";
                    await JsonSerializer.SerializeAsync(
                        context.Response.Body, new EnrolAnswer(joined.NodeId.Tenant, joined.NodeId.Cluster, joined.NodeId.Node),
                        AgentProtocolJson.Default.EnrolAnswer, context.RequestAborted);
                    break;
                case JoinOutcome.Refused refused:
                    await PlainRefusal.WriteAsync(
                        context, refused.IsToken ? StatusCodes.Status401Unauthorized : StatusCodes.Status409Conflict, refused.Reason);
                    break;
                case var outcome:
                    throw new InvalidOperationException($"{outcome} is no outcome.");
            }
        }
        catch (ArgumentException e)
        {
            await PlainRefusal.WriteAsync(context, StatusCodes.Status400BadRequest, e.Message);
        }
    }

    // Whoever asks is known by the token alone.
    static async Task<AuditAct> ActAsync(HttpContext context, Credentials credentials, string token, string node)
    {
        var known = await credentials.FindJoinTokenAsync(token, context.RequestAborted);
        var who = known is null ? "" : $"join-token:{known.Id}";
        return new(new(who, who, context.Connection.RemoteIpAddress), "enrol-by-token")
        {
            Scope = () => known is null ? AccessScope.All : AccessScope.Of(known.ClusterId),
            Subject = node,
        };
    }

    static async Task<T?> ReadAsync<T>(HttpContext context, JsonTypeInfo<T> type, Func<T, bool> isWhole, string body)
        where T : class
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = MaxBodyBytes;
        try
        {
            var read = await JsonSerializer.DeserializeAsync(context.Request.Body, type, context.RequestAborted);
            if (read is not null && isWhole(read))
                return read;
            await PlainRefusal.WriteAsync(context, StatusCodes.Status400BadRequest, body);
        }
        catch (JsonException)
        {
            await PlainRefusal.WriteAsync(context, StatusCodes.Status400BadRequest, body);
        }
        catch (BadHttpRequestException e)
        {
            await PlainRefusal.WriteAsync(context, e.StatusCode, $"{e.Message} A body has at most {MaxBodyBytes >> 10} KiB.");
        }

        return null;
    }
}
