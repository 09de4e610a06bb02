using Whistle.Inventory.Access;

namespace Whistle.Inventory.Audit;

/// <summary>
/// Keeps a flood of refusals from filling the disk: the first of each kind is written, the rest of its minute is counted and written as
/// one entry. Beyond <see cref="Most"/> kinds in a minute, all others are one kind; those of whoever is logged in and those of nobody are
/// bounded apart, so that strangers cannot make the others nameless. Of nobody there are <see cref="MostOfNobody"/> kinds a day, without
/// the log-ins that failed for somebody who exists.
/// </summary>
sealed class RefusalBound
{
    public const int Most = 60;

    public const int MostOfNobody = 2_000;

    static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    readonly Lock _gate = new();
    readonly Dictionary<Kind, Counted> _kinds = [];
    DateTime _day;
    int _ofNobody;

    /// <summary>What is to be written now; nothing where the refusal was only counted.</summary>
    public IReadOnlyList<AuditRecord> Admit(AuditRecord record, DateTimeOffset now)
    {
        lock (_gate)
        {
            var written = Take_NeedsLock(now, all: false);
            var kind = Kind.Of(record);
            if (!_kinds.ContainsKey(kind) && IsFull_NeedsLock(kind, IsBoundPerDay(record), now))
            {
                record = new(new("", kind.IsOfNobody ? "" : "several", ""), "many-refusals", AccessScope.All)
                { Outcome = AuditOutcome.Refused, Reason = "More kinds of refusals than are written each by itself." };
                kind = Kind.Of(record);
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

    static bool IsBoundPerDay(AuditRecord record) =>
        record.Actor.Identity.Length == 0 && !(record.Action == "log-in" && record.Subject.Length > 0);

    bool IsFull_NeedsLock(Kind kind, bool perDay, DateTimeOffset now)
    {
        if (_kinds.Keys.Count(k => k.IsOfNobody == kind.IsOfNobody) >= Most)
            return true;
        if (!perDay)
            return false;
        if (_day != now.UtcDateTime.Date)
            (_day, _ofNobody) = (now.UtcDateTime.Date, 0);
        return ++_ofNobody > MostOfNobody;
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

    readonly record struct Kind(string Identity, string From, string Action, AccessScope Scope, AuditOutcome Outcome)
    {
        public bool IsOfNobody => Identity.Length == 0;

        public static Kind Of(AuditRecord record) =>
            new(record.Actor.Identity, CallerNetwork.Of(record.Actor.From), record.Action, record.Scope, record.Outcome);
    }

    sealed class Counted(AuditRecord first, DateTimeOffset since)
    {
        public AuditRecord First => first;

        public DateTimeOffset Since => since;

        public int More { get; set; }
    }
}
