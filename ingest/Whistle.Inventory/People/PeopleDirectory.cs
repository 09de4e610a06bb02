using System.Collections.Concurrent;
using System.Data.Common;
using System.Security.Claims;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;

namespace Whistle.Inventory.People;

/// <summary>
/// Whoever can be logged in, and what they may do. What was looked up counts for <see cref="Sessions.Freshness"/>, and in this process no
/// longer than until the next change: a grant that is revoked is gone within seconds on every server of one database.
/// </summary>
public sealed class PeopleDirectory(PeopleState state, PeopleStore people, ApiTokens tokens, Sessions sessions, TimeProvider time)
{
    /// <summary>The claim that says who it is, as <see cref="PersonIdentity"/> names them.</summary>
    public const string IdentityClaim = "whistle.identity";

    /// <summary>The claim that says on whose behalf it is: of a token the identity of its owner, of all others their own.</summary>
    public const string OwnerClaim = "whistle.owner";

    /// <summary>The claim with the hash of the session; a token has none.</summary>
    public const string SessionClaim = "whistle.session";

    /// <summary>The identity of the machine's own user, who has the token of the data folder.</summary>
    public const string Local = PersonIdentity.Local;

    static readonly Standing LocalStanding = new(PersonIdentity.LocalName, Rights.Everything);

    /// <summary>How long the claims of a log-in elsewhere count without another: whoever has left there is out here too.</summary>
    public static readonly TimeSpan ClaimsLast = TimeSpan.FromDays(30);

    // Identities that exist, so no guesses; emptied when it is full.
    const int MostKnown = 10_000;

    readonly ConcurrentDictionary<string, Known> _known = new();

    /// <summary>What they may do now; nothing where nobody knows them, or no longer.</summary>
    public async Task<Rights> RightsOfAsync(ClaimsPrincipal user, CancellationToken cancellation) =>
        await ActorOfAsync(user, cancellation) is { } actor ? actor.Rights : Rights.None;

    /// <summary>Who it is now; null where nobody knows them, or their session has ended.</summary>
    public async Task<Actor?> ActorOfAsync(ClaimsPrincipal user, CancellationToken cancellation)
    {
        if (user.FindFirstValue(IdentityClaim) is not { } identity)
            return null;
        if (user.FindFirstValue(SessionClaim) is { } hash && (await sessions.OpenAsync(hash, cancellation))?.Owner != identity)
            return null;
        return await ActorOfAsync(identity, cancellation);
    }

    /// <summary>Null where there is none such, or they are disabled, or their row is damaged.</summary>
    public async Task<Actor?> ActorOfAsync(string identity, CancellationToken cancellation) =>
        await FindAsync(identity, cancellation) is { } standing ? new(identity, standing.Name, standing.Rights) : null;

    /// <summary>The machine's own user, who showed the token of the data folder.</summary>
    public static ClaimsPrincipal OfLocal(string scheme) => Principal(scheme, Local, LocalStanding.Name, null, Local);

    /// <summary>Whoever the session of the browser's id is of; null where it is not open, or they may not log in.</summary>
    public async Task<ClaimsPrincipal?> OfSessionAsync(string? id, string scheme, CancellationToken cancellation)
    {
        if (await sessions.FindAsync(id, cancellation) is not { } session
            || await FindAsync(session.Owner, cancellation) is not { } standing)
            return null;
        await NoteAsync(() => sessions.SeeAsync(session, cancellation));
        return Principal(scheme, session.Owner, standing.Name, session.Hash, session.Owner);
    }

    /// <summary>Whoever the API token acts for; null where it is not in force, or its owner may not log in.</summary>
    public async Task<ClaimsPrincipal?> OfTokenAsync(string token, string scheme, CancellationToken cancellation)
    {
        if (await tokens.FindAsync(token, cancellation) is not { } found
            || await FindAsync(found.Identity, cancellation) is not { } standing)
            return null;
        await NoteAsync(() => tokens.NoteUseAsync(found, cancellation));
        return Principal(scheme, found.Identity, standing.Name, null, found.Owner);
    }

    /// <summary>They did something on a page that is open, so their session is not idle.</summary>
    public async Task SeeAsync(ClaimsPrincipal user, CancellationToken cancellation)
    {
        if (user.FindFirstValue(SessionClaim) is { } hash && await sessions.OpenAsync(hash, cancellation) is { } session)
            await NoteAsync(() => sessions.SeeAsync(session, cancellation));
    }

    // On a full disk too people get in: that they were seen is not worth more than that.
    static async Task NoteAsync(Func<Task> note)
    {
        try
        {
            await AuditAct.AsideAsync(note);
        }
        catch (Exception e) when (e is DbException or TimeoutException)
        {
            // The state reports it itself.
        }
    }

    async Task<Standing?> FindAsync(string identity, CancellationToken cancellation)
    {
        if (identity == Local)
            return LocalStanding;
        var (now, version) = (time.GetUtcNow(), state.Version);
        if (_known.TryGetValue(identity, out var known) && known.Version == version && now < known.Until)
            return known.Standing;
        var standing = await ReadAsync(identity, cancellation);
        if (standing is null)
        {
            _known.TryRemove(identity, out _);
            return null;
        }

        if (_known.Count >= MostKnown)
            _known.Clear();
        _known[identity] = new(standing, version, now + Sessions.Freshness);
        return standing;
    }

    async Task<Standing?> ReadAsync(string identity, CancellationToken cancellation)
    {
        if (PersonIdentity.PersonOf(identity) is { } person)
        {
            return await people.FindAsync(person, cancellation) is { Person.DisabledAt: null } known
                ? new(known.Person.Name, new([.. known.Grants.Where(Counts).Select(g => g.Grant)])) : null;
        }

        // A token's owner is no token, so this ends.
        return PersonIdentity.TokenOf(identity) is { } id && await tokens.FindByIdAsync(id, cancellation) is { } token
            && await FindAsync(token.Owner, cancellation) is { } owner
            ? new($"{owner.Name} (token {token.Name})", owner.Rights.LimitedTo(token.Grants)) : null;
    }

    /// <summary>Who may see any of the scope, with what gives it now; null for whoever does not manage people there.</summary>
    public async Task<IReadOnlyList<(string Name, Grant Grant)>?> ViewersAsync(
        Rights asker, AccessScope scope, CancellationToken cancellation) => !asker.May(Permission.ManagePeople, scope) ? null :
    [
        .. (await people.AllAsync(cancellation)).Where(p => p.Person.DisabledAt is null).SelectMany(p =>
            p.Grants.Where(Counts).Select(g => g.Grant).Where(g => g.Scope.Overlaps(scope)).Distinct().Select(g => (p.Person.Name, g))),
    ];

    bool Counts(GivenGrant given) => given.Source is GrantSource.Local || time.GetUtcNow() - given.GivenAt < ClaimsLast;

    static ClaimsPrincipal Principal(string scheme, string identity, string name, string? session, string owner)
    {
        List<Claim> claims = [new(ClaimTypes.Name, name), new(IdentityClaim, identity), new(OwnerClaim, owner)];
        if (session is not null)
            claims.Add(new(SessionClaim, session));
        return new(new ClaimsIdentity(claims, scheme));
    }

    sealed record Standing(string Name, Rights Rights);

    sealed record Known(Standing Standing, long Version, DateTimeOffset Until);
}
