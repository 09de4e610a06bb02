using Whistle.Alerting.Stores;
using Whistle.Detectors;
using Whistle.Incidents;
using Whistle.Ingest.Heads;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.People;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runs;
using Whistle.State;
using Whistle.State.Health;
using Whistle.State.Jobs;

namespace Whistle.Data;

/// <summary>The state as the whole program knows it.</summary>
static class StateStages
{
    /// <summary>The tables of all stages, upstream first.</summary>
    public static readonly IReadOnlyList<StateSchema> All =
    [
        Credentials.Tables, PeopleState.Tables, SeriesLimits.Tables, RulesHost.Tables, IncidentStore.Tables, RunStore.Tables,
        ControlStore.Tables, AlertingTables.All, StateReserve.Tables, AuditLog.Tables, StateLease.Tables,
        JobStore.Tables,
    ];

    static readonly string[] Left = ["telemetry", "agent"];

    /// <summary>Whether the folder has what a server leaves there only after it has made the state.</summary>
    public static bool HasHistory(string folder) =>
        Left.Select(f => Path.Combine(folder, f)).Any(f => Directory.Exists(f) && Directory.EnumerateFileSystemEntries(f).Any());

    /// <summary>Migrates the state, and holds everything back where it is not what it was.</summary>
    public static async Task ReadyAsync(
        StateDatabase state, HealthBoard health, TimeProvider time, ILogger logger, CancellationToken cancellation)
    {
        state.Watch(health, logger);
        await state.UpgradeAsync(All, logger.StateMigrated, cancellation);
        if (state.Accepted is not { } accepted)
            return;
        logger.StateAccepted(accepted);
        await new ControlStore(state).SetAsync(
            new KillSwitch(
                true, $"The state was accepted as it is: {accepted} Look at modes, pauses, freezes and runs, then turn this off.",
                "whistle", time.GetUtcNow()),
            cancellation);
        await new AuditLog(state, time).AppendAsync(
            new(AuditActor.Server, "accept-state", AccessScope.All) { Reason = accepted }, cancellation);
        // Agents know what was done since; nobody knows since when.
        await new RunStore(state).BeginGenerationAsync(Lineage.NewGeneration(), DateTimeOffset.UnixEpoch, time.GetUtcNow(), cancellation);
        await state.SettleAsync(cancellation);
    }
}
