using System.Security.Cryptography;

using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Inventory.People;

/// <summary>
/// What logs somebody in, once each, who has lost their authenticator. Each has more than 112 random bits, so a hash will do.
/// </summary>
public static class RecoveryCodes
{
    public const int Count = 10;

    // 120 bits each, in six groups of four.
    const int Bytes = 15;
    const int Group = 4;

    /// <summary>A set of new ones, as people write them down.</summary>
    public static IReadOnlyList<string> New() =>
    [
        .. Enumerable.Range(0, Count).Select(_ => string.Join('-', OneTimeCodes.Encode(RandomNumberGenerator.GetBytes(Bytes))
            .Chunk(Group).Select(c => new string(c)))),
    ];

    /// <summary>As it is kept, however somebody types it.</summary>
    internal static string Plain(string code) => new([.. code.Where(char.IsAsciiLetterOrDigit).Select(char.ToUpperInvariant)]);

    internal static Task RemoveAllAsync(StateConnection connection, string person, CancellationToken cancellation) =>
        connection.ExecuteAsync("DELETE FROM recovery_codes WHERE person = $person", cancellation, ("$person", person));

    internal static async Task ReplaceAsync(
        StateConnection connection, string person, IEnumerable<string> codes, CancellationToken cancellation)
    {
        await RemoveAllAsync(connection, person, cancellation);
        foreach (var hash in codes.Select(c => AccessToken.HashOf(Plain(c))))
        {
            await connection.ExecuteAsync(
                "INSERT INTO recovery_codes (person, hash, checksum) VALUES ($person, $hash, $checksum)", cancellation,
                ("$person", person), ("$hash", hash), ("$checksum", PeopleState.RecoveryCodes.Of(person, hash)));
        }
    }

    /// <summary>Whether it was one of theirs; it is none any more.</summary>
    internal static async Task<bool> RedeemAsync(StateConnection connection, string person, string code, CancellationToken cancellation) =>
        await connection.ExecuteAsync(
            "DELETE FROM recovery_codes WHERE person = $person AND hash = $hash AND checksum = $checksum", cancellation,
            ("$person", person), ("$hash", AccessToken.HashOf(code)),
            ("$checksum", PeopleState.RecoveryCodes.Of(person, AccessToken.HashOf(code)))) > 0;

    internal static async Task<int> CountAsync(StateConnection connection, string person, CancellationToken cancellation) =>
        (await connection.QueryAsync(
            $"SELECT {PeopleState.RecoveryCodes.Columns()} FROM recovery_codes WHERE person = $person",
            r => PeopleState.RecoveryCodes.Holds(r), cancellation, ("$person", person))).Count(isWhole => isWhole);
}
