using Whistle.Inventory;
using Whistle.Telemetry;

namespace Whistle.Remediation.Runs;

/// <summary>What a run holds from its first permit until it ends: its place in every budget.</summary>
sealed record Reservation(string RunId, string Runbook, NodeId NodeId, string Zone, Labels Subject, bool Disruptive, bool ControlPlane)
{
    public string Node => NodeId.Node;

    internal bool IsOn(Run run) => NodeId == run.NodeId;
}

/// <summary>An attempt that ended.</summary>
sealed record EarlierRun(string Id, string IncidentId, DateTimeOffset EndedAt);
