using Whistle.Inventory;
using Whistle.Inventory.Access;

namespace Whistle.Remediation.Control;

/// <summary>What a person names in a pause, mode, window or freeze; what is null is meant as a whole.</summary>
/// <param name="Force">Names count that are not known yet.</param>
sealed record NamedScope(string? Tenant, string? Cluster, string? Node, string? Runbook, bool Force);

/// <summary>What it comes to, with the tenant and cluster that were meant; an empty name means all.</summary>
sealed record BrakeScope(string Tenant, string Cluster, string Node, string Runbook)
{
    /// <summary>Where somebody must be allowed to operate who sets it.</summary>
    public AccessScope Scope => AccessScope.Of(new ClusterId(Tenant, Cluster));
}
