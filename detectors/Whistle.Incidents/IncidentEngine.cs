using Whistle.Detectors.Signals;
using Whistle.Inventory;
using Whistle.Telemetry;

namespace Whistle.Incidents;

public sealed record IncidentOptions
{
    /// <summary>How long all signals must be clear before an incident closes. It runs while they are kept firing too.</summary>
    public TimeSpan ClearFor { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>A signal that returns within this time after the closing reopens the incident.</summary>
    public TimeSpan ReopenWithin { get; init; } = TimeSpan.FromHours(1);

    /// <summary>More things of one cluster than this that begin at once have one cause: they are one incident.</summary>
    public int StormSubjects { get; init; } = 200;

    /// <summary>The worst signals are kept with the incident of a storm; the others are only counted.</summary>
    public int StormShows { get; init; } = 100;
}

/// <summary>An incident as it is now, and what its timeline says about it.</summary>
sealed record IncidentChange(Incident Incident, IReadOnlyList<(TimelineKind Kind, string Text)> Entries);

/// <summary>What the engine reconciles incidents with.</summary>
/// <param name="Active">All active signals, pending ones too.</param>
/// <param name="Ended">Signals that ended recently, the latest first: how they ended.</param>
/// <param name="Worked">Incidents that a run works on.</param>
sealed record SignalView(SignalList Active, IReadOnlyList<Signal> Ended, IReadOnlySet<string> Worked)
{
    /// <summary>What is firing and not inhibited, by subject. Thousands of signals are sorted once, not for every reader.</summary>
    public IReadOnlyDictionary<(ClusterId Cluster, Labels Subject), List<Signal>> Trouble => field ??= IncidentEngine.BySubject(Active);

    /// <summary>What is inhibited by another signal, by fingerprint.</summary>
    public ILookup<ulong, Signal> Inhibited => field ??= Active.Where(s => s.InhibitedBy is not null).ToLookup(s => s.Fingerprint);

    /// <summary>As <see cref="Inhibited"/>, by the fingerprint of what inhibits it.</summary>
    public ILookup<ulong, Signal> ByInhibitor =>
        field ??= Active.Where(s => s.InhibitedBy is not null).ToLookup(s => s.InhibitedBy!.Fingerprint);
}

/// <summary>Incidents as a function of those held and of all that is wrong now.</summary>
static class IncidentEngine
{
    // What a signal is about, from the coarse to the fine. Its other labels say how it is, or who reported it.
    static readonly string[] SubjectLabels =
        ["node", "mountpoint", "device", "namespace", "pod", "container", "unit", "service", "member", "interface"];

    const int MostOnsets = 20;

    static readonly string[] Severities = ["critical", "warning", "info"];

    /// <param name="held">All active incidents, and those that closed within <see cref="IncidentOptions.ReopenWithin"/>.</param>
    /// <returns>The incidents that changed.</returns>
    public static IReadOnlyList<IncidentChange> Reconcile(
        IReadOnlyList<Incident> held, SignalView view, IncidentOptions options, DateTimeOffset now)
    {
        var trouble = view.Trouble.ToDictionary();
        var changes = new List<IncidentChange>();
        var storms = held.Where(i => i.IsStorm).GroupBy(i => i.ClusterId).Select(g => g.MaxBy(i => i.OpenedAt)!).ToList();
        held = [.. held.Where(i => !i.IsStorm)];
        // Of several incidents of one subject, only the latest can take its signals.
        foreach (var incidents in held.GroupBy(i => (i.ClusterId, i.Subject)))
        {
            var latest = incidents.MaxBy(i => i.OpenedAt)!;
            var mine = trouble.GetValueOrDefault(incidents.Key) ?? [];
            if (latest.ClosedAt is { } closed && (mine.All(s => s.IsKept) || now - closed > options.ReopenWithin))
                continue;
            trouble.Remove(incidents.Key);
            if (Next(latest, mine, view, options, now) is { Entries.Count: > 0 } change)
                changes.Add(change);
        }

        changes.AddRange(Storms(storms, trouble, view, options, now));
        changes.AddRange(trouble.Where(t => t.Value.Exists(s => !s.IsKept)).Select(t => Open(t.Key, t.Value, view, options, now)));
        return changes;
    }

    /// <summary>
    /// What begins in much of a cluster at once has one cause, so it is one incident; and while that is open, all else that begins there
    /// belongs to it. Takes what belongs to them out of <paramref name="trouble"/>.
    /// </summary>
    static IEnumerable<IncidentChange> Storms(
        List<Incident> held, Dictionary<(ClusterId Cluster, Labels Subject), List<Signal>> trouble, SignalView view,
        IncidentOptions options, DateTimeOffset now)
    {
        var clusters = trouble.Keys.Select(k => k.Cluster).Union(held.Where(i => i.ClosedAt is null).Select(i => i.ClusterId)).ToList();
        foreach (var cluster in clusters)
        {
            var open = held.Find(i => i.ClusterId == cluster && i.ClosedAt is null);
            var groups = trouble.Where(t => t.Key.Cluster == cluster).ToList();
            if (open is null && groups.Count(g => g.Value.Exists(s => !s.IsKept)) <= options.StormSubjects)
                continue;
            foreach (var group in groups)
                trouble.Remove(group.Key);
            var all = groups.SelectMany(g => g.Value).ToList();
            var shown = all.OrderBy(s => Rank(SeverityOf(s))).ThenBy(s => s.Fingerprint).Take(options.StormShows).ToList();
            var nodes = all.Select(s => s.Labels["node"]).Where(n => n.Length > 0).Distinct().Count();
            var title = $"Much of {cluster.Cluster} is in trouble at once: {all.Count} signals on {nodes} nodes";
            if (open is null)
                yield return Open((cluster, Incident.StormSubject), shown, view, options, now, title);
            else if (Quiet(open, Next(open, shown, view, options, now), title) is { Entries.Count: > 0 } change)
                yield return change;
        }
    }

    // Of a storm only its start, its ebb and its end are reported, not each of thousands of signals.
    static IncidentChange Quiet(Incident before, IncidentChange change, string title)
    {
        var entries = change.Entries.Where(e => e.Kind is not (TimelineKind.Signal or TimelineKind.Inhibited)).ToList();
        static int Active(Incident i) => i.Signals.Count(s => s is { IsClear: false, InhibitedBy: null });
        if (Math.Abs(Active(before) - Active(change.Incident)) * 10 > Active(before))
            entries.Add((TimelineKind.Signal, $"{title}."));
        return new(change.Incident with { Title = before.Title }, entries);
    }

    public static Dictionary<(ClusterId Cluster, Labels Subject), List<Signal>> BySubject(IReadOnlyList<Signal> active) =>
        active.Where(s => s is { HasFired: true, InhibitedBy: null }).GroupBy(KeyOf).ToDictionary(g => g.Key, g => g.ToList());

    static (ClusterId Cluster, Labels Subject) KeyOf(Signal signal)
    {
        var subject = signal.Labels.Keep(SubjectLabels);
        // What is about a cluster as a whole is kept apart by what is wrong with it.
        if (subject.Count == 0)
            subject = Labels.Of(("alertname", signal.Name));
        return (ClusterId.Of(signal.Labels), subject);
    }

    static IncidentChange Open(
        (ClusterId Cluster, Labels Subject) key, List<Signal> signals, SignalView view, IncidentOptions options, DateTimeOffset now,
        string? storm = null)
    {
        var worst = Worst(signals);
        var incident = new Incident
        {
            Id = IdOf(key, now),
            Tenant = key.Cluster.Tenant,
            Cluster = key.Cluster.Cluster,
            Subject = key.Subject,
            Title = TitleOf(worst),
            Severity = SeverityOf(worst),
            State = IncidentState.Open,
            OpenedAt = now,
        };
        var change = Next(incident, signals, view, options, now);
        return storm is null
            ? change with { Entries = [(TimelineKind.Opened, incident.Title), .. change.Entries] }
            : new(
                change.Incident with { Title = storm },
                [(TimelineKind.Opened, $"{storm}. They are handled as one incident, and nothing is repaired node by node.")]);
    }

    static IncidentChange Next(Incident incident, List<Signal> active, SignalView view, IncidentOptions options, DateTimeOffset now)
    {
        var entries = new List<(TimelineKind, string)>();
        var next = incident;
        // An inhibited signal opens nothing. It stays in an incident that already has it, and
        // joins that of its cause if the subject is the same.
        var visible = active;
        active =
        [
            .. active, .. incident.Signals.Where(s => s.ClearedAt is null).SelectMany(s => view.Inhibited[s.Fingerprint]),
            .. active.SelectMany(s => view.ByInhibitor[s.Fingerprint]).Where(s => KeyOf(s).Subject.Equals(incident.Subject)),
        ];
        if (incident.ClosedAt is not null)
        {
            next = incident with
            {
                ClosedAt = null,
                ClearSince = null,
                State = IncidentState.Open,
                Reopened = incident.Reopened + 1,
                Inhibits = [],
            };
            entries.Add((TimelineKind.Reopened, $"Reopened ({Ordinal(next.Reopened)} time)."));
        }

        var signals = Signals(next, active, view.Ended, entries, now);
        if (signals.Exists(s => !s.IsClear) && !incident.Signals.Any(s => !s.IsClear))
            next = next with { Onsets = [.. incident.Onsets.TakeLast(MostOnsets - 1), now] };
        next = NoteInhibited(next with { Signals = signals }, view.ByInhibitor, entries);
        if (visible.Count > 0 && Rank(SeverityOf(Worst(visible))) <= Rank(next.Severity))
            next = next with { Severity = SeverityOf(Worst(visible)), Title = TitleOf(Worst(visible)) };
        if (next.Severity != incident.Severity)
            entries.Add((TimelineKind.Severity, $"Severity changed from {incident.Severity} to {next.Severity}."));
        next = signals.Exists(s => !s.IsClear)
            ? KeepOpen(next, view.Worked, entries)
            : Recover(incident, next, view.Ended, options, entries, now);
        return new(next, entries);
    }

    // One entry per alert: how many it inhibits now can be seen among the signals.
    static Incident NoteInhibited(Incident incident, ILookup<ulong, Signal> byInhibitor, List<(TimelineKind, string)> entries)
    {
        if (byInhibitor.Count == 0)
            return incident;
        var inhibited = incident.Signals.Where(s => s.ClearedAt is null).SelectMany(s => byInhibitor[s.Fingerprint])
            .Where(s => !KeyOf(s).Subject.Equals(incident.Subject)).CountBy(s => s.Name).ToDictionary();
        var joined = inhibited.Keys.Except(incident.Inhibits).Order(StringComparer.Ordinal).ToList();
        if (joined.Count == 0)
            return incident;
        var names = string.Join(", ", joined.Select(n => inhibited[n] > 1 ? $"{n} ({inhibited[n]} times)" : n));
        entries.Add((TimelineKind.Inhibited, $"Inhibits {names}. While it fires, nobody is paged for that and no repair of it starts."));
        return incident with { Inhibits = [.. incident.Inhibits, .. joined] };
    }

    static List<IncidentSignal> Signals(
        Incident incident, List<Signal> active, IReadOnlyList<Signal> ended, List<(TimelineKind, string)> entries, DateTimeOffset now)
    {
        var present = active.GroupBy(s => s.Fingerprint).ToDictionary(g => g.Key, g => g.OrderBy(s => s.State).First());
        var signals = new List<IncidentSignal>();
        foreach (var known in incident.Signals)
            signals.Add(present.Remove(known.Fingerprint, out var signal)
                ? Update(known, signal, entries, now)
                : Clear(known, ended, entries, now));
        foreach (var signal in present.Values)
            signals.Add(Update(null, signal, entries, now));
        return signals;
    }

    static IncidentSignal Update(IncidentSignal? known, Signal signal, List<(TimelineKind, string)> entries, DateTimeOffset now)
    {
        var unknown = signal.State is SignalState.Unknown;
        var fires = known is null || known.ClearedAt is not null;
        var since = signal.Condition.FiringSince ?? now;
        var quiet = signal.IsKept ? known?.QuietSince ?? signal.Condition.KeepSince : null;
        if (fires)
            entries.Add((TimelineKind.Signal, $"{signal.Name} ({SeverityOf(signal)}) has been firing since {since:yyyy-MM-dd HH:mm:ss}Z."));
        if (unknown && (fires || !known!.Unknown))
            entries.Add((TimelineKind.Signal, $"{signal.Name} ({SeverityOf(signal)}) is unknown: its source does not report."));
        if (!unknown && known is { Unknown: true, ClearedAt: null })
            entries.Add((TimelineKind.Signal, $"{signal.Name} ({SeverityOf(signal)}) is known again and firing."));
        if (quiet is not null && (fires || known!.QuietSince is null))
            entries.Add((
                TimelineKind.Signal,
                $"{signal.Name} ({SeverityOf(signal)}) cleared at {quiet:yyyy-MM-dd HH:mm:ss}Z; its rule keeps it firing for a while."));
        if (quiet is null && !unknown && known is { QuietSince: not null, ClearedAt: null })
            entries.Add((TimelineKind.Signal, $"{signal.Name} ({SeverityOf(signal)}) is active again."));
        NoteInhibition(known, signal, entries);
        return fires
            ? new(signal.Fingerprint, signal.Name, signal.Labels, SeverityOf(signal), since, null, unknown, quiet, signal.InhibitedBy)
            : known! with { Unknown = unknown, QuietSince = quiet, InhibitedBy = signal.InhibitedBy };
    }

    static void NoteInhibition(IncidentSignal? known, Signal signal, List<(TimelineKind, string)> entries)
    {
        var (before, now) = (known?.InhibitedBy, signal.InhibitedBy);
        if (now is not null && now.Fingerprint != before?.Fingerprint)
        {
            var subject = $"{signal.Name} ({SeverityOf(signal)})";
            entries.Add((
                TimelineKind.Inhibited,
                $"{subject} is inhibited by {now}. While that fires, nobody is paged for it and no repair starts."));
        }

        if (now is null && before is not null)
            entries.Add((TimelineKind.Inhibited, $"{signal.Name} ({SeverityOf(signal)}) is no longer inhibited by {before}."));
    }

    static IncidentSignal Clear(IncidentSignal known, IReadOnlyList<Signal> ended, List<(TimelineKind, string)> entries, DateTimeOffset now)
    {
        if (known.ClearedAt is not null)
            return known;
        var how = EndOf(known, ended) switch
        {
            SignalEnd.Gone => "is gone: its subject is no longer reported",
            SignalEnd.Withdrawn => "is withdrawn: its rule is no longer loaded",
            _ => "cleared",
        };
        entries.Add((TimelineKind.Signal, $"{known.Name} ({known.Severity}) {how}."));
        return known with { ClearedAt = now, Unknown = false, QuietSince = null, InhibitedBy = null };
    }

    static SignalEnd? EndOf(IncidentSignal known, IReadOnlyList<Signal> ended) =>
        ended.FirstOrDefault(s => s.Fingerprint == known.Fingerprint && s.Condition.EndedAt >= known.Since)?.Condition.Reason;

    static Incident KeepOpen(Incident incident, IReadOnlySet<string> worked, List<(TimelineKind, string)> entries)
    {
        var state = worked.Contains(incident.Id) ? IncidentState.Mitigating : IncidentState.Open;
        if (state != incident.State)
            entries.Add((
                TimelineKind.State,
                state is IncidentState.Mitigating ? "A run is working on it." : incident.State is IncidentState.Recovering
                    ? "A signal came back before it had been clear long enough." : "No run is working on it any more."));
        return incident with { State = state, ClearSince = null };
    }

    static Incident Recover(
        Incident before, Incident incident, IReadOnlyList<Signal> ended, IncidentOptions options, List<(TimelineKind, string)> entries,
        DateTimeOffset now)
    {
        var since = incident.ClearSince ?? now;
        var over = incident.Signals.All(s => s.ClearedAt is not null);
        var cleared = incident.Signals.Where(s => before.Signals.Any(b => b.Fingerprint == s.Fingerprint && b.ClearedAt is null)).ToList();
        if (over && cleared.Count > 0 && cleared.TrueForAll(s => EndOf(s, ended) is SignalEnd.Gone))
        {
            entries.Add((TimelineKind.Closed, "Closed: its subject is gone."));
            return incident with { State = IncidentState.Closed, ClearSince = since, ClosedAt = now };
        }

        if (over && now - since >= options.ClearFor)
        {
            entries.Add((TimelineKind.Closed, $"Closed: all signals have been clear since {since:yyyy-MM-dd HH:mm:ss}Z."));
            return incident with { State = IncidentState.Closed, ClearSince = since, ClosedAt = now };
        }

        if (incident.State is not IncidentState.Recovering)
            entries.Add((
                TimelineKind.State,
                $"All signals have cleared. It closes once they stay clear for {options.ClearFor.TotalMinutes:0.#} min."));
        return incident with { State = IncidentState.Recovering, ClearSince = since };
    }

    static Signal Worst(List<Signal> signals) =>
        signals.OrderBy(s => Rank(SeverityOf(s))).ThenBy(s => s.Name, StringComparer.Ordinal).First();

    static string SeverityOf(Signal signal) => signal.Labels["severity"] is { Length: > 0 } severity ? severity : "warning";

    static int Rank(string severity) => Array.IndexOf(Severities, severity) is >= 0 and var rank ? rank : Severities.Length;

    static string TitleOf(Signal signal) =>
        signal.Annotations.FirstOrDefault(a => a.Name == "summary").Value is { Length: > 0 } summary
            ? summary : $"{signal.Name} on {signal.Labels}";

    // The same in every process, so that a crash between decision and row makes no second incident.
    static string IdOf((ClusterId Cluster, Labels Subject) key, DateTimeOffset now) =>
        "i" + Signal.FingerprintOf($"{key.Cluster}/{now.ToUnixTimeMilliseconds()}", key.Subject).ToString("x16");

    static string Ordinal(int number) => number switch
    {
        1 => "first",
        2 => "second",
        3 => "third",
        _ => $"{number}th",
    };
}
