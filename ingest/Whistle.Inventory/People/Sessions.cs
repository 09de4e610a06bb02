using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Data.Common;
using System.Net;
using System.Security.Cryptography;
using System.Text;

using Whistle.State;

namespace Whistle.Inventory.People;

/// <param name="Hash">Of what the browser's cookie holds; opens nothing.</param>
/// <param name="Owner">The identity of a person, or of the machine's own user.</param>
/// <param name="SeenAt">To the minute.</param>
/// <param name="IdleUntil">It ends then if nothing is heard of it before.</param>
/// <param name="Agent">What the browser calls itself; null where it says nothing.</param>
public sealed record Session(
    string Hash, string Owner, DateTimeOffset BeganAt, DateTimeOffset SeenAt, DateTimeOffset IdleUntil, DateTimeOffset EndsAt,
    string? Address, string? Agent)
{
    /// <summary>Names it in lists.</summary>
    public string Id => Hash[..PeopleState.IdLength];

    public bool IsOpen(DateTimeOffset now) => now < EndsAt && now < IdleUntil;
}

/// <summary>
/// Who is logged in. A browser's cookie holds an id; the table holds a hash of each that is keyed with the server's token. So a session
/// ends when its row goes, after its time, and with the token: under another token no id has a hash that is listed. Several processes may
/// share the table: one that ends in another is noticed within <see cref="Freshness"/>.
/// </summary>
/// <param name="token">The server's.</param>
public sealed class Sessions(PeopleState state, string token, TimeProvider time)
{
    public static readonly TimeSpan Life = TimeSpan.FromDays(7);

    /// <summary>How long a person's lasts without a sign of them. Those of the machine's own user last their whole life.</summary>
    public static readonly TimeSpan Idle = TimeSpan.FromHours(12);

    public static readonly TimeSpan Freshness = TimeSpan.FromSeconds(5);

    // Of one owner; beyond it the oldest end.
    const int Most = 1000;

    const int LongestAgent = 300;

    static readonly RowReader Reader = new("sessions", "whoever it is has to log in again.");

    static readonly StateScope Scope = StateScope.Of("sessions");

    // People stay as they are until it has begun: whoever changes one ends their sessions after that, and this one with them.
    static readonly StateScope[] ScopesOfBegin = [PeopleState.Scope.Shared(), Scope];

    readonly byte[] _key = Encoding.UTF8.GetBytes(token);
    readonly ConcurrentDictionary<string, (Session Session, DateTimeOffset Until)> _known = new();
    readonly ConcurrentDictionary<Watch, bool> _watches = new();
    long _ends;

    static string Select => $"SELECT {PeopleState.Sessions.Columns()}, substr(hash, 1, {PeopleState.IdLength}) FROM sessions";

    /// <summary>Answers the id for the browser. It is another each time, so nobody's session is one that somebody else chose.</summary>
    /// <param name="person">As it was proven who they are; null for the machine's own user.</param>
    /// <returns>Null where the person may not log in any more, or how they do has changed since.</returns>
    public async Task<string?> BeginAsync(Person? person, IPAddress? from, string? agent, CancellationToken cancellation)
    {
        var owner = person?.Identity ?? PersonIdentity.Local;
        var id = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
        var now = time.GetUtcNow();
        var session = new Session(
            HashOf(id), owner, now, now, now + (owner == PersonIdentity.Local ? Life : Idle), now + Life, from?.ToString(), Short(agent));
        await using var connection = await state.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(ScopesOfBegin, cancellation);
        if (person is not null && await PeopleStore.FindUnchangedAsync(connection, person, cancellation) is null)
            return null;
        var all = await AllAsync(connection, cancellation);
        List<Session> over =
        [
            .. all.Where(s => !s.IsOpen(now)),
            .. all.Where(s => s.Owner == owner && s.IsOpen(now)).OrderByDescending(s => s.BeganAt).Skip(Most - 1),
        ];
        foreach (var one in over)
            await RemoveAsync(connection, one.Hash, cancellation);
        await connection.ExecuteAsync(
            "INSERT INTO sessions (hash, owner, began_at, seen_at, idle_until, ends_at, address, agent, checksum) "
            + "VALUES ($hash, $owner, $began, $seen, $idle, $ends, $address, $agent, $checksum)",
            cancellation,
            ("$hash", session.Hash), ("$owner", owner), ("$began", session.BeganAt), ("$seen", session.SeenAt),
            ("$idle", session.IdleUntil), ("$ends", session.EndsAt), ("$address", session.Address), ("$agent", session.Agent),
            ("$checksum", Checksum(session)));
        await transaction.CommitAsync(cancellation);
        Ended(over);
        return id;
    }

    /// <summary>The session that the browser's id is of, where it is open.</summary>
    public async Task<Session?> FindAsync(string? id, CancellationToken cancellation) =>
        id is null || await OpenAsync(HashOf(id), cancellation) is not { } session ? null : session;

    /// <summary>Null where it has ended.</summary>
    public async Task<Session?> OpenAsync(string hash, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        if (_known.TryGetValue(hash, out var known) && known.Until > now)
            return known.Session.IsOpen(now) ? known.Session : null;
        var ends = Volatile.Read(ref _ends);
        var session = await ReadAsync(hash, cancellation);
        if (session is null || !session.IsOpen(now))
        {
            _known.TryRemove(hash, out _);
            return null;
        }

        _known[hash] = (session, now + Freshness);
        // What ended while it was read is not remembered as open.
        if (ends != Volatile.Read(ref _ends))
            _known.TryRemove(hash, out _);
        return session;
    }

    /// <summary>Somebody did something with it, so it is not idle. Written once in a minute.</summary>
    public async Task SeeAsync(Session session, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        if (now - session.SeenAt < TimeSpan.FromMinutes(1))
            return;
        await ChangeAsync(
            async connection =>
            {
                // Read again: one that is damaged, or has ended since, stays what it is.
                if ((await ReadAsync(connection, session.Hash, cancellation)) is not { } current || !current.IsOpen(now))
                    return;
                current = current with
                {
                    SeenAt = now,
                    IdleUntil = current.Owner == PersonIdentity.Local ? current.EndsAt : now + Idle,
                };
                await connection.ExecuteAsync(
                    "UPDATE sessions SET seen_at = $seen, idle_until = $idle, checksum = $checksum WHERE hash = $hash", cancellation,
                    ("$seen", current.SeenAt), ("$idle", current.IdleUntil), ("$hash", current.Hash), ("$checksum", Checksum(current)));
            },
            cancellation);
        _known.TryRemove(session.Hash, out _);
    }

    /// <summary>All that are open, the latest first.</summary>
    public async Task<IReadOnlyList<Session>> AllAsync(CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        return [.. (await AllAsync(connection, cancellation)).Where(s => s.IsOpen(time.GetUtcNow())).OrderByDescending(s => s.SeenAt)];
    }

    /// <returns>How many there were.</returns>
    public Task<int> EndAsync(string hash, CancellationToken cancellation) => EndAsync(s => s.Hash == hash, cancellation);

    /// <param name="but">The hash of one that goes on; null for none.</param>
    public Task<int> EndOfAsync(string owner, CancellationToken cancellation, string? but = null) =>
        EndAsync(s => s.Owner == owner && s.Hash != but, cancellation);

    /// <summary>Every session, and whatever is left of damaged ones.</summary>
    public async Task<int> EndAllAsync(CancellationToken cancellation)
    {
        List<Session> ended = [];
        await ChangeAsync(
            async connection =>
            {
                ended = await AllAsync(connection, cancellation);
                await connection.ExecuteAsync("DELETE FROM sessions", cancellation);
            },
            cancellation);
        Ended(ended);
        return ended.Count(s => s.IsOpen(time.GetUtcNow()));
    }

    /// <summary>Calls back once when the session ends, within seconds where that is in another process; until it is disposed.</summary>
    public IDisposable WhenEnded(string hash, Action ended)
    {
        var watch = new Watch(this, hash, ended);
        _watches[watch] = true;
        return watch;
    }

    /// <summary>Looks whether sessions that somebody watches have ended elsewhere, or by their time.</summary>
    public async Task LookAsync(CancellationToken cancellation)
    {
        if (_watches.IsEmpty)
            return;
        var open = (await AllAsync(cancellation)).Select(s => s.Hash).ToHashSet(StringComparer.Ordinal);
        Ended([.. _watches.Keys.Select(w => w.Hash).Where(h => !open.Contains(h)).Distinct()]);
    }

    /// <summary>Drops the rows of sessions that have ended by their time, and of proofs that nobody could use again.</summary>
    public async Task DropEndedAsync(CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        await EndAsync(s => !s.IsOpen(now), cancellation);
        await using var connection = await state.OpenAsync(cancellation);
        await connection.ExecuteAsync("DELETE FROM spent_challenges WHERE ends_at <= $now", cancellation, ("$now", now));
    }

    async Task<int> EndAsync(Func<Session, bool> which, CancellationToken cancellation)
    {
        List<Session> ended = [];
        await ChangeAsync(
            async connection =>
            {
                ended = [.. (await AllAsync(connection, cancellation)).Where(which)];
                foreach (var session in ended)
                    await RemoveAsync(connection, session.Hash, cancellation);
            },
            cancellation);
        Ended(ended);
        return ended.Count(s => s.IsOpen(time.GetUtcNow()));
    }

    void Ended(IReadOnlyList<Session> sessions) => Ended([.. sessions.Select(s => s.Hash)]);

    void Ended(IReadOnlyCollection<string> hashes)
    {
        if (hashes.Count == 0)
            return;
        Interlocked.Increment(ref _ends);
        foreach (var hash in hashes)
            _known.TryRemove(hash, out _);
        foreach (var watch in _watches.Keys.Where(w => hashes.Contains(w.Hash)))
            watch.End();
    }

    // A keyed hash, so that neither the table nor the time that a look-up takes is of use to anybody without the token.
    string HashOf(string id) => Convert.ToHexString(HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(id)));

    async Task ChangeAsync(Func<StateConnection, Task> work, CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(Scope, cancellation);
        await work(connection);
        await transaction.CommitAsync(cancellation);
    }

    async Task<Session?> ReadAsync(string hash, CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        return await ReadAsync(connection, hash, cancellation);
    }

    static async Task<Session?> ReadAsync(StateConnection connection, string hash, CancellationToken cancellation) =>
        (await Reader.QueryAsync(connection, $"{Select} WHERE hash = $hash", Read, cancellation, ("$hash", hash))).FirstOrDefault();

    static Task<List<Session>> AllAsync(StateConnection connection, CancellationToken cancellation) =>
        Reader.QueryAsync(connection, Select, Read, cancellation);

    static Task<int> RemoveAsync(StateConnection connection, string hash, CancellationToken cancellation) =>
        connection.ExecuteAsync("DELETE FROM sessions WHERE hash = $hash", cancellation, ("$hash", hash));

    static long Checksum(Session session) => PeopleState.Sessions.Of(
        session.Hash, session.Owner, session.BeganAt, session.SeenAt, session.IdleUntil, session.EndsAt, session.Address, session.Agent);

    static Session Read(DbDataReader row) => !PeopleState.Sessions.Holds(row)
        ? throw new InvalidDataException("its checksum is not that of its values")
        : new(
            row.GetString(0), row.GetString(1), row.Instant(2), row.Instant(3), row.Instant(4), row.Instant(5), row.OptionalText(6),
            row.OptionalText(7));

    // Whatever a browser sends; lists show it.
    static string? Short(string? agent) => string.IsNullOrWhiteSpace(agent) ? null
        : string.Concat(agent.Where(c => c is >= ' ' and <= '~').Take(LongestAgent));

    sealed class Watch(Sessions sessions, string hash, Action ended) : IDisposable
    {
        int _isEnded;

        public string Hash => hash;

        public void End()
        {
            if (Interlocked.Exchange(ref _isEnded, 1) == 0)
                ended();
        }

        public void Dispose() => sessions._watches.TryRemove(this, out _);
    }
}
