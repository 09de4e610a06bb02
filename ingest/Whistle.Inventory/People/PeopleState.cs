using Whistle.State;

namespace Whistle.Inventory.People;

/// <summary>
/// The tables of who can log in, and of what they may do. Each row is checked: a damaged one is nobody's and grants nothing.
/// </summary>
public sealed class PeopleState
{
    internal static readonly CheckedTable People = new("people", ["id"],
    [
        "id", "name", "normalised_name", "email", "password_hash", "security_stamp", "authenticator_key", "two_factor", "last_code_step",
        "failed_count", "locked_until", "disabled_at", "issuer", "subject", "created_at", "revision",
    ]);

    internal static readonly CheckedTable Grants = new(
        "grants", ["person", "role", "tenant", "cluster", "source"],
        ["person", "role", "tenant", "cluster", "source", "given_by", "given_at"]);

    internal static readonly CheckedTable Sessions = new(
        "sessions", ["hash"], ["hash", "owner", "began_at", "seen_at", "idle_until", "ends_at", "address", "agent"]);

    internal static readonly CheckedTable Tokens = new(
        "api_tokens", ["id"], ["id", "hash", "owner", "name", "grants", "made_at", "ends_at", "used_at", "revoked_at"]);

    internal static readonly CheckedTable Invitations = new(
        "invitations", ["id"],
        ["id", "hash", "user_name", "person", "grants", "made_by", "made_name", "made_at", "ends_at", "used_at", "revoked_at"]);

    internal static readonly CheckedTable RecoveryCodes = new("recovery_codes", ["person", "hash"], ["person", "hash"]);

    internal static readonly CheckedTable Passkeys = new(
        "passkeys", ["id"],
        [
            "id", "person", "name", "public_key", "sign_count", "transports", "backup_eligible", "backed_up", "created_at", "used_at",
        ]);

    public static readonly StateSchema Tables = new("people",
        """
        CREATE TABLE people (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, normalised_name TEXT NOT NULL, email TEXT NULL, password_hash TEXT NULL,
            security_stamp TEXT NOT NULL, authenticator_key TEXT NULL, two_factor INTEGER NOT NULL, last_code_step INTEGER NOT NULL,
            failed_count INTEGER NOT NULL, locked_until INTEGER NULL, disabled_at INTEGER NULL, issuer TEXT NULL, subject TEXT NULL,
            created_at INTEGER NOT NULL, revision INTEGER NOT NULL, checksum INTEGER);
        CREATE UNIQUE INDEX people_names ON people (normalised_name);
        CREATE UNIQUE INDEX people_outside ON people (issuer, subject);
        CREATE TABLE grants (
            person TEXT NOT NULL, role TEXT NOT NULL, tenant TEXT NOT NULL, cluster TEXT NOT NULL, source TEXT NOT NULL,
            given_by TEXT NOT NULL, given_at INTEGER NOT NULL, checksum INTEGER,
            PRIMARY KEY (person, role, tenant, cluster, source)) WITHOUT ROWID;
        CREATE TABLE sessions (
            hash TEXT PRIMARY KEY, owner TEXT NOT NULL, began_at INTEGER NOT NULL, seen_at INTEGER NOT NULL, idle_until INTEGER NOT NULL,
            ends_at INTEGER NOT NULL, address TEXT NULL, agent TEXT NULL, checksum INTEGER) WITHOUT ROWID;
        CREATE TABLE api_tokens (
            id TEXT PRIMARY KEY, hash TEXT NOT NULL, owner TEXT NOT NULL, name TEXT NOT NULL, grants TEXT NOT NULL,
            made_at INTEGER NOT NULL, ends_at INTEGER NOT NULL, used_at INTEGER NULL, revoked_at INTEGER NULL, checksum INTEGER);
        CREATE TABLE invitations (
            id TEXT PRIMARY KEY, hash TEXT NOT NULL, user_name TEXT NULL, person TEXT NULL, grants TEXT NOT NULL, made_by TEXT NOT NULL,
            made_name TEXT NOT NULL, made_at INTEGER NOT NULL, ends_at INTEGER NOT NULL, used_at INTEGER NULL, revoked_at INTEGER NULL,
            checksum INTEGER);
        CREATE TABLE recovery_codes (
            person TEXT NOT NULL, hash TEXT NOT NULL, checksum INTEGER, PRIMARY KEY (person, hash)) WITHOUT ROWID
        """,
        """
        CREATE TABLE passkeys (
            id TEXT PRIMARY KEY, person TEXT NOT NULL, name TEXT NOT NULL, public_key TEXT NOT NULL, sign_count INTEGER NOT NULL,
            transports TEXT NOT NULL, backup_eligible INTEGER NOT NULL, backed_up INTEGER NOT NULL, created_at INTEGER NOT NULL,
            used_at INTEGER NULL, checksum INTEGER)
        """,
        // Without checksums: what is damaged there lets nobody in.
        """
        CREATE TABLE spent_challenges (hash TEXT PRIMARY KEY, ends_at INTEGER NOT NULL) WITHOUT ROWID
        """);

    // Enough to name one of those that are there.
    internal const int IdLength = 12;

    internal static readonly StateScope Scope = StateScope.Of("people");

    readonly StateDatabase _state;
    long _version;

    public PeopleState(StateDatabase state)
    {
        _state = state;
        state.Add(Tables);
    }

    /// <summary>Another after each change in this process. What was read under an earlier one may be out of date.</summary>
    internal long Version => Volatile.Read(ref _version);

    internal Task<StateConnection> OpenAsync(CancellationToken cancellation) => _state.OpenAsync(cancellation);

    /// <summary>Does the work in a transaction, alone among all that change people.</summary>
    internal async Task<T> ChangeAsync<T>(Func<StateConnection, Task<T>> work, CancellationToken cancellation)
    {
        var result = await NoteAsync(work, cancellation);
        Interlocked.Increment(ref _version);
        return result;
    }

    /// <summary>As <see cref="ChangeAsync"/>, for what changes nobody's rights.</summary>
    internal async Task<T> NoteAsync<T>(Func<StateConnection, Task<T>> work, CancellationToken cancellation)
    {
        await using var connection = await _state.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(Scope, cancellation);
        var result = await work(connection);
        await transaction.CommitAsync(cancellation);
        return result;
    }
}
