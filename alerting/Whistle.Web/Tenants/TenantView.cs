using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.PromQL;
using Whistle.Web.Live;

namespace Whistle.Web.Tenants;

/// <summary>A tenant of the page, as its viewer may see it.</summary>
/// <param name="IsWhole">Its viewer sees all of it, what is written down about it too.</param>
/// <param name="Clusters">Those that the viewer sees, those in use first.</param>
/// <param name="Archived">Nodes that the viewer sees, the latest first.</param>
sealed record TenantView(
    KnownTenant Tenant, bool IsWhole, IReadOnlyList<KnownCluster> Clusters, int Nodes, IReadOnlyList<ArchivedNode> Archived,
    IReadOnlyList<Incident> Open)
{
    /// <summary>By name, those in use first.</summary>
    public static IReadOnlyList<TenantView> All(FleetSnapshot snapshot) =>
    [
        .. snapshot.Tenants.Select(t => Of(snapshot, t)).OrderBy(t => t.Tenant.History.IsArchived)
            .ThenBy(t => t.Tenant.Entry.Name, StringComparer.OrdinalIgnoreCase).ThenBy(t => t.Tenant.Id, StringComparer.Ordinal),
    ];

    /// <summary>Limits in words; empty where the server's own settings count.</summary>
    public IReadOnlyList<(string Name, string Value)> Limits => !IsWhole ? [] :
    [
        .. TenantLimits.Each.Select(l => (Label(l.Words), Value: l.Of(Tenant.Limits)))
            .Where(l => l.Value is not null).Select(l => (l.Item1, $"{l.Value:N0}")),
    ];

    /// <summary>As the name of a field or a row.</summary>
    public static string Label(string words) => $"{char.ToUpperInvariant(words[0])}{words[1..]}";

    static TenantView Of(FleetSnapshot snapshot, KnownTenant tenant) => new(
        tenant, snapshot.Rights.Sees(AccessScope.Of(tenant.Id)),
        [.. snapshot.Clusters.Where(c => c.Id.Tenant == tenant.Id).OrderBy(c => c.History.IsArchived)],
        snapshot.Nodes.Count(n => n.Key.Tenant == tenant.Id),
        [
            .. snapshot.Known.Values.Where(n => n.Id.Tenant == tenant.Id).Select(n => n.Archived).OfType<ArchivedNode>()
                .OrderByDescending(n => n.At).ThenBy(n => n.Id.Node, NaturalOrder.Comparer),
        ],
        [.. snapshot.Open.Where(i => i.Tenant == tenant.Id)]);
}
