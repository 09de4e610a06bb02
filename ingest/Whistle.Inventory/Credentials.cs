using System.Collections.Concurrent;
using System.Data.Common;
using System.Text.RegularExpressions;

using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Inventory;

/// <summary>An agent that should report: the inventory that silence is judged against.</summary>
public sealed record EnrolledAgent(NodeId NodeId, DateTimeOffset EnrolledAt);

/// <summary>Whoever may send: a node's agent, or a cluster's collector, which has no node.</summary>
public sealed record EnrolledSender(ClusterId ClusterId, string? Node)
{
    public override string ToString() => Node is null ? ClusterId.ToString() : ClusterId.Node(Node).ToString();
}

/// <summary>A cluster's collector that should report.</summary>
public sealed record EnrolledCollector(ClusterId ClusterId, DateTimeOffset EnrolledAt);

/// <summary>
/// Who may send, and as whom. A token is 256 random bits; only its SHA-256 is kept. Several processes may share the database:
/// a change made by the command line is seen by a running server within <see cref="Freshness"/>.
/// </summary>
public sealed partial class Credentials
{
    static readonly TimeSpan Freshness = TimeSpan.FromSeconds(5);

    // A damaged row is nobody's: it must not make a sender another tenant's, nor a revoked token good.
    static readonly CheckedTable Rows =
        new("credentials", ["token_hash"], ["token_hash", "tenant", "cluster", "node", "enrolled_at", "revoked_at"]);

    static readonly RowReader Reader = new(
        "credentials",
        "its token is refused and its silence goes unnoticed. Revoke it with `whistle agents revoke`, then enrol the sender again.");

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
        new StateScript("ALTER TABLE credentials ADD COLUMN checksum INTEGER", Rows.FillAsync), JoinTables, RegisterTables, Retention);

    internal static readonly StateScope Scope = StateScope.Of("credentials");

    readonly StateDatabase _state;
    readonly TimeProvider _time;
    readonly EnrolmentOptions _options;
    readonly ConcurrentDictionary<string, (KnownCredential Credential, DateTimeOffset Until)> _known = new();
    readonly ConcurrentDictionary<EnrolledSender, Sender> _senders = new();

    public Credentials(StateDatabase state, TimeProvider time, FleetRegister? register = null, EnrolmentOptions? options = null)
    {
        (_state, _time, _options) = (state, time, options ?? new());
        Register = register ?? new(state, time, options);
        Sightings = new(state, time);
        state.Add(Tables);
    }

    /// <summary>Where the senders' tenants and clusters stand.</summary>
    public FleetRegister Register { get; }

    /// <summary>What agents' requests said of them.</summary>
    public NodeSightings Sightings { get; }

    /// <summary>
    /// Makes a token for a node's agent, or for a whole cluster's collector where no node is named. It is shown this once.
    /// </summary>
    /// <remarks>A node that was archived is in service again with it, and what it had before ends.</remarks>
    /// <exception cref="ArgumentException">A name is not valid, or nobody may be enrolled there.</exception>
    public async Task<string> EnrollAsync(ClusterId cluster, string? node, CancellationToken cancellation) =>
        (await EnrollAsync(cluster, node, Earlier.Stays, cancellation)).Token!;

    /// <summary>
    /// As above, but a node with a token in force gets another only where that is said: two agents must not speak as one node.
    /// </summary>
    /// <param name="replaces">What it had before ends.</param>
    /// <returns>The token, or why there is none.</returns>
    /// <exception cref="ArgumentException">A name is not valid, or nobody may be enrolled there.</exception>
    public Task<(string? Token, string? Refusal)> EnrollAsync(
        ClusterId cluster, string? node, bool replaces, CancellationToken cancellation) =>
        EnrollAsync(cluster, node, replaces ? Earlier.Ends : Earlier.IsInTheWay, cancellation);

    async Task<(string? Token, string? Refusal)> EnrollAsync(
        ClusterId cluster, string? node, Earlier earlier, CancellationToken cancellation)
    {
        CheckName("tenant", cluster.Tenant);
        CheckName("cluster", cluster.Cluster);
        if (node is not null)
            CheckName(nameof(node), node);
        var token = AccessToken.New(AccessToken.OfSender);
        var now = _time.GetUtcNow();
        await using var connection = await _state.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(Scope, cancellation);
        if (await Register.AdmitAsync(connection, cluster, cancellation) is { } refusal)
            throw new ArgumentException(refusal);
        var wasArchived = node is not null && await FleetRegister.UnarchiveAsync(connection, cluster.Node(node), cancellation);
        // Several collectors may send for one cluster.
        if (earlier is Earlier.IsInTheWay && node is not null && !wasArchived
            && await HasInForceAsync(connection, cluster, node, now, cancellation))
        {
            return (null, $"{cluster.Node(node)} is enrolled already. If its agent needs another token, add --replace "
                + "(\"replace\": true in the API): what it has now ends. Else give this node another name.");
        }

        if (wasArchived || earlier is Earlier.Ends || (earlier is Earlier.IsInTheWay && node is not null))
            await RevokeAsync(connection, cluster, node, now, cancellation);
        await AddAsync(connection, Hash(token), cluster, node, now, succeeds: null, cancellation);
        await transaction.CommitAsync(cancellation);
        Forget();
        return (token, null);
    }

    /// <summary>What becomes of the tokens that a sender has.</summary>
    enum Earlier
    {
        Stays,
        Ends,

        /// <summary>A node is not enrolled again while one of them is in force.</summary>
        IsInTheWay,
    }

    // A collector cannot renew what it shows, so that has no end.
    async Task AddAsync(
        StateConnection connection, string hash, ClusterId cluster, string? node, DateTimeOffset now, string? succeeds,
        CancellationToken cancellation)
    {
        await connection.ExecuteAsync(
            "INSERT INTO credentials (token_hash, tenant, cluster, node, enrolled_at, checksum) "
            + "VALUES ($hash, $tenant, $cluster, $node, $at, $checksum)",
            cancellation,
            ("$hash", hash), ("$tenant", cluster.Tenant), ("$cluster", cluster.Cluster), ("$node", node), ("$at", now),
            ("$checksum", Rows.Of(hash, cluster.Tenant, cluster.Cluster, node, now, null)));
        if (node is not null)
            await SetTermAsync(connection, hash, new(now + _options.CredentialLife, succeeds, null), cancellation);
    }

    static async Task<int> RevokeAsync(
        StateConnection connection, ClusterId cluster, string? node, DateTimeOffset now, CancellationToken cancellation)
    {
        var count = await connection.ExecuteAsync(
            """
            UPDATE credentials SET revoked_at = $at, checksum = NULL
            WHERE tenant = $tenant AND cluster = $cluster AND node IS NOT DISTINCT FROM $node AND revoked_at IS NULL
            """,
            cancellation, ("$tenant", cluster.Tenant), ("$cluster", cluster.Cluster), ("$node", node), ("$at", now));
        await Rows.FillAsync(connection, cancellation);
        return count;
    }

    // Whether the sender has a token that was not revoked and has not ended by then.
    static async Task<bool> HasInForceAsync(
        StateConnection connection, ClusterId cluster, string? node, DateTimeOffset at, CancellationToken cancellation) =>
        (await connection.QueryAsync(
            """
            SELECT c.token_hash FROM credentials c LEFT JOIN credential_terms t ON t.token_hash = c.token_hash
            WHERE c.tenant = $tenant AND c.cluster = $cluster AND c.node IS NOT DISTINCT FROM $node AND c.revoked_at IS NULL
                AND (t.ends_at IS NULL OR t.ends_at > $at)
            """,
            r => r.GetString(0), cancellation,
            ("$tenant", cluster.Tenant), ("$cluster", cluster.Cluster), ("$node", node), ("$at", at))).Count > 0;

    // What was read before a change of this process counts no more.
    void Forget()
    {
        _known.Clear();
        Register.Forget();
    }

    /// <summary>Takes every token of the node, or of the cluster's collector, back. Returns how many there were.</summary>
    public async Task<int> RevokeAsync(ClusterId cluster, string? node, CancellationToken cancellation)
    {
        await using var connection = await _state.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(Scope, cancellation);
        var count = await RevokeAsync(connection, cluster, node, _time.GetUtcNow(), cancellation);
        await transaction.CommitAsync(cancellation);
        Forget();
        return count;
    }

    /// <summary>The sender that the token belongs to, or null where it does not count.</summary>
    public async Task<Sender?> AuthenticateAsync(string token, CancellationToken cancellation) =>
        (await CheckAsync(token, cancellation)).Sender;

    /// <summary>Whether the token was ever made here, revoked or not.</summary>
    public async Task<bool> HasAsync(string token, CancellationToken cancellation)
    {
        await using var connection = await _state.OpenAsync(cancellation);
        return await HasAsync(connection, Hash(token), cancellation);
    }

    /// <summary>Every node in service with a credential that was not revoked, by its first enrolment.</summary>
    public async Task<IReadOnlyList<EnrolledAgent>> AgentsAsync(CancellationToken cancellation) =>
        [
            .. First((await InServiceAsync(cancellation)).Where(c => c.Sender.Node is not null))
                .Select(c => new EnrolledAgent(c.Sender.ClusterId.Node(c.Sender.Node!), c.At)),
        ];

    /// <summary>Everybody in service with a credential that was not revoked, each once.</summary>
    public async Task<IReadOnlyList<EnrolledSender>> SendersAsync(CancellationToken cancellation) =>
        [.. (await InServiceAsync(cancellation)).Select(c => c.Sender).Distinct()];

    /// <summary>Everybody who was ever enrolled, each once, whether or not they were revoked or archived since.</summary>
    public async Task<IReadOnlyList<EnrolledSender>> EverEnrolledAsync(CancellationToken cancellation) =>
        [.. (await AllAsync(cancellation)).Select(c => c.Sender).Distinct()];

    /// <summary>Every cluster in service whose collector has a credential that was not revoked, by its first enrolment.</summary>
    public async Task<IReadOnlyList<EnrolledCollector>> CollectorsAsync(CancellationToken cancellation) =>
        [
            .. First((await InServiceAsync(cancellation)).Where(c => c.Sender.Node is null))
                .Select(c => new EnrolledCollector(c.Sender.ClusterId, c.At)),
        ];

    static IEnumerable<(EnrolledSender Sender, DateTimeOffset At)> First(IEnumerable<(EnrolledSender Sender, DateTimeOffset At)> living) =>
        living.GroupBy(c => c.Sender).Select(g => (g.Key, At: g.Min(c => c.At)))
            .OrderBy(c => c.Key.ClusterId, ClusterId.Ordinal).ThenBy(c => c.Key.Node, StringComparer.Ordinal);

    // What is archived is missed by nobody.
    async Task<IEnumerable<(EnrolledSender Sender, DateTimeOffset At)>> InServiceAsync(CancellationToken cancellation)
    {
        var standing = await Register.StandingAsync(cancellation);
        return (await LivingAsync(cancellation)).Select(c => (c.Sender, c.At)).Where(c => c.Sender.Node is { } node
            ? !standing.IsArchived(c.Sender.ClusterId.Node(node)) : !standing.IsArchived(c.Sender.ClusterId));
    }

    async Task<IEnumerable<(EnrolledSender Sender, DateTimeOffset At, string Hash)>> LivingAsync(CancellationToken cancellation) =>
        (await AllAsync(cancellation)).Where(c => !c.IsRevoked).Select(c => (c.Sender, c.At, c.Hash));

    async Task<IReadOnlyList<(EnrolledSender Sender, DateTimeOffset At, string Hash, bool IsRevoked)>> AllAsync(
        CancellationToken cancellation)
    {
        await using var connection = await _state.OpenAsync(cancellation);
        // The revoked ones too: one that became so by damage is to be seen.
        return await Reader.QueryAsync(
            connection,
            $"SELECT {Rows.Columns()}, tenant || '/' || cluster || '/' || coalesce(node, 'collector') || ' ' || substr(token_hash, 1, 8) "
            + "FROM credentials",
            r => !Rows.Holds(r) ? throw new InvalidDataException("its checksum is not that of its values")
                : (SenderOf(r), r.Instant(4), r.GetString(0), !r.IsDBNull(5)),
            cancellation);
    }

    static EnrolledSender SenderOf(DbDataReader row) => new(new(row.GetString(1), row.GetString(2)), row.OptionalText(3));

    static string Hash(string token) => AccessToken.HashOf(token);

    static void CheckName(string what, string? name)
    {
        if (MistakeIn(what, name ?? "") is { } mistake)
            throw new ArgumentException(mistake);
    }

    /// <summary>Why nothing that is enrolled has the name; null where something may, or none is given.</summary>
    internal static string? MistakeIn(string what, string? name) => name is null || NamePattern().IsMatch(name) ? null
        : $"\"{name}\" is not a valid {what} name: use up to 253 lower-case letters, digits, dots and dashes, "
            + "beginning and ending with a letter or digit.";

    [GeneratedRegex(@"\A[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\z")]
    private static partial Regex NamePattern();
}
