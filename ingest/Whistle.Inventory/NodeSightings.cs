using System.Collections.Concurrent;
using System.Globalization;

using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Inventory;

/// <summary>What an agent's requests said of it.</summary>
/// <param name="At">Of its last report.</param>
/// <param name="Version">Empty where it did not say.</param>
/// <param name="ClockSkew">How far its clock is ahead of the server's, the median of its last requests; null where it did not say.</param>
public sealed record NodeSighting(DateTimeOffset At, string Version, TimeSpan? ClockSkew)
{
    /// <summary>From here on a clock is wrong, and not only a request slow.</summary>
    public static readonly TimeSpan LargestSkew = TimeSpan.FromSeconds(30);

    public bool IsClockWrong => ClockSkew?.Duration() > LargestSkew;
}

/// <summary>
/// Remembers of each node when its agent reported last, its version and its clock. Written down every few minutes, so that a restart
/// forgets little. Thread-safe.
/// </summary>
public sealed class NodeSightings(StateDatabase state, TimeProvider time)
{
    const int Clocks = 5;
    const int LongestVersion = 32;

    static readonly TimeSpan WrittenEvery = TimeSpan.FromMinutes(5);
    static readonly StateScope Scope = StateScope.Of("node_sightings");

    readonly ConcurrentDictionary<NodeId, Seen> _seen = new();

    /// <param name="product">As its User-Agent says.</param>
    /// <param name="clock">As <see cref="AgentHeaders.Clock"/> says.</param>
    public void Note(NodeId node, string? product, string? clock)
    {
        var seen = _seen.GetOrAdd(node, static _ => new Seen());
        lock (seen)
        {
            seen.At = time.GetUtcNow();
            if (product is not null && product.StartsWith(AgentHeaders.Product, StringComparison.Ordinal)
                && product[AgentHeaders.Product.Length..] is { Length: > 0 and <= LongestVersion } version
                && version.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '+'))
                seen.Version = version;
            // What cannot be an instant is no clock.
            if (!long.TryParse(clock, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var told)
                || Math.Abs(told) > DateTimeOffset.MaxValue.ToUnixTimeMilliseconds() / 2)
                return;
            seen.Skews.Enqueue(told - seen.At.ToUnixTimeMilliseconds());
            if (seen.Skews.Count > Clocks)
                seen.Skews.Dequeue();
        }
    }

    /// <summary>Of all nodes that were ever seen.</summary>
    public async Task<IReadOnlyDictionary<NodeId, NodeSighting>> AllAsync(CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        var all = (await connection.QueryAsync(
            "SELECT tenant, cluster, node, seen_at, version, skew_ms FROM node_sightings",
            r => (Id: new NodeId(r.GetString(0), r.GetString(1), r.GetString(2)), Sighting: new NodeSighting(
                r.Instant(3), r.GetString(4), r.IsDBNull(5) ? null : TimeSpan.FromMilliseconds(r.GetInt64(5)))),
            cancellation)).ToDictionary(s => s.Id, s => s.Sighting);
        foreach (var (node, seen) in _seen)
        {
            if (seen.Sighting is { } own && (!all.TryGetValue(node, out var written) || written.At <= own.At))
                all[node] = own with { Version = own.Version.Length > 0 ? own.Version : written?.Version ?? "" };
        }

        return all;
    }

    /// <summary>Writes down what is new, of each node at most every few minutes.</summary>
    public async Task WriteAsync(CancellationToken cancellation)
    {
        var due = _seen.Where(s => s.Value.Sighting is { } own && (s.Value.Written is not { } written
                || own.At - written.At >= WrittenEvery || own.Version != written.Version || own.IsClockWrong != written.IsClockWrong))
            .Select(s => (Id: s.Key, Seen: s.Value, Sighting: s.Value.Sighting!)).ToList();
        if (due.Count == 0)
            return;
        await using var connection = await state.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(Scope, cancellation);
        foreach (var (id, _, sighting) in due)
        {
            await connection.ExecuteAsync(
                """
                INSERT INTO node_sightings (tenant, cluster, node, seen_at, version, skew_ms)
                VALUES ($tenant, $cluster, $node, $at, $version, $skew)
                ON CONFLICT (tenant, cluster, node) DO UPDATE SET
                    seen_at = excluded.seen_at, version = excluded.version, skew_ms = excluded.skew_ms
                """,
                cancellation, ("$tenant", id.Tenant), ("$cluster", id.Cluster), ("$node", id.Node), ("$at", sighting.At),
                ("$version", sighting.Version), ("$skew", (long?)sighting.ClockSkew?.TotalMilliseconds));
        }

        await transaction.CommitAsync(cancellation);
        foreach (var (_, seen, sighting) in due)
            seen.Written = sighting;
    }

    sealed class Seen
    {
        public DateTimeOffset At { get; set; }

        public string Version { get; set; } = "";

        public Queue<long> Skews { get; } = new();

        public NodeSighting? Written { get; set; }

        /// <summary>Null before the first report.</summary>
        public NodeSighting? Sighting
        {
            get
            {
                lock (this)
                {
                    return At == default ? null : new(
                        At, Version, Skews.Count == 0 ? null : TimeSpan.FromMilliseconds(Skews.Order().ElementAt(Skews.Count / 2)));
                }
            }
        }
    }
}
