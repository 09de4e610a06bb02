using Whistle.Inventory.Access;
using Whistle.Inventory.People;
using Whistle.Web.Live;

namespace Whistle.Web.Tenants;

/// <summary>Reads who may see a tenant, and nothing else that is known of people.</summary>
sealed class TenantPeople(PeopleDirectory people)
{
    /// <summary>Names with roles and where these count; null for a viewer who does not manage people there.</summary>
    public Task<IReadOnlyList<(string Name, Grant Grant)>?> ReadAsync(FleetSnapshot snapshot, string tenant) =>
        people.ViewersAsync(snapshot.Rights, AccessScope.Of(tenant), CancellationToken.None);
}
