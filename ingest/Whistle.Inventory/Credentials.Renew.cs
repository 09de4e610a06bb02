using System.Data.Common;

using Microsoft.AspNetCore.Http;

using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Inventory;

/// <summary>What a sender's token is worth now.</summary>
/// <param name="Sender">Null where it does not count.</param>
/// <param name="Refusal">Why it does not, and what to do; null where it does.</param>
/// <param name="IsKnown">It was made here and is in force, though what it is for was archived.</param>
/// <param name="IsRenewalDue">Its agent should renew it now.</param>
public sealed record CredentialCheck(Sender? Sender, string? Refusal, bool IsKnown, bool IsRenewalDue);

/// <summary>What became of an agent that asked for another credential.</summary>
public abstract record RenewOutcome
{
    /// <param name="EndsAt">When the new one ends.</param>
    public sealed record Renewed(NodeId NodeId, DateTimeOffset? EndsAt) : RenewOutcome;

    /// <param name="Reason">Why not, and what to do.</param>
    /// <param name="IsToken">It is the credential shown that does not count.</param>
    public sealed record Refused(string Reason, bool IsToken) : RenewOutcome;
}

/// <summary>Credentials of nodes end, and their agents renew them before that.</summary>
public sealed partial class Credentials
{
    /// <summary>How long a credential counts at most that was renewed, where the new one is not used before.</summary>
    public static readonly TimeSpan Overlap = TimeSpan.FromHours(24);

    /// <summary>Between two renewals of one credential with different new ones.</summary>
    public static readonly TimeSpan RenewalPause = TimeSpan.FromMinutes(1);

    const string NotKnown =
        "The bearer token is missing, unknown or revoked. Enrol the sender with `whistle agents add` and give it the token; a node that "
        + "enrolled itself, with `whistle-agent enroll --replace` and a new join token.";

    static readonly CheckedTable TermRows = new("credential_terms", ["token_hash"], ["token_hash", "ends_at", "succeeds", "asked_at"]);

    const string RegisterTables =
        """
        CREATE TABLE tenants (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, contacts TEXT NOT NULL, notes TEXT NOT NULL, labels TEXT NOT NULL,
            max_series INTEGER NULL, max_new_series INTEGER NULL, max_stored_series INTEGER NULL, max_samples INTEGER NULL,
            max_bytes INTEGER NULL, source TEXT NOT NULL, added_by TEXT NOT NULL, added_at INTEGER NOT NULL, archived_at INTEGER NULL,
            archived_by TEXT NULL, checksum INTEGER);
        CREATE TABLE clusters (
            tenant TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, contacts TEXT NOT NULL, notes TEXT NOT NULL, labels TEXT NOT NULL,
            source TEXT NOT NULL, added_by TEXT NOT NULL, added_at INTEGER NOT NULL, archived_at INTEGER NULL, archived_by TEXT NULL,
            checksum INTEGER, PRIMARY KEY (tenant, id));
        CREATE TABLE archived_nodes (
            tenant TEXT NOT NULL, cluster TEXT NOT NULL, node TEXT NOT NULL, archived_by TEXT NOT NULL, archived_at INTEGER NOT NULL,
            checksum INTEGER, PRIMARY KEY (tenant, cluster, node));
        CREATE TABLE node_sightings (
            tenant TEXT NOT NULL, cluster TEXT NOT NULL, node TEXT NOT NULL, seen_at INTEGER NOT NULL, version TEXT NOT NULL,
            skew_ms INTEGER NULL, PRIMARY KEY (tenant, cluster, node));
        CREATE TABLE credential_terms (
            token_hash TEXT PRIMARY KEY, ends_at INTEGER NULL, succeeds TEXT NULL, asked_at INTEGER NULL, checksum INTEGER);
        """;

    // What was enrolled before there was a register is added once its tables are whole.
    static StateScript Retention => new("ALTER TABLE tenants ADD COLUMN retention_days INTEGER NULL", async (connection, cancellation) =>
    {
        await FleetRegister.ChecksumWithRetentionAsync(connection, cancellation);
        await AddEnrolledAsync(connection, cancellation);
    });

    /// <summary>Whose the token is and whether it counts now. The first use of a renewed one ends the one before it.</summary>
    // Looked up by its hash, so that the time a comparison takes says nothing about a token.
    public async Task<CredentialCheck> CheckAsync(string token, CancellationToken cancellation)
    {
        if (!AccessToken.IsWhole(AccessToken.OfSender, token))
            return new(null, NotKnown, false, false);
        var (hash, now) = (Hash(token), _time.GetUtcNow());
        if (!_known.TryGetValue(hash, out var known) || known.Until <= now)
        {
            // Unknown tokens are not remembered: guesses would fill the memory.
            if (await FindAsync(hash, cancellation) is not { } found)
            {
                _known.TryRemove(hash, out _);
                return new(null, NotKnown, false, false);
            }

            _known[hash] = known = (found, now + Freshness);
        }

        var credential = known.Credential;
        if (credential.Term.EndsAt <= now)
        {
            return new(null, $"The credential of {credential.Sender.ClusterId.Node(credential.Sender.Node ?? "")} ended at "
                + $"{credential.Term.EndsAt:u} without being renewed. Enrol the node again: with a token of `whistle agents join-token "
                + $"--cluster {credential.Sender.Cluster} --tenant {credential.Sender.Tenant} --replace`, or with "
                + "`whistle agents add --replace`.",
                false, false);
        }

        return (await Register.StandingAsync(cancellation)).RefusalOf(credential.Sender) is { } refusal
            ? new(null, refusal, true, false)
            : new(credential.Sender, null, true, credential.Sender.Node is not null && credential.IsRenewalDue(now));
    }

    /// <summary>
    /// Notes what an agent's request says of it, and asks it to renew its credential where that is due. Before the answer begins.
    /// </summary>
    public void Hear(CredentialCheck check, HttpContext context)
    {
        if (check.Sender?.NodeId is not { } node)
            return;
        Sightings.Note(node, context.Request.Headers.UserAgent, context.Request.Headers[AgentHeaders.Clock]);
        if (check.IsRenewalDue)
            context.Response.Headers[AgentHeaders.Renew] = "1";
    }

    /// <summary>
    /// Gives the agent that shows a credential another one, which it has made itself. Asked again with the same, as after an answer that
    /// was lost, it answers the same; so it does where the new one is shown already.
    /// </summary>
    /// <exception cref="ArgumentException">What is to be the credential is none.</exception>
    public async Task<RenewOutcome> RenewAsync(string token, string credential, CancellationToken cancellation)
    {
        if (!AccessToken.IsWhole(AccessToken.OfSender, credential))
            throw new ArgumentException($"credential: it must be {AccessToken.OfSender} and 43 characters of base64url.");
        // Before anything is locked: whoever only guesses must not hold up others.
        var check = await CheckAsync(token, cancellation);
        if (check.Sender is not { } sender)
            return new RenewOutcome.Refused(check.Refusal!, !check.IsKnown);
        if (sender.NodeId is not { } node)
            return new RenewOutcome.Refused("A collector's token has no end. Make another with `whistle agents add`.", false);
        var (hash, own, now) = (Hash(token), Hash(credential), _time.GetUtcNow());
        await using var connection = await _state.OpenAsync(cancellation);
        // Who only asks whether it counts changes nothing.
        await using var transaction = own == hash ? null : await connection.BeginWriteAsync(Scope, cancellation);
        if (await ReadAsync(connection, hash, cancellation) is not { } before || before.Term.EndsAt <= now)
            return new RenewOutcome.Refused(NotKnown, true);
        if (transaction is null)
            return new RenewOutcome.Renewed(node, before.Term.EndsAt);
        var earlier = await ReadAsync(connection, own, cancellation);
        if (earlier is not null && earlier.Term.Succeeds == hash)
            return new RenewOutcome.Renewed(node, earlier.Term.EndsAt);
        if (await HasAsync(connection, own, cancellation))
            return new RenewOutcome.Refused("This credential was used before. Make another and ask again.", false);
        // Else whoever has one would make as many rows as they like.
        if (!before.IsRenewalDue(now))
            return new RenewOutcome.Refused("This credential is not due for renewal. The server says when it is.", false);
        var given = await connection.QueryAsync(
            "SELECT enrolled_at FROM credentials WHERE token_hash IN (SELECT token_hash FROM credential_terms WHERE succeeds = $hash)",
            r => r.Instant(0), cancellation, ("$hash", hash));
        if (given.Any(at => now - at < RenewalPause))
            return new RenewOutcome.Refused("This credential was renewed within the last minute. Ask again later.", false);
        // One that was given before and never used is lost.
        await connection.ExecuteAsync(
            "DELETE FROM credentials WHERE token_hash IN (SELECT token_hash FROM credential_terms WHERE succeeds = $hash)",
            cancellation, ("$hash", hash));
        await connection.ExecuteAsync("DELETE FROM credential_terms WHERE succeeds = $hash", cancellation, ("$hash", hash));
        await AddAsync(connection, own, node.ClusterId, node.Node, now, hash, cancellation);
        var last = now + Overlap;
        await SetTermAsync(
            connection, hash, before.Term with { EndsAt = before.Term.EndsAt < last ? before.Term.EndsAt : last }, cancellation);
        await transaction.CommitAsync(cancellation);
        Forget();
        return new RenewOutcome.Renewed(node, now + _options.CredentialLife);
    }

    /// <summary>Asks the agents of a cluster, or of one of its nodes, to renew their credentials at their next request.</summary>
    /// <returns>How many were asked.</returns>
    public async Task<int> RotateAsync(ClusterId cluster, string? node, CancellationToken cancellation)
    {
        var now = _time.GetUtcNow();
        var asked = (await LivingAsync(cancellation)).Where(
            c => c.Sender.ClusterId == cluster && c.Sender.Node is not null && (node is null || c.Sender.Node == node)).ToList();
        await using var connection = await _state.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(Scope, cancellation);
        var count = 0;
        foreach (var (sender, _, hash) in asked)
        {
            // What was renewed or ended is past asking.
            if (await ReadAsync(connection, hash, cancellation) is not { } found || found.Term.EndsAt <= now)
                continue;
            await SetTermAsync(connection, hash, found.Term with { AskedAt = now }, cancellation);
            count++;
        }

        if (count == 0)
            return 0;
        await transaction.CommitAsync(cancellation);
        Forget();
        return count;
    }

    /// <summary>Every node with a credential that was not revoked, and every archived one, by name.</summary>
    public async Task<IReadOnlyList<KnownNode>> NodesAsync(CancellationToken cancellation)
    {
        var now = _time.GetUtcNow();
        var terms = await TermsAsync(cancellation);
        var sightings = await Sightings.AllAsync(cancellation);
        var archived = (await Register.ArchivedNodesAsync(cancellation)).ToDictionary(n => n.Id);
        var all = await AllAsync(cancellation);
        var made = all.ToDictionary(c => c.Hash, c => c.At);
        var living = all.Where(c => !c.IsRevoked && c.Sender.Node is not null).ToLookup(
            c => c.Sender.ClusterId.Node(c.Sender.Node!),
            c => (First: First(c.Hash), Credential: new KnownCredential(
                new(c.Sender.ClusterId, c.Sender.Node), c.At, terms.GetValueOrDefault(c.Hash) ?? Term.None)));
        return
        [
            .. living.Select(l => l.Key).Union(archived.Keys).Select(id =>
            {
                // What an agent will use until the end is what counts.
                var longest = living[id].Select(c => c.Credential).MaxBy(c => c.Term.EndsAt ?? DateTimeOffset.MaxValue);
                return new KnownNode(
                    id, longest is null ? null : living[id].Min(c => c.First), longest?.Term.EndsAt,
                    longest?.IsRenewalDue(now) is true, archived.GetValueOrDefault(id), sightings.GetValueOrDefault(id));
            }).OrderBy(n => n.Id.ClusterId, ClusterId.Ordinal).ThenBy(n => n.Id.Node, StringComparer.Ordinal),
        ];

        // A renewal enrols nobody: what counts is when the first of them was made. Damage could make them a ring.
        DateTimeOffset First(string hash)
        {
            var (first, seen) = (made[hash], new HashSet<string> { hash });
            while (terms.GetValueOrDefault(hash)?.Succeeds is { } before && made.TryGetValue(before, out var at) && seen.Add(before))
                (hash, first) = (before, at < first ? at : first);
            return first;
        }
    }

    async Task<KnownCredential?> FindAsync(string hash, CancellationToken cancellation)
    {
        await using var connection = await _state.OpenAsync(cancellation);
        if (await ReadAsync(connection, hash, cancellation) is not { } found)
            return null;
        if (found.Term.Succeeds is { } before && (found.Term.EndsAt is null || found.Term.EndsAt > _time.GetUtcNow()))
            await EndAsync(connection, before, cancellation);
        // One object a sender: its key seed decides which encodings the head remembers.
        return found with
        {
            Sender = _senders.GetOrAdd(new(found.Sender.ClusterId, found.Sender.Node), static k => new Sender(k.ClusterId, k.Node)),
        };
    }

    // It was shown for the first time: whoever has the one before is not the agent any more.
    async Task EndAsync(StateConnection connection, string hash, CancellationToken cancellation)
    {
        if (await ReadAsync(connection, hash, cancellation) is null)
            return;
        await using var transaction = await connection.BeginWriteAsync(Scope, cancellation);
        await connection.ExecuteAsync(
            "UPDATE credentials SET revoked_at = $at, checksum = NULL WHERE token_hash = $hash AND revoked_at IS NULL",
            cancellation, ("$at", _time.GetUtcNow()), ("$hash", hash));
        await Rows.FillAsync(connection, cancellation);
        await transaction.CommitAsync(cancellation);
        _known.TryRemove(hash, out _);
    }

    // One that is damaged, or whose term is, is nobody's.
    static async Task<KnownCredential?> ReadAsync(StateConnection connection, string hash, CancellationToken cancellation)
    {
        var found = await connection.QueryAsync(
            $"SELECT {Rows.Columns("c.")}, {TermRows.Columns("t.")} FROM credentials c "
            + "LEFT JOIN credential_terms t ON t.token_hash = c.token_hash WHERE c.token_hash = $hash AND c.revoked_at IS NULL",
            r => !Rows.Holds(r) ? null
                : r.IsDBNull(Rows.Count + 1) ? new KnownCredential(NewSender(r), r.Instant(4), Term.None)
                : TermRows.Holds(r, Rows.Count + 1) ? new KnownCredential(NewSender(r), r.Instant(4), TermOf(r, Rows.Count + 1)) : null,
            cancellation, ("$hash", hash));
        return found is [{ } credential] ? credential : null;

        static Sender NewSender(DbDataReader row) => new(SenderOf(row).ClusterId, SenderOf(row).Node);
    }

    async Task<Dictionary<string, Term>> TermsAsync(CancellationToken cancellation)
    {
        await using var connection = await _state.OpenAsync(cancellation);
        return (await connection.QueryAsync(
            $"SELECT {TermRows.Columns()} FROM credential_terms",
            // Of a damaged one it is known that it does not count.
            r => (Hash: r.GetString(0), Term: TermRows.Holds(r) ? TermOf(r, 0) : new(DateTimeOffset.UnixEpoch, null, null)), cancellation))
            .ToDictionary(t => t.Hash, t => t.Term);
    }

    static async Task<bool> HasAsync(StateConnection connection, string hash, CancellationToken cancellation) =>
        (await connection.QueryAsync(
            "SELECT token_hash FROM credentials WHERE token_hash = $hash", r => r.GetString(0), cancellation, ("$hash", hash))).Count > 0;

    static Task<int> SetTermAsync(StateConnection connection, string hash, Term term, CancellationToken cancellation) =>
        connection.ExecuteAsync(
            """
            INSERT INTO credential_terms (token_hash, ends_at, succeeds, asked_at, checksum)
            VALUES ($hash, $ends, $succeeds, $asked, $checksum)
            ON CONFLICT (token_hash) DO UPDATE SET
                ends_at = excluded.ends_at, succeeds = excluded.succeeds, asked_at = excluded.asked_at, checksum = excluded.checksum
            """,
            cancellation, ("$hash", hash), ("$ends", term.EndsAt), ("$succeeds", term.Succeeds), ("$asked", term.AskedAt),
            ("$checksum", TermRows.Of(hash, term.EndsAt, term.Succeeds, term.AskedAt)));

    static Term TermOf(DbDataReader row, int from) =>
        new(row.OptionalInstant(from + 1), row.OptionalText(from + 2), row.OptionalInstant(from + 3));

    // Tenants and clusters that were enrolled before there was a register.
    static async Task AddEnrolledAsync(StateConnection connection, CancellationToken cancellation)
    {
        var enrolled = await connection.QueryAsync(
            $"SELECT {Rows.Columns()} FROM credentials",
            r => Rows.Holds(r) ? (SenderOf(r).ClusterId, At: r.Instant(4)) : default((ClusterId ClusterId, DateTimeOffset At)?),
            cancellation);
        var joining = await connection.QueryAsync(
            $"SELECT {JoinRows.Columns()} FROM join_tokens",
            r => JoinRows.Holds(r) ? (JoinTokenOf(r).ClusterId, At: r.Instant(6)) : default((ClusterId ClusterId, DateTimeOffset At)?),
            cancellation);
        foreach (var (cluster, at) in enrolled.Concat(joining).OfType<(ClusterId ClusterId, DateTimeOffset At)>().OrderBy(c => c.At))
            await FleetRegister.AddNamedAsync(connection, cluster, at, cancellation);
    }

    /// <param name="EndsAt">Null where it has no end.</param>
    /// <param name="Succeeds">The hash of the one that it takes the place of.</param>
    /// <param name="AskedAt">When somebody asked its agent to renew it.</param>
    sealed record Term(DateTimeOffset? EndsAt, string? Succeeds, DateTimeOffset? AskedAt)
    {
        public static readonly Term None = new(null, null, null);
    }

    sealed record KnownCredential(Sender Sender, DateTimeOffset EnrolledAt, Term Term)
    {
        /// <summary>A third of its life is left, or somebody asked.</summary>
        public bool IsRenewalDue(DateTimeOffset now) =>
            Term.AskedAt is not null || (Term.EndsAt is { } end && now >= end - ((end - EnrolledAt) / 3));
    }
}
