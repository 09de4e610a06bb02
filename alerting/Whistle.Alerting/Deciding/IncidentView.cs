using Whistle.Incidents;

namespace Whistle.Alerting.Deciding;

/// <summary>What alerting reads of an incident, straight from where incidents and runs are kept.</summary>
sealed record IncidentView(Incident Incident, IReadOnlyList<Repair> Repairs, Acknowledgement? Acknowledgement = null);

enum RepairState
{
    Underway,
    Succeeded,

    /// <summary>Another attempt or rung may follow; the page deadline goes on.</summary>
    Failed,

    /// <summary>Nothing more will be tried: a person is paged at once.</summary>
    GaveUp,
    Cancelled,
}

/// <summary>An automatic repair of an incident.</summary>
sealed record Repair
{
    public required string Id { get; init; }

    public required string Runbook { get; init; }

    public required RepairState State { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>One sentence: what it did, or why it gave up.</summary>
    public required string Summary { get; init; }

    /// <summary>Whether it changed anything on a node, or may have. A dry run never did.</summary>
    public bool Changed { get; init; }

    /// <summary>One line a step, for people.</summary>
    public IReadOnlyList<string> Steps { get; init; } = [];

    /// <summary>The largest first; empty where it measured none.</summary>
    public IReadOnlyList<DirectorySize> LargestDirectories { get; init; } = [];
}

public sealed record DirectorySize(string Path, long Bytes);
