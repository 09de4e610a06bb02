using System.Globalization;
using System.Net;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.State;

namespace Whistle.Inventory.People;

/// <summary>What became of an attempt to log in, or to prove who one is.</summary>
public abstract record LogInOutcome
{
    /// <summary>It is them.</summary>
    public sealed record Proven(Person Person) : LogInOutcome;

    /// <summary>The password is theirs, and a second factor is wanted.</summary>
    public sealed record SecondFactor(Person Person) : LogInOutcome;

    /// <summary>The password is theirs, and is not enough: they have a passkey and no app.</summary>
    public sealed record PasskeyNeeded(Person Person) : LogInOutcome;

    /// <summary>Too many ask at once.</summary>
    public sealed record Busy : LogInOutcome;

    /// <param name="Name">Whoever it is about; empty where nobody has the name, for it could be a password in the wrong field.</param>
    /// <param name="Reason">For the audit alone: whoever asked learns only that it failed.</param>
    public sealed record Failed(string Name, string Reason) : LogInOutcome;
}

/// <summary>
/// Proves by password, code and recovery code who somebody is. Wrong ones are counted for each person, and after some in a row nothing
/// proves anything until the lock is over, or somebody enables the person again.
/// </summary>
public sealed class LogIns(PeopleState state, PeopleStore people, Passwords passwords, AuditLog audit, LogInOptions options)
{
    /// <summary>The first step. It takes as long whoever it is, and whether or not there is anybody.</summary>
    public async Task<LogInOutcome> ByPasswordAsync(string name, string password, IPAddress? from, CancellationToken cancellation)
    {
        // Anything can be typed into a form, and not all of it can be asked for.
        var person = PersonNames.Mistake(name) is null ? (await people.FindByNameAsync(name, cancellation))?.Person : null;
        if (await IsRightAsync(person, password, name, from, cancellation) is not { } isRight)
            return new LogInOutcome.Busy();
        return person is null ? new LogInOutcome.Failed("", "There is nobody of that name.")
            : await ConcludeAsync(
                person, from, "The password is wrong.", (_, _) => Task.FromResult(isRight), cancellation, isFirst: true);
    }

    /// <summary>The second step: a code of an authenticator app, or a recovery code, which works once.</summary>
    /// <param name="person">As the first step had them; what has changed since begins again.</param>
    public Task<LogInOutcome> ByCodeAsync(string person, string stamp, string code, IPAddress? from, CancellationToken cancellation) =>
        ConcludeAsync(
            new() { Id = person, Name = "", SecurityStamp = stamp }, from, "The code is wrong, or was used before.",
            (connection, known) => IsCodeAsync(connection, known, code, cancellation), cancellation);

    /// <summary>Whoever is logged in proves that it is still them: with their password, and a code where a log-in takes one.</summary>
    public async Task<LogInOutcome> ProveAsync(
        Person person, string password, string code, IPAddress? from, CancellationToken cancellation) =>
        await IsRightAsync(person, password, person.Name, from, cancellation) is not { } isRight ? new LogInOutcome.Busy()
            : await ConcludeAsync(
                person, from, isRight ? "The code is wrong, or was used before." : "The password is wrong.",
                async (connection, known) =>
                    isRight && (!known.HasTwoFactor || await IsCodeAsync(connection, known, code, cancellation)),
                cancellation);

    Task<bool?> IsRightAsync(Person? person, string password, string name, IPAddress? from, CancellationToken cancellation) =>
        passwords.VerifyAsync(
            person is { DisabledAt: null, Outside: null } && !person.IsLocked(options.Time.GetUtcNow()) ? person.PasswordHash : null,
            password, name, from, cancellation);

    async Task<bool> IsCodeAsync(StateConnection connection, Person person, string code, CancellationToken cancellation)
    {
        if (person.AuthenticatorKey is not { } key || !person.HasTwoFactor)
            return false;
        var plain = RecoveryCodes.Plain(code);
        if (plain.Length != OneTimeCodes.Digits)
            return await RecoveryCodes.RedeemAsync(connection, person.Id, plain, cancellation);
        if (OneTimeCodes.Find(key, plain, options.Time.GetUtcNow(), person.LastCodeStep) is not { } step)
            return false;
        person.LastCodeStep = step;
        return true;
    }

    // Read again, alone among all that change people: who was locked out while the password was looked at stays out.
    Task<LogInOutcome> ConcludeAsync(
        Person tried, IPAddress? from, string wrong, Func<StateConnection, Person, Task<bool>> proves, CancellationToken cancellation,
        bool isFirst = false) =>
        state.NoteAsync<LogInOutcome>(
            async connection =>
            {
                var now = options.Time.GetUtcNow();
                if (await PeopleStore.FindAsync(connection, tried.Id, cancellation) is not { Person: var person })
                    return new LogInOutcome.Failed("", "There is no such person any more.");
                if (WhyNot(person, tried.SecurityStamp, now) is { } reason)
                    return new LogInOutcome.Failed(person.Name, reason);
                if (!await proves(connection, person))
                {
                    await CountAsync(connection, person, from, now, cancellation);
                    return new LogInOutcome.Failed(person.Name, wrong);
                }

                // The right password alone forgets no wrong code.
                if (isFirst && person.HasTwoFactor)
                    return new LogInOutcome.SecondFactor(person);
                if (isFirst && options.RequireSecondFactor && await Passkeys.HasAnyAsync(connection, person.Id, cancellation))
                    return new LogInOutcome.PasskeyNeeded(person);
                (person.FailedCount, person.LockedUntil) = (0, null);
                await PeopleStore.SaveAsync(connection, person, cancellation);
                return new LogInOutcome.Proven(person);
            },
            cancellation);

    static string? WhyNot(Person person, string stamp, DateTimeOffset now) =>
        person.DisabledAt is not null ? "The account is disabled."
        : person.Outside is { } outside ? $"The account logs in at {outside.Issuer}."
        : person.IsLocked(now) ? "The account is locked."
        : person.PasswordHash is null ? "The account has no password: its link was not used yet."
        : person.SecurityStamp != stamp ? "How the account logs in has changed since." : null;

    async Task CountAsync(
        StateConnection connection, Person person, IPAddress? from, DateTimeOffset now, CancellationToken cancellation)
    {
        person.FailedCount++;
        var isOver = person.FailedCount >= options.WrongBeforeLock;
        if (isOver)
            (person.FailedCount, person.LockedUntil) = (0, now + options.LockedFor);
        await PeopleStore.SaveAsync(connection, person, cancellation);
        if (!isOver)
            return;
        var until = person.LockedUntil!.Value.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        await audit.WriteAsync(
            connection,
            new(new(AuditActor.Server.Name, AuditActor.Server.Identity, from), "lock-out", AccessScope.All, person.Name,
                $$"""{"failures":{{options.WrongBeforeLock}},"until":"{{until}}"}"""),
            cancellation);
    }
}
