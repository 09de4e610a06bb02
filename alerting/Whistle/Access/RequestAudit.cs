using System.Security.Claims;

using Microsoft.AspNetCore.Components.Endpoints;

using Whistle.Detectors.Http;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.Inventory.People;

namespace Whistle.Access;

/// <summary>
/// Writes refusals and reads into the audit, whichever route answers. Acts write themselves (<see cref="ActAudit"/>), and so do pages.
/// </summary>
static class RequestAudit
{
    // What agents and collectors send for themselves, and what scrapes them, is nobody's act.
    static readonly string[] Machines = ["/api/v1/write", "/agent", "/metrics"];

    /// <summary>Around all that answers or refuses.</summary>
    public static void Use(WebApplication app)
    {
        var (audit, reads) = (app.Services.GetRequiredService<AuditLog>(), app.Services.GetRequiredService<ReadRecords>());
        app.Use(async (context, next) =>
        {
            var isWhole = false;
            try
            {
                await next(context);
                isWhole = true;
            }
            finally
            {
                // Who hangs up before the end has read too.
                if (!Machines.Any(m => context.Request.Path.StartsWithSegments(m)) && (isWhole || context.Response.HasStarted))
                    await WriteAsync(context, audit, reads);
            }
        });
    }

    /// <summary>Whoever asks; nobody where they are not logged in.</summary>
    public static AuditActor ActorOf(HttpContext context) => ActorOf(context.User, context);

    /// <summary>Somebody who is about to be logged in.</summary>
    public static AuditActor ActorOf(ClaimsPrincipal user, HttpContext context) => new(
        user.Identity?.Name ?? "", user.FindFirstValue(PeopleDirectory.IdentityClaim) ?? "", context.Connection.RemoteIpAddress);

    static async Task WriteAsync(HttpContext context, AuditLog audit, ReadRecords reads)
    {
        if (RefusalOf(context) is { } reason)
        {
            await audit.RefuseAsync(new(ActorOf(context), ActAudit.NameOf(context), AccessScope.All)
            { Outcome = AuditOutcome.Refused, Reason = reason });
        }

        if (context.Response.StatusCode >= StatusCodes.Status400BadRequest || !IsRead(context.GetEndpoint()))
            return;
        var caller = await Caller.BindAsync(context);
        await reads.NoteAsync(caller.Who, caller.Rights, ActAudit.NameOf(context), caller.ReadOf);
    }

    static string? RefusalOf(HttpContext context) => context.Response.StatusCode switch
    {
        StatusCodes.Status401Unauthorized when Bearer.TokenOf(context.Request) is not null => "The token is not valid.",
        StatusCodes.Status403Forbidden when context.Items.ContainsKey(ActAudit.IsWritten) => null,
        StatusCodes.Status403Forbidden when context.User.Identity is not { IsAuthenticated: true } =>
            "It did not come from the server's own pages.",
        StatusCodes.Status403Forbidden when context.GetEndpoint()?.Metadata.GetMetadata<RouteAccess>()?.Permission is { } permission =>
            $"This needs the permission {Permissions.Name(permission)}.",
        StatusCodes.Status403Forbidden => "This credential does not open it.",
        _ => null,
    };

    static bool IsRead(Endpoint? endpoint) =>
        endpoint?.Metadata.GetMetadata<RouteAccess>()?.Permission is Permission.Read or Permission.ReadAudit
            && endpoint.Metadata.GetMetadata<ComponentTypeMetadata>() is null
            && (endpoint.Metadata.GetMetadata<OfNoTenant>() is null);
}
