namespace Whistle.Inventory.Audit;

/// <summary>What a walk along the chain found.</summary>
/// <param name="Entries">So many stand before the fault, if there is one.</param>
/// <param name="Head">Of those.</param>
public sealed record AuditCheck(long Entries, AuditHead Head, AuditFault? Fault);

/// <param name="Number">Of the first entry that is not as it was written.</param>
public sealed record AuditFault(long Number, string Reason);

/// <summary>Goes along the entries in their order, and finds the first that is missing, changed, moved or cut off.</summary>
/// <param name="known">A head that was kept elsewhere.</param>
sealed class ChainWalk(AuditHead? known)
{
    AuditHead _head = new(0, AuditEntry.NoHash);

    /// <summary>The number of the row that was looked at last.</summary>
    public long Last { get; private set; } = long.MinValue;

    public AuditFault? Fault { get; private set; }

    /// <param name="entry">Null where the row can be no entry.</param>
    public void Step(long number, AuditEntry? entry)
    {
        if (Fault is not null)
            return;
        Last = number;
        var next = _head.Number + 1;
        if (number < next)
            Fault = new(number, $"Entry {number} is not the log's: numbers begin with 1.");
        else if (number > next)
            Fault = new(next, number == next + 1 ? $"Entry {next} is missing." : $"Entries {next} to {number - 1} are missing.");
        else if (entry is null || entry.Compute() != entry.Hash)
            Fault = new(number, $"Entry {number} was changed.");
        else if (entry.Previous != _head.Hash)
            Fault = new(number, $"Entry {number} was written after another entry than the one that stands before it.");
        else if (known?.Number == number && known.Hash != entry.Hash)
            Fault = new(number, $"Entry {number} is not the one whose hash was kept: the entries up to there were rewritten.");
        else
            _head = new(number, entry.Hash);
    }

    /// <param name="head">As the state has it beside the entries.</param>
    public AuditCheck End(AuditHead? head)
    {
        Fault ??= EndFault(head);
        return new(_head.Number, _head, Fault);
    }

    AuditFault? EndFault(AuditHead? head)
    {
        var next = _head.Number + 1;
        return head is null ? new(next, $"What the log ends with is not known: entries from {next} on may be missing.")
            : head.Number > _head.Number ? new(next, head.Number == next
                ? $"Entry {next} is missing, the last one." : $"Entries {next} to {head.Number} are missing, the last ones.")
            : head.Number < _head.Number ? new(head.Number + 1, $"Entry {head.Number + 1} was not written by Whistle.")
            : head.Hash != _head.Hash ? new(_head.Number, $"Entry {_head.Number} is not the one that was written last.")
            : known?.Number > _head.Number ? new(next, $"Entries {next} to {known.Number} are missing: there were as many when the head "
                + "was kept.")
            : null;
    }
}
