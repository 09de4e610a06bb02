using System.ComponentModel;
using System.Text.Json.Serialization;

using Microsoft.AspNetCore.Http.HttpResults;

using Whistle.Detectors.Http;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.Inventory.People;

namespace Whistle.Access;

/// <param name="Grants">What it allows, of what its owner may do.</param>
/// <param name="For">How long it works, like 90d, which it is if not given.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record TokenRequest(string Name, List<GrantRequest> Grants, string? For = null);

/// <param name="Token">Shown this once.</param>
sealed record MadeToken(string Token, TokenAnswer Made);

/// <param name="Id">Names it in lists; opens nothing.</param>
/// <param name="Owner">In whose name it acts; operator is the server's own machine.</param>
/// <param name="UsedAt">To the minute; null where it was never used.</param>
sealed record TokenAnswer(
    string Id, string Name, string Owner, List<GrantAnswer> Grants, DateTimeOffset MadeAt, DateTimeOffset EndsAt, DateTimeOffset? UsedAt)
{
    public static TokenAnswer Of(ApiToken token, string owner) =>
        new(token.Id, token.Name, owner, [.. token.Grants.Select(GrantAnswer.Of)], token.MadeAt, token.EndsAt, token.UsedAt);
}

/// <summary>Tokens for programs: one's own, and those of people whose accounts one manages.</summary>
static class TokensApi
{
    const string Own = "It is about the caller's own tokens, and those of people whose accounts they manage.";

    public static void Map(WebApplication app)
    {
        var places = app.Services.GetRequiredService<KnownPlaces>();
        var (tokens, people) = (app.Services.GetRequiredService<ApiTokens>(), app.Services.GetRequiredService<PeopleStore>());
        var group = WhistleApi.Group(app, "tokens").NeedsLogin(Own);
        group.MapGet("/tokens", async (Caller caller, CancellationToken cancellation) =>
        {
            var owners = await Owners.OfAsync(await caller.ActorAsync(cancellation), people, cancellation);
            return TypedResults.Ok((await tokens.LivingAsync(cancellation)).Where(t => owners.Has(t.Owner))
                .Select(t => TokenAnswer.Of(t, owners.NameOf(t.Owner))).ToList());
        }).WithName("listTokens").WithSummary("API tokens in force: your own, and those of people whose accounts you manage.");
        group.MapPost("/tokens", async Task<Results<Ok<MadeToken>, BadRequest<ApiError>>> (
            TokenRequest request, Caller caller, CancellationToken cancellation) =>
        {
            if ((request.For is null ? ApiTokens.Usual : WhistleApi.Duration(request.For)) is not { } lasts)
                return WhistleApi.BadDuration("for", request.For);
            if (GrantRequest.Mistake(request.Grants) is { } mistake)
                return WhistleApi.BadRequest(mistake);
            AuditAct.Current?.Subject = request.Name;
            var actor = await caller.ActorAsync(cancellation);
            if (await GrantRequest.UnknownAsync(places, actor.Rights, request.Grants, cancellation) is { } unknown)
                return WhistleApi.BadRequest(unknown);
            var (token, made, outcome) = await tokens.MakeAsync(
                actor, request.Name, [.. request.Grants.Select(g => g.ToGrant())], lasts, cancellation);
            return outcome is PeopleOutcome.Refused refused ? WhistleApi.BadRequest(refused.Reason)
                : TypedResults.Ok(new MadeToken(token!, TokenAnswer.Of(made!, caller.Name)));
        }).WithName("makeToken").WithSummary("Makes an API token that acts in your name; answers it this once.");
        group.MapDelete("/tokens/{id}", async (
            [Description("As the list has it.")] string id, Caller caller, CancellationToken cancellation) =>
        {
            var owners = await Owners.OfAsync(await caller.ActorAsync(cancellation), people, cancellation);
            return PeopleApi.Answer(await tokens.RevokeAsync(id, t => owners.Has(t.Owner), cancellation));
        }).WithName("revokeToken").WithSummary("Takes an API token back, in effect within seconds.");
    }
}

/// <summary>Whose tokens and sessions somebody may see and end: their own, and those of people whose accounts they manage.</summary>
sealed class Owners
{
    readonly Dictionary<string, string> _names;

    Owners(Dictionary<string, string> names) => _names = names;

    public static async Task<Owners> OfAsync(Actor actor, PeopleStore people, CancellationToken cancellation)
    {
        var names = (await people.AllAsync(cancellation)).Where(actor.ManagesAllOf)
            .ToDictionary(p => p.Person.Identity, p => p.Person.Name);
        if (actor.Manages(Inventory.Access.AccessScope.All))
            names[PersonIdentity.Local] = PersonIdentity.LocalName;
        names[actor.Identity] = actor.Name;
        return new(names);
    }

    public bool Has(string identity) => _names.ContainsKey(identity);

    public string NameOf(string identity) => _names[identity];
}
