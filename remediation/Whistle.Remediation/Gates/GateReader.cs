using System.Collections.Concurrent;
using System.Data.Common;

using Whistle.Detectors.Incidents;
using Whistle.Detectors.Signals;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

namespace Whistle.Remediation.Gates;

/// <summary>Reads what the gates are asked about, inside the caller's transaction.</summary>
static class GateReader
{
    static readonly ConcurrentDictionary<string, Runbook?> Parsed = new();

    /// <summary>Null where the run is not live, or where this release cannot read the runbook that it began with.</summary>
    public static GateSnapshot? Read(DbConnection connection, string runId, IReadOnlyList<Signal> signals, DateTimeOffset now)
    {
        if (RunStore.Find(connection, runId) is not { EndedAt: null } run || RunbookOf(run) is not { } runbook
            || IncidentStore.Find(connection, run.IncidentId) is not { } incident)
            return null;
        var (mode, from) = ControlStore.ModeOf(ControlStore.Modes(connection), runbook, run.Tenant, run.Cluster);
        return new()
        {
            Now = now,
            Kill = ControlStore.KillSwitch(connection),
            Mode = mode,
            ModeFrom = from,
            Approval = RunStore.FindApproval(connection, run.Id),
            Cancellation = RunStore.FindCancellation(connection, run.Id),
            Acknowledgement = IncidentStore.Acknowledgement(connection, run.IncidentId, now),
            Pauses = ControlStore.Pauses(connection, now),
            Runbook = runbook,
            Run = run,
            Signals = SignalsOf(incident, runbook, signals),
            AtWork = [.. RunStore.AtWork(connection).Where(r => r.Id != run.Id)],
            Earlier = RunStore.Earlier(connection, run, now),
        };
    }

    /// <summary>The signals of the incident that the runbook answers and that hold, or are unknown.</summary>
    public static IReadOnlyList<Signal> SignalsOf(Incident incident, Runbook runbook, IReadOnlyList<Signal> signals)
    {
        var held = incident.Signals.Where(s => !s.IsClear).Select(s => s.Fingerprint).ToHashSet();
        return [.. signals.Where(s => !s.IsKept && held.Contains(s.Fingerprint) && runbook.IsAnswerTo(s.Name, s.Labels))];
    }

    // A handful of versions are alive at a time.
    public static Runbook? RunbookOf(Run run) => Parsed.GetOrAdd(run.RunbookHash, static (_, text) => RunbookSet.Parse(text), run.RunbookText);
}
