using System.Net;
using System.Security.Claims;

using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.People;

namespace Whistle.Inventory.Callers;

/// <summary>What somebody asked for is not theirs to do.</summary>
/// <param name="permission">Which they do not have.</param>
/// <param name="scope">Where they do not have it; null where they have it nowhere.</param>
public sealed class ForbiddenException(Permission permission, AccessScope? scope) : RefusalException(
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
    // Of clusters; what was seen of more is remembered as all.
    const int MostSeen = 100;

    readonly IAuthorizationService _authorization;
    readonly PeopleDirectory _people;
    readonly Lock _gate = new();
    readonly HashSet<AccessScope> _actedOn = [];
    readonly HashSet<AccessScope> _seen = [];

    internal Caller(ClaimsPrincipal user, Rights rights, IPAddress? from, IAuthorizationService authorization, PeopleDirectory people)
    {
        (User, Rights, From, _authorization, _people) = (user, rights, from, authorization, people);
        Name = user.Identity is { IsAuthenticated: true, Name: { Length: > 0 } name }
            ? name : throw new InvalidOperationException("Nobody is logged in, and the route lets such callers through.");
        Who = new(Name, user.FindFirstValue(PeopleDirectory.IdentityClaim) ?? "", from);
    }

    public ClaimsPrincipal User { get; }

    /// <summary>Under which their acts are recorded.</summary>
    public string Name { get; }

    public Rights Rights { get; }

    /// <summary>Null where it is not known.</summary>
    public IPAddress? From { get; }

    /// <summary>
    /// As whom they change what is about people, with what they may do now: the body of a request may take long to come.
    /// </summary>
    /// <exception cref="ForbiddenException">They may do nothing any more.</exception>
    public async Task<Actor> ActorAsync(CancellationToken cancellation) =>
        await _people.ActorOfAsync(User, cancellation) ?? throw new ForbiddenException(Permission.ManagePeople, null);

    /// <summary>As the audit names them.</summary>
    public AuditActor Who { get; }

    /// <summary>The least that has all that was required so far, or else all that was seen; all where it was nothing.</summary>
    public AccessScope Concerned
    {
        get
        {
            lock (_gate)
                return Least(_actedOn.Count > 0 ? _actedOn : _seen);
        }
    }

    /// <summary>The tenants of which anything was seen; what may be read at all, where none or very many were asked about.</summary>
    public IReadOnlyList<AccessScope> ReadOf
    {
        get
        {
            lock (_gate)
            {
                IEnumerable<AccessScope> read = _seen.Count is > 0 and < MostSeen ? _seen : Rights.Readable;
                return [.. read.Select(Tenant).Distinct()];
            }
        }
    }

    /// <summary>The framework calls it for each parameter of a route that is a caller.</summary>
    public static async ValueTask<Caller> BindAsync(HttpContext context) =>
        await context.RequestServices.GetRequiredService<Guard>().OfAsync(context);

    public bool Sees(ClusterId cluster)
    {
        if (!Rights.Sees(cluster))
            return false;
        lock (_gate)
        {
            if (_seen.Count < MostSeen)
                _seen.Add(AccessScope.Of(cluster));
        }

        return true;
    }

    /// <summary>Whether they see the tenant or any of its clusters.</summary>
    public bool SeesPartOf(string tenant)
    {
        if (!Rights.SeesPartOf(AccessScope.Of(tenant)))
            return false;
        Concern(Permission.Read, AccessScope.Of(tenant));
        return true;
    }

    /// <summary>It is about this, whoever decides whether it is allowed.</summary>
    public void Concern(Permission permission, AccessScope scope)
    {
        lock (_gate)
            (permission is Permission.Read ? _seen : _actedOn).Add(scope);
    }

    /// <exception cref="ForbiddenException">It is not allowed there.</exception>
    public Task RequireAsync(Permission permission, AccessScope scope)
    {
        Concern(permission, scope);
        return AuthorizeAsync(permission, scope);
    }

    /// <summary>For what is about one tenant, and yet only for those who may do it for all.</summary>
    /// <exception cref="ForbiddenException">It is not allowed for all tenants.</exception>
    public Task RequireEverywhereAsync(Permission permission, AccessScope about)
    {
        Concern(permission, about);
        return AuthorizeAsync(permission, AccessScope.All);
    }

    /// <exception cref="ForbiddenException">It is not allowed there.</exception>
    public Task RequireAsync(Permission permission, ClusterId cluster) => RequireAsync(permission, AccessScope.Of(cluster));

    async Task AuthorizeAsync(Permission permission, AccessScope scope)
    {
        if (!(await _authorization.AuthorizeAsync(User, scope, new PermissionRequirement(permission))).Succeeded)
            throw new ForbiddenException(permission, scope);
        // A page that only shows is idle.
        if (permission is not Permission.Read)
            await _people.SeeAsync(User, CancellationToken.None);
    }

    static AccessScope Least(HashSet<AccessScope> scopes) => scopes.Count == 0 ? AccessScope.All
        : scopes.Aggregate((a, b) => a.Covers(b) ? a : b.Covers(a) ? b : a.Tenant == b.Tenant ? Tenant(a) : AccessScope.All);

    static AccessScope Tenant(AccessScope scope) => scope.Tenant is { } tenant ? AccessScope.Of(tenant) : AccessScope.All;
}
