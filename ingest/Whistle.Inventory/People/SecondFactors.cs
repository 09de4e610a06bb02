using System.Security.Claims;

namespace Whistle.Inventory.People;

/// <summary>Who must still set up a second factor. At a provider, and on the server's own machine, nobody has one here.</summary>
public sealed class SecondFactors(PeopleState state, PeopleStore people, LogInOptions options)
{
    public bool AreRequired => options.RequireSecondFactor;

    /// <summary>Whether the session is of somebody who lacks one.</summary>
    public async Task<bool> AreLackingAsync(ClaimsPrincipal user, CancellationToken cancellation) =>
        AreRequired && user.HasClaim(c => c.Type == PeopleDirectory.SessionClaim)
        && user.FindFirstValue(PeopleDirectory.IdentityClaim) is { } identity && PersonIdentity.PersonOf(identity) is { } id
        && (await people.FindAsync(id, cancellation))?.Person is { } person && await AreLackingAsync(person, cancellation);

    public async Task<bool> AreLackingAsync(Person person, CancellationToken cancellation)
    {
        if (!AreRequired || person.Outside is not null || person.HasTwoFactor)
            return false;
        await using var connection = await state.OpenAsync(cancellation);
        return !await Passkeys.HasAnyAsync(connection, person.Id, cancellation);
    }
}
