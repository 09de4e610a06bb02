using System.ComponentModel;
using System.Text.Json.Serialization;

using Microsoft.AspNetCore.Http.HttpResults;

using Whistle.Detectors.Http;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.Inventory.People;

using Answered = Microsoft.AspNetCore.Http.HttpResults.Results<
    Microsoft.AspNetCore.Http.HttpResults.NoContent, Microsoft.AspNetCore.Http.HttpResults.BadRequest<Whistle.Detectors.Http.ApiError>,
    Microsoft.AspNetCore.Http.HttpResults.NotFound<Whistle.Detectors.Http.ApiError>,
    Microsoft.AspNetCore.Http.HttpResults.Conflict<Whistle.Detectors.Http.ApiError>>;
using AnsweredLink = Microsoft.AspNetCore.Http.HttpResults.Results<
    Microsoft.AspNetCore.Http.HttpResults.Ok<Whistle.Access.InvitationLink>,
    Microsoft.AspNetCore.Http.HttpResults.BadRequest<Whistle.Detectors.Http.ApiError>,
    Microsoft.AspNetCore.Http.HttpResults.NotFound<Whistle.Detectors.Http.ApiError>,
    Microsoft.AspNetCore.Http.HttpResults.Conflict<Whistle.Detectors.Http.ApiError>>;

namespace Whistle.Access;

/// <param name="Tenant">All tenants if not given.</param>
/// <param name="Cluster">All of the tenant's clusters if not given.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record GrantRequest(Role Role, string? Tenant = null, string? Cluster = null)
{
    // Never more than what was meant: without a tenant it would be all of them.
    public static string? Mistake(params IEnumerable<GrantRequest> requests) =>
        requests.Any(r => r is null) ? "grants: one of them is null."
        : requests.Any(r => r.Tenant is "") ? "tenant: the name is empty. Leave it out to mean all tenants."
        : requests.Any(r => r.Cluster is "") ? "cluster: the name is empty. Leave it out to mean all of the tenant's clusters."
        : requests.Any(r => r.Tenant is null && r.Cluster is not null) ? "cluster: name its tenant too." : null;

    /// <summary>
    /// Why a role would count nowhere; null where it would count, or where it is not the caller's to give, which is said otherwise.
    /// </summary>
    public static async Task<string?> UnknownAsync(
        KnownPlaces places, Rights rights, IEnumerable<GrantRequest> requests, CancellationToken cancellation)
    {
        foreach (var request in requests.Where(r => rights.SeesPartOf(r.ToGrant().Scope)))
        {
            if (await places.MistakeAsync(rights, request.Tenant, request.Cluster, cancellation, mayAdd: true) is { } mistake)
                return mistake;
        }

        return null;
    }

    public Grant ToGrant() => new(Role, AccessScope.Of(new ClusterId(Tenant ?? "", Cluster ?? "")));
}

/// <summary>A role, and where it counts: all tenants, or all of a tenant's clusters, if not given.</summary>
/// <param name="Source">local if somebody gave it here, oidc if a log-in elsewhere did; null for what is only planned.</param>
sealed record GrantAnswer(
    Role Role, string? Tenant, string? Cluster, GrantSource? Source = null, string? GivenBy = null, DateTimeOffset? GivenAt = null)
{
    public static GrantAnswer Of(Grant grant) => new(grant.Role, grant.Scope.Tenant, grant.Scope.Cluster);

    public static GrantAnswer Of(GivenGrant given) =>
        Of(given.Grant) with { Source = given.Source, GivenBy = given.GivenBy, GivenAt = given.GivenAt };
}

/// <param name="Issuer">Where they log in; null for a log-in here.</param>
/// <param name="SeenAt">When their latest session was last used; null where none is open.</param>
/// <param name="ResetUntil">How long the link works by which they choose again how to log in; null where none is open.</param>
sealed record PersonAnswer(
    string Name, string? Email, string? Issuer, bool HasTwoFactor, DateTimeOffset? DisabledAt, DateTimeOffset? LockedUntil,
    DateTimeOffset CreatedAt, DateTimeOffset? SeenAt, DateTimeOffset? ResetUntil, List<GrantAnswer> Grants);

/// <param name="Name">What they will be called; they choose if not given.</param>
/// <param name="For">How long the link works, like 7d, which it is if not given.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record InvitationRequest(List<GrantRequest> Grants, string? Name = null, string? For = null);

/// <param name="Url">Shown this once. Whoever opens it chooses how to log in.</param>
sealed record InvitationLink(string Url, DateTimeOffset EndsAt);

/// <param name="Id">Names it in lists; opens nothing.</param>
/// <param name="IsReset">It is for somebody who is known, and gives nothing.</param>
sealed record InvitationAnswer(
    string Id, string? Name, bool IsReset, List<GrantAnswer> Grants, string MadeBy, DateTimeOffset MadeAt, DateTimeOffset EndsAt);

/// <summary>Who can log in, and what they may do.</summary>
static class PeopleApi
{
    public static void Map(WebApplication app)
    {
        var (people, invitations) = (app.Services.GetRequiredService<PeopleStore>(), app.Services.GetRequiredService<Invitations>());
        var group = WhistleApi.Group(app, "people").Needs(Permission.ManagePeople);
        var places = app.Services.GetRequiredService<KnownPlaces>();
        MapPeople(group, people, invitations, app.Services.GetRequiredService<Sessions>(), places);
        MapInvitations(group, people, invitations, places);
    }

    /// <summary>What an outcome is over HTTP.</summary>
    /// <exception cref="ForbiddenException">It is not allowed.</exception>
    public static Answered Answer(PeopleOutcome outcome) => outcome switch
    {
        PeopleOutcome.Unknown unknown => WhistleApi.NotFound(unknown.Reason),
        PeopleOutcome.Refused refused => WhistleApi.Conflict(refused.Reason),
        PeopleOutcome.Forbidden forbidden => throw new ForbiddenException(forbidden.Permission, forbidden.Scope),
        _ => TypedResults.NoContent(),
    };

    static void MapPeople(
        RouteGroupBuilder group, PeopleStore people, Invitations invitations, Sessions sessions, KnownPlaces places)
    {
        group.MapGet("/people", async (Caller caller, CancellationToken cancellation) =>
            TypedResults.Ok(await ListAsync(await caller.ActorAsync(cancellation), people, invitations, sessions, cancellation)))
            .WithName("listPeople").WithSummary("The people who can log in and have a grant where you manage people.");
        group.MapPost("/people/{name}/grants", async Task<Answered> (
            [Description("What they are called.")] string name, GrantRequest request, Caller caller, CancellationToken cancellation) =>
        {
            if (GrantRequest.Mistake(request) is { } mistake)
                return WhistleApi.BadRequest(mistake);
            var actor = await caller.ActorAsync(cancellation);
            var grant = Concerned(caller, request.ToGrant());
            return await GrantRequest.UnknownAsync(places, actor.Rights, [request], cancellation) is { } unknown
                ? WhistleApi.BadRequest(unknown) : Answer(await people.GiveAsync(actor, name, grant, cancellation));
        })
            .WithName("grant").WithSummary("Gives somebody a role.");
        group.MapDelete("/people/{name}/grants", async Task<Answered> (
            [Description("What they are called.")] string name, [Description("All tenants if not given.")] string? tenant,
            [Description("As grants name it.")] string role,
            [Description("All of the tenant's clusters if not given.")] string? cluster, Caller caller, CancellationToken cancellation) =>
        {
            if (Roles.Find(role) is not { } found)
                return WhistleApi.BadRequest($"role: \"{role}\" is none of {Roles.Names}.");
            var grant = new GrantRequest(found, tenant, cluster);
            return GrantRequest.Mistake(grant) is { } mistake ? WhistleApi.BadRequest(mistake)
                : Answer(await people.TakeAsync(
                    await caller.ActorAsync(cancellation), name, Concerned(caller, grant.ToGrant()), cancellation));
        })
            .WithName("revokeGrant").WithSummary("Takes a role from somebody, in effect within seconds.");
        group.MapPost("/people/{name}/disable", async (
            [Description("What they are called.")] string name, Caller caller, CancellationToken cancellation) =>
            Answer(await people.DisableAsync(await ConcernAsync(caller, people, name, cancellation), name, cancellation)))
            .WithName("disablePerson").WithSummary("Keeps somebody out: their sessions end, and their tokens open nothing.");
        group.MapPost("/people/{name}/enable", async (
            [Description("What they are called.")] string name, Caller caller, CancellationToken cancellation) =>
            Answer(await people.EnableAsync(await ConcernAsync(caller, people, name, cancellation), name, cancellation)))
            .WithName("enablePerson").WithSummary("Lets somebody in again who was disabled or locked out.");
    }

    static void MapInvitations(RouteGroupBuilder group, PeopleStore people, Invitations invitations, KnownPlaces places)
    {
        group.MapPost("/people/{name}/reset", async Task<AnsweredLink> (
            [Description("What they are called.")] string name, HttpRequest request, Caller caller, CancellationToken cancellation) =>
        {
            var (token, outcome) = await invitations.ResetAsync(
                people, await ConcernAsync(caller, people, name, cancellation), name, cancellation);
            return Link(request, token, Invitations.Usual, outcome);
        }).WithName("resetPerson").WithSummary(
            "Takes away password, second factor and passkeys, ends the sessions, and makes a link by which the person chooses again.");
        group.MapGet("/invitations", async (Caller caller, CancellationToken cancellation) => TypedResults.Ok(
            (await invitations.OpenAsync(await caller.ActorAsync(cancellation), cancellation)).Select(i => new InvitationAnswer(
                i.Id, i.UserName, i.Person is not null, [.. i.Grants.Select(GrantAnswer.Of)], i.MadeName, i.MadeAt, i.EndsAt)).ToList()))
            .WithName("listInvitations").WithSummary("The invitations that somebody could use now.");
        group.MapPost("/invitations", async Task<AnsweredLink> (
            InvitationRequest body, HttpRequest request, Caller caller, CancellationToken cancellation) =>
        {
            if ((body.For is null ? Invitations.Usual : WhistleApi.Duration(body.For)) is not { } lasts)
                return WhistleApi.BadDuration("for", body.For);
            if (GrantRequest.Mistake(body.Grants) is { } mistake)
                return WhistleApi.BadRequest(mistake);
            AuditAct.Current?.Subject = body.Name ?? "";
            var actor = await caller.ActorAsync(cancellation);
            List<Grant> grants = [.. body.Grants.Select(g => Concerned(caller, g.ToGrant()))];
            if (await GrantRequest.UnknownAsync(places, actor.Rights, body.Grants, cancellation) is { } unknown)
                return WhistleApi.BadRequest(unknown);
            var (token, outcome) = await invitations.InviteAsync(actor, body.Name, grants, lasts, cancellation);
            return Link(request, token, lasts, outcome);
        }).WithName("invite").WithSummary(
            "Makes a link by which somebody new chooses how to log in, once; an earlier one for the same name ends.");
        group.MapDelete("/invitations/{id}", async (
            [Description("As the list has it.")] string id, Caller caller, CancellationToken cancellation) =>
            Answer(await invitations.RevokeAsync(await caller.ActorAsync(cancellation), id, cancellation)))
            .WithName("revokeInvitation").WithSummary("Takes an invitation back.");
    }

    // The store decides whether it is allowed.
    static Grant Concerned(Caller caller, Grant grant)
    {
        caller.Concern(Permission.ManagePeople, grant.Scope);
        return grant;
    }

    // An act on somebody is about wherever they have a role: those who manage people there find it in the audit.
    static async Task<Actor> ConcernAsync(Caller caller, PeopleStore people, string name, CancellationToken cancellation)
    {
        var actor = await caller.ActorAsync(cancellation);
        if (await people.FindByNameAsync(name, cancellation) is { } known && actor.Sees(known))
        {
            foreach (var given in known.Grants)
                caller.Concern(Permission.ManagePeople, given.Grant.Scope);
        }

        return actor;
    }

    static AnsweredLink Link(HttpRequest request, string? token, TimeSpan lasts, PeopleOutcome outcome)
    {
        if (token is not null)
        {
            return TypedResults.Ok(new InvitationLink(
                $"{request.Scheme}://{request.Host}/invitation?token={token}",
                request.HttpContext.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow() + lasts));
        }

        return Answer(outcome).Result switch
        {
            NotFound<ApiError> unknown => unknown,
            Conflict<ApiError> refused => refused,
            var other => throw new InvalidOperationException($"{other} is no refusal."),
        };
    }

    static async Task<List<PersonAnswer>> ListAsync(
        Actor actor, PeopleStore people, Invitations invitations, Sessions sessions, CancellationToken cancellation)
    {
        var resets = await invitations.ResetsAsync(cancellation);
        var seen = (await sessions.AllAsync(cancellation)).GroupBy(s => s.Owner).ToDictionary(g => g.Key, g => g.Max(s => s.SeenAt));
        return
        [
            .. (await people.AllAsync(cancellation)).Where(actor.Sees).Select(p => new PersonAnswer(
                p.Person.Name, p.Person.Email, p.Person.Outside?.Issuer, p.Person.HasTwoFactor, p.Person.DisabledAt, p.Person.LockedUntil,
                p.Person.CreatedAt, seen.TryGetValue(p.Person.Identity, out var at) ? at : null,
                resets.TryGetValue(p.Person.Id, out var until) ? until : null,
                // What they have elsewhere is nobody's business here.
                [.. p.Grants.Where(g => actor.Manages(g.Grant.Scope)).Select(GrantAnswer.Of)])),
        ];
    }
}
