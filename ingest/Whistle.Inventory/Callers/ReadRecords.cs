using System.Collections.Concurrent;

using Microsoft.AspNetCore.Builder;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;

namespace Whistle.Inventory.Callers;

/// <summary>
/// Writes down who reads what of a tenant whose customer they are not: once an hour for each identity, kind of thing and tenant.
/// Thread-safe.
/// </summary>
public sealed class ReadRecords(AuditLog audit, TimeProvider time)
{
    /// <summary>The action of all such entries; their subject is what was read.</summary>
    public const string Action = "read";

    static readonly TimeSpan Once = TimeSpan.FromHours(1);

    // Beyond that, the log itself is asked.
    const int MostKnown = 10_000;

    readonly ConcurrentDictionary<(string Identity, string What, AccessScope Tenant), DateTimeOffset> _known = new();

    /// <param name="what">Such as the name of a route.</param>
    /// <param name="tenants">Of whom.</param>
    public async Task NoteAsync(AuditActor actor, Rights rights, string what, IEnumerable<AccessScope> tenants)
    {
        foreach (var tenant in tenants)
        {
            var now = time.GetUtcNow();
            var key = (actor.Identity, what, tenant);
            if (rights.IsCustomerOf(tenant) || (_known.TryGetValue(key, out var at) && now - at < Once))
                continue;
            if (_known.Count >= MostKnown)
                _known.Clear();
            if (await audit.AppendOnceAsync(new(actor, Action, tenant, what), Once))
                _known[key] = now;
        }
    }
}

/// <summary>What the route answers is no tenant's, so that reading it is no entry of the audit.</summary>
public sealed record OfNoTenant;

public static class OfNoTenantExtensions
{
    public static T ReadsNoTenant<T>(this T route)
        where T : IEndpointConventionBuilder => route.WithMetadata(new OfNoTenant());
}
