using System.Data.Common;

using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Inventory;

/// <summary>Nodes that enrol themselves with a token that was made for their cluster.</summary>
public sealed partial class Credentials
{
    public const int MostUses = 10_000;

    public static readonly TimeSpan LongestJoin = TimeSpan.FromDays(90);

    // Enough to name one of the few that are in force.
    const int IdLength = 12;

    const string MakeAnother = "Make another with `whistle agents join-token`.";

    static readonly CheckedTable JoinRows = new(
        "join_tokens", ["token_hash"],
        ["token_hash", "tenant", "cluster", "uses", "used", "replaces", "made_at", "ends_at", "revoked_at"]);

    static readonly RowReader JoinReader = new(
        "join_tokens", "nobody can enrol with it. Make another with `whistle agents join-token`.");

    // Asked for from the other part of this class, whose initial values may be set first.
    static StateScript JoinTables => new(
        """
        CREATE TABLE join_tokens (
            token_hash TEXT PRIMARY KEY, tenant TEXT NOT NULL, cluster TEXT NOT NULL, uses INTEGER NOT NULL, used INTEGER NOT NULL,
            replaces INTEGER NOT NULL, made_at INTEGER NOT NULL, ends_at INTEGER NOT NULL, revoked_at INTEGER NULL, checksum INTEGER)
        """);

    /// <summary>Makes a token that so many nodes of the cluster may enrol with; it is shown this once.</summary>
    /// <exception cref="ArgumentException">A name, a number or a time is not valid, or nobody may be enrolled there.</exception>
    public async Task<(string Token, JoinToken Made)> MakeJoinTokenAsync(
        ClusterId cluster, int uses, TimeSpan lasts, bool replaces, CancellationToken cancellation)
    {
        CheckName("tenant", cluster.Tenant);
        CheckName("cluster", cluster.Cluster);
        if (uses is < 1 or > MostUses)
            throw new ArgumentException($"uses: {uses} is not between 1 and {MostUses}.");
        if (lasts < TimeSpan.FromMinutes(1) || lasts > LongestJoin)
            throw new ArgumentException($"for: {lasts} is not between 1m and {LongestJoin.TotalDays}d.");
        var token = AccessToken.New(AccessToken.OfJoin);
        var (hash, now) = (Hash(token), _time.GetUtcNow());
        var made = new JoinToken(hash[..IdLength], cluster, uses, 0, replaces, now, now + lasts);
        var replacing = replaces ? 1L : 0L;
        await using var connection = await _state.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(Scope, cancellation);
        if (await Register.AdmitAsync(connection, cluster, cancellation) is { } refusal)
            throw new ArgumentException(refusal);
        await connection.ExecuteAsync(
            "INSERT INTO join_tokens (token_hash, tenant, cluster, uses, used, replaces, made_at, ends_at, checksum) "
            + "VALUES ($hash, $tenant, $cluster, $uses, 0, $replaces, $made, $ends, $checksum)",
            cancellation,
            ("$hash", hash), ("$tenant", cluster.Tenant), ("$cluster", cluster.Cluster), ("$uses", uses), ("$replaces", replacing),
            ("$made", now), ("$ends", made.EndsAt),
            ("$checksum", JoinRows.Of(hash, cluster.Tenant, cluster.Cluster, uses, 0, replacing, now, made.EndsAt, null)));
        await transaction.CommitAsync(cancellation);
        return (token, made);
    }

    /// <summary>Those that a node could enrol with now, the newest first.</summary>
    public async Task<IReadOnlyList<JoinToken>> JoinTokensAsync(CancellationToken cancellation)
    {
        await using var connection = await _state.OpenAsync(cancellation);
        return
        [
            .. (await JoinReader.QueryAsync(
                connection,
                $"SELECT {JoinRows.Columns()}, substr(token_hash, 1, {IdLength}) FROM join_tokens",
                r => !JoinRows.Holds(r) ? throw new InvalidDataException("its checksum is not that of its values")
                    : r.IsDBNull(8) ? JoinTokenOf(r) : null,
                cancellation))
                .OfType<JoinToken>().Where(t => t.EndsAt > _time.GetUtcNow() && t.Used < t.Uses).OrderByDescending(t => t.MadeAt)
                .ThenBy(t => t.Id, StringComparer.Ordinal),
        ];
    }

    /// <summary>Nobody enrols with it any more; who has stays enrolled.</summary>
    /// <returns>Whether there was one in force.</returns>
    public async Task<bool> RevokeJoinTokenAsync(string id, CancellationToken cancellation)
    {
        if (id.Length != IdLength || !id.All(char.IsAsciiHexDigit))
            return false;
        await using var connection = await _state.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(Scope, cancellation);
        var count = await connection.ExecuteAsync(
            $"UPDATE join_tokens SET revoked_at = $at, checksum = NULL "
            + $"WHERE substr(token_hash, 1, {IdLength}) = $id AND revoked_at IS NULL AND ends_at > $at",
            cancellation, ("$id", id.ToUpperInvariant()), ("$at", _time.GetUtcNow()));
        await JoinRows.FillAsync(connection, cancellation);
        await transaction.CommitAsync(cancellation);
        return count > 0;
    }

    /// <summary>
    /// Enrols a node that shows a join token, with a credential that it has made itself. Asked again with the same credential, as after an
    /// answer that was lost, it answers the same and uses the token no second time.
    /// </summary>
    /// <exception cref="ArgumentException">The name or the credential is not valid.</exception>
    public async Task<JoinOutcome> JoinAsync(string token, string node, string credential, CancellationToken cancellation)
    {
        CheckName(nameof(node), node);
        if (!AccessToken.IsWhole(AccessToken.OfSender, credential))
            throw new ArgumentException($"credential: it must be {AccessToken.OfSender} and 43 characters of base64url.");
        var (hash, own, now) = (Hash(token), Hash(credential), _time.GetUtcNow());
        await using var connection = await _state.OpenAsync(cancellation);
        // Before anything is locked: whoever only guesses must not hold up others.
        if (!AccessToken.IsWhole(AccessToken.OfJoin, token) || await FindJoinTokenAsync(connection, hash, cancellation) is null)
            return Unknown();
        await using var transaction = await connection.BeginWriteAsync(Scope, cancellation);
        if (await FindJoinTokenAsync(connection, hash, cancellation) is not { } found)
            return Unknown();
        var earlier = await connection.QueryAsync(
            $"SELECT {Rows.Columns()} FROM credentials WHERE token_hash = $hash",
            r => Rows.Holds(r) && r.IsDBNull(5) ? SenderOf(r) : null, cancellation, ("$hash", own));
        if (earlier is [var sender])
        {
            return sender == new EnrolledSender(found.ClusterId, node)
                ? new JoinOutcome.Joined(found.ClusterId.Node(node), 0)
                : new JoinOutcome.Refused(
                    "This credential was used before: for another node, or it was revoked. Delete the files token.joining-* in the agent's "
                    + "folder and enrol again.",
                    IsToken: false);
        }

        if (found.EndsAt <= now)
            return Refused($"The join token ended at {found.EndsAt:u}. {MakeAnother}");
        if (found.Used >= found.Uses)
        {
            return Refused(
                $"The join token was used {found.Uses} {(found.Uses == 1 ? "time" : "times")}, which is all it allows. {MakeAnother}");
        }

        if (await Register.AdmitAsync(connection, found.ClusterId, cancellation) is { } archived)
            return new JoinOutcome.Refused(archived, IsToken: false);
        // Who enrols the name of a node that was taken out of service puts another machine in its place.
        var isTakenBack = await FleetRegister.UnarchiveAsync(connection, found.ClusterId.Node(node), cancellation);
        // One that has ended too: a join token without --replace takes over no name.
        if (!found.Replaces && !isTakenBack
            && await HasInForceAsync(connection, found.ClusterId, node, DateTimeOffset.MinValue, cancellation))
        {
            return new JoinOutcome.Refused(
                $"{found.ClusterId.Node(node)} is enrolled already. If this is the same node again, use a token that was made with "
                + "--replace, or revoke the earlier credential with `whistle agents revoke`; else give this node another name.",
                IsToken: false);
        }

        var replaced = await RevokeAsync(connection, found.ClusterId, node, now, cancellation);
        await AddAsync(connection, own, found.ClusterId, node, now, succeeds: null, cancellation);
        await connection.ExecuteAsync(
            "UPDATE join_tokens SET used = used + 1, checksum = NULL WHERE token_hash = $hash", cancellation, ("$hash", hash));
        await JoinRows.FillAsync(connection, cancellation);
        await transaction.CommitAsync(cancellation);
        Forget();
        return new JoinOutcome.Joined(found.ClusterId.Node(node), replaced);

        static JoinOutcome.Refused Unknown() => Refused($"The join token is unknown or was revoked. {MakeAnother}");

        static JoinOutcome.Refused Refused(string reason) => new(reason, IsToken: true);
    }

    /// <summary>Whose a join token is, whether or not a node may still enrol with it; null where it is unknown.</summary>
    public async Task<JoinToken?> FindJoinTokenAsync(string token, CancellationToken cancellation)
    {
        if (!AccessToken.IsWhole(AccessToken.OfJoin, token))
            return null;
        await using var connection = await _state.OpenAsync(cancellation);
        return await FindJoinTokenAsync(connection, Hash(token), cancellation);
    }

    // A damaged one is unknown.
    static async Task<JoinToken?> FindJoinTokenAsync(StateConnection connection, string hash, CancellationToken cancellation) =>
        (await connection.QueryAsync(
            $"SELECT {JoinRows.Columns()} FROM join_tokens WHERE token_hash = $hash AND revoked_at IS NULL",
            r => JoinRows.Holds(r) ? JoinTokenOf(r) : null, cancellation, ("$hash", hash))).FirstOrDefault();

    static JoinToken JoinTokenOf(DbDataReader row) => new(
        row.GetString(0)[..IdLength], new(row.GetString(1), row.GetString(2)), row.GetInt32(3), row.GetInt32(4), row.GetInt64(5) != 0,
        row.Instant(6), row.Instant(7));
}
