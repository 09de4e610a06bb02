using System.Text.Json;
using System.Text.Json.Nodes;

using Whistle.Inventory;
using Whistle.Inventory.Callers;

namespace Whistle.Web.Acts;

/// <summary>Changes of the register; a refusal of what was filled in begins with the name of its field.</summary>
sealed partial class PersonActs
{
    const string NoTenant = "There is no such tenant.";
    const string NoCluster = "There is no such cluster.";
    const string NoNode = "There is no such node.";

    public Task<string?> AddTenantAsync(string id, RegisterChange entry) => OnRegisterAsync(
        new("add-tenant", "", Details(entry, ("id", id))), NoTenant,
        caller => register.AddTenantAsync(caller, id, entry, CancellationToken.None));

    public Task<string?> ChangeTenantAsync(string id, RegisterChange change) => OnRegisterAsync(
        new("change-tenant", id, Details(change)), NoTenant,
        caller => register.ChangeTenantAsync(caller, id, change, CancellationToken.None));

    public Task<string?> SetTenantLimitsAsync(string id, TenantLimits limits) => OnRegisterAsync(
        new("set-tenant-limits", id, Details(limits)), NoTenant,
        caller => register.SetLimitsAsync(caller, id, limits, CancellationToken.None));

    public Task<string?> ArchiveTenantAsync(string id) => OnRegisterAsync(
        new("archive-tenant", id), NoTenant, caller => register.ArchiveTenantAsync(caller, id, true, CancellationToken.None));

    public Task<string?> UnarchiveTenantAsync(string id) => OnRegisterAsync(
        new("unarchive-tenant", id), NoTenant, caller => register.ArchiveTenantAsync(caller, id, false, CancellationToken.None));

    public Task<string?> AddClusterAsync(ClusterId id, RegisterChange entry) => OnRegisterAsync(
        new("add-cluster", "", Details(entry, ("id", id.Cluster), ("tenant", id.Tenant))), NoTenant,
        caller => register.AddClusterAsync(caller, id, entry, CancellationToken.None));

    public Task<string?> ChangeClusterAsync(ClusterId id, RegisterChange change) => OnRegisterAsync(
        new("change-cluster", $"{id}", Details(change)), NoCluster,
        caller => register.ChangeClusterAsync(caller, id, change, CancellationToken.None));

    public Task<string?> ArchiveClusterAsync(ClusterId id) => OnRegisterAsync(
        new("archive-cluster", $"{id}"), NoCluster, caller => register.ArchiveClusterAsync(caller, id, true, CancellationToken.None));

    public Task<string?> UnarchiveClusterAsync(ClusterId id) => OnRegisterAsync(
        new("unarchive-cluster", $"{id}"), NoCluster, caller => register.ArchiveClusterAsync(caller, id, false, CancellationToken.None));

    public Task<string?> ArchiveNodeAsync(NodeId id) => OnRegisterAsync(
        new("archive-node", $"{id}"), NoNode, caller => register.ArchiveNodeAsync(caller, id, true, CancellationToken.None));

    public Task<string?> UnarchiveNodeAsync(NodeId id) => OnRegisterAsync(
        new("unarchive-node", $"{id}"), NoNode, caller => register.ArchiveNodeAsync(caller, id, false, CancellationToken.None));

    Task<string?> OnRegisterAsync(ActEntry entry, string nothing, Func<Caller, Task<RegisterOutcome>> act) =>
        DoAsync(entry, async caller => await act(caller) switch
        {
            RegisterOutcome.Unknown => nothing,
            RegisterOutcome.Refused refused => refused.Reason,
            RegisterOutcome.Mistaken mistaken => mistaken.Reason,
            _ => null,
        });

    // As the body of the request that does the same.
    static JsonObject Details(object written, params ReadOnlySpan<(string Name, string Value)> ids)
    {
        var details = new JsonObject();
        foreach (var (name, value) in ids)
            details[name] = value;
        foreach (var (name, value) in JsonSerializer.SerializeToNode(written, JsonSerializerOptions.Web)!.AsObject())
            details[name] = value?.DeepClone();
        return details;
    }
}
