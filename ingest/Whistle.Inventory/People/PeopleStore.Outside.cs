using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.State;

namespace Whistle.Inventory.People;

/// <summary>People whom another server vouches for.</summary>
public sealed partial class PeopleStore
{
    /// <summary>
    /// Somebody logged in elsewhere. Who is new is added, under another name where somebody else has theirs: a name that another server
    /// gives is no proof of being whoever has it here. What the claims give takes the place of what they gave before.
    /// </summary>
    /// <param name="act">Commits with what changes; told who it is, or that it is refused.</param>
    /// <returns>Null with the reason where they may not come in.</returns>
    public Task<(Person? Person, string? Refusal)> ComeInAsync(
        OutsideIdentity outside, string name, string? email, IReadOnlyList<Grant> grants, AuditAct? act,
        CancellationToken cancellation) =>
        state.ChangeAsync<(Person?, string?)>(
            async connection =>
            {
                var known = await WithGrantsAsync(
                    connection,
                    await Reader.QueryAsync(
                        connection, $"{Select} WHERE issuer = $issuer AND subject = $subject", Read, cancellation,
                        ("$issuer", outside.Issuer), ("$subject", outside.Subject)),
                    cancellation);
                if (known?.Person.DisabledAt is not null)
                    return Refuse(act, "Your account is disabled. Ask an administrator.");
                if (grants.Count == 0 && known?.Grants.Any(g => g.Source is GrantSource.Local) is not true)
                {
                    var refusal = Refuse(act, "You are known, and none of your groups has a role here. Ask an administrator.");
                    if (known is not null)
                        await TakeClaimedAsync(connection, known.Person.Id, cancellation);
                    return refusal;
                }

                var person = known?.Person ?? new Person
                {
                    Id = Guid.NewGuid().ToString("N"),
                    Name = await FreeNameAsync(connection, name, cancellation),
                    SecurityStamp = Guid.NewGuid().ToString("N"),
                    Outside = outside,
                    CreatedAt = time.GetUtcNow(),
                };
                act?.Actor = act.Actor with { Name = person.Name, Identity = person.Identity };
                person.Email = email;
                await SaveAsync(connection, person, cancellation);
                await TakeClaimedAsync(connection, person.Id, cancellation);
                foreach (var grant in grants)
                    await AddAsync(connection, person.Id, new(grant, GrantSource.Oidc, outside.Issuer, time.GetUtcNow()), cancellation);
                return (person, null);
            },
            cancellation);

    static (Person? Person, string? Refusal) Refuse(AuditAct? act, string reason)
    {
        act?.Refuse(reason);
        return (null, reason);
    }

    static Task<int> TakeClaimedAsync(StateConnection connection, string person, CancellationToken cancellation) => connection.ExecuteAsync(
        "DELETE FROM grants WHERE person = $person AND source = $source", cancellation, ("$person", person),
        ("$source", GrantSource.Oidc));

    static async Task<string> FreeNameAsync(StateConnection connection, string name, CancellationToken cancellation)
    {
        for (var number = 1; ; number++)
        {
            var tried = number == 1 ? name : $"{name}-{number}";
            if (await FindByNameAsync(connection, tried, cancellation) is null)
                return tried;
        }
    }
}
