using Whistle.Alerting.Tickets;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.Web.Nodes;

namespace Whistle.Web.Parts;

/// <summary>What a badge's shape and colour say.</summary>
public enum BadgeKind
{
    Critical,
    Warning,
    Info,
    Ok,
    Unknown,
    Working,
    Waiting,
    Person,
}

/// <summary>States in the words and shapes that people see.</summary>
static class BadgeText
{
    public static (BadgeKind Kind, string Text) Of(RunState state) => state switch
    {
        RunState.Proposed => (BadgeKind.Waiting, "proposed"),
        RunState.Waiting => (BadgeKind.Waiting, "waiting"),
        RunState.AwaitingApproval => (BadgeKind.Person, "awaiting approval"),
        RunState.Running => (BadgeKind.Working, "running"),
        RunState.Verifying => (BadgeKind.Working, "verifying"),
        RunState.Succeeded => (BadgeKind.Ok, "succeeded"),
        RunState.Failed => (BadgeKind.Warning, "failed"),
        RunState.RolledBack => (BadgeKind.Warning, "rolled back"),
        RunState.Escalated => (BadgeKind.Person, "escalated"),
        RunState.Cancelled => (BadgeKind.Info, "cancelled"),
        _ => throw new InvalidOperationException($"Unknown state {state}."),
    };

    public static (BadgeKind Kind, string Text) Of(NodeState state) => state switch
    {
        NodeState.Reporting => (BadgeKind.Ok, "reporting"),
        NodeState.Silent => (BadgeKind.Unknown, "silent"),
        NodeState.Awaited => (BadgeKind.Waiting, "awaited"),
        NodeState.Archived => (BadgeKind.Waiting, "archived"),
        _ => throw new InvalidOperationException($"Unknown state {state}."),
    };

    public static (BadgeKind Kind, string Text) Of(TicketState state) => state switch
    {
        TicketState.Open => (BadgeKind.Person, "open"),
        TicketState.WaitingOnCustomer => (BadgeKind.Waiting, "waiting on customer"),
        TicketState.InProgress => (BadgeKind.Working, "in progress"),
        TicketState.Resolved => (BadgeKind.Ok, "resolved"),
        TicketState.Closed => (BadgeKind.Info, "closed"),
        _ => throw new InvalidOperationException($"Unknown state {state}."),
    };

    public static (BadgeKind Kind, string Text) Of(RunbookMode? mode) => mode switch
    {
        null => (BadgeKind.Info, "no runbook"),
        RunbookMode.Off => (BadgeKind.Waiting, "off"),
        RunbookMode.Observe => (BadgeKind.Unknown, "observe"),
        RunbookMode.Approve => (BadgeKind.Person, "approve"),
        RunbookMode.Automatic => (BadgeKind.Ok, "automatic"),
        _ => throw new InvalidOperationException($"Unknown mode {mode}."),
    };

    /// <summary>Any text may come in as a severity; only the known ones look like one.</summary>
    public static BadgeKind Severity(string severity) => severity switch
    {
        "critical" or "error" => BadgeKind.Critical,
        "warning" => BadgeKind.Warning,
        _ => BadgeKind.Info,
    };

    public static BadgeKind Signal(string state) => state switch
    {
        "firing" => BadgeKind.Critical,
        "pending" => BadgeKind.Waiting,
        "unknown" => BadgeKind.Unknown,
        _ => BadgeKind.Ok,
    };
}
