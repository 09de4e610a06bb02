namespace Whistle.Web.Places;

public readonly record struct ClusterKey(string Tenant, string Cluster);
