using System.Text.Json.Serialization;

using Whistle.Inventory;
using Whistle.Inventory.Access;

namespace Whistle.Access;

/// <param name="Id">The label tenant of its telemetry: small letters, digits, dots and dashes.</param>
/// <param name="Name">What it is called; the id if not given.</param>
/// <param name="Labels">Such as zone and provider.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record TenantRequest(
    string Id, string? Name = null, List<string>? Contacts = null, string? Notes = null, Dictionary<string, string>? Labels = null);

/// <param name="Id">The label cluster of its telemetry.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record ClusterRequest(
    string Id, string? Tenant = null, string? Name = null, List<string>? Contacts = null, string? Notes = null,
    Dictionary<string, string>? Labels = null);

/// <summary>What is not given stays as it is.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record EntryRequest(
    string? Name = null, List<string>? Contacts = null, string? Notes = null, Dictionary<string, string>? Labels = null)
{
    public RegisterChange ToChange() => new(Name, Contacts, Notes, Labels);
}

/// <summary>What is not given is the server's own setting.</summary>
/// <param name="BytesPerSecond">Of requests as they come over the wire.</param>
/// <param name="RetentionDays">How long telemetry is kept; at most as long as the server keeps it.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record LimitsRequest(
    int? Series = null, int? NewSeries = null, int? StoredSeries = null, int? SamplesPerSecond = null, long? BytesPerSecond = null,
    int? RetentionDays = null)
{
    public TenantLimits ToLimits() => new(Series, NewSeries, StoredSeries, SamplesPerSecond, BytesPerSecond, RetentionDays);
}

/// <param name="Contacts">Empty, as all that is written down about it, for those who may not see all of the tenant.</param>
/// <param name="Source">person, or enrolment where the first enrolment named it.</param>
sealed record TenantAnswer(
    string Id, string Name, IReadOnlyList<string> Contacts, string Notes, IReadOnlyDictionary<string, string> Labels, TenantLimits? Limits,
    string Source, string? AddedBy, DateTimeOffset AddedAt, DateTimeOffset? ArchivedAt, string? ArchivedBy)
{
    public static TenantAnswer Of(KnownTenant tenant, Rights rights)
    {
        var (entry, history) = (tenant.Entry, tenant.History);
        var isWhole = rights.Sees(AccessScope.Of(tenant.Id));
        return isWhole
            ? new(
                tenant.Id, entry.Name, entry.Contacts, entry.Notes, entry.Labels, tenant.Limits, history.Source, history.AddedBy,
                history.AddedAt, history.ArchivedAt, history.ArchivedBy)
            : new(
                tenant.Id, entry.Name, [], "", new Dictionary<string, string>(), null, history.Source, null, history.AddedAt,
                history.ArchivedAt, null);
    }
}

sealed record ClusterAnswer(
    string Id, string Name, string Tenant, IReadOnlyList<string> Contacts, string Notes, IReadOnlyDictionary<string, string> Labels,
    string Source, string AddedBy, DateTimeOffset AddedAt, DateTimeOffset? ArchivedAt, string? ArchivedBy)
{
    public static ClusterAnswer Of(KnownCluster cluster) => new(
        cluster.Id.Cluster, cluster.Entry.Name, cluster.Id.Tenant, cluster.Entry.Contacts, cluster.Entry.Notes, cluster.Entry.Labels,
        cluster.History.Source, cluster.History.AddedBy, cluster.History.AddedAt, cluster.History.ArchivedAt, cluster.History.ArchivedBy);
}

/// <summary>Somebody who may see a tenant, or a part of it.</summary>
/// <param name="Where">all tenants, the tenant or one of its clusters.</param>
sealed record ViewerAnswer(string Name, Role Role, string Where);

/// <param name="Clusters">Those in use that the caller sees.</param>
/// <param name="Viewers">Null for those who do not manage people there.</param>
sealed record TenantDetail(TenantAnswer Tenant, IReadOnlyList<ClusterAnswer> Clusters, IReadOnlyList<ViewerAnswer>? Viewers);

/// <summary>A node with what is known of its agent.</summary>
/// <param name="ReportedAt">When its agent's last report came; null where none is known.</param>
/// <param name="Version">Of its agent.</param>
/// <param name="ClockSkewSeconds">How far its clock is ahead of the server's.</param>
/// <param name="CredentialEndsAt">Null where it has no end, or there is no credential.</param>
/// <param name="RenewalDue">Its agent should have a new credential.</param>
sealed record NodeAnswer(
    string Tenant, string Cluster, string Node, DateTimeOffset? EnrolledAt, DateTimeOffset? ReportedAt, string? Version,
    double? ClockSkewSeconds, DateTimeOffset? CredentialEndsAt, bool RenewalDue, DateTimeOffset? ArchivedAt, string? ArchivedBy)
{
    public static NodeAnswer Of(KnownNode node) => new(
        node.Id.Tenant, node.Id.Cluster, node.Id.Node, node.EnrolledAt, node.Sighting?.At, node.Sighting?.Version,
        node.Sighting?.ClockSkew?.TotalSeconds, node.CredentialEndsAt, node.IsRenewalDue, node.Archived?.At, node.Archived?.By);
}
