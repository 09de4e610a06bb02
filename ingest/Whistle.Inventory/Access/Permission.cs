using System.Diagnostics.CodeAnalysis;

namespace Whistle.Inventory.Access;

/// <summary>What somebody may be allowed to do, for all tenants, in one tenant or in one cluster.</summary>
[SuppressMessage("Naming", "CA1711", Justification = "It is the field's term.")]
public enum Permission
{
    /// <summary>See telemetry, signals, incidents, runs, tickets and what holds repairs back.</summary>
    Read,

    /// <summary>Comment on tickets.</summary>
    Comment,

    /// <summary>Acknowledge and release incidents, move tickets.</summary>
    Respond,

    /// <summary>Approve the plan of a run, or one of its steps.</summary>
    Approve,

    /// <summary>Cancel runs, complete tasks; set pauses, modes, windows and freezes.</summary>
    Operate,

    /// <summary>Let agents and collectors in, and shut them out.</summary>
    Enrol,

    /// <summary>Read the audit.</summary>
    ReadAudit,

    /// <summary>Invite people, give and take grants, end their sessions.</summary>
    ManagePeople,

    /// <summary>Add, change and archive tenants and clusters.</summary>
    ManageTenants,

    /// <summary>The kill switch for all, reload, backups, health in detail.</summary>
    ManageServer,
}
