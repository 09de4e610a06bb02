using Whistle.State;

namespace Whistle.Inventory.People;

/// <summary>What somebody changes about how they log in themselves. Whoever calls has proven who they are.</summary>
public sealed class Accounts(PeopleState state, Sessions sessions)
{
    internal const string Changed = "Your account was changed elsewhere. Try again.";

    /// <summary>Why somebody keeps what they log in with.</summary>
    public const string LastFactor =
        "Everybody needs a second factor here, and this is your last. Add a passkey or another authenticator app first.";

    /// <summary>Ends all other sessions of theirs.</summary>
    /// <param name="person">As it was proven who they are.</param>
    /// <param name="session">The hash of the one that goes on.</param>
    /// <returns>Why not; null where it was done.</returns>
    public async Task<string?> ChangePasswordAsync(Person person, string passwordHash, string? session, CancellationToken cancellation)
    {
        var mistake = await ChangeAsync(
            person,
            (_, known) =>
            {
                known.PasswordHash = passwordHash;
                return Task.FromResult<string?>(null);
            },
            cancellation);
        if (mistake is null)
            await sessions.EndOfAsync(person.Identity, cancellation, but: session);
        return mistake;
    }

    /// <summary>From now on a password needs a code too.</summary>
    /// <param name="key">In base32; the app has it, which a code has shown.</param>
    /// <param name="step">Of that code.</param>
    /// <param name="codes">For the day that the app is lost.</param>
    public Task<string?> TurnOnAsync(
        Person person, string key, long step, IReadOnlyList<string> codes, CancellationToken cancellation) => ChangeAsync(
        person,
        async (connection, known) =>
        {
            (known.AuthenticatorKey, known.HasTwoFactor, known.LastCodeStep) = (key, true, step);
            await RecoveryCodes.ReplaceAsync(connection, known.Id, codes, cancellation);
            return null;
        },
        cancellation);

    /// <param name="needsAnother">Whether the person must have another second factor.</param>
    public Task<string?> TurnOffAsync(Person person, CancellationToken cancellation, bool needsAnother = false) => ChangeAsync(
        person,
        async (connection, known) =>
        {
            if (needsAnother && !await Passkeys.HasAnyAsync(connection, known.Id, cancellation))
                return LastFactor;
            (known.AuthenticatorKey, known.HasTwoFactor) = (null, false);
            await RecoveryCodes.RemoveAllAsync(connection, known.Id, cancellation);
            return null;
        },
        cancellation);

    /// <summary>The earlier ones open nothing any more.</summary>
    public Task<string?> ReplaceCodesAsync(Person person, IReadOnlyList<string> codes, CancellationToken cancellation) => ChangeAsync(
        person,
        async (connection, known) =>
        {
            await RecoveryCodes.ReplaceAsync(connection, known.Id, codes, cancellation);
            return null;
        },
        cancellation);

    /// <summary>How many are left.</summary>
    public async Task<int> CountCodesAsync(Person person, CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        return await RecoveryCodes.CountAsync(connection, person.Id, cancellation);
    }

    Task<string?> ChangeAsync(Person person, Func<StateConnection, Person, Task<string?>> change, CancellationToken cancellation) =>
        state.ChangeAsync<string?>(
            async connection =>
            {
                if (await PeopleStore.FindUnchangedAsync(connection, person, cancellation) is not { Outside: null } known)
                    return Changed;
                known.SecurityStamp = Invitations.NewStamp();
                if (await change(connection, known) is { } mistake)
                    return mistake;
                await PeopleStore.SaveAsync(connection, known, cancellation);
                return null;
            },
            cancellation);
}
