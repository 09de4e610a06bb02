using System.Net;
using System.Security.Claims;

using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

using Whistle.Inventory.Access;

namespace Whistle.Inventory.Callers;

/// <summary>What somebody asked for is not theirs to do.</summary>
/// <param name="permission">That is lacking.</param>
/// <param name="scope">Where; null where it is lacking everywhere.</param>
public sealed class ForbiddenException(Permission permission, AccessScope? scope) : Exception(
    $"This needs the permission {Permissions.Name(permission)}{(scope is { } place ? $" for {place}" : "")}, which your roles do not give. "
        + "Ask an administrator.")
{
    public Permission Permission => permission;

    public AccessScope? Scope => scope;
}

/// <summary>
/// Whoever asks, with what they may do as of this request. A route takes it as a parameter. For a page, whose connection lasts,
/// <see cref="Guard"/> makes one for each act.
/// </summary>
public sealed class Caller
{
    readonly IAuthorizationService _authorization;

    internal Caller(ClaimsPrincipal user, Rights rights, IPAddress? from, IAuthorizationService authorization)
    {
        (User, Rights, From, _authorization) = (user, rights, from, authorization);
        Name = user.Identity is { IsAuthenticated: true, Name: { Length: > 0 } name }
            ? name : throw new InvalidOperationException("Nobody is logged in, and the route lets such callers through.");
    }

    public ClaimsPrincipal User { get; }

    /// <summary>Under which their acts are recorded.</summary>
    public string Name { get; }

    public Rights Rights { get; }

    /// <summary>Null where it is not known.</summary>
    public IPAddress? From { get; }

    /// <summary>The framework calls it for each parameter of a route that is a caller.</summary>
    public static async ValueTask<Caller> BindAsync(HttpContext context) =>
        await context.RequestServices.GetRequiredService<Guard>().OfAsync(context);

    public bool Sees(ClusterId cluster) => Rights.Sees(cluster);

    /// <exception cref="ForbiddenException">It is not allowed there.</exception>
    public async Task RequireAsync(Permission permission, AccessScope scope)
    {
        if (!(await _authorization.AuthorizeAsync(User, scope, new PermissionRequirement(permission))).Succeeded)
            throw new ForbiddenException(permission, scope);
    }

    /// <exception cref="ForbiddenException">It is not allowed there.</exception>
    public Task RequireAsync(Permission permission, ClusterId cluster) => RequireAsync(permission, AccessScope.Of(cluster));
}
