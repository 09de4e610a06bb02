namespace Whistle.Remediation.Control;

/// <summary>A table whose rows hold repairs back or let them go.</summary>
enum GuardedTable
{
    KillSwitch,
    RunbookModes,
    Pauses,

    /// <summary>Maintenance windows, and the change freezes beside them.</summary>
    Windows,
    Runs,
    Commands,
    Approvals,
    TasksDone,
    Cancellations,
    Reservations,
    Storms,
}

/// <summary>Damage in such a table.</summary>
/// <param name="Reason">What is damaged, what that means, and what to do.</param>
sealed record StateFault(GuardedTable Table, string Reason)
{
    static readonly Dictionary<GuardedTable, string> Names = Enum.GetValues<GuardedTable>().ToDictionary(
        t => t, t => string.Concat(t.ToString().Select((c, i) => i > 0 && char.IsUpper(c) ? $"_{c}" : $"{c}")).ToLowerInvariant());

    /// <summary>The table's name, under which health shows the fault.</summary>
    public string Subject => Names[Table];
}
