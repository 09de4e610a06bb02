using Whistle.Ingest;
using Whistle.Inventory;
using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Detectors.Signals;

/// <summary>
/// Which process evaluates which share of the clusters: a partition of the log. A share that somebody else has claimed since is lost: what
/// was worked out for it here is not written. Where a process is alone there is one share, without a name, and nothing to claim.
/// </summary>
/// <param name="owner">A name that no other process has, nor this one when it runs again.</param>
sealed class RuleShares(OwnClusters own, string owner)
{
    public const string Tables =
        """
        ALTER TABLE signals ADD COLUMN share TEXT NOT NULL DEFAULT '';
        CREATE TABLE rule_shares (
            share TEXT PRIMARY KEY, owner TEXT NOT NULL, evaluated_at INTEGER NOT NULL, changes INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE rule_evaluations (
            name TEXT NOT NULL, share TEXT NOT NULL, last_evaluation INTEGER NOT NULL, PRIMARY KEY (name, share)) WITHOUT ROWID;
        """;

    static readonly StateScope Scope = StateScope.Of("rule_shares");

    public static readonly RuleShares Alone = new(OwnClusters.All, "");

    public bool IsAlone => own.IsAll;

    /// <summary>By what the rule's expression yielded: a rule may write another cluster into the labels.</summary>
    public bool Has(Signal signal) => Has(signal.Element);

    public bool Has(Labels element) => own.IsAll || own.Has(ClusterId.Of(element));

    public bool Has(ClusterId cluster) => own.Has(cluster);

    public string Of(Signal signal) => own.IsAll ? "" : NameOf(own.PartitionOf(ClusterId.Of(signal.Element)));

    /// <summary>For a transaction that relies on <see cref="HeldAsync"/>.</summary>
    public IReadOnlyCollection<StateScope> ScopesOf(string group) => own.IsAll
        ? [StateScope.Of($"rules\n{group}")] : [StateScope.Of($"rules\n{group}\n{owner}"), Scope.Shared()];

    /// <summary>Takes partitions from whoever had them.</summary>
    public async Task ClaimAsync(
        StateDatabase database, IReadOnlyCollection<int> partitions, DateTimeOffset now, CancellationToken cancellation)
    {
        if (partitions.Count == 0)
            return;
        await using var connection = await database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(Scope, cancellation);
        foreach (var partition in partitions)
        {
            await connection.ExecuteAsync(
                "INSERT INTO rule_shares VALUES ($share, $owner, $now, 0) ON CONFLICT (share) DO UPDATE SET owner = excluded.owner, "
                + "evaluated_at = excluded.evaluated_at, changes = rule_shares.changes + 1",
                cancellation, ("$share", NameOf(partition)), ("$owner", owner), ("$now", now));
        }

        await transaction.CommitAsync(cancellation);
    }

    /// <summary>The shares that are still this process's own; the one without a name where it is alone.</summary>
    public async Task<HashSet<string>> HeldAsync(StateConnection connection, CancellationToken cancellation) => own.IsAll
        ? [""]
        : [.. (await connection.QueryAsync(
            "SELECT share FROM rule_shares WHERE owner = $owner", r => r.GetString(0), cancellation, ("$owner", owner)))
            .Where(own.Partitions.Select(NameOf).Contains)];

    /// <summary>Says that the shares are evaluated: until when, where the process dies.</summary>
    /// <returns>Those that somebody else has claimed, although they are this process's own.</returns>
    public async Task<IReadOnlyList<int>> BeatAsync(StateDatabase database, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        var lost = new List<int>();
        foreach (var partition in own.Partitions)
        {
            var held = await connection.ExecuteAsync(
                "UPDATE rule_shares SET evaluated_at = $now WHERE share = $share AND owner = $owner",
                cancellation, ("$share", NameOf(partition)), ("$owner", owner), ("$now", now));
            if (held == 0)
                lost.Add(partition);
        }

        return lost;
    }

    /// <summary>All shares that were ever claimed.</summary>
    public static async Task<IReadOnlyList<ShareState>> AllAsync(StateDatabase database, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        return await connection.QueryAsync(
            "SELECT share, owner, evaluated_at, changes FROM rule_shares",
            r => new ShareState(r.GetString(0), r.GetString(1), r.Instant(2), r.GetInt64(3)), cancellation);
    }

    static string NameOf(int partition) => partition.ToString(System.Globalization.CultureInfo.InvariantCulture);
}

/// <param name="Changes">Another number with every write of its signals.</param>
readonly record struct ShareState(string Share, string Owner, DateTimeOffset EvaluatedAt, long Changes);
