using Whistle.Incidents;
using Whistle.Remediation.Commands;

namespace Whistle.Remediation.Runs;

/// <param name="Repeats">Counted where the timeline says it already.</param>
sealed record RunNote(TimelineKind Kind, string Text, bool Repeats = false)
{
    /// <summary>The gate whose refusal it tells; null where it tells something else.</summary>
    public GateName? Gate { get; init; }
}

/// <summary>The run as it is next, with what its timeline says, in one transaction with a command that is offered or taken back.</summary>
sealed record RunDecision(Run Run, IReadOnlyList<RunNote> Notes)
{
    public Command? Offer { get; init; }

    /// <summary>Only valid while the command has not begun; if it has by then, the whole decision is void.</summary>
    public string? Withdraw { get; init; }
}
