using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.People;
using Whistle.State.Jobs;

namespace Whistle.Inventory.Callers;

/// <summary>Who may call a route. Every route states it, or the server does not start.</summary>
/// <param name="Permission">Null where none is needed.</param>
/// <param name="Everywhere">It is needed for all tenants.</param>
/// <param name="Reason">Why no permission is needed; null where one is.</param>
/// <param name="IsForAnybody">Who is not logged in may call it too.</param>
public sealed record RouteAccess(Permission? Permission, bool Everywhere, string? Reason, bool IsForAnybody = false)
{
    /// <summary>Routes that state nothing, in words.</summary>
    public static IReadOnlyList<string> Missing(IEnumerable<Endpoint> endpoints) =>
    [
        .. endpoints.Where(e => e.Metadata.GetMetadata<RouteAccess>() is null).Select(e => e.DisplayName ?? e.ToString()!),
    ];
}

public static class RouteAccessExtensions
{
    /// <summary>Who there is, the guard, and the handler that decides.</summary>
    /// <param name="token">The server's own, with which sessions end.</param>
    public static IServiceCollection AddCallers(this IServiceCollection services, string token, LogInOptions logIn) => services
        .AddSingleton<PeopleState>().AddSingleton(s => new Sessions(s.GetRequiredService<PeopleState>(), token, logIn.Time))
        .AddSingleton<PeopleStore>().AddSingleton<ApiTokens>().AddSingleton<Invitations>().AddSingleton<PeopleDirectory>()
        .AddSingleton<Passwords>().AddSingleton<Accounts>().AddSingleton<SecondFactors>()
        .AddSingleton(s => new Passkeys(s.GetRequiredService<PeopleState>(), logIn.Time))
        .AddSingleton(logIn).AddSingleton(new LogInBound(logIn))
        .AddSingleton(s => new LogIns(
            s.GetRequiredService<PeopleState>(), s.GetRequiredService<PeopleStore>(), s.GetRequiredService<Passwords>(),
            s.GetRequiredService<AuditLog>(), logIn))
        .AddSingleton(s => new ScheduledJob(
            "session-retention", "Drops sessions that have ended and proofs of log-ins that count no more.", "0 37 * * * ?",
            MissedRun.RunOnce, s.GetRequiredService<Sessions>().DropEndedAsync))
        .AddSingleton<Guard>().AddSingleton<ReadRecords>().AddSingleton<IAuthorizationHandler, PermissionHandler>();

    /// <summary>
    /// Who has the permission nowhere is refused. The route asks again about what it acts on, with its <see cref="Caller"/>.
    /// </summary>
    public static T Needs<T>(this T route, Permission permission)
        where T : IEndpointConventionBuilder =>
        route.Require(new(permission));

    /// <summary>Who does not have the permission for all tenants is refused.</summary>
    public static T NeedsEverywhere<T>(this T route, Permission permission)
        where T : IEndpointConventionBuilder => route.Require(new(permission, Everywhere: true));

    /// <summary>Whoever is logged in may call it: it is about themselves.</summary>
    public static T NeedsLogin<T>(this T route, string reason)
        where T : IEndpointConventionBuilder =>
        route.State(new(null, false, reason)).RequireAuthorization(policy => policy.RequireAuthenticatedUser());

    /// <summary>Anybody may call it, or it looks at a credential itself.</summary>
    public static T NeedsNobody<T>(this T route, string reason)
        where T : IEndpointConventionBuilder =>
        route.State(new(null, false, reason, IsForAnybody: true)).AllowAnonymous();

    static T Require<T>(this T route, PermissionRequirement requirement)
        where T : IEndpointConventionBuilder =>
        route.State(new(requirement.Permission, requirement.Everywhere, null))
            .RequireAuthorization(policy => policy.RequireAuthenticatedUser().AddRequirements(requirement));

    static T State<T>(this T route, RouteAccess access)
        where T : IEndpointConventionBuilder
    {
        route.Add(endpoint => endpoint.Metadata.Add(access));
        return route;
    }
}
