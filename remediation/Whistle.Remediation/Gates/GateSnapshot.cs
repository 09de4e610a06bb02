using Whistle.Actions.Contract;
using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Control;
using Whistle.Remediation.Restored;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

namespace Whistle.Remediation.Gates;

/// <summary>All that the gates are asked about, read at one time.</summary>
sealed record GateSnapshot
{
    public required DateTimeOffset Now { get; init; }

    public required KillSwitch Kill { get; init; }

    public required RunbookMode Mode { get; init; }

    /// <summary>What made the mode so, for the sentence.</summary>
    public required string ModeFrom { get; init; }

    public required Approval? Approval { get; init; }

    public required Cancellation? Cancellation { get; init; }

    /// <summary>A person who has taken the incident on.</summary>
    public required Acknowledgement? Acknowledgement { get; init; }

    public required IReadOnlyList<Pause> Pauses { get; init; }

    public required Runbook Runbook { get; init; }

    public required Run Run { get; init; }

    /// <summary>Of the steps that are still to be done, all together.</summary>
    public required ActionTraits Traits { get; init; }

    /// <summary>The active signals of the incident that the runbook answers.</summary>
    public required IReadOnlyList<Signal> Signals { get; init; }

    /// <summary>What the other runs hold.</summary>
    public required IReadOnlyList<Reservation> AtWork { get; init; }

    /// <summary>Why <see cref="AtWork"/> and <see cref="Earlier"/> are not known; null where they are.</summary>
    public string? BudgetFault { get; init; }

    /// <summary>Attempts of this runbook that ended, in this incident or on this target within the last day.</summary>
    public required IReadOnlyList<EarlierRun> Earlier { get; init; }

    /// <summary>Null where nothing is known of it.</summary>
    public ClusterFacts? Cluster { get; init; }

    /// <summary>Nodes of the cluster that an open incident is about.</summary>
    public IReadOnlySet<string> Troubled { get; init; } = new HashSet<string>();

    /// <summary>When so much of the cluster was last in trouble that the cause had to be elsewhere.</summary>
    public DateTimeOffset? StormAt { get; init; }

    public WindowView Window { get; init; } = WindowView.None;

    /// <summary>The change freeze that holds now.</summary>
    public ChangeFreeze? Freeze { get; init; }

    /// <summary>What is not known since a restore; null where nothing was restored.</summary>
    public RestoreBlock? Restore { get; init; }

    /// <summary>Of the state, for ids that are given; empty while it was never restored.</summary>
    public string Generation => Restore?.Lineage.Generation ?? "";

    /// <summary>When the incident began or came back, the latest last.</summary>
    public IReadOnlyList<DateTimeOffset> Onsets { get; init; } = [];
}

/// <summary>A gate's answer.</summary>
/// <param name="Reason">Why not; null where it allows.</param>
/// <param name="RetryAfter">When it makes sense to ask again.</param>
/// <param name="NeedsApproval">What is missing is a person's yes.</param>
sealed record GateAnswer(GateReason? Reason, TimeSpan RetryAfter = default, bool NeedsApproval = false)
{
    /// <summary>Why it has nothing to say about this plan; it allows.</summary>
    public string? NotAsked { get; init; }

    public static readonly GateAnswer Allow = new(Reason: null);

    public static readonly GateAnswer Skip = Allow with { NotAsked = "not asked for this action" };

    public bool Allows => Reason is null;
}

/// <summary>What one gate says to a run.</summary>
/// <param name="Name">See <see cref="GateNames.Word"/>.</param>
/// <param name="Reason">Why not; null where it allows.</param>
/// <param name="NextAt">When its answer may change, at the latest asked again; null where it allows.</param>
/// <param name="NeedsApproval">What is missing is a person's yes.</param>
/// <param name="NotAsked">Why it has nothing to say about this plan; it allows then.</param>
public sealed record GateReply(string Name, string? Reason, DateTimeOffset? NextAt, bool NeedsApproval, string? NotAsked);

/// <summary>The first refusal on the way.</summary>
sealed record Refusal(GateName Gate, GateReason Why, TimeSpan RetryAfter, bool NeedsApproval)
{
    public string Reason => Why.Text;

    /// <summary>As a timeline tells it.</summary>
    public RunNote Note => new(TimelineKind.Gate, $"{Gate.Word()}: {Reason}", Repeats: true) { Gate = Gate };
}
