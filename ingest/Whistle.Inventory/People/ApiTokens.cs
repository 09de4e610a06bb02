using System.Data.Common;

using Whistle.Inventory.Access;
using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Inventory.People;

/// <summary>A token for programs. It can do what its owner can, and of that only what its grants allow.</summary>
/// <param name="Id">Names it in lists; opens nothing.</param>
/// <param name="Owner">The identity of a person, or of the machine's own user.</param>
/// <param name="UsedAt">To the minute; null where it was never used.</param>
public sealed record ApiToken(
    string Id, string Owner, string Name, IReadOnlyList<Grant> Grants, DateTimeOffset MadeAt, DateTimeOffset EndsAt, DateTimeOffset? UsedAt)
{
    public string Identity => PersonIdentity.OfToken(Id);

    internal string Hash { get; init; } = "";
}

public sealed class ApiTokens(PeopleState state, TimeProvider time)
{
    public const int MostOfOne = 100;
    public const int MostGrants = 50;

    public static readonly TimeSpan Longest = TimeSpan.FromDays(366);
    public static readonly TimeSpan Usual = TimeSpan.FromDays(90);

    static readonly RowReader Reader = new("api_tokens", "it opens nothing. Make another with `whistle tokens add`.");

    static string Select => $"SELECT {PeopleState.Tokens.Columns()}, id FROM api_tokens";

    /// <summary>Makes one; it is shown this once.</summary>
    public async Task<(string? Token, ApiToken? Made, PeopleOutcome Outcome)> MakeAsync(
        Actor owner, string name, IReadOnlyList<Grant> grants, TimeSpan lasts, CancellationToken cancellation)
    {
        // Else a token that ends soon, or allows little, would make another that does not.
        if (PersonIdentity.TokenOf(owner.Identity) is not null)
            return Refused("A token makes no tokens. Use the account page, or the server's own token on its machine.");
        if (Mistake(owner, name, grants, lasts) is { } mistake)
            return Refused(mistake);
        return await state.ChangeAsync(
            async connection =>
            {
                var living = (await LivingAsync(connection, cancellation)).Where(t => t.Owner == owner.Identity).ToList();
                if (living.Any(t => t.Name.Equals(name, StringComparison.OrdinalIgnoreCase)))
                    return Refused($"There is a token called {name}. Revoke it with `whistle tokens revoke`, or choose another name.");
                if (living.Count >= MostOfOne)
                    return Refused($"There are {living.Count} tokens, which is the most. Revoke one with `whistle tokens revoke`.");
                var token = AccessToken.New(AccessToken.OfPerson);
                var made = await AddAsync(connection, token, owner, name, grants, lasts, cancellation);
                return (token, made, PeopleOutcome.Done);
            },
            cancellation);

        static (string?, ApiToken?, PeopleOutcome) Refused(string reason) => (null, null, new PeopleOutcome.Refused(reason));
    }

    /// <summary>Those in force, the newest first.</summary>
    public async Task<IReadOnlyList<ApiToken>> LivingAsync(CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        return [.. (await LivingAsync(connection, cancellation)).OrderByDescending(t => t.MadeAt)];
    }

    /// <summary>The one that it is, where it is in force.</summary>
    public async Task<ApiToken?> FindAsync(string token, CancellationToken cancellation)
    {
        if (!AccessToken.IsWhole(AccessToken.OfPerson, token))
            return null;
        await using var connection = await state.OpenAsync(cancellation);
        var found = await Reader.QueryAsync(
            connection, $"{Select} WHERE hash = $hash", Read, cancellation, ("$hash", AccessToken.HashOf(token)));
        return found is [{ } one] && one.EndsAt > time.GetUtcNow() ? one : null;
    }

    /// <summary>Null where there is none of this id in force.</summary>
    public async Task<ApiToken?> FindByIdAsync(string id, CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        return await FindByIdAsync(connection, id, cancellation);
    }

    /// <param name="mayEnd">Whether it is the actor's to revoke.</param>
    public Task<PeopleOutcome> RevokeAsync(string id, Func<ApiToken, bool> mayEnd, CancellationToken cancellation) => state.ChangeAsync(
        async connection =>
        {
            if (await FindByIdAsync(connection, id.ToUpperInvariant(), cancellation) is not { } token || !mayEnd(token))
                return new PeopleOutcome.Unknown($"No token {id} is in force. `whistle tokens list` has the ids.");
            await RevokeAsync(connection, token, cancellation);
            return PeopleOutcome.Done;
        },
        cancellation);

    /// <summary>All of them: after a restore nobody knows which were revoked since.</summary>
    public Task<int> RevokeAllAsync(CancellationToken cancellation) => state.ChangeAsync(
        async connection =>
        {
            var living = (await LivingAsync(connection, cancellation)).ToList();
            foreach (var token in living)
                await RevokeAsync(connection, token, cancellation);
            return living.Count;
        },
        cancellation);

    /// <summary>To the minute, and once in a minute.</summary>
    public async Task NoteUseAsync(ApiToken token, CancellationToken cancellation)
    {
        var now = Minute(time.GetUtcNow());
        if (token.UsedAt >= now)
            return;
        await state.NoteAsync(
            async connection =>
            {
                // Read again: a row that is damaged, or was revoked since, stays what it is.
                if (await FindByIdAsync(connection, token.Id, cancellation) is not { } current || current.UsedAt >= now)
                    return false;
                return await connection.ExecuteAsync(
                    "UPDATE api_tokens SET used_at = $at, checksum = $checksum WHERE id = $id", cancellation,
                    ("$at", now), ("$id", token.Id), ("$checksum", Checksum(current with { UsedAt = now }, null))) > 0;
            },
            cancellation);
    }

    static string? Mistake(Actor owner, string name, IReadOnlyList<Grant> grants, TimeSpan lasts) =>
        PersonNames.TokenMistake(name) is { } mistake ? mistake
        : grants.Count is 0 or > MostGrants ? $"grants: {grants.Count} are not between 1 and {MostGrants}."
        : grants.Select(GrantText.Mistake).FirstOrDefault(m => m is not null) is { } wrong ? wrong
        : grants.FirstOrDefault(g => !owner.Rights.Includes(g)) is { } more ? $"{more}: a token allows no more than its owner may do."
        : lasts < TimeSpan.FromMinutes(1) || lasts > Longest ? $"for: {lasts} is not between 1m and {Longest.TotalDays}d." : null;

    async Task<ApiToken> AddAsync(
        StateConnection connection, string token, Actor owner, string name, IReadOnlyList<Grant> grants, TimeSpan lasts,
        CancellationToken cancellation)
    {
        var (hash, now) = (AccessToken.HashOf(token), time.GetUtcNow());
        var made = new ApiToken(hash[..PeopleState.IdLength], owner.Identity, name, grants, now, now + lasts, null) { Hash = hash };
        await connection.ExecuteAsync(
            "INSERT INTO api_tokens (id, hash, owner, name, grants, made_at, ends_at, checksum) "
            + "VALUES ($id, $hash, $owner, $name, $grants, $made, $ends, $checksum)",
            cancellation,
            ("$id", made.Id), ("$hash", hash), ("$owner", made.Owner), ("$name", name), ("$grants", GrantText.Of(grants)), ("$made", now),
            ("$ends", made.EndsAt), ("$checksum", Checksum(made, null)));
        return made;
    }

    Task<int> RevokeAsync(StateConnection connection, ApiToken token, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        return connection.ExecuteAsync(
            "UPDATE api_tokens SET revoked_at = $at, checksum = $checksum WHERE id = $id", cancellation,
            ("$at", now), ("$id", token.Id), ("$checksum", Checksum(token, now)));
    }

    static long Checksum(ApiToken token, DateTimeOffset? revokedAt) => PeopleState.Tokens.Of(
        token.Id, token.Hash, token.Owner, token.Name, GrantText.Of(token.Grants), token.MadeAt, token.EndsAt, token.UsedAt, revokedAt);

    async Task<IEnumerable<ApiToken>> LivingAsync(StateConnection connection, CancellationToken cancellation) =>
        (await Reader.QueryAsync(connection, Select, Read, cancellation)).OfType<ApiToken>().Where(t => t.EndsAt > time.GetUtcNow());

    async Task<ApiToken?> FindByIdAsync(StateConnection connection, string id, CancellationToken cancellation) =>
        (await Reader.QueryAsync(connection, $"{Select} WHERE id = $id", Read, cancellation, ("$id", id)))
            is [{ } found] && found.EndsAt > time.GetUtcNow() ? found : null;

    // Null where it was revoked.
    static ApiToken? Read(DbDataReader row) => !PeopleState.Tokens.Holds(row)
        ? throw new InvalidDataException("its checksum is not that of its values")
        : !row.IsDBNull(8) ? null
        : new(
            row.GetString(0), row.GetString(2), row.GetString(3), GrantText.Parse(row.GetString(4)), row.Instant(5), row.Instant(6),
            row.OptionalInstant(7))
        { Hash = row.GetString(1) };

    static DateTimeOffset Minute(DateTimeOffset at) => at.AddTicks(-(at.UtcTicks % TimeSpan.TicksPerMinute));
}
