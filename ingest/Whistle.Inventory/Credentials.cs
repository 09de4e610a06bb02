using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Inventory;

/// <summary>An agent that should report: the inventory that silence is judged against.</summary>
public sealed record EnrolledAgent(string Tenant, string Cluster, string Node, DateTimeOffset EnrolledAt);

/// <summary>Whoever may send: a node's agent, or a cluster's collector, which has no node.</summary>
public sealed record EnrolledSender(string Tenant, string Cluster, string? Node);

/// <summary>A cluster's collector that should report.</summary>
public sealed record EnrolledCollector(string Tenant, string Cluster, DateTimeOffset EnrolledAt);

/// <summary>
/// Who may send, and as whom. A token is 256 random bits; only its SHA-256 is kept. Several processes may share the database:
/// a change made by the command line is seen by a running server within <see cref="Freshness"/>.
/// </summary>
public sealed partial class Credentials
{
    static readonly TimeSpan Freshness = TimeSpan.FromSeconds(5);

    // A damaged row is nobody's: it must not make a sender another tenant's, nor a revoked token good.
    static readonly CheckedTable Rows = new("credentials", ["token_hash"], ["token_hash", "tenant", "cluster", "node", "enrolled_at", "revoked_at"]);

    static readonly RowReader Reader = new(
        "credentials", "its token is refused and its silence is not noticed. Revoke it with `whistle agents revoke`, then enrol the sender again.");

    public static readonly StateSchema Tables = new(
        "ingest",
        """
        CREATE TABLE credentials (
            token_hash TEXT PRIMARY KEY,
            tenant TEXT NOT NULL,
            cluster TEXT NOT NULL,
            node TEXT NULL,
            enrolled_at INTEGER NOT NULL,
            revoked_at INTEGER NULL)
        """,
        new StateScript("ALTER TABLE credentials ADD COLUMN checksum INTEGER", static c => Rows.Fill(c)));

    readonly StateDatabase _state;
    readonly TimeProvider _time;
    readonly ConcurrentDictionary<string, (Sender? Sender, DateTimeOffset Until)> _known = new();
    readonly ConcurrentDictionary<(string, string, string?), Sender> _senders = new();

    public Credentials(StateDatabase state, TimeProvider time)
    {
        _state = state;
        _time = time;
        state.Migrate(Tables);
    }

    /// <summary>Makes a token for a node's agent, or for a whole cluster's collector where no node is named. It is shown this once.</summary>
    /// <exception cref="ArgumentException">A name is not valid.</exception>
    public string Enroll(string tenant, string cluster, string? node)
    {
        CheckName(nameof(tenant), tenant);
        CheckName(nameof(cluster), cluster);
        if (node is not null)
            CheckName(nameof(node), node);
        var token = AccessToken.New(AccessToken.OfSender);
        var (hash, now) = (Hash(token), _time.GetUtcNow());
        using var connection = _state.Open();
        connection.Execute(
            "INSERT INTO credentials (token_hash, tenant, cluster, node, enrolled_at, checksum) VALUES ($hash, $tenant, $cluster, $node, $at, $checksum)",
            ("$hash", hash), ("$tenant", tenant), ("$cluster", cluster), ("$node", node), ("$at", now), ("$checksum", Rows.Of(hash, tenant, cluster, node, now, null)));
        return token;
    }

    /// <summary>Takes every token of the node, or of the cluster's collector, back. Returns how many there were.</summary>
    public int Revoke(string tenant, string cluster, string? node)
    {
        using var connection = _state.Open();
        using var transaction = connection.BeginWrite();
        var count = connection.Execute(
            """
            UPDATE credentials SET revoked_at = $at, checksum = NULL
            WHERE tenant = $tenant AND cluster = $cluster AND node IS NOT DISTINCT FROM $node AND revoked_at IS NULL
            """,
            ("$tenant", tenant), ("$cluster", cluster), ("$node", node), ("$at", _time.GetUtcNow()));
        Rows.Fill(connection);
        transaction.Commit();
        _known.Clear();
        return count;
    }

    /// <summary>The sender that the token belongs to, or null where it is unknown or was revoked.</summary>
    // Looked up by its hash, so that the time a comparison takes says nothing about a token.
    public Sender? Authenticate(string token)
    {
        if (!AccessToken.IsWhole(AccessToken.OfSender, token))
            return null;
        var hash = Hash(token);
        var now = _time.GetUtcNow();
        if (_known.TryGetValue(hash, out var known) && known.Until > now)
            return known.Sender;
        var sender = Find(hash);
        // Unknown tokens are not remembered: guesses would fill the memory.
        if (sender is null)
            _known.TryRemove(hash, out _);
        else
            _known[hash] = (sender, now + Freshness);
        return sender;
    }

    /// <summary>Whether the token was ever made here, revoked or not.</summary>
    public bool Has(string token)
    {
        using var connection = _state.Open();
        return connection.Query("SELECT token_hash FROM credentials WHERE token_hash = $hash", r => r.GetString(0), ("$hash", Hash(token))).Count > 0;
    }

    /// <summary>Every node with a living credential, by its first enrolment.</summary>
    public IReadOnlyList<EnrolledAgent> Agents() =>
        [.. First(Living().Where(c => c.Sender.Node is not null)).Select(c => new EnrolledAgent(c.Sender.Tenant, c.Sender.Cluster, c.Sender.Node!, c.At))];

    /// <summary>Everybody with a living credential, each once.</summary>
    public IReadOnlyList<EnrolledSender> Senders() => [.. Living().Select(c => c.Sender).Distinct()];

    /// <summary>Every cluster whose collector has a living credential, by its first enrolment.</summary>
    public IReadOnlyList<EnrolledCollector> Collectors() =>
        [.. First(Living().Where(c => c.Sender.Node is null)).Select(c => new EnrolledCollector(c.Sender.Tenant, c.Sender.Cluster, c.At))];

    static IEnumerable<(EnrolledSender Sender, DateTimeOffset At)> First(IEnumerable<(EnrolledSender Sender, DateTimeOffset At)> living) =>
        living.GroupBy(c => c.Sender).Select(g => (g.Key, At: g.Min(c => c.At)))
            .OrderBy(c => c.Key.Tenant, StringComparer.Ordinal).ThenBy(c => c.Key.Cluster, StringComparer.Ordinal).ThenBy(c => c.Key.Node, StringComparer.Ordinal);

    IEnumerable<(EnrolledSender Sender, DateTimeOffset At)> Living()
    {
        using var connection = _state.Open();
        // The revoked ones too: one that became so by damage is to be seen.
        return Reader.Query(
            connection,
            $"SELECT {Rows.Columns()}, tenant || '/' || cluster || '/' || coalesce(node, 'collector') || ' ' || substr(token_hash, 1, 8) FROM credentials",
            r => !Rows.Holds(r) ? throw new InvalidDataException("its checksum is not that of its values")
                : r.IsDBNull(5) ? (new EnrolledSender(r.GetString(1), r.GetString(2), r.OptionalText(3)), r.Instant(4)) : default((EnrolledSender Sender, DateTimeOffset At)?))
            .OfType<(EnrolledSender Sender, DateTimeOffset At)>();
    }

    Sender? Find(string hash)
    {
        using var connection = _state.Open();
        var found = connection.Query(
            $"SELECT {Rows.Columns()} FROM credentials WHERE token_hash = $hash AND revoked_at IS NULL",
            r => Rows.Holds(r) ? (Tenant: r.GetString(1), Cluster: r.GetString(2), Node: r.OptionalText(3)) : default((string Tenant, string Cluster, string? Node)?), ("$hash", hash));
        if (found is not [{ } key])
            return null;
        // One object a sender: its key seed decides which encodings the head remembers.
        return _senders.GetOrAdd(key, static k => new Sender(k.Item1, k.Item2, k.Item3));
    }

    static string Hash(string token) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    static void CheckName(string what, string name)
    {
        if (!NamePattern().IsMatch(name))
            throw new ArgumentException($"\"{name}\" is no valid {what} name: use up to 253 lower-case letters, digits, dots and dashes, beginning and ending with a letter or digit.", what);
    }

    [GeneratedRegex(@"\A[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\z")]
    private static partial Regex NamePattern();
}
