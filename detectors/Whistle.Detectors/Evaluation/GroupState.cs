using Whistle.Detectors.Rules;
using Whistle.Detectors.Signals;
using Whistle.PromQL;

namespace Whistle.Detectors.Evaluation;

/// <summary>A group under evaluation: its rules' states, when it is due, and what the database has not got yet.</summary>
sealed class GroupState(RuleGroup group, IReadOnlyList<RuleState> rules)
{
    public RuleGroup Group => group;

    public IReadOnlyList<RuleState> Rules => rules;

    /// <summary>What its rules share of the head; null where there is none.</summary>
    public StandingGroup? Standing { get; init; }

    /// <summary>Others read its signals from the database alone, so their values are written there too.</summary>
    public bool IsShared { get; init; }

    /// <summary>Not while earlier ones wait to be written.</summary>
    public bool TellsValues { get; set; }

    /// <summary>The grid instant of the last evaluation.</summary>
    public DateTimeOffset? LastSlot { get; set; }

    public TimeSpan LastDuration { get; set; }

    // Kept until a save succeeds, so that a full disk costs nothing but the delay.
    public List<Signal> UnsavedSignals { get; } = [];

    public List<SignalEvent> UnsavedEvents { get; } = [];

    /// <summary>The grid is the multiples of the interval since 1970 UTC.</summary>
    public DateTimeOffset SlotAt(DateTimeOffset now) => new(now.UtcTicks - (now.UtcTicks % group.Interval.Ticks), TimeSpan.Zero);

    /// <summary>The slot to evaluate now, if any. Skipped slots are counted in <paramref name="missed"/> and never made up for.</summary>
    public DateTimeOffset? Due(DateTimeOffset now, out long missed)
    {
        missed = 0;
        var slot = SlotAt(now);
        if (LastSlot is not { } last)
        {
            // A process that starts between two slots waits for the next: the last one is before its data.
            LastSlot = slot == now ? null : slot;
            return slot == now ? slot : null;
        }

        // A clock that was set back by more than an interval restarts the grid.
        if (slot <= last)
            return slot < last - group.Interval ? slot : null;
        missed = ((slot - last).Ticks / group.Interval.Ticks) - 1;
        return slot;
    }
}
