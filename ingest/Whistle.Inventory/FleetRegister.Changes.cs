using Whistle.State;

namespace Whistle.Inventory;

/// <summary>What people change in the register.</summary>
public sealed partial class FleetRegister
{
    public Task<RegisterOutcome> AddTenantAsync(string id, RegisterChange entry, string by, CancellationToken cancellation) =>
        ChangeAsync(async connection =>
        {
            if ((MistakeInId("tenant", id) ?? RegisterTexts.MistakeIn(entry)) is { } mistake)
                return new RegisterOutcome.Mistaken(mistake);
            // A damaged one is not in the list, and is in the way.
            if (!(await TenantsAsync(connection, cancellation)).Any(t => t.Id == id))
                await DeleteTenantAsync(connection, id, cancellation);
            return await InsertTenantAsync(
                connection, new(id, RegisterTexts.With(RegisterTexts.Fresh(id), entry), TenantLimits.None, Added(by)), cancellation)
                ? RegisterOutcome.Done
                : new RegisterOutcome.Refused($"id: there is a tenant {id} already. See it with `whistle tenants show {id}`.");
        }, cancellation);

    public Task<RegisterOutcome> ChangeTenantAsync(string id, RegisterChange change, CancellationToken cancellation) =>
        OnTenantAsync(
            id, RegisterTexts.MistakeIn(change), t => t with { Entry = RegisterTexts.With(t.Entry, change) }, cancellation);

    public Task<RegisterOutcome> SetLimitsAsync(string id, TenantLimits limits, CancellationToken cancellation) =>
        OnTenantAsync(id, TooLong(limits) ?? limits.Mistake, t => t with { Limits = limits }, cancellation);

    public Task<RegisterOutcome> ArchiveTenantAsync(string id, bool archived, string by, CancellationToken cancellation) =>
        OnTenantAsync(id, null, t => t with { History = Archived(t.History, archived, by) }, cancellation);

    /// <summary>Answers <see cref="RegisterOutcome.Unknown"/> where its tenant is not in the register.</summary>
    public Task<RegisterOutcome> AddClusterAsync(ClusterId id, RegisterChange entry, string by, CancellationToken cancellation) =>
        ChangeAsync(async connection =>
        {
            if ((Credentials.MistakeIn("tenant", id.Tenant) ?? MistakeInId("cluster", id.Cluster)
                ?? RegisterTexts.MistakeIn(entry)) is { } mistake)
                return new RegisterOutcome.Mistaken(mistake);
            if (!(await TenantsAsync(connection, cancellation)).Any(t => t.Id == id.Tenant))
                return new RegisterOutcome.Unknown();
            var clusters = await ClustersAsync(connection, cancellation);
            if (!clusters.Any(c => c.Id == id))
            {
                if (RefusalOfMore(id.Tenant, clusters) is { } full)
                    return new RegisterOutcome.Refused(full);
                await DeleteClusterAsync(connection, id, cancellation);
            }

            return await InsertClusterAsync(
                connection, new(id, RegisterTexts.With(RegisterTexts.Fresh(id.Cluster), entry), Added(by)), cancellation)
                ? RegisterOutcome.Done
                : new RegisterOutcome.Refused(
                    $"id: there is a cluster {id} already. See it with `whistle clusters show {id.Cluster} --tenant {id.Tenant}`.");
        }, cancellation);

    public Task<RegisterOutcome> ChangeClusterAsync(ClusterId id, RegisterChange change, CancellationToken cancellation) =>
        OnClusterAsync(
            id, RegisterTexts.MistakeIn(change), c => c with { Entry = RegisterTexts.With(c.Entry, change) }, cancellation);

    public Task<RegisterOutcome> ArchiveClusterAsync(ClusterId id, bool archived, string by, CancellationToken cancellation) =>
        OnClusterAsync(id, null, c => c with { History = Archived(c.History, archived, by) }, cancellation);

    /// <summary>
    /// Takes a node out of service: its silence raises no signal, and its reports are refused until it is unarchived or enrolled again.
    /// </summary>
    public Task<RegisterOutcome> ArchiveNodeAsync(NodeId id, string by, CancellationToken cancellation) => ChangeAsync(async connection =>
    {
        var known = await connection.QueryAsync(
            "SELECT node FROM credentials WHERE tenant = $tenant AND cluster = $cluster AND node = $node "
            + "UNION SELECT node FROM node_sightings WHERE tenant = $tenant AND cluster = $cluster AND node = $node",
            r => r.GetString(0), cancellation, ("$tenant", id.Tenant), ("$cluster", id.Cluster), ("$node", id.Node));
        if (known.Count == 0)
            return new RegisterOutcome.Unknown();
        if ((await ArchivedNodesAsync(connection, cancellation)).Any(n => n.Id == id))
            return new RegisterOutcome.Refused($"The node {id} is archived already.");
        var now = _time.GetUtcNow();
        await UnarchiveAsync(connection, id, cancellation);
        await connection.ExecuteAsync(
            "INSERT INTO archived_nodes (tenant, cluster, node, archived_by, archived_at, checksum) "
            + "VALUES ($tenant, $cluster, $node, $by, $at, $checksum)",
            cancellation, ("$tenant", id.Tenant), ("$cluster", id.Cluster), ("$node", id.Node), ("$by", by), ("$at", now),
            ("$checksum", NodeRows.Of(id.Tenant, id.Cluster, id.Node, by, now)));
        return RegisterOutcome.Done;
    }, cancellation);

    public Task<RegisterOutcome> UnarchiveNodeAsync(NodeId id, CancellationToken cancellation) => ChangeAsync(
        async connection => await UnarchiveAsync(connection, id, cancellation) ? RegisterOutcome.Done : new RegisterOutcome.Unknown(),
        cancellation);

    /// <summary>Whether the node was archived; it is not from now on.</summary>
    internal static async Task<bool> UnarchiveAsync(StateConnection connection, NodeId id, CancellationToken cancellation) =>
        await connection.ExecuteAsync(
            "DELETE FROM archived_nodes WHERE tenant = $tenant AND cluster = $cluster AND node = $node",
            cancellation, ("$tenant", id.Tenant), ("$cluster", id.Cluster), ("$node", id.Node)) > 0;

    /// <summary>Adds what enrolment names, and refuses what is archived; in the transaction of the enrolment.</summary>
    /// <returns>Why nobody may be enrolled there; null where somebody may.</returns>
    internal async Task<string?> AdmitAsync(
        StateConnection connection, ClusterId cluster, CancellationToken cancellation)
    {
        var (tenants, clusters) = (await TenantsAsync(connection, cancellation), await ClustersAsync(connection, cancellation));
        if (new FleetStanding(tenants, clusters, []).RefusalOf(cluster) is { } archived)
            return archived;
        var (hasTenant, hasCluster) = (tenants.Any(t => t.Id == cluster.Tenant), clusters.Any(c => c.Id == cluster));
        if (_options.Known is KnownTenants.Required && !hasTenant)
        {
            return $"There is no tenant {cluster.Tenant}, and the setting Tenants:Known asks for one. Add it with "
                + $"`whistle tenants add {cluster.Tenant}`.";
        }

        if (_options.Known is KnownTenants.Required && !hasCluster)
        {
            return $"There is no cluster {cluster}, and the setting Tenants:Known asks for one. Add it with "
                + $"`whistle clusters add {cluster.Cluster} --tenant {cluster.Tenant}`.";
        }

        if (!hasCluster && RefusalOfMore(cluster.Tenant, clusters) is { } full)
            return full;
        await AddNamedAsync(connection, cluster, _time.GetUtcNow(), cancellation);
        Forget();
        return null;
    }

    /// <summary>Adds a tenant and a cluster that a credential names, where they are not there.</summary>
    internal static async Task AddNamedAsync(
        StateConnection connection, ClusterId cluster, DateTimeOffset now, CancellationToken cancellation)
    {
        var history = new RegisterHistory(RegisterHistory.Enrolment, "whistle", now, null, null);
        await InsertTenantAsync(
            connection, new(cluster.Tenant, RegisterTexts.Fresh(cluster.Tenant), TenantLimits.None, history), cancellation);
        await InsertClusterAsync(connection, new(cluster, RegisterTexts.Fresh(cluster.Cluster), history), cancellation);
    }

    string? TooLong(TenantLimits limits) => limits.RetentionDays > _retention.TotalDays
        ? $"retentionDays: the server keeps telemetry for {_retention.TotalDays:0.##} days, which is less than {limits.RetentionDays}. "
            + "Raise its Retention, or give fewer days."
        : null;

    string? RefusalOfMore(string tenant, IReadOnlyList<KnownCluster> clusters) =>
        clusters.Count(c => c.Id.Tenant == tenant) is var count && count < _options.MaxClustersPerTenant ? null
            : $"The tenant {tenant} has {count} clusters, archived ones counted, and the setting MaxClustersPerTenant allows "
                + $"{_options.MaxClustersPerTenant}. Use one that is there (`whistle clusters list --tenant {tenant}`), or raise the "
                + "setting.";

    RegisterHistory Added(string by) => new(RegisterHistory.Person, by, _time.GetUtcNow(), null, null);

    // Archived again, it stays archived since then.
    RegisterHistory Archived(RegisterHistory history, bool archived, string by) => !archived
        ? history with { ArchivedAt = null, ArchivedBy = null }
        : history.IsArchived ? history : history with { ArchivedAt = _time.GetUtcNow(), ArchivedBy = by };

    static string? MistakeInId(string what, string id) => Credentials.MistakeIn(what, id) is { } mistake ? $"id: {mistake}" : null;

    Task<RegisterOutcome> OnTenantAsync(
        string id, string? mistake, Func<KnownTenant, KnownTenant> change, CancellationToken cancellation) =>
        ChangeAsync(async connection =>
        {
            if ((await TenantsAsync(connection, cancellation)).FirstOrDefault(t => t.Id == id) is not { } found)
                return new RegisterOutcome.Unknown();
            if (mistake is not null)
                return new RegisterOutcome.Mistaken(mistake);
            await DeleteTenantAsync(connection, id, cancellation);
            await InsertTenantAsync(connection, change(found), cancellation);
            return RegisterOutcome.Done;
        }, cancellation);

    Task<RegisterOutcome> OnClusterAsync(
        ClusterId id, string? mistake, Func<KnownCluster, KnownCluster> change, CancellationToken cancellation) =>
        ChangeAsync(async connection =>
        {
            if ((await ClustersAsync(connection, cancellation)).FirstOrDefault(c => c.Id == id) is not { } found)
                return new RegisterOutcome.Unknown();
            if (mistake is not null)
                return new RegisterOutcome.Mistaken(mistake);
            await DeleteClusterAsync(connection, id, cancellation);
            await InsertClusterAsync(connection, change(found), cancellation);
            return RegisterOutcome.Done;
        }, cancellation);

    async Task<RegisterOutcome> ChangeAsync(Func<StateConnection, Task<RegisterOutcome>> change, CancellationToken cancellation)
    {
        await using var connection = await _state.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(Credentials.Scope, cancellation);
        var outcome = await change(connection);
        if (outcome is not RegisterOutcome.Changed)
            return outcome;
        await transaction.CommitAsync(cancellation);
        Forget();
        Interlocked.Increment(ref _changes);
        return outcome;
    }

    static Task<int> DeleteTenantAsync(StateConnection connection, string id, CancellationToken cancellation) =>
        connection.ExecuteAsync("DELETE FROM tenants WHERE id = $id", cancellation, ("$id", id));

    static Task<int> DeleteClusterAsync(StateConnection connection, ClusterId id, CancellationToken cancellation) =>
        connection.ExecuteAsync(
            "DELETE FROM clusters WHERE tenant = $tenant AND id = $id", cancellation, ("$tenant", id.Tenant), ("$id", id.Cluster));

    // Whether it was not there.
    static async Task<bool> InsertTenantAsync(StateConnection connection, KnownTenant tenant, CancellationToken cancellation)
    {
        var (entry, limits, history) = (tenant.Entry, tenant.Limits, tenant.History);
        var (contacts, labels) = (RegisterTexts.Write(entry.Contacts), RegisterTexts.Write(entry.Labels));
        return await connection.ExecuteAsync(
            "INSERT INTO tenants (id, name, contacts, notes, labels, max_series, max_new_series, max_stored_series, max_samples, "
            + "max_bytes, source, added_by, added_at, archived_at, archived_by, retention_days, checksum) "
            + "VALUES ($id, $name, $contacts, $notes, $labels, $series, $new, $stored, $samples, $bytes, $source, $by, "
            + "$at, $archived, $archiver, $days, $checksum) ON CONFLICT (id) DO NOTHING",
            cancellation,
            ("$id", tenant.Id), ("$name", entry.Name), ("$contacts", contacts), ("$notes", entry.Notes), ("$labels", labels),
            ("$series", limits.Series), ("$new", limits.NewSeries), ("$stored", limits.StoredSeries),
            ("$samples", limits.SamplesPerSecond), ("$bytes", limits.BytesPerSecond), ("$source", history.Source),
            ("$by", history.AddedBy), ("$at", history.AddedAt), ("$archived", history.ArchivedAt), ("$archiver", history.ArchivedBy),
            ("$days", limits.RetentionDays),
            ("$checksum", TenantRows.Of(
                tenant.Id, entry.Name, contacts, entry.Notes, labels, limits.Series, limits.NewSeries, limits.StoredSeries,
                limits.SamplesPerSecond, limits.BytesPerSecond, history.Source, history.AddedBy, history.AddedAt, history.ArchivedAt,
                history.ArchivedBy, limits.RetentionDays))) > 0;
    }

    static async Task<bool> InsertClusterAsync(StateConnection connection, KnownCluster cluster, CancellationToken cancellation)
    {
        var (entry, history) = (cluster.Entry, cluster.History);
        var (contacts, labels) = (RegisterTexts.Write(entry.Contacts), RegisterTexts.Write(entry.Labels));
        return await connection.ExecuteAsync(
            "INSERT INTO clusters (tenant, id, name, contacts, notes, labels, source, added_by, added_at, archived_at, archived_by, "
            + "checksum) VALUES ($tenant, $id, $name, $contacts, $notes, $labels, $source, $by, $at, $archived, $archiver, $checksum) "
            + "ON CONFLICT (tenant, id) DO NOTHING",
            cancellation,
            ("$tenant", cluster.Id.Tenant), ("$id", cluster.Id.Cluster), ("$name", entry.Name), ("$contacts", contacts),
            ("$notes", entry.Notes), ("$labels", labels), ("$source", history.Source), ("$by", history.AddedBy),
            ("$at", history.AddedAt), ("$archived", history.ArchivedAt), ("$archiver", history.ArchivedBy),
            ("$checksum", ClusterRows.Of(
                cluster.Id.Tenant, cluster.Id.Cluster, entry.Name, contacts, entry.Notes, labels, history.Source, history.AddedBy,
                history.AddedAt, history.ArchivedAt, history.ArchivedBy))) > 0;
    }
}
