using Whistle.Inventory.Access;
using Whistle.Inventory.People;
using Whistle.Web.Live;

namespace Whistle.Web.Tenants;

/// <summary>Reads who may see a tenant.</summary>
sealed class TenantPeople(PeopleStore people)
{
    /// <summary>Names with roles and where these count; null for a viewer who does not manage people there.</summary>
    public async Task<IReadOnlyList<(string Name, Grant Grant)>?> ReadAsync(FleetSnapshot snapshot, string tenant)
    {
        var scope = AccessScope.Of(tenant);
        return !snapshot.Rights.May(Permission.ManagePeople, scope) ? null :
        [
            .. (await people.AllAsync(CancellationToken.None)).Where(p => p.Person.DisabledAt is null).SelectMany(p =>
                p.Grants.Select(g => g.Grant).Where(g => g.Scope.Overlaps(scope)).Distinct().Select(g => (p.Person.Name, g))),
        ];
    }
}
