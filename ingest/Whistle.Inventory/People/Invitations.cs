using System.Data.Common;
using System.Security.Cryptography;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Inventory.People;

/// <summary>Lets somebody choose how to log in, once.</summary>
/// <param name="Id">Names it in lists; opens nothing.</param>
/// <param name="UserName">What they will be called; null where they choose.</param>
/// <param name="Person">Whose log-in is made again; null for somebody new.</param>
/// <param name="MadeBy">The identity of whoever made it; once they may not give this any more, it is void.</param>
public sealed record Invitation(
    string Id, string? UserName, string? Person, IReadOnlyList<Grant> Grants, string MadeBy, string MadeName, DateTimeOffset MadeAt,
    DateTimeOffset EndsAt)
{
    internal string Hash { get; init; } = "";
}

/// <summary>Invitations, and links by which somebody who is known logs in again.</summary>
public sealed class Invitations(PeopleState state, Sessions sessions, PeopleDirectory directory, TimeProvider time)
{
    public const int MostGrants = 50;

    public static readonly TimeSpan Longest = TimeSpan.FromDays(30);
    public static readonly TimeSpan Usual = TimeSpan.FromDays(7);

    static readonly RowReader Reader = new("invitations", "nobody can use it. Invite again with `whistle people invite`.");

    static string Select => $"SELECT {PeopleState.Invitations.Columns()}, id FROM invitations";

    /// <summary>
    /// Makes one for somebody new; its token is shown this once. An earlier one for the same name ends, where the actor could have made it.
    /// </summary>
    public async Task<(string? Token, PeopleOutcome Outcome)> InviteAsync(
        Actor actor, string? userName, IReadOnlyList<Grant> grants, TimeSpan lasts, CancellationToken cancellation)
    {
        if (Mistake(userName, grants, lasts) is { } mistake)
            return (null, new PeopleOutcome.Refused(mistake));
        if (grants.FirstOrDefault(g => !actor.MayGive(g)) is { } foreign)
            return (null, new PeopleOutcome.Forbidden(Permission.ManagePeople, foreign.Scope));
        return await state.ChangeAsync<(string?, PeopleOutcome)>(
            async connection =>
            {
                // Whom the actor does not see has a name like any other: whoever is invited learns that it is taken, and chooses another.
                if (userName is not null && await PeopleStore.FindByNameAsync(connection, userName, cancellation) is { } known
                    && actor.Sees(known))
                {
                    return (null, new PeopleOutcome.Refused(
                        $"There is somebody called {known.Person.Name} already. Give them a role with `whistle people grant`."));
                }

                // Of several links for one person, those that were given by mistake would stay open.
                if (userName is not null)
                {
                    var name = PersonNames.Normalised(userName);
                    await EndAsync(
                        connection,
                        i => i.Person is null && i.UserName is { } other && PersonNames.Normalised(other) == name && IsTheirs(actor, i),
                        cancellation);
                }

                return (await AddAsync(connection, actor, userName, null, grants, lasts, cancellation), PeopleOutcome.Done);
            },
            cancellation);
    }

    /// <summary>
    /// Takes away all that somebody logs in with, ends their sessions, and makes a link by which they choose again.
    /// </summary>
    public async Task<(string? Token, PeopleOutcome Outcome)> ResetAsync(
        PeopleStore people, Actor actor, string name, CancellationToken cancellation)
    {
        string? token = null;
        Person? person = null;
        var outcome = await people.ForAccountAsync(
            actor, name, async (connection, known) =>
            {
                person = known.Person;
                if (person.Outside is { } outside)
                    return new PeopleOutcome.Refused($"{person.Name} logs in at {outside.Issuer}. Have it reset there.");
                (person.PasswordHash, person.AuthenticatorKey, person.HasTwoFactor) = (null, null, false);
                (person.FailedCount, person.LockedUntil) = (0, null);
                person.SecurityStamp = NewStamp();
                await PeopleStore.SaveAsync(connection, person, cancellation);
                await RecoveryCodes.RemoveAllAsync(connection, person.Id, cancellation);
                await Passkeys.RemoveAllAsync(connection, person.Id, cancellation);
                // An earlier link must not open the account too.
                await EndAsync(connection, i => i.Person == person.Id, cancellation);
                token = await AddAsync(connection, actor, person.Name, person.Id, [], Usual, cancellation);
                return PeopleOutcome.Done;
            },
            cancellation);
        if (token is not null)
            await sessions.EndOfAsync(person!.Identity, cancellation);
        return (token, outcome);
    }

    /// <summary>Those that somebody could use now and that the actor could have made, the newest first.</summary>
    public async Task<IReadOnlyList<Invitation>> OpenAsync(Actor actor, CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        return [.. (await OpenAsync(connection, cancellation)).Where(i => IsTheirs(actor, i)).OrderByDescending(i => i.MadeAt)];
    }

    /// <summary>Of whom a link is open by which they choose again how to log in, and until when; by the person's id.</summary>
    public async Task<IReadOnlyDictionary<string, DateTimeOffset>> ResetsAsync(CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        return (await OpenAsync(connection, cancellation)).Where(i => i.Person is not null).GroupBy(i => i.Person!)
            .ToDictionary(g => g.Key, g => g.Max(i => i.EndsAt));
    }

    public Task<PeopleOutcome> RevokeAsync(Actor actor, string id, CancellationToken cancellation) => state.ChangeAsync(
        async connection => await EndAsync(
            connection, i => i.Id.Equals(id, StringComparison.OrdinalIgnoreCase) && IsTheirs(actor, i), cancellation) > 0
            ? PeopleOutcome.Done : new PeopleOutcome.Unknown($"No invitation {id} is open."),
        cancellation);

    /// <summary>All that are open: after a restore nobody knows which were revoked since.</summary>
    public Task<int> RevokeAllAsync(CancellationToken cancellation) =>
        state.ChangeAsync(connection => EndAsync(connection, _ => true, cancellation), cancellation);

    /// <summary>What a link is for now, and whose log-in it makes again; why it does not work where there is none.</summary>
    public async Task<(Invitation? Invitation, Person? Known, string Mistake)> LookAsync(string token, CancellationToken cancellation)
    {
        var maker = await MakerAsync(token, cancellation);
        await using var connection = await state.OpenAsync(cancellation);
        return await LookAsync(connection, token, maker, cancellation);
    }

    /// <summary>Whether whoever is invited has to choose a name: none is fixed, or somebody else has it by now.</summary>
    public async Task<bool> ChoosesNameAsync(Invitation invitation, CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        return invitation.Person is null && (invitation.UserName is not { } name || await IsTakenAsync(connection, name, cancellation));
    }

    /// <summary>Whether somebody has the name already.</summary>
    public async Task<bool> IsTakenAsync(string name, CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        return await IsTakenAsync(connection, name, cancellation);
    }

    /// <summary>To be said where somebody has the name already.</summary>
    public static string Taken(string name) => $"{name} is taken. Choose another name.";

    /// <summary>Somebody new begins, or somebody who is known begins again, with a password of their own.</summary>
    /// <param name="name">Chosen, where the invitation leaves that to them.</param>
    /// <param name="act">Commits with what changes; told who it is, or that it is refused.</param>
    public async Task<(Person? Person, string? Mistake)> AcceptAsync(
        string token, string name, string passwordHash, CancellationToken cancellation, AuditAct? act = null)
    {
        var maker = await MakerAsync(token, cancellation);
        return await state.ChangeAsync<(Person?, string?)>(
            async connection =>
            {
                var (invitation, known, mistake) = await LookAsync(connection, token, maker, cancellation);
                if (invitation is null)
                    return Refuse(mistake);
                if (known is null && invitation.UserName is { } wanted && !await IsTakenAsync(connection, wanted, cancellation))
                    name = wanted;
                if (known is null && PersonNames.Mistake(name) is { } wrong)
                    return Refuse(wrong);
                if (known is null && await IsTakenAsync(connection, name, cancellation))
                    return Refuse(Taken(name));
                var now = time.GetUtcNow();
                var person = known ?? new Person { Id = Guid.NewGuid().ToString("N"), Name = name, CreatedAt = now };
                (person.PasswordHash, person.SecurityStamp) = (passwordHash, NewStamp());
                (person.FailedCount, person.LockedUntil) = (0, null);
                act?.Actor = act.Actor with { Name = person.Name, Identity = person.Identity };
                await PeopleStore.SaveAsync(connection, person, cancellation);
                foreach (var grant in invitation.Grants)
                {
                    await PeopleStore.AddAsync(
                        connection, person.Id, new(grant, GrantSource.Local, invitation.MadeName, now), cancellation);
                }

                await connection.ExecuteAsync(
                    "UPDATE invitations SET used_at = $at, checksum = $checksum WHERE id = $id", cancellation,
                    ("$at", now), ("$id", invitation.Id), ("$checksum", Checksum(invitation, now, null)));
                return (person, null);

                (Person?, string?) Refuse(string reason)
                {
                    act?.Refuse(reason);
                    return (null, reason);
                }
            },
            cancellation);
    }

    /// <summary>Of how somebody logs in: another with every change.</summary>
    internal static string NewStamp() => Convert.ToHexString(RandomNumberGenerator.GetBytes(16));

    const string Over = "This link was used, revoked, or is over. Ask for another.";

    // Whoever has the link is no stranger, so they are told what to do.
    async Task<(Invitation? Invitation, Person? Known, string Mistake)> LookAsync(
        StateConnection connection, string token, Actor? maker, CancellationToken cancellation)
    {
        if (await FindAsync(connection, token, cancellation) is not { } invitation)
            return (null, null, Over);
        var known = invitation.Person is { } id ? await PeopleStore.FindAsync(connection, id, cancellation) : null;
        if (invitation.Person is not null && known is null)
            return (null, null, Over);
        if (known?.Person.DisabledAt is not null)
            return (null, null, "Your account is disabled. Ask an administrator to enable it, and use this link again.");
        if (known?.Person.Outside is { } outside)
            return (null, null, $"Your account logs in at {outside.Issuer}. Log in there.");
        return maker?.Identity != invitation.MadeBy || !invitation.Grants.All(maker.MayGive)
            || (known is not null && !maker.ManagesAllOf(known))
            ? (null, null, $"{invitation.MadeName}, who made this link, may not give what it gives any more. Ask an administrator for one.")
            : (invitation, known?.Person, "");
    }

    // As they are now; looked up outside of any transaction, which would wait for itself.
    async Task<Actor?> MakerAsync(string token, CancellationToken cancellation)
    {
        string? maker;
        await using (var connection = await state.OpenAsync(cancellation))
            maker = (await FindAsync(connection, token, cancellation))?.MadeBy;
        return maker is null ? null : await directory.ActorOfAsync(maker, cancellation);
    }

    static async Task<bool> IsTakenAsync(StateConnection connection, string name, CancellationToken cancellation) =>
        await connection.QueryAsync(
            "SELECT id FROM people WHERE normalised_name = $name", _ => true, cancellation, ("$name", PersonNames.Normalised(name)))
            is [_, ..];

    static string? Mistake(string? userName, IReadOnlyList<Grant> grants, TimeSpan lasts) =>
        userName is not null && PersonNames.Mistake(userName) is { } mistake ? mistake
        : grants.Count is 0 or > MostGrants ? $"grants: {grants.Count} are not between 1 and {MostGrants}."
        : grants.Select(GrantText.Mistake).FirstOrDefault(m => m is not null) is { } wrong ? wrong
        : lasts < TimeSpan.FromMinutes(1) || lasts > Longest ? $"for: {lasts} is not between 1m and {Longest.TotalDays}d." : null;

    // A link that makes a log-in again has no grants of its own; whoever made it sees it, and who manages all.
    static bool IsTheirs(Actor actor, Invitation invitation) => actor.Manages(AccessScope.All) || invitation.MadeBy == actor.Identity
        || (invitation.Grants.Count > 0 && invitation.Grants.All(actor.MayGive));

    async Task<string> AddAsync(
        StateConnection connection, Actor actor, string? userName, string? person, IReadOnlyList<Grant> grants, TimeSpan lasts,
        CancellationToken cancellation)
    {
        var token = AccessToken.New(AccessToken.OfInvitation);
        var (hash, now) = (AccessToken.HashOf(token), time.GetUtcNow());
        var made = new Invitation(
            hash[..PeopleState.IdLength], userName, person, grants, actor.Identity, actor.Name, now, now + lasts)
        { Hash = hash };
        await connection.ExecuteAsync(
            "INSERT INTO invitations (id, hash, user_name, person, grants, made_by, made_name, made_at, ends_at, checksum) "
            + "VALUES ($id, $hash, $user, $person, $grants, $by, $by_name, $made, $ends, $checksum)",
            cancellation,
            ("$id", made.Id), ("$hash", hash), ("$user", userName), ("$person", person), ("$grants", GrantText.Of(grants)),
            ("$by", made.MadeBy), ("$by_name", made.MadeName), ("$made", now), ("$ends", made.EndsAt),
            ("$checksum", Checksum(made, null, null)));
        return token;
    }

    async Task<int> EndAsync(StateConnection connection, Func<Invitation, bool> which, CancellationToken cancellation)
    {
        var ended = (await OpenAsync(connection, cancellation)).Where(which).ToList();
        var now = time.GetUtcNow();
        foreach (var invitation in ended)
        {
            await connection.ExecuteAsync(
                "UPDATE invitations SET revoked_at = $at, checksum = $checksum WHERE id = $id", cancellation,
                ("$at", now), ("$id", invitation.Id), ("$checksum", Checksum(invitation, null, now)));
        }

        return ended.Count;
    }

    static long Checksum(Invitation invitation, DateTimeOffset? usedAt, DateTimeOffset? revokedAt) => PeopleState.Invitations.Of(
        invitation.Id, invitation.Hash, invitation.UserName, invitation.Person, GrantText.Of(invitation.Grants), invitation.MadeBy,
        invitation.MadeName, invitation.MadeAt, invitation.EndsAt, usedAt, revokedAt);

    async Task<List<Invitation>> OpenAsync(StateConnection connection, CancellationToken cancellation) =>
        [.. (await Reader.QueryAsync(connection, Select, Read, cancellation)).OfType<Invitation>().Where(i => i.EndsAt > time.GetUtcNow())];

    async Task<Invitation?> FindAsync(StateConnection connection, string token, CancellationToken cancellation) =>
        !AccessToken.IsWhole(AccessToken.OfInvitation, token) ? null
        : (await Reader.QueryAsync(connection, $"{Select} WHERE hash = $hash", Read, cancellation, ("$hash", AccessToken.HashOf(token))))
            is [{ } found] && found.EndsAt > time.GetUtcNow() ? found : null;

    // Null where it was used or revoked.
    static Invitation? Read(DbDataReader row) => !PeopleState.Invitations.Holds(row)
        ? throw new InvalidDataException("its checksum is not that of its values")
        : !row.IsDBNull(9) || !row.IsDBNull(10) ? null
        : new(
            row.GetString(0), row.OptionalText(2), row.OptionalText(3), GrantText.Parse(row.GetString(4)), row.GetString(5),
            row.GetString(6), row.Instant(7), row.Instant(8))
        { Hash = row.GetString(1) };
}
