using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Authorization.Policy;

using Whistle.Detectors.Http;
using Whistle.Inventory.Access;
using Whistle.Inventory.Callers;

namespace Whistle.Access;

/// <summary>Says to whoever is logged in and may not do something what they lack, instead of leading them to a log-in page.</summary>
sealed class Forbidden : IAuthorizationMiddlewareResultHandler
{
    readonly AuthorizationMiddlewareResultHandler _usual = new();

    public Task HandleAsync(
        RequestDelegate next, HttpContext context, AuthorizationPolicy policy, PolicyAuthorizationResult authorizeResult) =>
        authorizeResult.Forbidden ? AnswerAsync(context, Reason(policy)) : _usual.HandleAsync(next, context, policy, authorizeResult);

    /// <summary>Before the routes of programs that have no shape of their own for it.</summary>
    public static async Task CatchAsync(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context);
        }
        catch (ForbiddenException e) when (!context.Response.HasStarted)
        {
            await AnswerAsync(context, e.Message);
        }
    }

    static string Reason(AuthorizationPolicy policy) =>
        policy.Requirements.OfType<PermissionRequirement>().FirstOrDefault() is { } needed
            ? new ForbiddenException(needed.Permission, needed.Everywhere ? AccessScope.All : null).Message
            : "This is not for whoever is logged in this way. Show a token as bearer: Authorization: Bearer …";

    /// <summary>In the shape of whatever was asked.</summary>
    public static Task AnswerAsync(HttpContext context, string reason) => WhistleApi.IsOurs(context)
        ? WhistleApi.RefuseAsync(context, StatusCodes.Status403Forbidden, reason)
        : PlainRefusal.WriteAsync(context, StatusCodes.Status403Forbidden, reason);
}
