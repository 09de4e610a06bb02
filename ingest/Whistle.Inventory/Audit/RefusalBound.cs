using Whistle.Inventory.Access;

namespace Whistle.Inventory.Audit;

/// <summary>
/// Keeps a flood of refusals from filling the disk: the first of each kind is written, the rest of its minute is counted and written as
/// one entry. Beyond <see cref="Most"/> kinds in a minute, all others are one kind.
/// </summary>
sealed class RefusalBound
{
    public const int Most = 60;

    static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    readonly Lock _gate = new();
    readonly Dictionary<(string Identity, string From, string Action), Counted> _kinds = [];

    /// <summary>What is to be written now; nothing where the refusal was only counted.</summary>
    public IReadOnlyList<AuditRecord> Admit(AuditRecord record, DateTimeOffset now)
    {
        lock (_gate)
        {
            var written = Take_NeedsLock(now, all: false);
            var kind = (record.Actor.Identity, record.Actor.From, record.Action);
            if (!_kinds.ContainsKey(kind) && _kinds.Count >= Most)
            {
                record = new(new("", "", ""), "many-refusals", AccessScope.All)
                { Outcome = AuditOutcome.Refused, Reason = "More kinds of refusals than are written each by itself." };
                kind = ("", "", record.Action);
            }

            if (_kinds.TryGetValue(kind, out var counted))
                counted.More++;
            else
                (_kinds[kind], written) = (new(record, now), [.. written, record]);
            return written;
        }
    }

    /// <summary>What was only counted, of those kinds whose minute is over.</summary>
    public IReadOnlyList<AuditRecord> Take(DateTimeOffset now, bool all)
    {
        lock (_gate)
            return Take_NeedsLock(now, all);
    }

    List<AuditRecord> Take_NeedsLock(DateTimeOffset now, bool all)
    {
        List<AuditRecord> taken = [];
        foreach (var (kind, counted) in _kinds.Where(k => all || now - k.Value.Since >= Window).ToList())
        {
            _kinds.Remove(kind);
            // What they were about may differ.
            if (counted.More > 0)
                taken.Add(counted.First with { Subject = "", Details = $$"""{"more":{{counted.More}}}""" });
        }

        return taken;
    }

    sealed class Counted(AuditRecord first, DateTimeOffset since)
    {
        public AuditRecord First => first;

        public DateTimeOffset Since => since;

        public int More { get; set; }
    }
}
