using Whistle.State;

namespace Whistle.Remediation.Control;

/// <summary>All that people have set, with what is over; where a table is damaged, with the strictest that it could say.</summary>
sealed record ControlState(
    KillSwitch Kill, IReadOnlyList<ModeEntry> Modes, IReadOnlyList<Pause> Pauses, IReadOnlyList<MaintenanceWindow> Windows,
    IReadOnlyList<ChangeFreeze> Freezes, IReadOnlyList<StateFault> Faults)
{
    public static async Task<ControlState> ReadAsync(StateConnection connection, CancellationToken cancellation) =>
        await ReadAsync(connection, await StateSeals.ReadAsync(connection, cancellation), cancellation);

    public static async Task<ControlState> ReadAsync(StateConnection connection, StateSeals seals, CancellationToken cancellation) =>
        await ControlTables.ReadAsync(connection, seals, cancellation);
}
