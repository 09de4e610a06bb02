using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Remediation.Control;

namespace Whistle.Remediation.Http;

/// <summary>
/// All names that a brake may have: a brake for a name that does not exist would stop nothing, silently. Names are taken as they are:
/// another case or a space makes another name.
/// </summary>
sealed class KnownNames(IReadOnlyCollection<NodeId> places, IReadOnlyCollection<string> runbooks)
{
    const int LongestName = 253;

    /// <summary>
    /// Of the senders that are enrolled; of nodes behind a cluster's collector, those that its facts or open incidents name.
    /// </summary>
    public static async Task<KnownNames> OfAsync(
        RemediationEnvironment environment, RemediationHost host, Rights rights, DateTimeOffset now, CancellationToken cancellation)
    {
        // An empty node stands for the cluster as a whole.
        HashSet<NodeId> places = [.. (await environment.Senders(cancellation)).Select(s => s.ClusterId.Node(s.Node ?? ""))];
        foreach (var cluster in places.Select(p => p.ClusterId).Distinct().ToList())
            places.UnionWith(environment.Clusters(cluster)?.Nodes.Select(n => cluster.Node(n.Name)) ?? []);
        foreach (var incident in await environment.Incidents.SinceAsync(now, cancellation))
            places.UnionWith(incident.Signals.Select(s => incident.ClusterId.Node(s.Labels["node"])));
        // A mistake is told with the names that are there.
        places.RemoveWhere(p => !rights.Sees(p.ClusterId));
        return new(places, [.. host.Runbooks.Runbooks.Select(r => r.Name)]);
    }

    /// <summary>One of both is null.</summary>
    public (BrakeScope? Scope, string? Mistake) Resolve(NamedScope named)
    {
        if (Malformed(named) is { } malformed)
            return (null, malformed);
        if (named.Runbook is { } runbook && !named.Force && !runbooks.Contains(runbook))
            return (null, $"There is no runbook \"{runbook}\"{Nearest.Words(runbook, runbooks, "runbook")}{ToCome}");
        var (found, mistake) = Narrow(named);
        if (mistake is not null)
            return (null, mistake);
        // What is known of it says whose it is, lest it count for another's of the same name one day.
        var tenant = named.Tenant ?? (found is [var only, ..] && (named.Cluster ?? named.Node) is not null ? only.Tenant : "");
        var cluster = named.Cluster ?? (found is [var place, ..] && named.Node is not null ? place.Cluster : "");
        return (new(tenant, cluster, named.Node ?? "", named.Runbook ?? ""), null);
    }

    const string ToCome = " To name something that does not exist yet, add --force (\"force\": true in the API).";

    static string? Malformed(NamedScope named)
    {
        foreach (var (what, name) in new[]
        {
            ("tenant", named.Tenant), ("cluster", named.Cluster), ("node", named.Node), ("runbook", named.Runbook),
        })
        {
            if (name is null)
                continue;
            if (string.IsNullOrWhiteSpace(name))
                return $"{what}: the name is empty; leave it out to mean all.";
            if (named.Force && (name.Length > LongestName || name.Trim() != name || name.Any(char.IsControl)))
                return $"{what}: \"{name}\" is not a name: it has spaces around it, control characters, "
                    + $"or more than {LongestName} characters.";
        }

        return null;
    }

    (IReadOnlyList<NodeId> Found, string? Mistake) Narrow(NamedScope named)
    {
        IReadOnlyList<NodeId> left = [.. places];
        foreach (var (noun, name, nameOf) in new (string, string?, Func<NodeId, string>)[]
        {
            ("tenant", named.Tenant, p => p.Tenant), ("cluster", named.Cluster, p => p.Cluster), ("node", named.Node, p => p.Node),
        })
        {
            if (name is null)
                continue;
            List<NodeId> having = [.. left.Where(p => nameOf(p) == name)];
            if (having.Count == 0)
                return named.Force ? ([], null) : ([], $"There is no {noun} "
                    + $"\"{name}\"{Within(named, noun)}"
                    + $"{Nearest.Words(name, [.. left.Select(nameOf).Where(n => n.Length > 0).Distinct()], noun)}{ToCome}");
            left = having;
        }

        return (left, Ambiguous(named, left));
    }

    static string Within(NamedScope named, string noun) =>
        (noun is "node" && named.Cluster is { } cluster ? $" in cluster {cluster}" : "")
        + (noun is not "tenant" && named.Tenant is { } tenant ? $" of tenant {tenant}" : "");

    static string? Ambiguous(NamedScope named, IReadOnlyList<NodeId> found)
    {
        List<string> tenants = [.. found.Select(p => p.Tenant).Distinct().Order(StringComparer.Ordinal)];
        if ((named.Cluster ?? named.Node) is { } name && tenants.Count > 1)
            return $"tenant: {string.Join(", ", tenants)} each have a {(named.Cluster is null ? "node" : "cluster")} \"{name}\". "
                + "Name one with --tenant.";
        List<string> clusters = [.. found.Select(p => p.Cluster).Distinct().Order(StringComparer.Ordinal)];
        return named is { Node: { } node, Cluster: null } && clusters.Count > 1
            ? $"cluster: {string.Join(", ", clusters)} each have a node \"{node}\". Name one with --cluster." : null;
    }
}
