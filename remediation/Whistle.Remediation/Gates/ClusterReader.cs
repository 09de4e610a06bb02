using System.Collections.Concurrent;

using Microsoft.Extensions.Logging;

using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Remediation.Gates;

/// <summary>
/// Reads from telemetry what is known of clusters: that of the agents and the server, kube-state-metrics where a collector sends it, and
/// etcd's own. Where the queries fail, what was known stays and grows old.
/// </summary>
sealed class ClusterReader(
    PromQLEngine engine, Func<CancellationToken, Task<IReadOnlyList<EnrolledAgent>>> agents, ILogger<ClusterReader> logger)
{
    static readonly TimeSpan Every = TimeSpan.FromSeconds(15);
    static readonly TimeSpan Late = TimeSpan.FromMinutes(1);
    static readonly string[] Usual = ["up", "kube_node_info", "node_scrape_collector_success"];

    readonly ConcurrentDictionary<ClusterId, (DateTimeOffset AskedAt, ClusterFacts? Facts)> _known = new();

    /// <summary>As they were last read; null where nothing is known.</summary>
    public ClusterFacts? Find(ClusterId cluster) => _known.GetValueOrDefault(cluster).Facts;

    /// <summary>Reads those again that were not read for a while; of all others nothing is known any more.</summary>
    public async ValueTask RefreshAsync(IReadOnlyCollection<ClusterId> clusters, DateTimeOffset now, CancellationToken cancellation)
    {
        foreach (var gone in _known.Keys.Except(clusters))
            _known.TryRemove(gone, out _);
        var due = clusters.Where(c => !_known.TryGetValue(c, out var known) || now - known.AskedAt >= Every).ToList();
        if (due.Count == 0)
            return;
        var enrolled = (await agents(cancellation)).ToLookup(a => a.NodeId.ClusterId, a => a.NodeId.Node);
        foreach (var cluster in due)
        {
            var before = Find(cluster);
            try
            {
                _known[cluster] = (now, await ReadAsync(cluster, [.. enrolled[cluster]], before, now, cancellation));
            }
            catch (Exception e) when (!cancellation.IsCancellationRequested)
            {
                _known[cluster] = (now, before);
                logger.ClusterNotRead(e, cluster);
            }
        }
    }

    /// <summary>What was known at a time.</summary>
    public async Task<ClusterFacts?> ReadAsync(ClusterId cluster, DateTimeOffset at, CancellationToken cancellation) => await ReadAsync(
        cluster,
        [.. (await agents(cancellation)).Where(a => a.NodeId.ClusterId == cluster && a.EnrolledAt <= at).Select(a => a.NodeId.Node)],
        null, at, cancellation);

    async Task<ClusterFacts?> ReadAsync(
        ClusterId cluster, IReadOnlyList<string> enrolled, ClusterFacts? before, DateTimeOffset now, CancellationToken cancellation)
    {
        var query = new ClusterQuery(engine, cluster, now, cancellation);
        var (nodes, addresses) = await NodesAsync(query, enrolled);
        var latest = await LatestAsync(query, now) ?? before?.LatestData;
        if (nodes.Count == 0 && latest is null)
            return null;
        return new()
        {
            LatestData = latest ?? DateTimeOffset.UnixEpoch,
            Nodes = nodes,
            Members = await EtcdReader.MembersAsync(query, instance => addresses.GetValueOrDefault(Host(instance))
                ?? (nodes.Any(n => n.Name == Host(instance)) ? Host(instance) : "")),
            Budgets = await BudgetsAsync(query),
        };
    }

    static async Task<(IReadOnlyList<NodeFacts> Nodes, Dictionary<string, string> Addresses)> NodesAsync(
        ClusterQuery query, IReadOnlyList<string> enrolled)
    {
        var reports = ByNode(await query.AskAsync("whistle_agent_up{}"));
        var ready = ByNode(await query.AskAsync("""kube_node_status_condition{condition="Ready",status="true"}"""));
        var info = await query.AskAsync("kube_node_info{}");
        var zones = new Dictionary<string, string>();
        foreach (var (labels, _) in await query.AskAsync("""kube_node_labels{label_topology_kubernetes_io_zone!=""}"""))
            zones[Node(labels)] = labels["label_topology_kubernetes_io_zone"];
        var control = (await query.AskAsync("""kube_node_role{role=~"control-plane|master"}""")).Select(s => Node(s.Labels)).ToHashSet();
        // A node without an agent serves as Kubernetes says; one with an agent must say so itself as well.
        bool Ready(string node) => (!enrolled.Contains(node) || reports.GetValueOrDefault(node) == 1)
            && (ready.TryGetValue(node, out var condition) ? condition == 1 : enrolled.Contains(node));
        var names = enrolled.Concat(info.Select(s => Node(s.Labels))).Where(n => n.Length > 0).Distinct().Order(StringComparer.Ordinal);
        return (
            [.. names.Select(n => new NodeFacts(n, zones.GetValueOrDefault(n, ""), control.Contains(n), Ready(n)))],
            info.Where(s => s.Labels["internal_ip"].Length > 0).DistinctBy(s => s.Labels["internal_ip"])
                .ToDictionary(s => s.Labels["internal_ip"], s => Node(s.Labels)));
    }

    // What the server itself records about silence is always new. What every source has is asked first, all else only where that is late; a
    // name at a time, for without their names series are often alike.
    static async Task<DateTimeOffset?> LatestAsync(ClusterQuery query, DateTimeOffset now)
    {
        DateTimeOffset? latest = null;
        foreach (var name in Usual)
        {
            if (await LatestAsync(query, name) is { } at && !(at <= latest))
                latest = at;
            if (now - latest < Late)
                return latest;
        }

        foreach (var (labels, _) in await query.AskAsync("""{__name__!~"whistle_.*|ALERTS.*|.*:.*"}""", "group by (__name__) ({0})"))
        {
            if (await LatestAsync(query, labels.Name) is { } at && !(at <= latest))
                latest = at;
            if (now - latest < Late)
                break;
        }

        return latest;
    }

    static async Task<DateTimeOffset?> LatestAsync(ClusterQuery query, string name) =>
        await query.AskAsync($$"""{__name__="{{ClusterQuery.Escaped(name)}}"}""", "max(timestamp({0}))") is [{ Value: var at }]
            ? Instant(at) : null;

    // Which pods a budget covers is not reported, so it counts wherever its namespace has some.
    static async Task<IReadOnlyList<DisruptionBudgetFacts>> BudgetsAsync(ClusterQuery query)
    {
        var allowed = await query.AskAsync(
            "kube_poddisruptionbudget_status_pod_disruptions_allowed{}",
            "min by (namespace, exported_namespace, poddisruptionbudget) ({0})");
        if (allowed.Count == 0)
            return [];
        var nodes = (await query.AskAsync("kube_pod_info{}", "count by (namespace, exported_namespace, node, exported_node) ({0})"))
            .Where(s => Node(s.Labels).Length > 0).GroupBy(s => Namespace(s.Labels), s => Node(s.Labels))
            .ToDictionary(g => g.Key, g => g.ToHashSet());
        return
        [
            .. allowed.Select(s => new DisruptionBudgetFacts(
                Namespace(s.Labels), s.Labels["poddisruptionbudget"], double.IsFinite(s.Value) ? (int)s.Value : 0,
                nodes.GetValueOrDefault(Namespace(s.Labels)) ?? [])),
        ];
    }

    // Two replicas may say the same of one node; the worse counts.
    static Dictionary<string, double> ByNode(IReadOnlyList<VectorSample> samples) =>
        samples.GroupBy(s => Node(s.Labels)).ToDictionary(g => g.Key, g => g.Min(s => s.Value));

    // Where it is scraped by the agent of one node about others, the gateway has put that node's name over theirs.
    static string Node(Labels labels) => labels.Has("exported_node") ? labels["exported_node"] : labels["node"];

    static string Namespace(Labels labels) => labels.Has("exported_namespace") ? labels["exported_namespace"] : labels["namespace"];

    static string Host(string instance) => instance.LastIndexOf(':') is var colon and >= 0 ? instance[..colon].Trim('[', ']') : instance;

    static DateTimeOffset Instant(double seconds) => DateTimeOffset.FromUnixTimeMilliseconds((long)(seconds * 1000));
}

/// <summary>Instant queries that reach one cluster only.</summary>
sealed class ClusterQuery(PromQLEngine engine, ClusterId cluster, DateTimeOffset now, CancellationToken cancellation)
{
    readonly string _matchers = $"tenant=\"{Escaped(cluster.Tenant)}\",cluster=\"{Escaped(cluster.Cluster)}\"";

    /// <param name="selector">With its braces; the cluster's own matchers are put into them.</param>
    /// <param name="around">What is asked of it, where <c>{0}</c> stands for the selector.</param>
    public async Task<IReadOnlyList<VectorSample>> AskAsync(string selector, string around = "{0}")
    {
        var inside = selector[..^1];
        var restricted = $"{inside}{(inside.EndsWith('{') ? "" : ",")}{_matchers}}}";
        var value = await engine.InstantAsync(
            around.Replace("{0}", restricted, StringComparison.Ordinal), now.ToUnixTimeMilliseconds(), cancellation);
        return value is VectorValue vector ? vector.Samples : [];
    }

    public static string Escaped(string text) =>
        text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
}
