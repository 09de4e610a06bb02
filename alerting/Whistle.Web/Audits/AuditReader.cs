using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Web.Live;

namespace Whistle.Web.Audits;

/// <summary>Reads the audit for one viewer.</summary>
sealed class AuditReader(AuditLog audit)
{
    /// <summary>A page and one entry more, if there is one; null where the viewer may read none.</summary>
    public async Task<IReadOnlyList<AuditEntry>?> ReadAsync(FleetSnapshot snapshot, AuditQuery query) =>
        snapshot.Rights.ScopesOf(Permission.ReadAudit) is { Count: > 0 } scopes
            ? await audit.ListAsync(query.ToFilter(snapshot.Now, scopes), AuditQuery.PageSize + 1, CancellationToken.None) : null;
}
