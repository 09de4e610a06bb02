using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Inventory.People;

/// <summary>
/// What logs somebody in, once each, who has lost their authenticator. Each has more than 112 random bits, so a hash will do.
/// </summary>
static class RecoveryCodes
{
    public static Task RemoveAllAsync(StateConnection connection, string person, CancellationToken cancellation) =>
        connection.ExecuteAsync("DELETE FROM recovery_codes WHERE person = $person", cancellation, ("$person", person));

    public static async Task ReplaceAsync(
        StateConnection connection, string person, IEnumerable<string> codes, CancellationToken cancellation)
    {
        await RemoveAllAsync(connection, person, cancellation);
        foreach (var hash in codes.Select(AccessToken.HashOf))
        {
            await connection.ExecuteAsync(
                "INSERT INTO recovery_codes (person, hash, checksum) VALUES ($person, $hash, $checksum)", cancellation,
                ("$person", person), ("$hash", hash), ("$checksum", PeopleState.RecoveryCodes.Of(person, hash)));
        }
    }

    /// <summary>Whether it was one of theirs; it is none any more.</summary>
    public static async Task<bool> RedeemAsync(StateConnection connection, string person, string code, CancellationToken cancellation) =>
        await connection.ExecuteAsync(
            "DELETE FROM recovery_codes WHERE person = $person AND hash = $hash AND checksum = $checksum", cancellation,
            ("$person", person), ("$hash", AccessToken.HashOf(code)),
            ("$checksum", PeopleState.RecoveryCodes.Of(person, AccessToken.HashOf(code)))) > 0;

    public static async Task<int> CountAsync(StateConnection connection, string person, CancellationToken cancellation) =>
        (await connection.QueryAsync(
            $"SELECT {PeopleState.RecoveryCodes.Columns()} FROM recovery_codes WHERE person = $person",
            r => PeopleState.RecoveryCodes.Holds(r), cancellation, ("$person", person))).Count(isWhole => isWhole);
}
