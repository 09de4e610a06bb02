using System.Net;
using System.Security.Claims;

using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http;

using Whistle.Inventory.Access;
using Whistle.Inventory.People;

namespace Whistle.Inventory.Callers;

/// <summary>Makes of who is logged in a caller, with what they may do now.</summary>
public sealed class Guard(PeopleDirectory people, IAuthorizationService authorization)
{
    /// <summary>The same for all of a request.</summary>
    public async Task<Caller> OfAsync(HttpContext context)
    {
        if (context.Items[typeof(Caller)] is not Caller caller)
            context.Items[typeof(Caller)] = caller =
                await OfAsync(context.User, context.Connection.RemoteIpAddress, context.RequestAborted);
        return caller;
    }

    public async Task<Caller> OfAsync(ClaimsPrincipal user, IPAddress? from, CancellationToken cancellation) =>
        new(user, await people.RightsOfAsync(user, cancellation), from, authorization, people);
}

/// <summary>
/// That somebody may do something: there, where the resource is a scope; anywhere, where it is a route, which then asks again.
/// </summary>
/// <param name="Everywhere">A route is for those alone who may do it for all tenants.</param>
public sealed record PermissionRequirement(Permission Permission, bool Everywhere = false) : IAuthorizationRequirement;

sealed class PermissionHandler(PeopleDirectory people) : AuthorizationHandler<PermissionRequirement>
{
    protected override async Task HandleRequirementAsync(AuthorizationHandlerContext context, PermissionRequirement requirement)
    {
        var rights = await people.RightsOfAsync(context.User, CancellationToken.None);
        var allowed = context.Resource is AccessScope scope
            ? rights.May(requirement.Permission, scope)
            : context.Resource is HttpContext && (requirement.Everywhere
                ? rights.May(requirement.Permission, AccessScope.All) : rights.MayAnywhere(requirement.Permission));
        if (allowed)
            context.Succeed(requirement);
    }
}
