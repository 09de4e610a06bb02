using System.Buffers.Text;
using System.Data.Common;

using Microsoft.AspNetCore.Identity;

using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Inventory.People;

/// <summary>A key on somebody's device, or in their password manager. With it and a fingerprint, a face or a PIN they log in.</summary>
/// <param name="Id">In base64url; opens nothing.</param>
/// <param name="Person">The id of whoever it logs in.</param>
/// <param name="Info">As it was registered; the count of its uses rises with each.</param>
public sealed record Passkey(string Id, string Person, string Name, UserPasskeyInfo Info, DateTimeOffset? UsedAt);

/// <summary>What a device was given to sign. Each proves once, whichever server process it is shown to.</summary>
/// <param name="Id">Random.</param>
/// <param name="Until">No proof of it counts from then on.</param>
public sealed record PasskeyChallenge(string Id, DateTimeOffset Until);

public sealed class Passkeys(PeopleState state, TimeProvider time)
{
    public const int MostOfOne = 20;

    const int LongestName = 64;
    const int LongestKey = 4_000;

    static readonly RowReader Reader = new("passkeys", "it logs nobody in. Remove it on the account page, and add another.");

    static string Select => $"SELECT {PeopleState.Passkeys.Columns()}, substr(id, 1, {PeopleState.IdLength}) FROM passkeys";

    /// <summary>Somebody's, the newest first.</summary>
    public async Task<IReadOnlyList<Passkey>> OfAsync(string person, CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        return await OfAsync(connection, person, cancellation);
    }

    /// <summary>Null where there is none such.</summary>
    public async Task<Passkey?> FindAsync(byte[] id, CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        return await FindAsync(connection, Base64Url.EncodeToString(id), cancellation);
    }

    /// <summary>Why a passkey cannot be called so; null where it can.</summary>
    public static string? MistakeInName(string name) => name.Length is 0 or > LongestName || name.Any(char.IsControl)
        ? $"Give it a name of up to {LongestName} characters." : null;

    /// <param name="person">Has proven who they are.</param>
    /// <param name="info">Has proven that the key is on their device.</param>
    /// <returns>Why not; null where it was added.</returns>
    public Task<string?> AddAsync(
        Person person, string name, UserPasskeyInfo info, PasskeyChallenge challenge, CancellationToken cancellation) => state.ChangeAsync(
        async connection =>
        {
            if (MistakeInName(name) is { } unnamed)
                return unnamed;
            if (await PeopleStore.FindUnchangedAsync(connection, person, cancellation) is not { Outside: null } known)
                return Accounts.Changed;
            if ((await OfAsync(connection, person.Id, cancellation)).Count >= MostOfOne)
                return $"You have {MostOfOne} passkeys, which is the most. Remove one first.";
            var passkey = new Passkey(Base64Url.EncodeToString(info.CredentialId), person.Id, name, info, null);
            if (passkey.Id.Length > LongestKey || info.PublicKey.Length > LongestKey)
                return "This key is too long. Use another device.";
            if (!await SpendAsync(connection, challenge, cancellation))
                return "This proof was used before. Load the page again.";
            // Once for everybody: a key that is known already proves nothing new.
            if (await connection.ExecuteAsync(
                "INSERT INTO passkeys (id, person, name, public_key, sign_count, transports, backup_eligible, backed_up, created_at, "
                + "used_at, checksum) "
                + "VALUES ($id, $person, $name, $key, $count, $transports, $eligible, $backed, $created, $used, $checksum) "
                + "ON CONFLICT (id) DO NOTHING",
                cancellation, Parameters(passkey)) == 0)
                return "This passkey is registered already.";
            // With the first factor, a log-in by the password alone that is under way does not end in a session.
            if (!known.HasTwoFactor && await CountAsync(connection, person.Id, but: passkey.Id, cancellation) == 0)
            {
                known.SecurityStamp = Invitations.NewStamp();
                await PeopleStore.SaveAsync(connection, known, cancellation);
            }

            return null;
        },
        cancellation);

    /// <param name="needsAnother">Whether the person must have another second factor.</param>
    /// <returns>Why not; null where it was removed.</returns>
    public Task<string?> RemoveAsync(Person person, string id, CancellationToken cancellation, bool needsAnother = false) =>
        state.ChangeAsync(
            async connection =>
            {
                // A damaged one beside it logs nobody in.
                if (needsAnother && await PeopleStore.FindAsync(connection, person.Id, cancellation) is not { Person.HasTwoFactor: true }
                    && await OfAsync(connection, person.Id, cancellation) is [{ Id: var last }] && last == id)
                    return Accounts.LastFactor;
                return await connection.ExecuteAsync(
                    "DELETE FROM passkeys WHERE id = $id AND person = $person", cancellation, ("$id", id), ("$person", person.Id)) > 0
                    ? null : "This passkey was removed already.";
            },
            cancellation);

    /// <summary>
    /// Somebody has shown it. Wrong passwords, which anybody can type, keep nobody out who has it: it cannot be guessed.
    /// </summary>
    /// <param name="info">As it is after this use.</param>
    public Task<LogInOutcome> UseAsync(
        string person, UserPasskeyInfo info, PasskeyChallenge challenge, CancellationToken cancellation) => state.NoteAsync<LogInOutcome>(
        async connection =>
        {
            if (await PeopleStore.FindAsync(connection, person, cancellation) is not { Person: var known }
                || await FindAsync(connection, Base64Url.EncodeToString(info.CredentialId), cancellation) is not { } passkey
                || passkey.Person != known.Id)
                return new LogInOutcome.Failed("", "There is no such passkey any more.");
            if (known.DisabledAt is not null || known.Outside is not null)
                return new LogInOutcome.Failed(known.Name, "The account is disabled, or logs in elsewhere.");
            // A copy of the key. Those that are kept in step on several devices count nothing.
            if ((passkey.Info.SignCount > 0 || info.SignCount > 0) && info.SignCount <= passkey.Info.SignCount)
                return new LogInOutcome.Failed(known.Name, "The passkey was used before with this count.");
            if (!await SpendAsync(connection, challenge, cancellation))
                return new LogInOutcome.Failed(known.Name, "The same proof was used before.");
            await connection.ExecuteAsync(
                "UPDATE passkeys SET sign_count = $count, backed_up = $backed, used_at = $used, checksum = $checksum WHERE id = $id",
                cancellation, Parameters(passkey with { Info = info, UsedAt = time.GetUtcNow() }));
            return new LogInOutcome.Proven(known);
        },
        cancellation);

    internal static async Task<bool> HasAnyAsync(StateConnection connection, string person, CancellationToken cancellation) =>
        await CountAsync(connection, person, but: "", cancellation) > 0;

    // Damaged ones count: a row that cannot be read takes no second factor from anybody.
    static async Task<long> CountAsync(StateConnection connection, string person, string but, CancellationToken cancellation) =>
        (await connection.QueryAsync(
            "SELECT count(*) FROM passkeys WHERE person = $person AND id <> $but", row => row.GetInt64(0), cancellation,
            ("$person", person), ("$but", but)))[0];

    internal static Task RemoveAllAsync(StateConnection connection, string person, CancellationToken cancellation) =>
        connection.ExecuteAsync("DELETE FROM passkeys WHERE person = $person", cancellation, ("$person", person));

    // Only with a proof that is valid, so that strangers fill no table.
    async Task<bool> SpendAsync(StateConnection connection, PasskeyChallenge challenge, CancellationToken cancellation)
    {
        await connection.ExecuteAsync(
            "DELETE FROM spent_challenges WHERE ends_at <= $now", cancellation, ("$now", time.GetUtcNow()));
        return await connection.ExecuteAsync(
            "INSERT INTO spent_challenges (hash, ends_at) VALUES ($hash, $ends) ON CONFLICT (hash) DO NOTHING", cancellation,
            ("$hash", AccessToken.HashOf(challenge.Id)), ("$ends", challenge.Until)) > 0;
    }

    static async Task<IReadOnlyList<Passkey>> OfAsync(StateConnection connection, string person, CancellationToken cancellation) =>
    [
        .. (await Reader.QueryAsync(connection, $"{Select} WHERE person = $person", Read, cancellation, ("$person", person)))
            .OrderByDescending(p => p.Info.CreatedAt),
    ];

    static async Task<Passkey?> FindAsync(StateConnection connection, string id, CancellationToken cancellation) =>
        (await Reader.QueryAsync(connection, $"{Select} WHERE id = $id", Read, cancellation, ("$id", id))).FirstOrDefault();

    static (string, object?)[] Parameters(Passkey passkey)
    {
        var info = passkey.Info;
        var (key, transports) = (Convert.ToBase64String(info.PublicKey), string.Join(' ', info.Transports ?? []));
        var (count, eligible, backed) = ((long)info.SignCount, info.IsBackupEligible ? 1L : 0L, info.IsBackedUp ? 1L : 0L);
        return
        [
            ("$id", passkey.Id), ("$person", passkey.Person), ("$name", passkey.Name), ("$key", key), ("$count", count),
            ("$transports", transports), ("$eligible", eligible), ("$backed", backed), ("$created", info.CreatedAt),
            ("$used", passkey.UsedAt),
            ("$checksum", PeopleState.Passkeys.Of(
                passkey.Id, passkey.Person, passkey.Name, key, count, transports, eligible, backed, info.CreatedAt, passkey.UsedAt)),
        ];
    }

    // Who made the device is not asked for, so what would prove it is not kept.
    static Passkey Read(DbDataReader row) => !PeopleState.Passkeys.Holds(row)
        ? throw new InvalidDataException("its checksum is not that of its values")
        : new(
            row.GetString(0), row.GetString(1), row.GetString(2),
            new(
                Base64Url.DecodeFromChars(row.GetString(0)), Convert.FromBase64String(row.GetString(3)), row.Instant(8),
                (uint)row.GetInt64(4), row.GetString(5).Split(' ', StringSplitOptions.RemoveEmptyEntries), isUserVerified: true,
                row.GetInt64(6) != 0, row.GetInt64(7) != 0, [], []),
            row.OptionalInstant(9));
}
