using System.Data.Common;

using Whistle.Inventory.Access;
using Whistle.State;

namespace Whistle.Inventory.People;

/// <summary>People and their grants.</summary>
public sealed partial class PeopleStore(PeopleState state, Sessions sessions, TimeProvider time)
{
    /// <summary>That are given here to one person.</summary>
    public const int MostGrants = 50;

    static readonly RowReader Reader = new(
        "people", "this person cannot log in. Restore a backup, or delete the row and invite them again with `whistle people invite`.");

    static readonly RowReader GrantReader = new(
        "grants", "it allows nothing. Give it again with `whistle people grant`.");

    static readonly Grant AdminOfAll = new(Role.Admin, AccessScope.All);

    static string Select => $"SELECT {PeopleState.People.Columns()}, id FROM people";

    static string SelectGrants =>
        $"SELECT {PeopleState.Grants.Columns()}, person || ' ' || role || ' ' || tenant || '/' || cluster FROM grants";

    /// <summary>All who can be read, by name.</summary>
    public async Task<IReadOnlyList<KnownPerson>> AllAsync(CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        return await AllAsync(connection, cancellation);
    }

    /// <summary>Null where nobody has the id.</summary>
    public async Task<KnownPerson?> FindAsync(string id, CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        return await FindAsync(connection, id, cancellation);
    }

    /// <summary>Null where nobody has the name.</summary>
    public async Task<KnownPerson?> FindByNameAsync(string name, CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        return await FindByNameAsync(connection, name, cancellation);
    }

    /// <summary>Whether anybody but the machine's own user runs everything.</summary>
    public async Task<bool> HasAdminOfAllAsync(CancellationToken cancellation) =>
        (await AllAsync(cancellation)).Any(p => p.IsAdminOfAll);

    public Task<PeopleOutcome> GiveAsync(Actor actor, string name, Grant grant, CancellationToken cancellation) => ForAsync(
        actor, name, async (connection, known) =>
        {
            if (GrantText.Mistake(grant) is { } mistake)
                return new PeopleOutcome.Refused(mistake);
            if (!actor.MayGive(grant))
                return new PeopleOutcome.Forbidden(Permission.ManagePeople, grant.Scope);
            var local = known.Grants.Where(g => g.Source is GrantSource.Local).ToList();
            if (local.Count >= MostGrants && local.All(g => g.Grant != grant))
            {
                return new PeopleOutcome.Refused(
                    $"{known.Person.Name} has {local.Count} grants, and nobody has more than {MostGrants}. "
                    + "Give a role for a whole tenant instead, or revoke one first.");
            }

            if (local.All(g => g.Grant != grant))
                await AddAsync(connection, known.Person.Id, new(grant, GrantSource.Local, actor.Name, time.GetUtcNow()), cancellation);
            return PeopleOutcome.Done;
        },
        cancellation);

    public Task<PeopleOutcome> TakeAsync(Actor actor, string name, Grant grant, CancellationToken cancellation) => ForAsync(
        actor, name, async (connection, known) =>
        {
            if (!actor.MayGive(grant))
                return new PeopleOutcome.Forbidden(Permission.ManagePeople, grant.Scope);
            if (!known.Grants.Any(g => g.Grant == grant && g.Source is GrantSource.Local))
            {
                return new PeopleOutcome.Unknown(
                    $"{known.Person.Name} has no grant {grant} that was given here. `whistle people list` shows what there is.");
            }

            if (grant == AdminOfAll && await LastAdminAsync(connection, actor, known, cancellation) is { } last)
                return last;
            await connection.ExecuteAsync(
                "DELETE FROM grants "
                + "WHERE person = $person AND role = $role AND tenant = $tenant AND cluster = $cluster AND source = $source",
                cancellation, ("$person", known.Person.Id), ("$role", grant.Role.Name()), ("$tenant", grant.Scope.Tenant ?? ""),
                ("$cluster", grant.Scope.Cluster ?? ""), ("$source", GrantSource.Local));
            return PeopleOutcome.Done;
        },
        cancellation);

    /// <summary>They can do nothing from now on, and their sessions end; grants and tokens stay for the day that they may again.</summary>
    public async Task<PeopleOutcome> DisableAsync(Actor actor, string name, CancellationToken cancellation)
    {
        Person? disabled = null;
        var outcome = await ForAccountAsync(
            actor, name, async (connection, known) =>
            {
                if (known.IsAdminOfAll && await LastAdminAsync(connection, actor, known, cancellation) is { } last)
                    return last;
                disabled = known.Person;
                disabled.DisabledAt ??= time.GetUtcNow();
                // What was begun before goes no further, even once they may again.
                disabled.SecurityStamp = Invitations.NewStamp();
                await SaveAsync(connection, disabled, cancellation);
                return PeopleOutcome.Done;
            },
            cancellation);
        if (disabled is not null)
            await sessions.EndOfAsync(disabled.Identity, cancellation);
        return outcome;
    }

    public Task<PeopleOutcome> EnableAsync(Actor actor, string name, CancellationToken cancellation) => ForAccountAsync(
        actor, name, async (connection, known) =>
        {
            known.Person.DisabledAt = null;
            (known.Person.FailedCount, known.Person.LockedUntil) = (0, null);
            await SaveAsync(connection, known.Person, cancellation);
            return PeopleOutcome.Done;
        },
        cancellation);

    internal Task<PeopleOutcome> ForAccountAsync(
        Actor actor, string name, Func<StateConnection, KnownPerson, Task<PeopleOutcome>> change, CancellationToken cancellation) =>
        ForAsync(
            actor, name,
            async (connection, known) => actor.ManagesAllOf(known) ? await change(connection, known) : new PeopleOutcome.Refused(
                $"{known.Person.Name} has other grants than those that you manage. Revoke what they have here, or ask an administrator of "
                + "all tenants."),
            cancellation);

    internal static async Task<KnownPerson?> FindAsync(StateConnection connection, string id, CancellationToken cancellation) =>
        await WithGrantsAsync(
            connection, await Reader.QueryAsync(connection, $"{Select} WHERE id = $id", Read, cancellation, ("$id", id)), cancellation);

    /// <summary>Null where they are disabled, or how they log in has changed since.</summary>
    /// <param name="person">As it was proven who they are.</param>
    internal static async Task<Person?> FindUnchangedAsync(
        StateConnection connection, Person person, CancellationToken cancellation) =>
        await FindAsync(connection, person.Id, cancellation) is { Person: { DisabledAt: null } known }
            && known.SecurityStamp == person.SecurityStamp ? known : null;

    internal static async Task<KnownPerson?> FindByNameAsync(StateConnection connection, string name, CancellationToken cancellation) =>
        await WithGrantsAsync(
            connection,
            await Reader.QueryAsync(
                connection, $"{Select} WHERE normalised_name = $name", Read, cancellation, ("$name", PersonNames.Normalised(name))),
            cancellation);

    internal static Task AddAsync(StateConnection connection, string person, GivenGrant given, CancellationToken cancellation)
    {
        var (role, scope) = (given.Grant.Role.Name(), given.Grant.Scope);
        return connection.ExecuteAsync(
            "INSERT INTO grants (person, role, tenant, cluster, source, given_by, given_at, checksum) "
            + "VALUES ($person, $role, $tenant, $cluster, $source, $by, $at, $checksum) "
            // Of a damaged one too, which is given again.
            + "ON CONFLICT (person, role, tenant, cluster, source) DO UPDATE SET given_by = excluded.given_by, "
            + "given_at = excluded.given_at, checksum = excluded.checksum",
            cancellation,
            ("$person", person), ("$role", role), ("$tenant", scope.Tenant ?? ""), ("$cluster", scope.Cluster ?? ""),
            ("$source", given.Source), ("$by", given.GivenBy), ("$at", given.GivenAt),
            ("$checksum", PeopleState.Grants.Of(
                person, role, scope.Tenant ?? "", scope.Cluster ?? "", given.Source, given.GivenBy, given.GivenAt)));
    }

    /// <summary>Writes somebody who is new, or was read in this transaction.</summary>
    internal static Task SaveAsync(StateConnection connection, Person person, CancellationToken cancellation)
    {
        person.Revision = StateSql.NewRevision();
        var normalised = PersonNames.Normalised(person.Name);
        var twoFactor = person.HasTwoFactor ? 1L : 0L;
        return connection.ExecuteAsync(
            """
            INSERT INTO people (id, name, normalised_name, email, password_hash, security_stamp, authenticator_key, two_factor,
                last_code_step, failed_count, locked_until, disabled_at, issuer, subject, created_at, revision, checksum)
            VALUES ($id, $name, $normalised, $email, $password, $stamp, $key, $two_factor, $step, $failed, $locked, $disabled, $issuer,
                $subject, $created, $revision, $checksum)
            ON CONFLICT (id) DO UPDATE SET name = excluded.name, normalised_name = excluded.normalised_name, email = excluded.email,
                password_hash = excluded.password_hash, security_stamp = excluded.security_stamp,
                authenticator_key = excluded.authenticator_key, two_factor = excluded.two_factor, last_code_step = excluded.last_code_step,
                failed_count = excluded.failed_count, locked_until = excluded.locked_until, disabled_at = excluded.disabled_at,
                issuer = excluded.issuer, subject = excluded.subject, revision = excluded.revision, checksum = excluded.checksum
            """,
            cancellation,
            ("$id", person.Id), ("$name", person.Name), ("$normalised", normalised), ("$email", person.Email),
            ("$password", person.PasswordHash), ("$stamp", person.SecurityStamp), ("$key", person.AuthenticatorKey),
            ("$two_factor", twoFactor), ("$step", person.LastCodeStep), ("$failed", person.FailedCount), ("$locked", person.LockedUntil),
            ("$disabled", person.DisabledAt), ("$issuer", person.Outside?.Issuer), ("$subject", person.Outside?.Subject),
            ("$created", person.CreatedAt), ("$revision", person.Revision),
            ("$checksum", PeopleState.People.Of(
                person.Id, person.Name, normalised, person.Email, person.PasswordHash, person.SecurityStamp, person.AuthenticatorKey,
                twoFactor, person.LastCodeStep, person.FailedCount, person.LockedUntil, person.DisabledAt, person.Outside?.Issuer,
                person.Outside?.Subject, person.CreatedAt, person.Revision)));
    }

    Task<PeopleOutcome> ForAsync(
        Actor actor, string name, Func<StateConnection, KnownPerson, Task<PeopleOutcome>> change, CancellationToken cancellation) =>
        state.ChangeAsync(
            async connection => await FindByNameAsync(connection, name, cancellation) is { } known && actor.Sees(known)
                ? await change(connection, known) : PeopleOutcome.NobodyCalled(name),
            cancellation);

    // The machine's own user stays, and may begin again with nobody.
    static async Task<PeopleOutcome?> LastAdminAsync(
        StateConnection connection, Actor actor, KnownPerson known, CancellationToken cancellation) =>
        actor.IsLocal || !known.IsAdminOfAll
        || (await AllAsync(connection, cancellation)).Any(p => p.IsAdminOfAll && p.Person.Id != known.Person.Id)
            ? null
            : new PeopleOutcome.Refused(
                $"{known.Person.Name} is the last administrator of all tenants. Make another first, or do this on the server's own "
                + "machine.");

    static async Task<IReadOnlyList<KnownPerson>> AllAsync(StateConnection connection, CancellationToken cancellation)
    {
        var people = await Reader.QueryAsync(connection, Select, Read, cancellation);
        var grants = (await GrantReader.QueryAsync(connection, SelectGrants, ReadGrant, cancellation))
            .ToLookup(g => g.Person, g => g.Given);
        return
        [
            .. people.OrderBy(p => PersonNames.Normalised(p.Name), StringComparer.Ordinal)
                .Select(p => new KnownPerson(p, Ordered(grants[p.Id]))),
        ];
    }

    static async Task<KnownPerson?> WithGrantsAsync(StateConnection connection, List<Person> found, CancellationToken cancellation) =>
        found is not [var person] ? null : new KnownPerson(person, Ordered((await GrantReader.QueryAsync(
            connection, $"{SelectGrants} WHERE person = $person", ReadGrant, cancellation, ("$person", person.Id))).Select(g => g.Given)));

    static IReadOnlyList<GivenGrant> Ordered(IEnumerable<GivenGrant> grants) =>
        [.. grants.OrderBy(g => g.Grant.ToString(), StringComparer.Ordinal).ThenBy(g => g.Source)];

    static (string Person, GivenGrant Given) ReadGrant(DbDataReader row) => !PeopleState.Grants.Holds(row)
        ? throw new InvalidDataException("its checksum is not that of its values")
        : (row.GetString(0), new(
            new(GrantText.RoleOf(row.GetString(1)), GrantText.ScopeOf(row.GetString(2), row.GetString(3))), row.Named<GrantSource>(4),
            row.GetString(5), row.Instant(6)));

    static Person Read(DbDataReader row) => !PeopleState.People.Holds(row)
        ? throw new InvalidDataException("its checksum is not that of its values")
        : new()
        {
            Id = row.GetString(0),
            Name = row.GetString(1),
            Email = row.OptionalText(3),
            PasswordHash = row.OptionalText(4),
            SecurityStamp = row.GetString(5),
            AuthenticatorKey = row.OptionalText(6),
            HasTwoFactor = row.GetInt64(7) != 0,
            LastCodeStep = row.GetInt64(8),
            FailedCount = row.GetInt32(9),
            LockedUntil = row.OptionalInstant(10),
            DisabledAt = row.OptionalInstant(11),
            Outside = row.OptionalText(12) is { } issuer ? new(issuer, row.GetString(13)) : null,
            CreatedAt = row.Instant(14),
            Revision = row.GetInt64(15),
        };
}
