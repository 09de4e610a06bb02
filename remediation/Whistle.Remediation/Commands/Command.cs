using Whistle.Actions.Protocol;
using Whistle.Inventory;

namespace Whistle.Remediation.Commands;

enum CommandState
{
    Offered,

    /// <summary>An agent holds it and has not asked to begin; when the lease ends it is offered again.</summary>
    Leased,

    /// <summary>A permit was given: it may have changed something, and is never given out again.</summary>
    Begun,

    /// <summary>The gates said no when the agent asked to begin.</summary>
    Denied,

    /// <summary>Taken back before it began.</summary>
    Withdrawn,
    Done,
}

/// <summary>A step on its way to an agent and back.</summary>
sealed record Command
{
    /// <summary>The idempotency key.</summary>
    public required string Id { get; init; }

    public required string RunId { get; init; }

    public required string Tenant { get; init; }

    public required string Cluster { get; init; }

    public required string Node { get; init; }

    public NodeId NodeId => new(Tenant, Cluster, Node);

    public required string Step { get; init; }

    public required string Action { get; init; }

    /// <summary>A JSON object.</summary>
    public required string Parameters { get; init; }

    public required bool DryRun { get; init; }

    public required int TimeoutSeconds { get; init; }

    /// <summary>It takes back what a step has changed.</summary>
    public bool Undo { get; init; }

    public required DateTimeOffset OfferedAt { get; init; }

    public CommandState State { get; init; }

    public long Token { get; init; }

    public DateTimeOffset? LeasedUntil { get; init; }

    public DateTimeOffset? BegunAt { get; init; }

    /// <summary>Why it was denied.</summary>
    public string? Reason { get; init; }

    public CommandOutcome? Outcome { get; init; }

    public string? Summary { get; init; }

    /// <summary>JSON.</summary>
    public string? Output { get; init; }
}
