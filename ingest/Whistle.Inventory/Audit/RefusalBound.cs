using Whistle.Inventory.Access;

namespace Whistle.Inventory.Audit;

/// <summary>
/// Keeps a flood of refusals from filling the disk: the first of each kind is written, the rest of its minute is counted and written as
/// one entry. Beyond <see cref="Most"/> kinds in a minute, all others are one kind; those of whoever is logged in and those of nobody are
/// bounded apart, so that strangers cannot make the others nameless. Of nobody there are <see cref="MostOfNobody"/> kinds a day, and of
/// log-ins that failed for somebody who exists <see cref="MostLogIns"/>.
/// </summary>
sealed class RefusalBound
{
    public const int Most = 60;

    public const int MostOfNobody = 2_000;

    public const int MostLogIns = 10_000;

    static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    readonly Lock _gate = new();
    readonly Dictionary<Kind, Counted> _kinds = [];
    DateTime _day;
    int _ofNobody;
    int _logIns;

    /// <summary>What is to be written now; nothing where the refusal was only counted.</summary>
    public IReadOnlyList<AuditRecord> Admit(AuditRecord record, DateTimeOffset now)
    {
        lock (_gate)
        {
            var written = Take_NeedsLock(now, all: false);
            var kind = Kind.Of(record);
            if (!_kinds.ContainsKey(kind) && IsFull_NeedsLock(kind, IsLogIn(record), now))
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

    // Of somebody who exists: others' guesses must not take its place.
    static bool IsLogIn(AuditRecord record) => record.Action == "log-in" && record.Subject.Length > 0;

    bool IsFull_NeedsLock(Kind kind, bool isLogIn, DateTimeOffset now)
    {
        if (_kinds.Keys.Count(k => k.IsOfNobody == kind.IsOfNobody) >= Most)
            return true;
        if (!kind.IsOfNobody)
            return false;
        if (_day != now.UtcDateTime.Date)
            (_day, _ofNobody, _logIns) = (now.UtcDateTime.Date, 0, 0);
        return isLogIn ? ++_logIns > MostLogIns : ++_ofNobody > MostOfNobody;
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
