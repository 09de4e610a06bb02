using System.Data.Common;

using Whistle.State;

namespace Whistle.Inventory;

/// <summary>
/// Tenants and clusters as things of their own, and the nodes that were taken out of service. What enrolment names first is added here by
/// itself. Several processes may share the database: a change is seen by the others within <see cref="Freshness"/>.
/// </summary>
public sealed partial class FleetRegister
{
    static readonly TimeSpan Freshness = TimeSpan.FromSeconds(5);

    static readonly string[] FirstTenantColumns =
    [
        "id", "name", "contacts", "notes", "labels", "max_series", "max_new_series", "max_stored_series", "max_samples", "max_bytes",
        "source", "added_by", "added_at", "archived_at", "archived_by",
    ];

    internal static readonly CheckedTable TenantRows = new("tenants", ["id"], [.. FirstTenantColumns, "retention_days"]);

    internal static readonly CheckedTable ClusterRows = new("clusters", ["tenant", "id"],
        ["tenant", "id", "name", "contacts", "notes", "labels", "source", "added_by", "added_at", "archived_at", "archived_by"]);

    internal static readonly CheckedTable NodeRows =
        new("archived_nodes", ["tenant", "cluster", "node"], ["tenant", "cluster", "node", "archived_by", "archived_at"]);

    // A damaged one must refuse nobody and limit nobody in a way that nobody chose.
    static readonly RowReader TenantReader = new(
        "tenants", "its limits and what is written down about it do not count. Add it again with `whistle tenants add`.");

    static readonly RowReader ClusterReader = new(
        "clusters", "what is written down about it is lost. Add it again with `whistle clusters add`.");

    static readonly RowReader NodeReader = new(
        "archived_nodes", "the node counts as in service. Archive it again with `whistle nodes archive`.");

    readonly StateDatabase _state;
    readonly TimeProvider _time;
    readonly EnrolmentOptions _options;
    readonly TimeSpan _retention;
    long _changes;
    (FleetStanding Standing, DateTimeOffset Until) _standing = (FleetStanding.Empty, DateTimeOffset.MinValue);

    /// <param name="retention">How long the server keeps telemetry; no tenant's is kept longer.</param>
    public FleetRegister(StateDatabase state, TimeProvider time, EnrolmentOptions? options = null, TimeSpan? retention = null)
    {
        (_state, _time, _options, _retention) = (state, time, options ?? new(), retention ?? TimeSpan.MaxValue);
        state.Add(Credentials.Tables);
    }

    /// <summary>How often somebody changed something through this one: another number says to read what is kept of it again.</summary>
    public long Changes => Interlocked.Read(ref _changes);

    /// <summary>As it was read last: for who decides while a sender's request is worked on, which has read it.</summary>
    public FleetStanding Latest => _standing.Standing;

    /// <summary>What counts now, not older than <see cref="Freshness"/>.</summary>
    public async Task<FleetStanding> StandingAsync(CancellationToken cancellation)
    {
        var now = _time.GetUtcNow();
        if (_standing is var (known, until) && until > now && until <= now + Freshness)
            return known;
        await using var connection = await _state.OpenAsync(cancellation);
        var read = new FleetStanding(
            await TenantsAsync(connection, cancellation), await ClustersAsync(connection, cancellation),
            await ArchivedNodesAsync(connection, cancellation));
        _standing = (read, now + Freshness);
        return read;
    }

    /// <summary>By id, archived ones too.</summary>
    public async Task<IReadOnlyList<KnownTenant>> TenantsAsync(CancellationToken cancellation)
    {
        await using var connection = await _state.OpenAsync(cancellation);
        return await TenantsAsync(connection, cancellation);
    }

    /// <summary>By tenant and id, archived ones too.</summary>
    public async Task<IReadOnlyList<KnownCluster>> ClustersAsync(CancellationToken cancellation)
    {
        await using var connection = await _state.OpenAsync(cancellation);
        return await ClustersAsync(connection, cancellation);
    }

    public async Task<IReadOnlyList<ArchivedNode>> ArchivedNodesAsync(CancellationToken cancellation)
    {
        await using var connection = await _state.OpenAsync(cancellation);
        return await ArchivedNodesAsync(connection, cancellation);
    }

    /// <summary>Of the rows from before there was a retention, those that are whole get the checksum of rows that have one.</summary>
    internal static async Task ChecksumWithRetentionAsync(StateConnection connection, CancellationToken cancellation)
    {
        var before = new CheckedTable("tenants", ["id"], FirstTenantColumns);
        var whole = await connection.QueryAsync(
            $"SELECT {before.Columns()} FROM tenants", r => before.Holds(r) ? r.GetString(0) : null, cancellation);
        foreach (var id in whole.OfType<string>())
            await connection.ExecuteAsync("UPDATE tenants SET checksum = NULL WHERE id = $id", cancellation, ("$id", id));
        await TenantRows.FillAsync(connection, cancellation);
    }

    internal void Forget() => _standing = (_standing.Standing, DateTimeOffset.MinValue);

    static async Task<IReadOnlyList<KnownTenant>> TenantsAsync(StateConnection connection, CancellationToken cancellation) =>
        await TenantReader.QueryAsync(
            connection, $"SELECT {TenantRows.Columns()}, id FROM tenants ORDER BY id",
            r => TenantRows.Holds(r) ? TenantOf(r) : throw Damaged(), cancellation);

    static async Task<IReadOnlyList<KnownCluster>> ClustersAsync(StateConnection connection, CancellationToken cancellation) =>
        await ClusterReader.QueryAsync(
            connection, $"SELECT {ClusterRows.Columns()}, tenant || '/' || id FROM clusters ORDER BY tenant, id",
            r => ClusterRows.Holds(r) ? ClusterOf(r) : throw Damaged(), cancellation);

    static async Task<IReadOnlyList<ArchivedNode>> ArchivedNodesAsync(StateConnection connection, CancellationToken cancellation) =>
        await NodeReader.QueryAsync(
            connection,
            $"SELECT {NodeRows.Columns()}, tenant || '/' || cluster || '/' || node FROM archived_nodes ORDER BY tenant, cluster, node",
            r => NodeRows.Holds(r)
                ? new ArchivedNode(new(r.GetString(0), r.GetString(1), r.GetString(2)), r.GetString(3), r.Instant(4)) : throw Damaged(),
            cancellation);

    static KnownTenant TenantOf(DbDataReader row) => new(
        row.GetString(0), new(row.GetString(1), RegisterTexts.Texts(row.GetString(2)), row.GetString(3),
            RegisterTexts.Labels(row.GetString(4))),
        new(Number(row, 5), Number(row, 6), Number(row, 7), Number(row, 8), row.IsDBNull(9) ? null : row.GetInt64(9),
            Number(row, 15)), HistoryOf(row, 10));

    static KnownCluster ClusterOf(DbDataReader row) => new(
        new(row.GetString(0), row.GetString(1)),
        new(row.GetString(2), RegisterTexts.Texts(row.GetString(3)), row.GetString(4), RegisterTexts.Labels(row.GetString(5))),
        HistoryOf(row, 6));

    static RegisterHistory HistoryOf(DbDataReader row, int from) => new(
        row.GetString(from), row.GetString(from + 1), row.Instant(from + 2), row.OptionalInstant(from + 3), row.OptionalText(from + 4));

    static int? Number(DbDataReader row, int column) => row.IsDBNull(column) ? null : checked((int)row.GetInt64(column));

    static InvalidDataException Damaged() => new("its checksum is not that of its values");
}
