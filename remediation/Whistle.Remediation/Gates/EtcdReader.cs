using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Remediation.Gates;

/// <summary>
/// The members of a cluster's etcd, from what etcd 3.4 to 3.6 export: <c>etcd_server_id</c> names the member behind a target, and its peers
/// by the same ids. Since 3.6 <c>etcd_network_known_peers</c> is 0 for a peer that was removed; before, a peer is one that is still probed,
/// every 30 s, well or not (<c>etcd_network_peer_round_trip_time_seconds</c>).
/// </summary>
static class EtcdReader
{
    /// <param name="nodeOf">The node behind an address such as <c>10.0.0.1:2381</c>; empty where it is not known.</param>
    public static async Task<IReadOnlyList<MemberFacts>> MembersAsync(ClusterQuery query, Func<string, string> nodeOf)
    {
        var down = await query.AskAsync("""up{job=~"(.*[-_/])?etcd([-_/].*)?"}""", "{0} == 0");
        var leader = (await query.AskAsync("etcd_server_has_leader{}"))
            .Where(s => !down.Any(d => Target(d.Labels) == Target(s.Labels))).ToList();
        if (leader.Count == 0 && down.Count == 0)
            return [];
        var live = leader.Select(s => Target(s.Labels)).ToHashSet();
        var learners = (await query.AskAsync("etcd_server_is_learner{}", "last_over_time({0}[1d]) == 1"))
            .Select(s => Target(s.Labels)).ToHashSet();
        var ids = (await query.AskAsync("etcd_server_id{}")).GroupBy(s => Target(s.Labels))
            .ToDictionary(g => g.Key, g => g.First().Labels["server_id"]);
        // Of targets that are silent too.
        var past = await query.AskAsync("etcd_server_id{}", "last_over_time({0}[1d])");
        var peers = await PeersAsync(query, live);
        var members = leader.GroupBy(s => ids.GetValueOrDefault(Target(s.Labels)) ?? Target(s.Labels).Instance)
            .ToDictionary(g => g.Key, g => Member(g.Key, g.First().Labels, g.Min(s => s.Value) == 1, learners, nodeOf));
        // Whoever the others still know, and nobody hears of.
        foreach (var id in peers.Where(id => !members.ContainsKey(id)))
            members.Add(id, past.FirstOrDefault(s => s.Labels["server_id"] == id).Labels is { } labels
                ? Member(id, labels, healthy: false, learners, nodeOf) : new(id, "", Healthy: false, Learner: false));
        foreach (var target in down)
        {
            var mine = past.Where(s => Target(s.Labels) == Target(target.Labels)).Select(s => s.Labels["server_id"]).ToList();
            // What the others have forgotten was removed, and its target is only left over.
            if (mine.Exists(members.ContainsKey) || (mine.Count > 0 && peers.Count > 0))
                continue;
            // Without ids, a member that is down and one that only the others name are one and the same, so it stands for the nameless.
            var member = Member(Target(target.Labels).Instance, target.Labels, healthy: false, learners, nodeOf);
            if (members.Values.FirstOrDefault(m => !m.Healthy && m.Node.Length == 0) is { } nameless)
                members[nameless.Name] = nameless with { Node = member.Node };
            else if (!members.Values.Any(m => m.Node.Length > 0 && m.Node == member.Node))
                members.TryAdd(member.Name, member);
        }

        return [.. members.Values.OrderBy(m => m.Node, StringComparer.Ordinal).ThenBy(m => m.Name, StringComparer.Ordinal)];
    }

    static async Task<HashSet<string>> PeersAsync(ClusterQuery query, HashSet<(string, string, string)> live)
    {
        bool FromMember(VectorSample sample) => live.Contains(Target(sample.Labels));
        var known = (await query.AskAsync("etcd_network_known_peers{}")).Where(FromMember).ToList();
        var listed = known.Where(s => s.Value == 1).Select(s => s.Labels["Remote"]).ToHashSet();
        var modern = known.Select(s => Target(s.Labels)).ToHashSet();
        const string rounds = "etcd_network_peer_round_trip_time_seconds_count{}";
        // Too new to have changed counts as probed.
        var probed = (await query.AskAsync(rounds, "changes({0}[5m]) > 0 or ({0} unless {0} offset 5m)")).Where(FromMember);
        listed.UnionWith(probed.Where(s => !modern.Contains(Target(s.Labels))).Select(s => s.Labels["To"]));
        return listed;
    }

    static MemberFacts Member(
        string name, Labels labels, bool healthy, HashSet<(string, string, string)> learners, Func<string, string> nodeOf) =>
        new(
            name, labels["node"] is { Length: > 0 } node ? node : nodeOf(labels["instance"]), healthy, learners.Contains(Target(labels)));

    static (string Job, string Instance, string Node) Target(Labels labels) => (labels["job"], labels["instance"], labels["node"]);
}
