using Whistle.Telemetry;

namespace Whistle.Remediation.Runs;

/// <summary>What a run holds from its first permit until it ends: its place in every budget.</summary>
public sealed record Reservation(string RunId, string Runbook, string Tenant, string Cluster, string Zone, string Node, Labels Subject, bool Disruptive, bool ControlPlane)
{
    internal bool IsOn(Run run) => Tenant == run.Tenant && Cluster == run.Cluster && Node == run.Node;
}

/// <summary>An attempt that ended.</summary>
public sealed record EarlierRun(string Id, string IncidentId, DateTimeOffset EndedAt);
