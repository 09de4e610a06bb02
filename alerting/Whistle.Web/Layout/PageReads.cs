using Whistle.Inventory.Access;
using Whistle.Inventory.Callers;
using Whistle.Web.Live;
using Whistle.Web.Places;

namespace Whistle.Web.Layout;

/// <summary>Writes into the audit which pages somebody looks at, and whose data is on them.</summary>
sealed class PageReads(ReadRecords reads)
{
    // Of more, it is written that all could be read.
    const int MostTenants = 20;

    /// <param name="snapshot">As the viewer may see it.</param>
    /// <param name="path">Of the page, without the address of the server.</param>
    public async Task NoteAsync(Caller caller, FleetSnapshot snapshot, string path)
    {
        var parts = path.Split('?', '#')[0].Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (Shown(snapshot, parts.Select(Uri.UnescapeDataString).ToArray()) is not var (what, whose))
            return;
        string[] tenants = [.. whose.Distinct()];
        // What closed long ago is in no snapshot.
        IEnumerable<AccessScope> all = tenants.Length > MostTenants || (tenants.Length == 0 && parts.Length > 1)
            ? caller.ReadOf : tenants.Select(AccessScope.Of);
        await reads.NoteAsync(caller.Who, caller.Rights, what, all);
    }

    // Addresses are anybody's to make up; only what is there is shown.
    static (string What, IEnumerable<string> Tenants)? Shown(FleetSnapshot snapshot, string[] parts) => parts switch
    {
        [] => ("page-fleet", [.. snapshot.Nodes.Select(n => n.Key.Tenant), .. snapshot.Incidents.Select(i => i.Tenant)]),
        ["incidents"] => ("page-incidents", snapshot.Incidents.Select(i => i.Tenant)),
        ["incidents", var id] => ("page-incident", snapshot.Incidents.Where(i => i.Id == id).Select(i => i.Tenant)),
        ["tickets"] => ("page-tickets", snapshot.Tickets.Select(t => t.Tenant)),
        ["tickets", var id] => ("page-ticket", snapshot.Tickets.Where(t => $"{t.Id}" == id).Select(t => t.Tenant)),
        ["audit"] => ("page-audit", snapshot.Rights.ScopesOf(Permission.ReadAudit).Select(s => s.Tenant ?? "")),
        ["tenants"] => ("page-tenants", snapshot.Tenants.Select(t => t.Id)),
        ["tenants", var id] when snapshot.Tenants.Any(t => t.Id == Address.Name(id)) => ("page-tenant", [Address.Name(id)]),
        ["clusters", var tenant, _] when Has(snapshot, tenant) => ("page-cluster", [Address.Name(tenant)]),
        ["nodes", var tenant, _, _] when Has(snapshot, tenant) => ("page-node", [Address.Name(tenant)]),
        _ => null,
    };

    static bool Has(FleetSnapshot snapshot, string tenant) =>
        snapshot.Nodes.Any(n => n.Key.Tenant == Address.Name(tenant)) || snapshot.Agents.Any(a => a.NodeId.Tenant == Address.Name(tenant));
}
