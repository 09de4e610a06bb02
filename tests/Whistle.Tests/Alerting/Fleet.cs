using Whistle.Alerting.Deciding;
using Whistle.Incidents;
using Whistle.Telemetry;

namespace Whistle.Tests.Alerting;

/// <summary>Incidents for the tests of alerting.</summary>
static class Fleet
{
    public static readonly DateTimeOffset Start = DateTimeOffset.FromUnixTimeSeconds(1_800_000_000);

    public static Incident Incident(string id = "i1", string severity = "critical", DateTimeOffset? opened = null, string title = "/data "
        + "will be full in 3 h") => new()
        {
            Id = id,
            Tenant = "t",
            Cluster = "c1",
            Subject = Labels.Of(("node", "n1"), ("mountpoint", "/data")),
            Title = title,
            Severity = severity,
            State = IncidentState.Open,
            OpenedAt = opened ?? Start,
            Signals = [Signal("NodeDiskFilling", "n1", severity, opened ?? Start)],
        };

    public static IncidentSignal Signal(string name, string node, string severity, DateTimeOffset since) =>
        new(1, name, Labels.Of(("alertname", name), ("node", node), ("mountpoint", "/data")), severity, since, null);

    public static Incident Closed(this Incident incident, DateTimeOffset at) => incident with
    {
        State = IncidentState.Closed,
        ClosedAt = at,
        ClearSince = at,
        Signals = [.. incident.Signals.Select(s => s with { ClearedAt = at })],
    };

    public static Repair Repair(RepairState state, DateTimeOffset at, string id = "r1") => new()
    {
        Id = id,
        Runbook = "node-disk-filling",
        State = state,
        StartedAt = at,
        EndedAt = state is RepairState.Underway ? null : at,
        Summary = "two attempts freed 3 MiB, which is not enough",
        Changed = true,
        Steps = ["disk.clean-paths freed 3 MiB"],
        LargestDirectories = [new("/data/<models>", 5L << 30), new("/data/cache", 1L << 20)],
    };
}
