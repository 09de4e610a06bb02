namespace Whistle.Ingest;

public sealed record EnrolledAgent(string Tenant, string Cluster, string Node, DateTimeOffset EnrolledAt);
