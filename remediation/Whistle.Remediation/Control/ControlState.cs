using System.Data.Common;

using Whistle.State;

namespace Whistle.Remediation.Control;

/// <summary>All that people have set, with what is over; where a table is damaged, with the strictest that it could say.</summary>
sealed record ControlState(
    KillSwitch Kill, IReadOnlyList<ModeEntry> Modes, IReadOnlyList<Pause> Pauses, IReadOnlyList<MaintenanceWindow> Windows, IReadOnlyList<ChangeFreeze> Freezes,
    IReadOnlyList<StateFault> Faults)
{
    public static ControlState Read(DbConnection connection) => Read(connection, StateSeals.Read(connection));

    public static ControlState Read(DbConnection connection, StateSeals seals) => ControlTables.Read(connection, seals);
}
