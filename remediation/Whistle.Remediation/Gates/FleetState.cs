using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Control;
using Whistle.Remediation.Restored;
using Whistle.Remediation.Runs;
using Whistle.State;

namespace Whistle.Remediation.Gates;

/// <summary>What is kept of the whole fleet, or of one run and its surroundings, read in one transaction.</summary>
sealed record FleetState
{
    public required KillSwitch Kill { get; init; }

    public required IReadOnlyList<ModeEntry> Modes { get; init; }

    public required IReadOnlyList<Pause> Pauses { get; init; }

    public required IReadOnlyList<MaintenanceWindow> Windows { get; init; }

    public required IReadOnlyList<ChangeFreeze> Freezes { get; init; }

    /// <summary>Those that have not ended, with the fencing tokens under which the reader owns them.</summary>
    public required IReadOnlyList<OwnedRun> Runs { get; init; }

    /// <summary>Of the live runs' incidents: all runs; and of the live runs' targets: those that ended within the last day.</summary>
    public required IReadOnlyList<RunSummary> Known { get; init; }

    /// <summary>All that are not closed, and those of the runs.</summary>
    public required IReadOnlyDictionary<string, Incident> Incidents { get; init; }

    public required IReadOnlyDictionary<string, Acknowledgement> Acknowledgements { get; init; }

    public required IReadOnlyDictionary<(string Run, string Step), Approval> Approvals { get; init; }

    public required IReadOnlyDictionary<(string Run, string Step), TaskDone> Tasks { get; init; }

    public required IReadOnlyDictionary<string, Cancellation> Cancellations { get; init; }

    /// <summary>Commands of the live runs, by id.</summary>
    public required IReadOnlyDictionary<string, Command> Commands { get; init; }

    public required IReadOnlyList<Reservation> AtWork { get; init; }

    public required IReadOnlyDictionary<ClusterId, DateTimeOffset> Storms { get; init; }

    /// <summary>What is known of the time that a restored state has lost.</summary>
    public required RestoreView Restored { get; init; }

    /// <summary>Damage in what the gates ask about.</summary>
    public required IReadOnlyList<StateFault> Faults { get; init; }

    /// <summary>Why it is not known which budgets are taken and which attempts were made; null where it is.</summary>
    public string? BudgetFault => Faults.FirstOrDefault(f => f.Table is GuardedTable.Reservations or GuardedTable.Runs)?.Reason;

    ILookup<string, RunSummary> ByIncident => field ??= Known.ToLookup(r => r.IncidentId);

    ILookup<(NodeId, string), RunSummary> ByTarget => field ??= Known.ToLookup(r => (r.NodeId, r.Runbook));

    IReadOnlyDictionary<ClusterId, HashSet<string>> TroubledNodes => field ??= Incidents.Values
        .Where(i => i.ClosedAt is null).GroupBy(i => i.ClusterId)
        .Select(g => (g.Key, Nodes: g.SelectMany(i => i.Signals).Where(s => !s.IsClear && s.Labels.Has("node"))
            .Select(s => s.Labels["node"]).ToHashSet()))
        .Where(g => g.Nodes.Count > 0).ToDictionary(g => g.Key, g => g.Nodes);

    public IEnumerable<RunSummary> OfIncident(string incident) => ByIncident[incident];

    public IEnumerable<ClusterId> TroubledClusters => TroubledNodes.Keys;

    public IReadOnlySet<string> Troubled(ClusterId cluster) => TroubledNodes.GetValueOrDefault(cluster) ?? [];

    /// <summary>Attempts of the run's runbook that ended: in the same incident, or on the same target within the last day.</summary>
    public IReadOnlyList<EarlierRun> Earlier(Run run) =>
    [
        .. ByTarget[(run.NodeId, run.Runbook)]
            .Where(r => r.Id != run.Id && r is { IsAttempt: true, EndedAt: not null } && r.Subject.Equals(run.Subject))
            .Select(r => new EarlierRun(r.Id, r.IncidentId, r.EndedAt!.Value)),
    ];

    /// <param name="run">Only this one and what its gates ask about; null for all.</param>
    /// <param name="owner">Whose tokens are given.</param>
    public static async Task<FleetState> ReadAsync(
        StateConnection connection, DateTimeOffset now, string? run = null, string owner = "", CancellationToken cancellation = default)
    {
        var seals = await StateSeals.ReadAsync(connection, cancellation);
        var control = await ControlState.ReadAsync(connection, seals, cancellation);
        var faults = new List<StateFault>(control.Faults);
        var runs = await RunStore.LiveAsync(connection, owner, run, faults, cancellation);
        // A run that is not there has no cluster, and no incidents.
        ClusterId? cluster = run is null ? null : runs.Select(r => r.Run.ClusterId).FirstOrDefault();
        var incidents = (await IncidentStore.ActiveAsync(connection, cluster, cancellation)).ToDictionary(i => i.Id);
        foreach (var missing in runs.Select(r => r.Run.IncidentId).Distinct().Where(id => !incidents.ContainsKey(id)).ToList())
        {
            if (await IncidentStore.FindAsync(connection, missing, cancellation) is { } closed)
                incidents.Add(closed.Id, closed);
        }

        var cancellations = await RunTables.SealedCancellations.ReadAsync(connection, seals, cancellation);
        if (cancellations.Fault is { } uncalled)
        {
            faults.Add(new(GuardedTable.Cancellations, $"{uncalled}, so the kill switch is turned on. "
                + "Cancel again the runs that should be, then turn it off with `whistle kill-switch off`."));
            control = control with { Kill = new(true, "cancellations in the state are damaged", "whistle", DateTimeOffset.UnixEpoch) };
        }

        var reservations = await RunTables.SealedReservations.ReadAsync(connection, seals, cancellation);
        if (reservations.Fault is { } unreserved)
            faults.Add(new(GuardedTable.Reservations, $"{unreserved}, so no run starts until every run under way has ended."));
        return new()
        {
            Kill = control.Kill,
            Modes = control.Modes,
            Pauses = control.Pauses,
            Windows = control.Windows,
            Freezes = control.Freezes,
            Runs = runs,
            Known = await RunStore.KnownAsync(connection, now, run, faults, cancellation),
            Incidents = incidents,
            Acknowledgements = (await IncidentStore.AcknowledgementsAsync(connection, now, cancellation)).ToDictionary(a => a.IncidentId),
            Approvals = (await RunStore.ApprovalsAsync(connection, run, faults, cancellation)).ToDictionary(a => (a.RunId, a.Step)),
            Tasks = (await RunStore.TasksDoneAsync(connection, run, faults, cancellation)).ToDictionary(t => (t.RunId, t.Step)),
            Cancellations = OfLive(cancellations, runs),
            Commands = run is null
                ? (await CommandStore.OfLiveRunsAsync(connection, faults, cancellation)).ToDictionary(c => c.Id)
                : new Dictionary<string, Command>(),
            AtWork = reservations.Rows,
            Storms = await RunStore.StormsAsync(connection, now, faults, cancellation),
            Restored = await RestoreView.ReadAsync(connection, cancellation),
            Faults = faults,
        };
    }

    static Dictionary<string, Cancellation> OfLive(SealedRows<Cancellation> cancellations, IReadOnlyList<OwnedRun> runs)
    {
        if (cancellations.Rows.Count == 0)
            return [];
        var live = runs.Select(r => r.Run.Id).ToHashSet();
        return cancellations.Rows.Where(c => live.Contains(c.RunId)).ToDictionary(c => c.RunId);
    }
}
